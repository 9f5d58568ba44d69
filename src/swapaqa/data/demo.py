"""The demo data set: small synthetic performances written in the AQA-7 layout, with a background that cheats.

Each video shows an articulated diver, or with `data.action=gym_vault` a vaulter, in front of a venue. What the athlete
does makes the score: the limbs open with every fault the judges see, and the difficulty is the amount of rotation. The
venue carries a scoreboard whose colour agrees with the score in `train` and in `test`, and says nothing about it in
`shifted`. A model that reads the background is therefore good on `test` and bad on `shifted`; one that reads the
athlete is good on both. What else a video can show is in `demo_scene`, the files are in `demo_files`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from swapaqa.data.aqa7 import AQA7
from swapaqa.data.demo_files import (  # configurations name the settings here
    DIGESTS,
    JUDGES_FILE,
    DemoSettings,
    demo_root,
    turns_of,
)
from swapaqa.data.demo_scene import drawn_stages
from swapaqa.data.demo_words import caption, shown_dive
from swapaqa.data.poses import OWN, SIDE
from swapaqa.data.records import Record
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_bytes, read_csv, read_json

REMEDY = "remove the demo's folder, and it is written again"


@dataclass(kw_only=True, eq=False)
class Demo(AQA7):
    """The demo data as a data set: AQA-7's code on AQA-7's layout, two test lists, and the judges' table.

    Without `root` the videos are written into the cache on first use.
    """

    settings: DemoSettings

    test_splits: ClassVar[tuple[str, ...]] = ("test", "shifted")
    shares_with: ClassVar[tuple[str, ...]] = ()
    sides_on_demand: ClassVar[Mapping[str, str]] = {SIDE: f"data.poses={OWN}"}
    sides: ClassVar[tuple[str, ...]] = ("dive", "announced", "caption", "stages")  # of dives, which are judged as such

    footage = VideoSource.footage  # not known: other settings give other videos under the same numbers

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.action != "diving":
            self.sides = tuple(name for name in self.sides if name == SIDE)  # type: ignore[misc]  # of this data set

    @classmethod
    def read_side(cls, record: Record) -> dict[str, Tensor]:
        """`dive`, `announced`: (5,) int64, see `dive_attributes`; `caption`: (L,) int64, see `swapaqa.data.demo_words`;
        `stages`: (4,) float32, see `swapaqa.data.dive_stages`.

        The position is how far the limbs open, and so a part of the score: what is announced leaves it free.
        """
        if record.difficulty is None:
            return {}
        dive = shown_dive(record.difficulty, record.judge_scores)
        return {
            "dive": torch.tensor(dive),
            "announced": torch.tensor((*dive[:-1], 0)),
            "caption": torch.tensor(caption(dive, record.judge_scores)),
            "stages": torch.tensor(drawn_stages(turns_of(record.difficulty))),
        }

    @property
    def folder(self) -> Path:
        return demo_root(replace(self.settings, poses=self.poses == OWN)) if self.root is None else super().folder

    def read_list(self, split: str) -> list[Record]:
        """As AQA-7's, with what the judges' table says; of all actions in one model only dives would have judges.

        A batch needs as many judges' scores of every video, so that there are none then.
        """
        check_digests(self.folder / "Split_4", split)
        records = super().read_list(split)
        if self.action == "all":
            return records
        judges = read_judges(self.folder / "Split_4" / JUDGES_FILE)
        return [replace(record, **judges.get(record.video_id, {})) for record in records]


def check_digests(lists: Path, split: str, *tables: str) -> None:
    """Refuse what a split is read from and is not as it was written: a score of the demo is nothing to correct.

    `tables`: beside the list and the judges'.

    Raises:
        InputError: naming the file that changed or is missing.
    """
    if not (lists / DIGESTS).exists():
        raise InputError(
            f"{lists / DIGESTS}: no such file, so data.root is not the demo's folder, or one of another version; leave "
            f"data.root out, or {REMEDY}"
        )
    digests = read_json(lists / DIGESTS, REMEDY)
    names = (f"split_4_{split}_list.mat", JUDGES_FILE, *tables)
    if not isinstance(digests, dict) or not all(name in digests for name in names):
        raise InputError(f"{lists / DIGESTS}: holds no digests of the demo's lists; {REMEDY}")
    for name in names:
        if hashlib.sha256(read_bytes(lists / name)).hexdigest() != digests[name]:
            raise InputError(f"{lists / name}: is not as the demo was written; {REMEDY}")


def read_judges(path: Path) -> dict[str, dict[str, Any]]:
    """Difficulty and judges' scores of the dives by video id, as their product is a score in no other sport.

    Raises:
        InputError: the table is missing or damaged.
    """
    found = read_csv(path, ("action", "index", "difficulty"), _judges, REMEDY)
    return {video_id: judged for video_id, judged in found if video_id.startswith("diving/")}


def _judges(row: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    scores = tuple(float(row[f"judge_{i}"]) for i in range(1, 8) if row["action"] == "diving")
    return f"{row['action']}/{int(row['index']):03d}", {"difficulty": float(row["difficulty"]), "judge_scores": scores}
