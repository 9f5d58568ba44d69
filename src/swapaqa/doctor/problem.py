"""What is found wrong with a data set, and with one video of it."""

from dataclasses import dataclass, field

import numpy as np

from swapaqa.data.records import Record


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `blocks`: a training would stop at it, or leave the video out if told to skip."""

    kind: str  # one of KINDS
    split: str
    video_id: str  # empty for a whole split
    message: str
    blocks: bool = True


KINDS = (
    "list", "missing video", "unreadable", "incomplete", "too short", "boxes missing", "boxes unreadable",
    "boxes outside", "boxes changed", "score scale", "duplicate", "overlap",
)  # fmt: skip


@dataclass
class Finding:
    """What was found about one video."""

    record: Record
    problems: list[Problem] = field(default_factory=list)
    picture: np.ndarray | None = None  # see `thumbnails`
    size: tuple[int, int] = (0, 0)  # (H, W) of its frames

    def add(self, kind: str, message: object, blocks: bool = True) -> None:
        self.problems.append(Problem(kind, self.record.split, self.record.video_id, str(message), blocks))
