"""Where a video's athlete is: box sources, each giving (T, 4) x1 y1 x2 y2 in inclusive pixels of the source frame.

A box that is w pixels wide ends at x2 = x1 + w - 1.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np

from swapaqa.errors import InputError


class BoxRequest(NamedTuple):
    """What a source may ask of the video whose boxes are wanted."""

    files: list[Path]  # box files that would belong to it, best first, without a suffix
    size: tuple[int, int]  # (H, W) of the source frames
    frames: Sequence[int]  # zero-based indices of the frames in the window


class BoxSource(Protocol):
    """Where boxes come from. `frame` says on which grid they are: the source frame or what the network sees."""

    ratio: float  # what the swap scales these boxes by unless aug.ratio says otherwise
    frame: Literal["source", "input"]
    root: str | None  # folder of box files, None for the data set's own

    def read(self, request: BoxRequest) -> np.ndarray:
        """(T, 4) float64."""

    def find(self, files: Sequence[Path]) -> Path | None:
        """The box file that would be read, None for a source without files. InputError where it is missing."""


def fixed_boxes(size: tuple[int, int], frames: int, share: float = 0.8) -> np.ndarray:
    """The centred rectangle with `share` of the width and of the height, for every frame: (T, 4).

    `size` is (H, W). On 224x224 with 0.8: 22.4 to 201.6 in continuous coordinates, as the paper's "Fixed" row.
    """
    height, width = size
    margin_x, margin_y = (1 - share) / 2 * width, (1 - share) / 2 * height
    return np.tile([margin_x, margin_y, width - margin_x, height - margin_y], (frames, 1))


def interpolate_keyframes(keyframes: np.ndarray, boxes: np.ndarray, frames: Sequence[int]) -> np.ndarray:
    """Linear interpolation between keyframes, the nearest one held outside: (T, 4) for `frames`.

    `keyframes` (K,) ascending frame indices, `boxes` (K, 4).
    """
    return np.stack([np.interp(frames, keyframes, boxes[:, side]) for side in range(4)], axis=1)


def read_darklabel(path: Path, frames: Sequence[int]) -> np.ndarray:
    """Read a DarkLabel text file with one object, keyframes or every frame, and interpolate: (T, 4) for `frames`.

    Lines `frame,id,x,y,w,h[,label]` with frames counted from 0, DarkLabel's merged text format.

    Raises:
        InputError: naming the file and line: not that format, a number that is none, a box without extent.
    """
    rows = {}
    with open(path, newline="") as lines:
        for number, row in enumerate(csv.reader(lines), 1):
            if row:
                frame, box = _parse_darklabel(row, f"{path}, line {number}")
                rows[frame] = box
    if not rows:
        raise InputError(f"{path}: no box in it; draw at least one keyframe, or use boxes=fixed")
    keyframes = np.array(sorted(rows))
    return interpolate_keyframes(keyframes, np.array([rows[k] for k in keyframes]), frames)


def _parse_darklabel(row: list[str], place: str) -> tuple[int, tuple[float, ...]]:
    try:
        frame = int(row[0])
        x, y, w, h = (float(value) for value in row[2:6])
    except ValueError:
        raise InputError(
            f"{place}: '{','.join(row)}' is not 'frame,id,x,y,w,h[,label]'; export it from DarkLabel again"
        ) from None
    if not all(math.isfinite(value) for value in (x, y, w, h)) or w <= 0 or h <= 0:
        raise InputError(f"{place}: box x={x} y={y} w={w} h={h} has no extent; correct or delete the line")
    return frame, (x, y, x + w - 1, y + h - 1)


@dataclass(frozen=True)
class DarkLabelBoxes:
    """Keyframes drawn by hand with DarkLabel: `<root>/boxes/<action>/<index>.txt` unless `root` is given."""

    ratio: float
    root: str | None
    frame: Literal["source"] = "source"

    def find(self, files: Sequence[Path]) -> Path:
        """The first of `files` that exists as `.txt`."""
        for file in files:
            path = file.with_suffix(".txt")
            if path.is_file():
                return path
        raise InputError(
            f"{files[0].with_suffix('.txt')}: no such box file; draw it with DarkLabel, name its folder with "
            "boxes.root=, or take the centred rectangle instead with boxes=fixed"
        )

    def read(self, request: BoxRequest) -> np.ndarray:
        return read_darklabel(self.find(request.files), request.frames)


@dataclass(frozen=True)
class FixedBoxes:
    """The paper's "Fixed" row: a centred rectangle of `share` of width and height, the same in every frame.

    `frame`: `source` takes the paper's words, the original video's dimensions, of which resize and crop leave only 9
    to 13 % of the pixels outside; `input` takes the frame that the network sees, 36 % outside.
    """

    ratio: float
    share: float
    frame: Literal["source", "input"]
    root: None = None

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InputError(f"boxes.share={self.share}: a share above 0 and at most 1 is needed")

    def find(self, files: Sequence[Path]) -> None:  # noqa: ARG002  needs no file
        return None

    def read(self, request: BoxRequest) -> np.ndarray:
        return fixed_boxes(request.size, len(request.frames), self.share)


@dataclass(frozen=True)
class NoBoxes:
    """The whole frame is the athlete: for training without an augmentation that needs boxes."""

    ratio: float
    frame: Literal["input"] = "input"
    root: None = None

    def find(self, files: Sequence[Path]) -> None:  # noqa: ARG002  needs no file
        return None

    def read(self, request: BoxRequest) -> np.ndarray:
        return fixed_boxes(request.size, len(request.frames), share=1.0)
