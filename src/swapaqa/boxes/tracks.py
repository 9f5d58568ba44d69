"""Sources that read a box file a video: every reader of a format gives `BoxRow`s, and the rest is the same for all.

The objects that count are chosen, the frames are looked at, `objects` makes one box a frame of them, and that is
scaled where the annotated frames had another size.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple
from xml.etree import ElementTree

import numpy as np

from swapaqa.boxes.archive import read_content
from swapaqa.boxes.frames import check_request
from swapaqa.boxes.objects import Several, boxes_of, names, object_name
from swapaqa.boxes.source import BoxRequest, BoxRow
from swapaqa.command import spelled
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import unreadable

FARTHEST = 1_000_000  # pixels: no frame reaches there, and float32 no longer tells neighbouring ones apart

OUTSIDE = "outside"  # label, after CVAT's attribute: the athlete is not there until its next row; the box is not read
MOST_PARTS = 8_000_000  # of XML: a project of a thousand videos has 5.5 million, and a gigabyte holds these
LONGEST_NUMBER = 18  # digits of a frame's number in a name
MAKE_BOXES = (  # what those do who have none
    f"make boxes for the whole data set with `{spelled('boxes make data=... source=tracker')}` (docs/boxes.md), or "
    "take the centred rectangle instead with boxes=fixed"
)


class BoxFile(NamedTuple):
    """What a reader found."""

    rows: list[BoxRow]
    size: tuple[int, int] | None  # (H, W) of the annotated frames where the file says it
    gone: Sequence[BoxRow] = ()  # rows that say that their object is not there from their frame on

    def parted(self) -> "BoxFile":
        """With the rows labelled `outside` among those that are gone.

        But for objects that have no other row: somebody called them so.
        """
        present = {object_name(row) for row in self.rows if row.label != OUTSIDE}
        left = [row for row in self.rows if row.label == OUTSIDE and object_name(row) in present]
        rows = [row for row in self.rows if row.label != OUTSIDE or object_name(row) not in present]
        return self._replace(rows=rows, gone=[*self.gone, *left])


def checked_box(corners: tuple[float, float, float, float], place: str, given: str) -> tuple[float, ...]:
    """`corners` themselves. InputError at `place`, quoting `given`, for a number that is none or a box of no pixel."""
    x1, y1, x2, y2 = corners
    if not all(math.isfinite(value) for value in corners) or x2 <= x1 - 1 or y2 <= y1 - 1:
        raise InputError(f"{place}: box {given} has no extent; correct or delete it")
    if max(map(abs, corners)) > FARTHEST:
        raise InputError(f"{place}: box {given} reaches beyond {FARTHEST:,} pixels; correct or delete it")
    return corners


def scale_to_stored(boxes: np.ndarray, annotated: tuple[int, int], stored: tuple[int, int]) -> np.ndarray:
    """Boxes (T, 4) on frames of size `annotated` (H, W) -> the same on frames of size `stored`: (x + 0.5) s - 0.5."""
    scale = np.array([stored[1] / annotated[1], stored[0] / annotated[0]] * 2)
    scaled: np.ndarray = (boxes + 0.5) * scale - 0.5
    return scaled


def frame_number(name: str, place: str) -> int:
    """The last number in a file name: 12 for `img_00012`. InputError where there is none."""
    found = re.findall(r"\d+", Path(name).stem)
    if not found or len(found[-1]) > LONGEST_NUMBER:
        raise InputError(f"{place}: the name '{name[:60]}' has no frame number in it; rename it like 00012")
    return int(found[-1])


def parse_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file, or of the one in a zip. InputError for one that is none, or that declares a DOCTYPE.

    Entities can only be declared in a DOCTYPE, and no annotation tool writes one: without it nothing is ever expanded
    or fetched.
    """
    text = read_content(path, (".xml",))
    parts = text.count(b"<") + text.count(b"=")  # tags and attributes
    if parts > MOST_PARTS:
        raise InputError(f"{path}: has {parts} tags and attributes, {MOST_PARTS} are read; export one video alone")
    if b"<!DOCTYPE" in text.replace(b"\0", b""):  # whatever the encoding
        raise InputError(f"{path}: declares a DOCTYPE, which annotation files do not need; delete that line")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: {unreadable('XML', text, error)}; export it again") from error


@dataclass(frozen=True)
class BoxFiles(ABC):
    """A source that reads one annotation file (or folder) a video: `<root>/boxes/<action>/<index>` and a suffix.

    Attributes:
        ratio, root: as in `BoxSource`.
        ids, labels: which objects count; all if empty.
        several: what to do where more than one object is left: `union` takes the box around those that are there
            (synchronised diving), `join` takes objects that are never there at once for one, `error` asks.
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
    def parse(self, path: Path, size: tuple[int, int], video: Sequence[str]) -> BoxFile:
        """The boxes in `path`.

        Args:
            size: (H, W), what normalised coordinates are shares of.
            video: what the video may be called, without a suffix, best first, for files about several.
        """

    def find(self, files: Sequence[Path]) -> Path:
        """The first that exists."""
        found = existing([path for file in files for path in self.candidates(file)])
        if found is None:
            raise InputError(
                f"{self.candidates(files[0])[0]}: no such box file; name its folder with boxes.root=, {MAKE_BOXES}"
            )
        return found

    def read(self, request: BoxRequest) -> np.ndarray:
        """(T, 4) in pixels of the stored frames. InputError also for boxes in frames that the video has not."""
        path, found = self.chosen(request)
        check_request(found.rows, self.frame_start, request, path)
        frames = [frame + self.frame_start for frame in request.frames]
        boxes = boxes_of(found.rows, frames, self.several, self.frame_start, found.gone)
        return scale_to_stored(boxes, found.size or request.size, request.size)

    def chosen(self, request: BoxRequest) -> tuple[Path, BoxFile]:
        """The file of a video, and the rows of the objects that count; the size is that of the annotated frames."""
        path = self.find(request.files)
        size = (self.annotated_size[1], self.annotated_size[0]) if self.annotated_size else request.size
        found = self.parse(path, size, video_names(request))
        rows = choose_rows(found.rows, self.ids, self.labels, path)
        check_pixels(rows)
        return path, BoxFile(rows, found.size or size, found.gone)


def video_names(request: BoxRequest) -> list[str]:
    """What the video may be called in a file about several: as its own file, or as its box file."""
    media = [request.media.name if request.media.is_dir() else request.media.stem] if request.media else []
    return [*media, *(file.name for file in request.files)]


def check_pixels(rows: Sequence[BoxRow]) -> None:
    """InputError where all boxes lie within the first two pixels: their numbers are shares of the frame."""
    if max(abs(value) for row in rows for value in row.box) < 2:
        raise InputError(
            f"{rows[0].place}: all boxes of this video lie within two pixels of the corner, so the numbers are shares "
            "of the frame; name them with boxes=darklabel boxes.data_fmt=[fn,id,nx1,ny1,nw,nh], or export pixels"
        )


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
            f"{names(r.object_id for r in rows)} and labels {names(r.label for r in rows)}"
        )
    return chosen
