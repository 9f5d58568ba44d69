"""Boxes from a tracker that is run here once a video: OpenCV's, or a detector with one between.

What is found is kept under the cache folder as a DarkLabel file, in the numbering and the pixels of the video, one
line for every frame in which the athlete was found. It can be opened in DarkLabel, or any editor, and corrected: a
file that is there is read and never written again. Frames without a line are interpolated, as everywhere.
"""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import Literal

import numpy as np

from swapaqa.boxes.darklabel import parse_darklabel
from swapaqa.boxes.darklabel_format import KEYFRAMES
from swapaqa.boxes.detected import Detecting, detector_of, film_detected
from swapaqa.boxes.frames import check_request
from swapaqa.boxes.ledger import Ledger, is_changed
from swapaqa.boxes.motion import find_first_box
from swapaqa.boxes.objects import boxes_of, interpolate_keyframes
from swapaqa.boxes.shots import Filmed, begins, follow_shots, shot_starts
from swapaqa.boxes.source import BoxRequest
from swapaqa.boxes.tracker import DETECTOR, WEIGHTS, Method, Tracked, make_tracker, track_boxes
from swapaqa.boxes.tracks import OUTSIDE, choose_rows, existing
from swapaqa.errors import InputError
from swapaqa.files.whole_file import names
from swapaqa.video.cache import cache_root, make_folder
from swapaqa.video.frames import BY_DEFAULT, Decoding, entries, read_frames

log = logging.getLogger(__name__)
VERSION = 4  # raised whenever the same settings give other boxes, so that no old file is served
CHANGED = (
    "%s: is not as the tracker's boxes were written; if nobody corrected it, it is damaged: delete it, and the video "
    "is tracked anew"
)
FirstBox = Literal["given", "motion", "either", "detector"]
Drawn = Mapping[int, np.ndarray]  # boxes (4,) by frame of the video, ascending
_looked_at: set[tuple[Path, int]] = set()  # files of the cache and their times, in this process


@dataclass(frozen=True)
class TrackerBoxes:
    """The athlete followed through the window from its first frame on.

    Attributes:
        ratio, root: as in `BoxSource`; `root` holds the files with first boxes.
        method: csrt, kcf, nano or vit.
        weights: ONNX files of a learnt tracker.
        first_box: `given`: what `<root>/boxes/<action>/<index>.txt` (DarkLabel) says of the first frame; `motion`:
            found by what moves; `either`: given where there is a file; `detector`: found by one in every few frames,
            whose file `weights` names then (`swapaqa.boxes.detected`).
        lost_below: confidence under which the athlete counts as lost.
        max_lost: share of frames that may be lost; they are interpolated.
        every, class_ids, athletes: of a detector: frames from look to look, the classes that count, and how many
            athletes perform at once; the box around two is read.
    """

    ratio: float
    root: str | None
    method: Method
    weights: Sequence[str]
    first_box: FirstBox
    lost_below: float
    max_lost: float
    every: int = 3
    class_ids: Sequence[int] = (0,)
    athletes: int = 1
    frame: Literal["source"] = "source"

    def __post_init__(self) -> None:
        if self.detecting and WEIGHTS[self.method]:
            raise InputError(f"boxes.method={self.method}: with first_box=detector weights= is the detector's file, so "
                             "boxes.method is csrt or kcf")  # fmt: skip
        make_tracker(self.method, self.tracker_weights)
        if self.every < 1 or self.athletes not in (1, 2):
            raise InputError(f"boxes.every={self.every}, boxes.athletes={self.athletes}: a number from 1, and 1 or 2")
        if self.athletes > 1 and not self.detecting:
            raise InputError(f"boxes.athletes={self.athletes}: two are found by boxes.first_box=detector alone")
        if self.detecting:
            detector_of(self.detecting.weights, self.detecting.class_ids)
        for key in ("lost_below", "max_lost"):
            if not 0 <= getattr(self, key) <= 1:
                raise InputError(f"boxes.{key}={getattr(self, key)}: a share between 0 and 1 is needed")

    @property
    def detecting(self) -> Detecting | None:
        """How athletes are detected; None where they are not."""
        if self.first_box != "detector":
            return None
        return Detecting(tuple(self.weights), self.every, tuple(self.class_ids), self.athletes)

    @property
    def tracker_weights(self) -> Sequence[str]:
        """The files of a learnt tracker."""
        return () if self.detecting else self.weights

    def find(self, files: Sequence[Path]) -> Path | None:
        """The file with the first box; None where motion or a detector gives it."""
        asked = self.first_box in ("given", "either")
        found = existing([file.parent / f"{file.name}.txt" for file in files]) if asked else None
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
        drawn = self._drawn(request)
        path = self.cached(request.media, span, drawn, request.decoding)
        if not path.is_file():
            self._track(request.media, span, drawn, path, request.decoding)
        seen = (path, path.stat().st_mtime_ns)
        if seen not in _looked_at and is_changed(path):
            log.warning(CHANGED, path)
        _looked_at.add(seen)
        kept = parse_darklabel(path, KEYFRAMES, None)
        rows = choose_rows(kept.rows, [], [], path)
        check_request(rows, 0, request, path)
        return boxes_of(rows, request.frames, "error" if self.athletes == 1 else "union", 0, kept.gone)

    def _drawn(self, request: BoxRequest) -> Drawn:
        """The boxes of the file with first boxes, by frame; none where motion gives them."""
        path = self.find(request.files)
        if path is None:
            return {}
        rows = choose_rows(parse_darklabel(path, KEYFRAMES, None).rows, [], [], path)
        check_request(rows, 0, request, path)
        boxes_of(rows, request.frames, "error", 0)  # refuses two athletes
        return {row.frame: np.array(row.box) for row in sorted(rows, key=lambda row: row.frame)}

    def cached(self, media: Path, span: range, drawn: Drawn, decoding: Decoding = BY_DEFAULT) -> Path:
        """Where the boxes of a video are kept: by the file's identity and all that decides about them."""
        given = [(frame, *box.round(2).tolist()) for frame, box in drawn.items()]
        weights = [_identity(Path(weight).expanduser()) for weight in self.weights]
        source = (VERSION, _identity(media), *decoding, span[0], span[-1], given, self.first_box)
        settings = (self.method, weights, self.lost_below, self.max_lost, *(self.detecting or ())[1:])
        key = hashlib.sha256(repr((*source, *settings)).encode()).hexdigest()[:12]
        return cache_root() / "boxes" / f"{media.parent.name}-{media.stem}-{self.method}-{key}.txt"

    def _track(self, media: Path, span: range, drawn: Drawn, path: Path, decoding: Decoding) -> None:
        frames = read_frames(media, span, *decoding)
        starts = shot_starts(frames)

        def follow(shot: slice) -> Tracked:
            box = first_of_shot(drawn, span, shot)
            if box is None and self.first_box == "given":
                raise InputError("no box is drawn in it; draw one, or say boxes.first_box=either")
            first = find_first_box(frames[shot]) if box is None else box
            return track_boxes(frames[shot], first, self.method, self.tracker_weights)

        try:
            if self.detecting:
                films = film_detected(frames, self.detecting, self.method, self.lost_below, starts)
            else:
                drawn_at = [span.index(frame) for frame in drawn if frame in span]
                films = [follow_shots(frames, self.lost_below, follow, starts, drawn_at)]
        except InputError as error:
            raise InputError(f"{media}: {error}") from error
        found: np.ndarray = np.logical_or.reduce([filmed.confidence >= self.lost_below for filmed in films])
        outside: np.ndarray = np.logical_and.reduce([filmed.outside for filmed in films])
        lost = len(found) - int(found.sum())
        cuts = "".join(f", a cut before frame {span[start]}" for start in starts[1:])
        if outside.any():
            cuts += f", {int(outside.sum())} frames of shots without the athlete"
        if lost > self.max_lost * len(found):
            raise InputError(
                f"{media}: {self.method} lost the athlete in {lost} of {len(found)} frames{cuts}, more than boxes."
                f"max_lost={self.max_lost:g}; write its boxes as DarkLabel keyframes into {path}, try another "
                "boxes.method, or use boxes=fixed"
            )
        write_track(path, films, self.lost_below, span, DETECTOR if self.detecting else self.method)
        message = describe(media, self.method, lost, len(found), path) + cuts
        log.log(logging.WARNING if lost or cuts else logging.INFO, message)


def first_of_shot(drawn: Drawn, span: range, shot: slice) -> np.ndarray | None:
    """The box (4,) of a shot's first frame by the `drawn` ones of that shot, interpolated; None without any.

    `shot`: positions in `span`. Boxes before the window count to its first shot, those behind it to its last.
    """
    first = -1 if shot.start == 0 else span[shot.start]
    last = max(drawn, default=0) if shot.stop == len(span) else span[shot.stop - 1]
    own = [frame for frame in drawn if first <= frame <= last]
    if not own:
        return None
    boxes = np.stack([drawn[frame] for frame in own])
    box: np.ndarray = interpolate_keyframes(np.array(own), boxes, [span[shot.start]])[0]
    return box


def describe(media: Path, method: str, lost: int, frames: int, path: Path) -> str:
    """What a user should know of a video that was tracked."""
    losses = f", lost in {lost} of them and interpolated there" if lost else ""
    return f"{media}: {method} followed {frames} frames{losses}; boxes to correct: {path}"


def write_track(path: Path, films: Sequence[Filmed], lost_below: float, span: range, label: str) -> None:
    """Write the boxes of frames in which an athlete was found as DarkLabel lines, in one step; an existing file stays.

    Where a shot without him begins, a line labelled `outside` is written. Athletes are numbered from 0.
    """
    lines = []
    for name, filmed in enumerate(films):
        sizes = filmed.boxes[:, 2:] - filmed.boxes[:, :2] + 1
        labels = np.where(filmed.confidence >= lost_below, label, np.where(begins(filmed.outside), OUTSIDE, ""))
        rows = zip(span, filmed.boxes[:, :2], sizes, labels, strict=True)
        lines += [f"{t},{name},{x:.2f},{y:.2f},{w:.2f},{h:.2f},{word}\n" for t, (x, y), (w, h), word in rows if word]
    make_folder(path.parent)
    handle, unfinished = mkstemp(prefix="unfinished-", dir=path.parent, text=True)
    try:
        with names(path), os.fdopen(handle, "w") as file:
            file.writelines(lines)
        if path.exists():  # another process was first, and somebody may have corrected its file
            return
        os.replace(unfinished, path)
    finally:
        Path(unfinished).unlink(missing_ok=True)
    Ledger(path.parent.parent).add(path, hashlib.sha256("".join(lines).encode()).hexdigest(), label)


def _identity(media: Path) -> tuple[str, int, int]:
    """Path, size and time of a file, or of what a folder of images holds."""
    entry = media.stat()
    size = len(entries(media)) if media.is_dir() else entry.st_size
    return str(media.resolve()), size, entry.st_mtime_ns
