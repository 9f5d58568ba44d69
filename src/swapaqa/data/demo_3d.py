"""`data=demo_3d`: dives by articulated athletes, rendered in three dimensions, before venues that cheat.

A dive's score follows from what its film shows by a stated rule (`swapaqa.data.demo_3d_rule`). The venue (banners,
pool, light) agrees with the score in `train` and in `test`, and says nothing in `shifted`. The films are drawn by
`swapaqa.scene3d` on first use (`swapaqa.data.demo_3d_writers`); docs/demo_3d.md has the rule and the format of the
files, for whoever measures something else on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from swapaqa.data.aqa7 import AQA7
from swapaqa.data.demo import REMEDY, check_digests, read_judges
from swapaqa.data.demo_3d_files import DIVES_FILE, Demo3DSettings  # configurations name the settings here
from swapaqa.data.demo_3d_words import caption, sub_actions
from swapaqa.data.demo_3d_writers import demo_3d_root
from swapaqa.data.demo_files import JUDGES_FILE
from swapaqa.data.dive_numbers import dive_attributes
from swapaqa.data.geometry import Window
from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.files.array_file import read_arrays
from swapaqa.files.foreign_file import read_csv
from swapaqa.video.frames import frame_count


@dataclass(frozen=True, kw_only=True)
class Dive(Record):
    """A dive and what is known of it: its number, when its parts begin as shares of the film, its file of joints."""

    number: str
    takeoff: float
    stretched: float
    entry: float
    under_water: float
    poses: Path


@dataclass(kw_only=True, eq=False)
class Demo3D(AQA7):
    """The rendered dives as a data set: AQA-7's code on AQA-7's layout, two test lists, and tables of the dives.

    Without `root` the films are drawn into the cache on first use. A window of fewer frames is spread over the film.
    """

    settings: Demo3DSettings

    test_splits: ClassVar[tuple[str, ...]] = ("test", "shifted")
    sides: ClassVar[tuple[str, ...]] = ("dive", "caption", "steps", "sub_actions", "stages", "poses")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.action not in ("diving", "all"):
            raise InputError(f"data.action={self.action}: data=demo_3d shows diving alone")

    @property
    def actions(self) -> list[str]:
        return ["diving"]  # all that there are

    @property
    def folder(self) -> Path:
        return demo_3d_root(self.settings) if self.root is None else super().folder

    def read_list(self, split: str) -> list[Record]:
        lists = self.folder / "Split_4"
        check_digests(lists, split, DIVES_FILE)
        judges, known = read_judges(lists / JUDGES_FILE), read_dives(lists / DIVES_FILE)
        records: list[Record] = []
        for record in super().read_list(split):
            number = int(record.video_id.rsplit("/", 1)[1])
            poses = self.folder / "poses" / f"{number:03d}.npy"
            listed = {"video_id": record.video_id, "action": record.action, "score": record.score, "split": split}
            records.append(Dive(**listed, **judges[record.video_id], **known[number], poses=poses))  # type: ignore[arg-type]
        return records

    def window(self, record: Record, media: Path) -> Window:  # noqa: ARG002
        """All of the film."""
        return Window(0, frame_count(media, self.accept_incomplete))

    @classmethod
    def read_side(cls, record: Record) -> dict[str, Tensor]:
        """What is known of a dive; T frames are those of the film.

        `dive`: (5,) int64, see `dive_attributes`. `caption`: (L,) int64, see `swapaqa.data.demo_3d_words`.
        `steps`: (4,) float32: where somersaults and entry begin, as shares of the film, and 1 for steps that are not
        there. `sub_actions`: (5,) int64: take-off, somersaults and entry by their numbers, and 0.
        `stages`: (4,) float32: where jump, drop, entry and what follows begin.
        `poses`: (T, 17, 3) float32: COCO's keypoints, x and y as shares of the film's frame, not moved by crop and
        flip, and 1 above the water, else 0.
        """
        dive = cast(Dive, record)
        parts = dive_attributes(dive.number)
        return {
            "dive": torch.tensor(parts),
            "caption": torch.tensor(caption(parts, dive.judge_scores)),
            "steps": torch.tensor([dive.takeoff, dive.stretched, 1.0, 1.0]),
            "sub_actions": torch.tensor(sub_actions(parts)),
            "stages": torch.tensor([0.0, dive.takeoff, dive.entry, dive.under_water]),
            "poses": torch.from_numpy(cast(np.ndarray, read_arrays(dive.poses))),
        }


def read_dives(path: Path) -> dict[int, dict[str, Any]]:
    """What `dives.csv` says of each dive that a method may ask for. InputError: it is missing or damaged."""
    shares = ("takeoff", "stretched", "entry", "under_water")

    def known(row: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        dive_attributes(row["number"])
        return int(row["index"]), {"number": row["number"], **{name: float(row[name]) for name in shares}}

    return dict(read_csv(path, ("index", "number", *shares), known, REMEDY))
