"""What a source of boxes or masks is asked and what it answers; configuration group `boxes` names one."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from swapaqa.video.frames import Decoding


class BoxRow(NamedTuple):
    """One box of a file."""

    frame: int  # as the file counts
    object_id: str | None  # None where the format has no ids
    label: str
    box: tuple[float, ...]  # x1 y1 x2 y2, inclusive pixels of the annotated frame
    place: str  # the file, and the line where there are lines


class BoxRequest(NamedTuple):
    """What a source may ask of the video whose boxes are wanted."""

    files: list[Path]  # box files that would belong to it, best first, without a suffix
    size: tuple[int, int]  # (H, W) of the source frames
    frames: Sequence[int]  # zero-based indices of the frames in the window
    media: Path | None = None  # video file or image folder, for sources that look at the pixels
    span: Sequence[int] = ()  # the window before any shift was drawn: what a tracker follows, once; empty: `frames`
    total: Callable[[], int] | None = None  # counts the frames of `media`; None where nobody can
    decoding: Decoding = Decoding()  # how `media` is read, if it is a video file


class BoxSource(Protocol):
    """Where boxes come from. `frame` says on which grid they are: the source frame or what the network sees."""

    ratio: float  # what the swap scales these boxes by unless aug.ratio says otherwise
    frame: Literal["source", "input"]
    root: str | None  # folder of box files, None for the data set's own

    def read(self, request: BoxRequest) -> np.ndarray:
        """(T, 4) float64."""

    def find(self, files: Sequence[Path]) -> Path | None:
        """The box file that would be read, None for a source without files. InputError where it is missing."""


@runtime_checkable
class MaskSource(BoxSource, Protocol):
    """A source that knows the athlete's outline besides: `frame` is `source`, and `read` gives the boxes around."""

    def read_masks(self, request: BoxRequest) -> Iterator[np.ndarray]:
        """T masks (H, W) bool of frames of `request.size`, True on the athlete, one by one; empty where he is not."""
