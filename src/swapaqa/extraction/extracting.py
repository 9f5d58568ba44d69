"""Encoding the units of an extraction and writing a file a video, each as a whole or not at all."""

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from swapaqa.batch import Sample, channels_first
from swapaqa.data.datamodule import VideoData
from swapaqa.data.dataset import EvaluationVideos
from swapaqa.errors import InputError
from swapaqa.extraction.units import Unit
from swapaqa.files.whole_file import whole
from swapaqa.models.encoder import VideoEncoder

log = logging.getLogger(__name__)

HEADER = 128  # bytes of a .npy beside its numbers
MEASURED = 2  # units until the time is told: the first one warms up


@dataclass(frozen=True)
class Extraction:
    """An encoder on its device, and the data that it encodes.

    `precision`: Lightning's, whose `forward_context` the encoder runs in; None: the encoder's own.
    """

    data: VideoData
    encoder: VideoEncoder
    device: torch.device
    precision: Any = None

    def encode(self, unit: Unit, batch: Sample) -> Tensor:
        """The features of a unit's videos (B, n, D), in float32 on the CPU."""
        on_device = channels_first(self.data.transfer_batch_to_device(batch, self.device, 0))
        if unit.copy is not None:
            on_device = self.data.augmented(on_device, unit.copy, unit.step)
        assert isinstance(on_device, Sample)
        with torch.no_grad(), self.precision.forward_context() if self.precision else nullcontext():
            features: Tensor = self.encoder(on_device)
        return features.float().cpu()

    def batches(self, units: Sequence[Unit]) -> Iterator[tuple[Unit, Sample]]:
        """The units with their videos, loaded in `data.workers` processes; those of one split or copy follow."""
        for _, group in groupby(units, key=kind):
            alike = list(group)
            keys: Any = [list(unit.keys) for unit in alike]  # PyTorch's own are numbers
            loader = DataLoader(self.dataset(alike[0]), batch_sampler=keys, num_workers=self.data.workers)
            yield from zip(alike, loader, strict=True)

    def dataset(self, unit: Unit) -> Dataset[Any]:
        if unit.copy is not None:
            return self.data.training_set()
        return EvaluationVideos(self.data.reader, self.data.items[unit.split], None, 0)


def kind(unit: Unit) -> tuple[str, bool]:
    """What units of one loader have in common: all copies are of one data set."""
    return unit.split, unit.copy is not None


def extract(extraction: Extraction, units: Sequence[Unit], only_measure: bool) -> None:
    """Encode the units and write their files; with a bar, and after two of them a word on how long it takes.

    `only_measure`: stop there. What is written by then stays.
    """
    columns = (TextColumn("extracting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        bar = progress.add_task("extracting", total=len(units))
        began = time.monotonic()
        for number, (unit, batch) in enumerate(extraction.batches(units), start=1):
            write(unit, extraction.encode(unit, batch))
            progress.advance(bar)
            if number == min(MEASURED, len(units)):
                seconds = (time.monotonic() - began) * (len(units) - number)
                log.info("%d of %d batches to go, about %s", len(units) - number, len(units), words(seconds))
                if only_measure:
                    return
            began = time.monotonic() if number < MEASURED else began


def write(unit: Unit, features: Tensor) -> None:
    """Write the features of a unit (B, n, D), a file a video; those that are there already stay.

    Raises:
        InputError: they are not all finite.
    """
    for path, feature in zip(unit.files, features, strict=True):
        if not feature.isfinite().all():
            raise InputError(f"{path}: the features of this video are not all finite numbers; look at the weights")
        if not path.exists():
            with whole(path, suffix=".npy") as unfinished:
                np.save(unfinished, feature.numpy())


def refuse_full_disk(out: Path, units: Sequence[Unit], clips: int, size: int) -> None:
    """Say what the missing files will take, and raise InputError where the disk has no room for them."""
    files = sum(len(unit.missing()) for unit in units)
    needed = files * (clips * size * 4 + HEADER)
    place = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    log.info("%d files of %d clips x %d: %s; %s is free", files, clips, size, megabytes(needed), megabytes(free))
    if needed > free:
        room = f"needs {megabytes(needed)}, and {megabytes(free)} is free"
        raise InputError(f"out={out}: {room}; lower copies=, name another disk or free some")


def megabytes(size: float) -> str:
    """Bytes as `3.4 MB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def words(seconds: float) -> str:
    """A duration as `1:02:03`."""
    return str(timedelta(seconds=round(seconds)))
