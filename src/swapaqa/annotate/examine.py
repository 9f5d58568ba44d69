"""One video's boxes looked at: read as the training would, measured, and drawn into a few frames."""

import bisect
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from swapaqa.annotate.follow import shrink
from swapaqa.annotate.listing import Listed, wanted_frames
from swapaqa.annotate.suspicion import (
    HARM,
    Suspicion,
    expected_harm,
    grown,
    jumps,
    lost_share,
    outside_share,
    severity_of,
    size_changes,
    suspicions,
    unmoved,
)
from swapaqa.boxes.motion import motion_inside, residual_motion
from swapaqa.boxes.shots import shot_starts
from swapaqa.boxes.source import BoxRequest, BoxSource
from swapaqa.boxes.tracks import BoxFiles
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.video.frames import Decoding, decode, frame_count

SHOWN = 6  # frames of a strip
PAIRS = 12  # pairs of frames in which motion is looked for
TILE, ROW = 260, 3  # height of a frame in a strip, in pixels, and frames in a row: enough to see whom a box holds
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 80, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
WORKING_SIDE = 120  # pixels: the short side of the frames in which motion is looked for
YELLOW, RED = (255, 210, 0), (255, 64, 64)


class Question(NamedTuple):
    """A video whose boxes are to be examined."""

    video_id: str
    split: str
    action: str
    media: Path
    frames: Sequence[int]  # zero-based
    files: list[Path]
    source: BoxSource
    decoding: Decoding = Decoding()


class Examined(NamedTuple):
    """What was found about a video. `problem` is a training's reason to stop, else empty."""

    video_id: str
    split: str
    action: str
    problem: str
    found: list[Suspicion]  # the worst first
    strip: bytes  # JPEG; empty where nothing could be read
    state: str = ""  # what the ledger knows of the file

    @property
    def severity(self) -> float:
        """`severity_of` what was found; infinite where there are no boxes."""
        return float("inf") if self.problem else severity_of(self.found)

    @property
    def suspicious(self) -> bool:
        return self.severity >= 1 and self.state != "accepted"


def examine(question: Question) -> Examined:
    """Read, measure and draw the boxes of one video."""
    try:
        question.source.find(question.files)
        frames = list(question.frames)
        pictures, cuts = look_through(question.media, frames, question.decoding)
        size = next(iter(pictures.values())).shape[:2]
        total = partial(frame_count, question.media, question.decoding.accept_incomplete)
        request = BoxRequest(question.files, size, frames, question.media, frames, total, question.decoding)
        boxes = question.source.read(request)
        boxed = boxed_frames(question.source, request) or frames
        away = outside_frames(question.source, request)
        values, places = measures(pictures, frames, boxes, boxed, cuts, away)
        found = suspicions(values, places)
    except InputError as error:
        return Examined(question.video_id, question.split, question.action, str(error), [], b"")
    by_frame = dict(zip(frames, boxes, strict=True))
    early = spread(pairs_of(frames)[0], SHOWN)
    strip = draw_strip([pictures[frame] for frame in early], [by_frame[frame] for frame in early], early)
    return Examined(question.video_id, question.split, question.action, "", found, strip)


def look_through(media: Path, frames: Sequence[int], decoding: Decoding) -> tuple[dict[int, np.ndarray], list[int]]:
    """The pictures (H, W, 3) of `pairs_of(frames)` by frame, and the positions in `frames` before which a cut lies."""
    early, late = pairs_of(frames)
    pictures: dict[int, np.ndarray] = {}

    def seen() -> Iterator[np.ndarray]:
        for frame, picture in zip(frames, decode(media, frames, *decoding), strict=True):
            if frame in early or frame in late:
                pictures[frame] = picture
            yield picture

    return pictures, shot_starts(seen())[1:]


def measures(
    pictures: dict[int, np.ndarray],
    frames: list[int],
    boxes: np.ndarray,
    boxed: Sequence[int],
    cuts: Sequence[int] = (),
    away: Set[int] = frozenset(),
) -> tuple[dict[str, float], dict[str, int]]:
    """Every measure of LIMITS for boxes (T, 4) in `frames`, and the frame at which a measure is worst.

    Args:
        pictures: (H, W, 3) uint8 RGB by frame, at least those of `pairs_of(frames)`.
        boxed: the frames that have a box of their own.
        cuts: positions in `frames` before which a cut lies.
        away: the frames that are said not to show the athlete, whose boxes mean nothing.
    """
    early, late = telling_pairs(pictures, frames, cuts, away)
    height, width = pictures[early[0]].shape[:2]
    between = cuts_between(cuts, frames, away)
    there = np.array([frame not in away for frame in frames])
    shown = np.flatnonzero(there if there.any() else ~there).tolist()
    apart = [*between, *(np.flatnonzero(np.diff(there)) + 1).tolist()]
    by_frame = {"jump": jumps(boxes, apart), "size change": size_changes(boxes, apart)}
    by_frame |= {"unmoved at a cut": unmoved(boxes, between)} if between else {}
    values = {name: float(found[shown].max()) for name, found in by_frame.items()} | {
        "lost": lost_share([frames[t] for t in shown], boxed),
        "outside": outside_share(boxes[shown], (height, width)),
    }
    moved = motion_of(pictures, early, late, frames, boxes)
    values |= {"no motion inside": motion_inside(*moved), HARM: expected_harm(*moved)}
    return values, {name: frames[shown[int(found[shown].argmax())]] for name, found in by_frame.items()}


def pairs_of(frames: Sequence[int]) -> tuple[list[int], list[int]]:
    """PAIRS frames spread over the window, and the frame of the window that follows each of them."""
    positions = np.linspace(0, max(0, len(frames) - 2), min(PAIRS, max(1, len(frames) - 1))).round().astype(int)
    return [frames[p] for p in positions], [frames[min(p + 1, len(frames) - 1)] for p in positions]


def spread(frames: Sequence[int], count: int) -> list[int]:
    """At most `count` of `frames`, spread over them."""
    return [frames[p] for p in np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)]


def telling_pairs(
    pictures: Mapping[int, np.ndarray], frames: Sequence[int], cuts: Sequence[int], away: Set[int]
) -> tuple[list[int], list[int]]:
    """Those of `pairs_of` that tell motion: no cut between them, the athlete in both, not one frame shown twice.

    All where no such is left.
    """
    early, late = pairs_of(frames)
    after_cuts = {frames[cut] for cut in cuts}
    kept = [
        (first, second)
        for first, second in zip(early, late, strict=True)
        if not away & {first, second} and second not in after_cuts
        and not np.array_equal(pictures[first], pictures[second])
    ]  # fmt: skip
    return ([first for first, _ in kept], [second for _, second in kept]) if kept else (early, late)


def boxed_frames(source: BoxSource, request: BoxRequest) -> list[int]:
    """The frames that have a box in the file itself, zero-based; none known for a source without such files."""
    if not isinstance(source, BoxFiles):
        return []
    _, found = source.chosen(request)
    return [row.frame - source.frame_start for row in found.rows]


def outside_frames(source: BoxSource, request: BoxRequest) -> set[int]:
    """The frames of the window in which the file of one athlete says that he is not there."""
    if not isinstance(source, BoxFiles):
        return set()
    _, found = source.chosen(request)
    said = sorted([*((row.frame, True) for row in found.rows), *((row.frame, False) for row in found.gone)])
    times = [frame for frame, _ in said]
    latest = {frame: bisect.bisect_right(times, frame + source.frame_start) - 1 for frame in request.frames}
    return {frame for frame, position in latest.items() if position >= 0 and not said[position][1]}


def cuts_between(cuts: Sequence[int], frames: Sequence[int], outside: Set[int]) -> list[int]:
    """Those of `cuts`, positions in `frames`, on both sides of which the athlete is shown."""
    return [cut for cut in cuts if not outside & {frames[cut - 1], frames[cut]}]


def motion_of(
    pictures: dict[int, np.ndarray], early: list[int], late: list[int], frames: list[int], boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `motion_inside` and `expected_harm` take, of pairs of frames made small and grey."""
    height, width = pictures[early[0]].shape[:2]
    scale = min(1.0, WORKING_SIDE / min(height, width))
    size = (round(width * scale), round(height * scale))
    grey = {
        frame: cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        for frame, picture in pictures.items()
    }
    differences = [residual_motion(grey[first], grey[second]) for first, second in zip(early, late, strict=True)]
    small = {frame: shrink(box, scale) for frame, box in zip(frames, boxes, strict=True)}
    before, after = (np.stack([small[frame] for frame in chosen]) for chosen in (early, late))
    return np.stack(differences), before, after


def draw_strip(pictures: Sequence[np.ndarray], boxes: Sequence[np.ndarray], frames: Sequence[int]) -> bytes:
    """Frames (H, W, 3) RGB with their numbers, boxes in yellow and grown to RATIO in red: a JPEG of ROW in a row."""
    tiles = [draw_tile(*shown) for shown in zip(pictures, boxes, frames, strict=True)]
    blank = np.full_like(tiles[0], 255)
    rows = [tiles[start : start + ROW] for start in range(0, len(tiles), ROW)]
    rows[-1] += [blank] * (ROW - len(rows[-1]) if len(rows) > 1 else 0)
    _, encoded = cv2.imencode(".jpg", np.vstack([np.hstack(row) for row in rows])[..., ::-1], JPEG)
    return encoded.tobytes()


def draw_tile(picture: np.ndarray, box: np.ndarray, frame: int) -> np.ndarray:
    """One frame of a strip, TILE pixels high."""
    scale = TILE / picture.shape[0]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    tile = cv2.resize(picture, (max(1, round(picture.shape[1] * scale)), TILE), interpolation=way)
    for shown, colour in ((grown(box), RED), (box, YELLOW)):
        x1, y1, x2, y2 = (round(float(value) * scale) for value in (*shown[:2], *(shown[2:] + 1)))
        cv2.rectangle(tile, (x1, y1), (x2, y2), (0, 0, 0), 4)
        cv2.rectangle(tile, (x1, y1), (x2, y2), colour, 2)
    for colour, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(tile, str(frame), (6, TILE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, width, cv2.LINE_AA)
    return np.pad(tile, ((0, 3), (0, 3), (0, 0)), constant_values=255)


def questions_about(source: VideoSource, listed: Sequence[Listed]) -> tuple[list[Question], list[Examined]]:
    """What is to be examined, and what cannot be because the video is missing."""
    questions, missing = list[Question](), list[Examined]()
    for record, _ in listed:
        try:
            media, frames = wanted_frames(source, record)
        except InputError as error:
            missing.append(Examined(record.video_id, record.split, record.action, str(error), [], b""))
            continue
        files = source.box_files(record)
        about = (record.video_id, record.split, record.action, media, frames, files)
        questions.append(Question(*about, source.boxes, source.decoding))
    return questions, missing
