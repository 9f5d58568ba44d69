"""The work of an extraction in units that are done or not: a few videos as evaluation sees them, or a training batch.

A copy of the training videos is an epoch of training: copy k are the batches of epoch k under the crops, shifts, donors
and everything else that are drawn for it. A unit is done when the files of its videos are there, so whoever goes on
repeats no unit, and any number of processes share the units by their numbers.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swapaqa.data.datamodule import VideoData
from swapaqa.data.feature_files import COPIES
from swapaqa.data.sampler import Key
from swapaqa.errors import InputError


@dataclass(frozen=True)
class Unit:
    """Videos that are encoded together.

    Attributes:
        split: of the videos.
        keys: what the split's data set is asked for: positions, or (epoch, position) of a copy.
        files: where the features of each go.
        copy: its number, which is the epoch; None: as evaluation sees them.
        step: of the epoch, by which the augmentation is drawn.
    """

    split: str
    keys: Sequence[int] | Sequence[Key]
    files: Sequence[Path]
    copy: int | None = None
    step: int = 0

    def missing(self) -> list[Path]:
        """The files that are not there yet."""
        return [path for path in self.files if not path.exists()]


def all_units(data: VideoData, copies: int, out: Path) -> list[Unit]:
    """Every unit of an extraction into `out`, done or not, in an order that depends on nothing else."""
    units = []
    for split, items in data.items.items():
        files = [feature_file(out, item.record.video_id) for item in items]
        for first in range(0, len(items), data.batch_size):
            positions = range(first, min(first + data.batch_size, len(items)))
            units.append(Unit(split, positions, [files[position] for position in positions]))
    train = data.items["train"]
    for copy in range(copies):
        folder = out / COPIES / str(copy)
        for step, keys in enumerate(data.training_batches(copy)):
            files = [feature_file(folder, train[position].record.video_id) for _, position in keys]
            units.append(Unit("train", keys, files, copy, step))
    return units


def feature_file(folder: Path, video_id: str) -> Path:
    """Where the features of a video go. InputError for an id that leads out of the folder."""
    path = Path(os.path.normpath(folder / f"{video_id}.npy"))
    if not path.is_relative_to(os.path.normpath(folder)):
        raise InputError(f"{video_id}: leads out of out={folder}; name the video by a path below data.root")
    return path
