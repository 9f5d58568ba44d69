"""Box sources made of trackers: OpenCV's, run here once a video and kept, and the result files of any other.

What is found is kept under the cache folder as a DarkLabel file, in the numbering and the pixels of the video, one
line for every frame in which the athlete was found. It can be opened in DarkLabel, or any editor, and corrected: a
file that is there is read and never written again. Frames without a line are interpolated, as everywhere.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import Literal

import numpy as np

from swapaqa.data.box_source import BoxRequest
from swapaqa.data.box_tracks import MAKE_BOXES, existing, interpolate_keyframes
from swapaqa.data.cache import cache_root
from swapaqa.data.darklabel import read_darklabel
from swapaqa.data.motion import find_first_box
from swapaqa.data.tracker import Method, Tracked, make_tracker, track_boxes
from swapaqa.data.video import entries, read_frames
from swapaqa.errors import InputError

log = logging.getLogger(__name__)
VERSION = 1  # raised whenever the same settings give other boxes, so that no old file is served


@dataclass(frozen=True)
class TrackerBoxes:
    """The athlete followed through the window from its first frame on.

    Attributes:
        ratio, root: as in `BoxSource`; `root` holds the files with first boxes.
        method: csrt, kcf, nano or vit.
        weights: ONNX files of a learnt tracker.
        first_box: `given`: what `<root>/boxes/<action>/<index>.txt` (DarkLabel) says of the first frame; `motion`:
            found by what moves; `either`: given where there is a file.
        lost_below: confidence under which the athlete counts as lost.
        max_lost: share of frames that may be lost; they are interpolated.
    """

    ratio: float
    root: str | None
    method: Method
    weights: Sequence[str]
    first_box: Literal["given", "motion", "either"]
    lost_below: float
    max_lost: float
    frame: Literal["source"] = "source"

    def __post_init__(self) -> None:
        make_tracker(self.method, self.weights)
        for key in ("lost_below", "max_lost"):
            if not 0 <= getattr(self, key) <= 1:
                raise InputError(f"boxes.{key}={getattr(self, key)}: a share between 0 and 1 is needed")

    def find(self, files: Sequence[Path]) -> Path | None:
        """The file with the first box; None where motion gives it."""
        found = existing([file.parent / f"{file.name}.txt" for file in files]) if self.first_box != "motion" else None
        if found is None and self.first_box == "given":
            raise InputError(
                f"{files[0].parent / files[0].name}.txt: no such box file; draw the first frame's box, name its folder "
                "with boxes.root=, or let motion find it with boxes.first_box=motion"
            )
        return found

    def read(self, request: BoxRequest) -> np.ndarray:
        """(T, 4) in pixels of the stored frames, tracked on first use."""
        if request.media is None:
            raise InputError("boxes=tracker: this data set does not say where a video's file is (BoxRequest.media)")
        window = request.span or request.frames
        span = range(min(window), max(window) + 1)
        drawn = self.find(request.files)
        given = None if drawn is None else read_darklabel(drawn, [span[0]])[0]
        path = self.cached(request.media, span, given)
        if not path.is_file():
            self._track(request.media, span, given, path)
        return read_darklabel(path, request.frames)

    def cached(self, media: Path, span: range, given: np.ndarray | None) -> Path:
        """Where the boxes of a video are kept: by the file's identity and all that decides about them."""
        first = None if given is None else given.round(2).tolist()
        weights = [_identity(Path(weight).expanduser()) for weight in self.weights]
        settings = (VERSION, _identity(media), span[0], span[-1], first, self.method, weights)
        key = hashlib.sha256(repr((*settings, self.lost_below, self.max_lost)).encode()).hexdigest()[:12]
        return cache_root() / "boxes" / f"{media.parent.name}-{media.stem}-{self.method}-{key}.txt"

    def _track(self, media: Path, span: range, given: np.ndarray | None, path: Path) -> None:
        frames = read_frames(media, span)
        try:
            first = find_first_box(frames) if given is None else given
            tracked = track_boxes(frames, first, self.method, self.weights)
        except InputError as error:
            raise InputError(f"{media}: {error}") from error
        found = tracked.confidence >= self.lost_below
        lost = len(found) - int(found.sum())
        if lost > self.max_lost * len(found):
            raise InputError(
                f"{media}: {self.method} lost the athlete in {lost} of {len(found)} frames, more than boxes.max_lost="
                f"{self.max_lost:g}; write its boxes as DarkLabel keyframes into {path}, try another boxes.method, or "
                "use boxes=fixed"
            )
        write_track(path, tracked, found, span, self.method)
        log.log(logging.WARNING if lost else logging.INFO, describe(media, self.method, lost, len(found), path))


def describe(media: Path, method: str, lost: int, frames: int, path: Path) -> str:
    """What a user should know of a video that was tracked."""
    losses = f", lost in {lost} of them and interpolated there" if lost else ""
    return f"{media}: {method} followed {frames} frames{losses}; boxes to correct: {path}"


def write_track(path: Path, tracked: Tracked, found: np.ndarray, span: range, label: str) -> None:
    """Write the boxes of the frames in `found` (T,) as DarkLabel lines, in one step; an existing file stays."""
    sizes = tracked.boxes[:, 2:] - tracked.boxes[:, :2] + 1
    rows = zip(span, tracked.boxes[:, :2], sizes, found, strict=True)
    lines = [f"{t},0,{x:.2f},{y:.2f},{w:.2f},{h:.2f},{label}\n" for t, (x, y), (w, h), kept in rows if kept]
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = mkstemp(prefix="unfinished-", dir=path.parent, text=True)
    with os.fdopen(handle, "w") as file:
        file.writelines(lines)
    if path.exists():  # another process was first, and somebody may have corrected its file
        os.unlink(unfinished)
    else:
        os.replace(unfinished, path)


def _identity(media: Path) -> tuple[str, int, int]:
    """Path, size and time of a file, or of what a folder of images holds."""
    entry = media.stat()
    size = len(entries(media)) if media.is_dir() else entry.st_size
    return str(media.resolve()), size, entry.st_mtime_ns


@dataclass(frozen=True)
class TrackerResults:
    """Result files of any other tracker: `<root>/boxes/<action>/<index>.txt`, one line a frame.

    `frame_start`: the zero-based frame of the video that the first line is about.
    """

    ratio: float
    root: str | None
    frame_start: int
    frame: Literal["source"] = "source"

    def find(self, files: Sequence[Path]) -> Path:
        """The first of `files` that exists as `.txt`."""
        found = existing([file.parent / f"{file.name}.txt" for file in files])
        if found is None:
            raise InputError(
                f"{files[0].parent / files[0].name}.txt: no such box file; name the folder of the tracker's results "
                f"with boxes.root=, {MAKE_BOXES}"
            )
        return found

    def read(self, request: BoxRequest) -> np.ndarray:
        frames = [frame - self.frame_start for frame in request.frames]
        return read_tracker_results(self.find(request.files), frames)


def read_tracker_results(path: Path, frames: Sequence[int]) -> np.ndarray:
    """Read a tracker's result file and interpolate where it has nothing: (T, 4) for `frames`, the first line being 0.

    Raises:
        InputError: as `result_rows`.
    """
    rows = result_rows(path)
    return interpolate_keyframes(np.array(list(rows)), np.array(list(rows.values())), frames)


def result_rows(path: Path) -> dict[int, np.ndarray]:
    """The boxes (4,) of a tracker's result file by line, counted from 0, without the lines that say lost.

    A line holds `x,y,w,h` or the four corners of a polygon (8 numbers, its enclosing box is taken), separated by
    commas, tabs or spaces, in pixels counted from 0. A line of one number is a code of the VOT toolkit (1 start, 2
    lost), and one of NaN or without extent says lost: these frames are left out.

    Raises:
        InputError: naming the file and line.
    """
    rows = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        box = _result_box(line, f"{path}, line {number}")
        if box is not None:
            rows[number - 1] = box
    if not rows:
        raise InputError(f"{path}: no box in it; run the tracker again, or use boxes=fixed")
    return rows


def _result_box(line: str, place: str) -> np.ndarray | None:
    try:
        values = np.array([float(value) for value in line.replace(",", " ").split()])
    except ValueError:
        values = np.empty(0)
    if len(values) not in (1, 4, 8):
        raise InputError(f"{place}: '{line}' is neither 'x,y,w,h' nor the 8 numbers of a polygon; correct it")
    if len(values) == 1 or not np.isfinite(values).all():
        return None
    if len(values) == 4:
        x, y, w, h = values
        return np.array([x, y, x + w - 1, y + h - 1]) if w > 0 and h > 0 else None
    corners = values.reshape(4, 2)
    low, high = corners.min(axis=0), corners.max(axis=0)  # edges, so the last pixel is one less
    return np.concatenate([low, high - 1]) if (high > low).all() else None
