"""Stages of dives: where jump, drop, entry and what follows begin: 0 is the window's first frame and 1 its last.

A file of them (`.npz`, plain arrays; the features that S3D's authors published of the 370 dives have one beside them):

    video         (N,) numbers of the dives, as their files are called
    stage_frames  (N, 4) frames of the video, counted from 0, at which jump, drop, entry and what follows begin
    difficulty    (N,) of the dives; may be missing

Two of the 370 rows have a stage that begins before the one ahead of it: it then begins with that one, and is empty.
What lies behind the window begins at its last frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.files.array_file import read_arrays
from swapaqa.files.foreign_file import shown

LAYOUT = "an .npz is expected, with `video` (N,) and `stage_frames` (N, 4): data.stages= names it"


@dataclass(frozen=True, kw_only=True)
class StagedDive(Record):
    """A dive whose stages are known: where the four begin in the window, 0 to 1, in their order."""

    stages: tuple[float, ...]


def with_stages(records: Sequence[Record], path: str, frames: int) -> list[Record]:
    """The records with the stages of a file, and with its difficulties if it has some.

    Args:
        frames: of the window, which begins with the video.

    Raises:
        InputError: the file is damaged, or lacks one of the videos.
    """
    place = Path(path).expanduser()
    known = _by_number(place)
    missing = [record.video_id for record in records if _number(record) not in known]
    if missing:
        raise InputError(f"{place}: has {len(known)} dives, and {missing[0]} is none of them; {LAYOUT}")
    return [_staged(record, known[_number(record)], frames) for record in records]


def _number(record: Record) -> int:
    return int(record.video_id.rsplit("/", 1)[1])


def _staged(record: Record, found: tuple[np.ndarray, float | None], frames: int) -> StagedDive:
    begins, difficulty = found
    shares = (min(max(float(frame) / max(frames - 1, 1), 0.0), 1.0) for frame in begins)
    return StagedDive(
        video_id=record.video_id,
        action=record.action,
        score=record.score,
        split=record.split,
        difficulty=difficulty,
        stages=tuple(accumulate(shares, max)),
    )


def _by_number(place: Path) -> Mapping[int, tuple[np.ndarray, float | None]]:
    """Stage frames and difficulty by the number of the dive."""
    content = read_arrays(place)
    if not isinstance(content, Mapping) or not {"video", "stage_frames"} <= content.keys():
        raise InputError(
            f"{place}: holds {shown(list(content) if isinstance(content, Mapping) else 'one array')}; {LAYOUT}"
        )
    video, begins, difficulty = content["video"], content["stage_frames"], content.get("difficulty")
    numbers = video.dtype.kind in "iu" and video.ndim == 1
    if (
        not numbers
        or begins.shape != (len(video), 4)
        or begins.dtype.kind not in "iuf"
        or not np.isfinite(begins).all()
    ):
        raise InputError(
            f"{place}: `video` is {video.shape} {video.dtype}, `stage_frames` {begins.shape} {begins.dtype}; {LAYOUT}"
        )
    if difficulty is not None and (
        difficulty.shape != video.shape or difficulty.dtype.kind not in "iuf" or not (difficulty > 0).all()
    ):
        raise InputError(f"{place}: `difficulty` is not a number above 0 for each video; correct it or leave it out")
    of_dives = [None] * len(video) if difficulty is None else difficulty.astype(float).tolist()
    return dict(zip(video.tolist(), zip(begins, of_dives, strict=True), strict=True))
