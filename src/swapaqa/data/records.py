"""One annotated video: what a data set's files say about it, before anything is decoded."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Record:
    """One row of a split.

    `video_id` is unique in the data set and names the video in every message and result. `difficulty` is None and
    `judge_scores` empty where the data set has none. `first_frame` and `last_frame` are the annotated first and last
    frame numbers (the first frame of a video is number 1), None for a video that was cut already.

    A data set that knows more of a video (its group, its box file) derives a class of its own.
    """

    video_id: str
    action: str
    score: float
    split: str
    difficulty: float | None = None
    judge_scores: tuple[float, ...] = ()
    first_frame: int | None = None
    last_frame: int | None = None


class Label(NamedTuple):
    """What a method regresses for one record: `score = offset + factor * value`."""

    value: float
    offset: float
    factor: float


def scaled_label(score: float, low: float, high: float) -> Label:
    """The score on the scale from 0 at `low` to 100 at `high`.

    Divided first and multiplied then, as CoRe's code: many differences of labels lie exactly on a border of its groups,
    and the last bit decides on which side.
    """
    return Label((score - low) / (high - low) * 100, offset=low, factor=(high - low) / 100)
