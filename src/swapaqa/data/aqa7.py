"""AQA-7 (Parmar and Morris, WACV 2019): six actions in the split that every paper of the field uses.

Layout, as in circulation (`<index>` with or without leading zeros):

    <root>/Split_4/split_4_train_list.mat, split_4_test_list.mat    rows: class from 1, index, score
    <root>/diving-out/<index>/img_00001.jpg ...    or    <root>/diving-out/<index>.avi
    <root>/gym_vault-out/... ski_big_air-out/... snowboard_big_air-out/... sync_diving_3m-out/...
    <root>/boxes/diving/<index>.txt                DarkLabel keyframes, unless boxes.root names another folder

Two copies of the lists circulate, one in points and one in points x 100; both load as points, by a check of every
score against its action's range. Labels are the class-normalised scores (s - lo) / (hi - lo) 100 of CoRe. The ranges
are the extremes over train and test together, as published by CoRe, TSA-Net and TPT: test statistics leak mildly.
"""

import logging
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from swapaqa.command import spelled
from swapaqa.data.dive_stages import StagedDive, with_stages
from swapaqa.data.dives_in_common import MTL_AQA, aqa7_footage
from swapaqa.data.footage import Footage
from swapaqa.data.mat_file import read_matrices
from swapaqa.data.records import Label, Record, scaled_label
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import MIB, read_bytes, shown, unreadable
from swapaqa.video.frames import find_media

log = logging.getLogger(__name__)

Action = Literal["diving", "gym_vault", "ski_big_air", "snowboard_big_air", "sync_diving_3m", "sync_diving_10m"]

SCORE_RANGES: dict[str, tuple[float, float]] = {  # points; in the order of the class indices, from 1
    "diving": (21.6, 102.6),
    "gym_vault": (12.3, 16.87),
    "ski_big_air": (8.0, 50.0),
    "snowboard_big_air": (8.0, 50.0),
    "sync_diving_3m": (46.2, 104.88),
    "sync_diving_10m": (49.8, 99.36),
}
MOST_BYTES = 64 * MIB  # of a list, which has 0.02
LAST_INDEX = 999_999  # of a video; they have three digits
TRAMPOLINE = 7  # the paper leaves it out "due to the lengthy video content"

LAYOUT = (
    "AQA-7 is looked for in the folder that AQA7_ROOT or data.root= names; expected there: "
    "Split_4/split_4_{train,test}_list.mat, <action>-out/<index>.avi or <action>-out/<index>/img_00001.jpg, and "
    "boxes/<action>/<index>.txt. It is distributed by its authors at rtis.oit.unlv.edu/datasets/AQA-7.zip. "
    f"To see the project work without it: {spelled('train')}"
)


def read_records(root: str | Path, split: str) -> list[Record]:
    """The records of all six actions in one split (`train`, `test`), in the order of the list file.

    Args:
        root: the folder that holds `Split_4`, or the list files themselves.

    Raises:
        InputError: no list, a list of another shape, trampoline rows, scores in neither scale.
    """
    path = _find_list(Path(root), split)
    rows = _read_list(path, f"consolidated_{split}_list")
    points = _to_points(path, rows)
    actions = list(SCORE_RANGES)
    return [
        Record(
            video_id=f"{actions[int(row[0]) - 1]}/{int(row[1]):03d}",
            action=actions[int(row[0]) - 1],
            score=float(score),
            split=split,
        )
        for row, score in zip(rows, points, strict=True)
    ]


def _find_list(root: Path, split: str) -> Path:
    name = f"split_4_{split}_list.mat"
    for path in (root / "Split_4" / name, root / name):
        if path.is_file():
            return path
    raise InputError(f"{root / 'Split_4' / name}: no such file. {LAYOUT}")


def _read_list(path: Path, variable: str) -> np.ndarray:
    raw = read_bytes(path, MOST_BYTES)
    try:
        content = read_matrices(raw, MOST_BYTES)
    except (ValueError, struct.error, zlib.error) as error:
        raise InputError(f"{path}: {unreadable('MATLAB file', raw, error)}; download it again") from error
    if variable not in content:
        raise InputError(
            f"{path}: has no variable '{variable}' but {shown(list(content))}; it is not an AQA-7 split list"
        )
    rows = content[variable]
    if rows is None:
        raise InputError(f"{path}: '{variable}' is no matrix of numbers; rows of class, index, score are expected")
    if rows.ndim != 2 or rows.shape[1] != 3 or len(rows) == 0 or rows.dtype.kind not in "iuf":
        raise InputError(
            f"{path}: '{variable}' is {rows.shape} {rows.dtype}; rows of numbers (class, index, score) are expected"
        )
    rows = rows.astype(np.float64)
    if not np.isfinite(rows[:, :2]).all():
        raise InputError(f"{path}: a class or index is no number; download it again")
    if (rows[:, 0] == TRAMPOLINE).any():
        raise InputError(
            f"{path}: has trampoline (class 7), which the paper leaves out for the length of its videos; "
            "use the split list of the six other actions"
        )
    named = (rows[:, :2] == rows[:, :2].round()) & (rows[:, :2] >= 1) & (rows[:, :2] <= LAST_INDEX)
    if not np.isin(rows[:, 0], range(1, 7)).all() or not named.all():
        raise InputError(f"{path}: classes must be 1 to 6 and indices whole numbers from 1; it is not an AQA-7 list")
    videos, count = np.unique(rows[:, :2], axis=0, return_counts=True)
    if count.max() > 1:
        action, index = videos[count.argmax()].astype(int)
        raise InputError(
            f"{path}: {list(SCORE_RANGES)[action - 1]}/{index:03d} is listed {count.max()} times; once is right"
        )
    return rows


def _to_points(path: Path, rows: np.ndarray) -> np.ndarray:
    """Scores in points, whichever of the two scales the copy has."""
    low, high = np.array([list(SCORE_RANGES.values())[int(row[0]) - 1] for row in rows]).T
    scores, tolerance = rows[:, 2], 0.005
    as_points = (scores >= low - tolerance) & (scores <= high + tolerance)
    if as_points.all():
        return scores
    hundredth = scores / 100
    as_hundredths = (hundredth >= low - tolerance) & (hundredth <= high + tolerance)
    if not as_hundredths.all():
        row = rows[np.argmin(as_points if as_points.mean() > as_hundredths.mean() else as_hundredths)]
        action = list(SCORE_RANGES)[int(row[0]) - 1]
        raise InputError(
            f"{path}: score {row[2]:g} of {action} {int(row[1])} is neither in points {SCORE_RANGES[action]} nor in "
            "points x 100; correct the list"
        )
    log.info("%s: scores are stored x100 in this copy; read as points", path)
    return hundredth


@dataclass(kw_only=True, eq=False)
class AQA7(VideoSource):
    """One action of AQA-7, or `all` six in one model with exemplars, borders and metrics per action (an extension).

    Attributes beside those of `VideoSource`: `action`, and `stages`, a file that says where the stages of the dives
    begin (`swapaqa.data.dive_stages`). The lists name class, index and score of a video and no competition, so that
    only the published split can be made of them.
    """

    action: Action | Literal["all", "trampoline"]
    stages: str | None = None

    layout: ClassVar[str] = LAYOUT
    shares_with: ClassVar[tuple[str, ...]] = (MTL_AQA,)
    sides_on_demand: ClassVar[Mapping[str, str]] = {**VideoSource.sides_on_demand, "stages": "data.stages=FILE"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stages is not None:
            if self.action != "diving":
                raise InputError(
                    f"data.stages={self.stages}: they are of dives; say data.action=diving, or leave it out"
                )
            self.sides = (*self.sides, "stages")  # type: ignore[misc]  # of this data set
        if self.split == "by_event":
            raise InputError(
                "data.split=by_event: the lists of AQA-7 (class, index, score) do not say which competition a video is "
                "from, so they cannot be split by it; say data.split=published"
            )
        if self.action == "trampoline":
            raise InputError(
                "data.action=trampoline: the paper leaves trampoline out, for the length of its videos, and so does "
                f"this project; choose one of {', '.join(SCORE_RANGES)}, or all"
            )

    @property
    def actions(self) -> list[str]:
        return list(SCORE_RANGES) if self.action == "all" else [self.action]

    def read_list(self, split: str) -> list[Record]:
        records = [record for record in read_records(self.folder, split) if record.action in self.actions]
        if not records:
            raise InputError(f"{self.folder}: the {split} list has no video of data.action={self.action}")
        return records if self.stages is None else with_stages(records, self.stages, self.frames)

    @classmethod
    def read_side(cls, record: Record) -> dict[str, Tensor]:
        """`stages`: (4,) float32, where they are known, see `swapaqa.data.dive_stages`."""
        return {"stages": torch.tensor(record.stages)} if isinstance(record, StagedDive) else {}

    def footage(self, record: Record) -> Footage | None:
        return aqa7_footage(record.video_id)

    def media(self, record: Record) -> Path:
        return find_media(self.folder / f"{record.action}-out", _spellings(record))

    def box_files(self, record: Record) -> list[Path]:
        return [self.boxes_folder / record.action / name for name in _spellings(record)]

    @property
    def max_label(self) -> float:
        """100, the end of the class-normalised scale; of completeness 30, three judges' highest scores."""
        return 100.0 if self.target == "score" else 30.0

    def score_label(self, record: Record) -> Label:
        low, high = SCORE_RANGES[record.action]
        return scaled_label(record.score, low, high)


def _spellings(record: Record) -> list[str]:
    """The ways an index is written as a file name: with three digits first, as most copies have it."""
    index = int(record.video_id.rsplit("/", 1)[1])
    return list(dict.fromkeys([f"{index:03d}", str(index), f"{index:04d}", f"{index:05d}"]))
