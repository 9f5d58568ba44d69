"""One annotated video: what a data set's files say about it, before anything is decoded."""

from collections.abc import Callable, Hashable, Iterator, Sequence
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


def faults(records: Sequence[Record], shown: Callable[[Record], Hashable]) -> Iterator[str]:
    """What is wrong with the records of all splits together: videos that are there twice, judges' scores missing.

    A video in two splits is tested on what it was trained on; a batch needs as many judges' scores of every video.

    Args:
        records: of all splits.
        shown: what a record shows; two that show the same are one video under two names.
    """
    first: dict[Hashable, Record] = {}
    for record in records:
        twin = first.setdefault(shown(record), record)
        if twin is not record:
            names = record.video_id if twin.video_id == record.video_id else f"{twin.video_id} and {record.video_id}"
            where = f"twice in {record.split}" if twin.split == record.split else f"in {twin.split} and {record.split}"
            yield f"{names}: one video {where}; take it out of one of the lists"
        if len(record.judge_scores) != len(records[0].judge_scores):
            yield (
                f"{record.video_id} has {len(record.judge_scores)} judges' scores, and {records[0].video_id} has "
                f"{len(records[0].judge_scores)}; as many of every video are needed"
            )
