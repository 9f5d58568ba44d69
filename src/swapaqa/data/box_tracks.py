"""From the boxes that a file holds, of one or several objects in some frames, to one box in every frame.

Every reader of a format gives `BoxRow`s; what happens to them is the same for all: choose the object, interpolate
between its boxes, hold the nearest outside, and scale where the annotated frames had another size.
"""

import csv
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple
from xml.etree import ElementTree

import numpy as np

from swapaqa.data.box_source import BoxRequest
from swapaqa.errors import InputError
from swapaqa.foreign_file import read_bytes, unreadable

LAST_FRAME = 10**8  # 40 days of video
Several = Literal["error", "union"]
MAKE_BOXES = (  # what those do who have none
    "make boxes for the whole data set with `python -m src.boxes make data=... source=tracker` (docs/boxes.md), or "
    "take the centred rectangle instead with boxes=fixed"
)


class BoxRow(NamedTuple):
    """One box of a file."""

    frame: int  # as the file counts
    object_id: str | None  # None where the format has no ids
    label: str
    box: tuple[float, ...]  # x1 y1 x2 y2, inclusive pixels of the annotated frame
    place: str  # the file, and the line where there are lines


class BoxFile(NamedTuple):
    """What a reader found."""

    rows: list[BoxRow]
    size: tuple[int, int] | None  # (H, W) of the annotated frames where the file says it


def interpolate_keyframes(keyframes: np.ndarray, boxes: np.ndarray, frames: Sequence[int]) -> np.ndarray:
    """Linear interpolation between keyframes, the nearest one held outside: (T, 4) for `frames`.

    `keyframes` (K,) ascending frame indices, `boxes` (K, 4).
    """
    return np.stack([np.interp(frames, keyframes, boxes[:, side]) for side in range(4)], axis=1)


def checked_box(corners: tuple[float, float, float, float], place: str, given: str) -> tuple[float, ...]:
    """`corners` themselves. InputError at `place`, quoting `given`, for a number that is none or a box of no pixel."""
    x1, y1, x2, y2 = corners
    if not all(math.isfinite(value) for value in corners) or x2 <= x1 - 1 or y2 <= y1 - 1:
        raise InputError(f"{place}: box {given} has no extent; correct or delete it")
    return corners


def scale_to_stored(boxes: np.ndarray, annotated: tuple[int, int], stored: tuple[int, int]) -> np.ndarray:
    """Boxes (T, 4) on frames of size `annotated` (H, W) -> the same on frames of size `stored`: (x + 0.5) s - 0.5."""
    scale = np.array([stored[1] / annotated[1], stored[0] / annotated[0]] * 2)
    return (boxes + 0.5) * scale - 0.5


def frame_number(name: str, place: str) -> int:
    """The last number in a file name: 12 for `img_00012`. InputError where there is none."""
    found = re.findall(r"\d+", Path(name).stem)
    if not found:
        raise InputError(f"{place}: the name '{name}' has no frame number in it; rename it like 00012")
    return int(found[-1])


def parse_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file. InputError for one that is none, or that declares a DOCTYPE.

    Entities can only be declared in a DOCTYPE, and no annotation tool writes one: without it nothing is ever expanded
    or fetched.
    """
    text = read_bytes(path)
    if b"<!DOCTYPE" in text.replace(b"\0", b""):  # whatever the encoding
        raise InputError(f"{path}: declares a DOCTYPE, which annotation files do not need; delete that line")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: {unreadable('XML', text, error)}; export it again") from error


@contextmanager
def errors_of_a_table(path: Path) -> Iterator[None]:
    """Turn what Python's CSV reader says of a file that is no table (an endless field) into an InputError."""
    try:
        yield
    except csv.Error as error:
        raise InputError(f"{path}: not a readable table ({error}); export it again") from error


@dataclass(frozen=True)
class BoxFiles(ABC):
    """A source that reads one annotation file (or folder) a video: `<root>/boxes/<action>/<index>` and a suffix.

    Attributes:
        ratio, root: as in `BoxSource`.
        ids, labels: which objects count; all if empty.
        several: what to do where more than one object is left: `union` takes the box around them (synchronised
            diving), `error` asks.
        frame_start: the number that the file gives to the first frame.
        annotated_size: [width, height] of the frames that were annotated where the stored ones have another size
            and the file does not say it; None where they have the same.
    """

    ratio: float
    root: str | None
    ids: Sequence[int | str] = ()
    labels: Sequence[str] = ()
    several: Several = "error"
    frame_start: int = 0
    annotated_size: Sequence[int] | None = None
    frame: Literal["source"] = "source"

    def __post_init__(self) -> None:
        size = self.annotated_size
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise InputError(f"boxes.annotated_size={list(size)}: [width, height] in pixels is needed")
        if self.frame_start < 0:
            raise InputError(f"boxes.frame_start={self.frame_start}: the number of the first frame, mostly 0 or 1")

    @abstractmethod
    def candidates(self, file: Path) -> list[Path]:
        """What would be read for `file`, best first."""

    @abstractmethod
    def parse(self, path: Path, size: tuple[int, int]) -> BoxFile:
        """The boxes in `path`. `size` (H, W) is what normalised coordinates are shares of."""

    def find(self, files: Sequence[Path]) -> Path:
        """The first that exists."""
        found = existing([path for file in files for path in self.candidates(file)])
        if found is None:
            raise InputError(
                f"{self.candidates(files[0])[0]}: no such box file; name its folder with boxes.root=, {MAKE_BOXES}"
            )
        return found

    def read(self, request: BoxRequest) -> np.ndarray:
        """(T, 4) in pixels of the stored frames."""
        path = self.find(request.files)
        size = (self.annotated_size[1], self.annotated_size[0]) if self.annotated_size else request.size
        rows, own_size = self.parse(path, size)
        chosen = choose_rows(rows, self.ids, self.labels, path)
        frames = [frame + self.frame_start for frame in request.frames]
        boxes = boxes_of(chosen, frames, self.several, self.frame_start)
        return scale_to_stored(boxes, own_size or size, request.size)


def existing(paths: Sequence[Path]) -> Path | None:
    """The first of `paths` that exists."""
    return next((path for path in paths if path.is_file() or path.is_dir()), None)  # not a pipe


def choose_rows(rows: Sequence[BoxRow], ids: Sequence[int | str], labels: Sequence[str], path: Path) -> list[BoxRow]:
    """The rows of the objects in `ids` and `labels`, where these are not empty. InputError if nothing is left."""
    if not rows:
        raise InputError(f"{path}: no box in it; draw at least one keyframe, or use boxes=fixed")
    wanted = {str(object_id) for object_id in ids}
    chosen = [r for r in rows if (not wanted or r.object_id in wanted) and (not labels or r.label in labels)]
    if not chosen:
        raise InputError(
            f"{path}: no box of boxes.ids={list(ids)} and boxes.labels={list(labels)}; it has ids "
            f"{_names(r.object_id for r in rows)} and labels {_names(r.label for r in rows)}"
        )
    return chosen


def boxes_of(rows: Sequence[BoxRow], frames: Sequence[int], several: Several, frame_start: int) -> np.ndarray:
    """One box a frame, (T, 4), from the rows of one object, or around several objects, each interpolated by itself.

    Objects are told apart by id, or by label in a format without ids. `frames` count as the file does.

    Raises:
        InputError: several objects with `error`, an object twice in one frame, a frame before the first.
    """
    objects = _by_object(rows, several, frame_start)
    if len(objects) > 1 and several == "error":
        first, second = (next(iter(found.values())) for found in list(objects.values())[:2])
        raise InputError(
            f"{second.place}: frame {second.frame} has another object than {first.place}; objects of this video: "
            f"{_names(objects)}; choose with boxes.ids= or boxes.labels=, or take the box around all of them with "
            "boxes.several=union"
        )
    tracks = np.stack([_interpolated(found, frames) for found in objects.values()])  # (objects, T, 4)
    return np.concatenate([tracks[..., :2].min(axis=0), tracks[..., 2:].max(axis=0)], axis=1)


def _by_object(rows: Sequence[BoxRow], several: Several, frame_start: int) -> dict[str, dict[int, BoxRow]]:
    objects: dict[str, dict[int, BoxRow]] = {}
    for row in rows:
        if row.frame > LAST_FRAME:
            raise InputError(f"{row.place}: frame {row.frame}, which no video has; correct it")
        if row.frame < frame_start:
            raise InputError(
                f"{row.place}: frame {row.frame}, but boxes.frame_start={frame_start}; correct one of them"
            )
        found = objects.setdefault(row.label if row.object_id is None else row.object_id, {})
        first = found.setdefault(row.frame, row)
        if several == "union":  # without ids they cannot be told apart: the box around those of each frame
            found[row.frame] = _around(first, row)
        elif first is not row:
            raise InputError(
                f"{row.place}: a second box of the same object in frame {row.frame} (the first: {first.place}); choose "
                "with boxes.ids= or boxes.labels=, take the box around all with boxes.several=union, or delete one"
            )
    return objects


def _interpolated(found: dict[int, BoxRow], frames: Sequence[int]) -> np.ndarray:
    keyframes = sorted(found)
    return interpolate_keyframes(np.array(keyframes), np.array([found[k].box for k in keyframes]), frames)


def _around(first: BoxRow, second: BoxRow) -> BoxRow:
    a, b = first.box, second.box
    return second._replace(box=(min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])))


def _names(values: Iterable[object]) -> str:
    return ", ".join(sorted({str(value) for value in values}))
