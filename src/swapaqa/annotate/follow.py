"""A tracker between the boxes that somebody drew: these stay exactly, the frames between are followed from both sides.

Without any box the first one comes from motion (`swapaqa.boxes.motion`), as with `boxes=tracker`.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from swapaqa.boxes.detected import Detecting, film_detected
from swapaqa.boxes.motion import find_first_box
from swapaqa.boxes.shots import Filmed, begins, follow_shots
from swapaqa.boxes.tracker import DETECTOR, Method, Tracked, track_boxes
from swapaqa.boxes.tracker_boxes import TrackerBoxes
from swapaqa.boxes.tracks import OUTSIDE
from swapaqa.video.frames import BY_DEFAULT, Decoding, decode

LONGEST = 600  # frames that are followed: of a longer window, as many spread over it
SHORT_SIDE = 360  # pixels: larger frames are made smaller for the tracker
BUDGET = 300_000_000  # bytes of frames that are decoded at once

Keyframes = Mapping[int, np.ndarray]  # by frame, a box (4,)


class Settings(NamedTuple):
    """Which tracker, and when the athlete counts as lost: the keys of `conf/boxes/tracker.yaml`."""

    method: Method
    weights: Sequence[str]
    lost_below: float
    max_lost: float
    detecting: Detecting | None = None  # how athletes are found in whom nobody has drawn a box

    @property
    def label(self) -> str:
        """Of rows of athletes that were found without a drawn box."""
        return DETECTOR if self.detecting else self.method


def settings_of(source: TrackerBoxes) -> Settings:
    """The part of a tracker source that does not depend on files."""
    weights = list(source.tracker_weights)
    return Settings(source.method, weights, source.lost_below, source.max_lost, source.detecting)


class Followed(NamedTuple):
    """Boxes of one athlete in some frames of a video."""

    frames: list[int]  # ascending
    boxes: np.ndarray  # (T, 4) float64, inclusive pixels of the stored frames
    found: np.ndarray  # (T,) bool: False where the athlete counts as lost
    outside: np.ndarray  # (T,) bool: True in shots that do not show the athlete


def follow_athlete(
    media: Path, wanted: Sequence[int], keyframes: Keyframes, settings: Settings, decoding: Decoding = BY_DEFAULT
) -> Followed:
    """The athlete of `keyframes` in the `wanted` frames of a video and in the keyframes themselves.

    Raises:
        InputError: the video cannot be read, nothing moves in it, a keyframe lies outside of the frame.
    """
    frames = followed_frames([*wanted, *keyframes])
    pictures, scale = read_small(media, frames, decoding)
    anchors = {frames.index(frame): shrink(box, scale) for frame, box in keyframes.items()}
    tracked = follow_between(pictures, anchors, settings.method, settings.weights, settings.lost_below)
    boxes = (tracked.boxes + 0.5) / scale - 0.5
    for frame, box in keyframes.items():
        boxes[frames.index(frame)] = box
    kept = [position for position, frame in enumerate(frames) if frame in {*wanted, *keyframes}]
    found = tracked.confidence >= settings.lost_below
    return Followed([frames[position] for position in kept], boxes[kept], found[kept], tracked.outside[kept])


def follow_detected(
    media: Path, wanted: Sequence[int], settings: Settings, decoding: Decoding = BY_DEFAULT
) -> list[Followed]:
    """The athletes that the detector of `settings` finds in the `wanted` frames of a video.

    Raises:
        InputError: the video cannot be read, too few athletes are found.
    """
    frames = followed_frames(wanted)
    pictures, scale = read_small(media, frames, decoding)
    if settings.detecting is None:
        raise ValueError("these settings have no detector")
    kept = [position for position, frame in enumerate(frames) if frame in set(wanted)]
    athletes = []
    for filmed in film_detected(pictures, settings.detecting, settings.method, settings.lost_below):
        boxes, found = (filmed.boxes + 0.5) / scale - 0.5, filmed.confidence >= settings.lost_below
        chosen = [frames[position] for position in kept]
        athletes.append(Followed(chosen, boxes[kept], found[kept], filmed.outside[kept]))
    return athletes


def labelled_rows(followed: Followed, method: str, keyframes: Keyframes) -> Iterator[tuple[int, np.ndarray, str]]:
    """Frame, box (4,) and label of what goes into a box file beside the keyframes.

    A row for every frame in which the athlete was found, and one labelled `outside` where a shot without him begins.
    """
    labels = np.where(followed.found, method, np.where(begins(followed.outside), OUTSIDE, ""))
    for frame, box, label in zip(followed.frames, followed.boxes, labels.tolist(), strict=True):
        if label and frame not in keyframes:
            yield frame, box, label


def followed_frames(asked: Sequence[int]) -> list[int]:
    """The frames that a tracker goes through: all from the first to the last one asked for, but at most LONGEST more.

    A tracker needs neighbouring frames; a window that is spread over a long video has none.
    """
    first, last = min(asked), max(asked)
    spread = np.linspace(first, last, min(last - first + 1, LONGEST)).round().astype(int).tolist()
    return sorted({*spread, *asked})


def read_small(media: Path, frames: Sequence[int], decoding: Decoding = BY_DEFAULT) -> tuple[np.ndarray, float]:
    """Frames (T, H, W, 3) uint8 RGB, of which the short side has at most SHORT_SIDE pixels, and their scale."""
    height, width = decode(media, frames[:1], *decoding).size
    scale = min(1.0, SHORT_SIDE / min(height, width))
    size = (round(width * scale), round(height * scale))
    chunk = max(1, BUDGET // (height * width * 3))
    pictures = np.empty((len(frames), size[1], size[0], 3), np.uint8)
    for start in range(0, len(frames), chunk):
        for position, frame in enumerate(decode(media, frames[start : start + chunk], *decoding), start):
            pictures[position] = frame if scale == 1 else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return pictures, scale


def shrink(box: np.ndarray, scale: float) -> np.ndarray:
    """A box (4,) on frames `scale` times as large: (x + 0.5) s - 0.5."""
    return (np.asarray(box, np.float64) + 0.5) * scale - 0.5


def follow_between(
    frames: np.ndarray, keyframes: Keyframes, method: Method, weights: Sequence[str], lost_below: float
) -> Filmed:
    """Follow through `frames` (T, H, W, 3) from `keyframes` (positions in `frames`), in which the boxes stay exactly.

    Nobody is followed across a cut: every shot by itself, from the keyframes in it or, without any, from what moves;
    where nothing moves it does not show the athlete.
    """

    def follow(shot: slice) -> Tracked:
        own = {position - shot.start: box for position, box in keyframes.items() if shot.start <= position < shot.stop}
        return _follow_shot(frames[shot], own, method, weights, lost_below)

    return follow_shots(frames, lost_below, follow, drawn=keyframes)


def _follow_shot(
    frames: np.ndarray, keyframes: Keyframes, method: Method, weights: Sequence[str], lost_below: float
) -> Tracked:
    """As `follow_between`, of one shot.

    Before the first keyframe it goes backwards, after the last one forwards. Between two both ways are gone and
    blended: the nearer keyframe weighs more, linearly; where one way has lost the athlete, the other counts alone.
    """
    if not keyframes:
        keyframes = {0: find_first_box(frames)}
    keys = sorted(keyframes)
    boxes, confidence = np.zeros((len(frames), 4)), np.zeros(len(frames))
    head = track_boxes(frames[keys[0] :: -1], keyframes[keys[0]], method, weights)
    boxes[: keys[0] + 1], confidence[: keys[0] + 1] = head.boxes[::-1], head.confidence[::-1]
    for start, stop in itertools.pairwise(keys):
        part = frames[start : stop + 1]
        forward = track_boxes(part, keyframes[start], method, weights)
        backward = track_boxes(part[::-1], keyframes[stop], method, weights)
        blended = blend(forward, Tracked(backward.boxes[::-1], backward.confidence[::-1]), lost_below)
        boxes[start : stop + 1], confidence[start : stop + 1] = blended
    tail = track_boxes(frames[keys[-1] :], keyframes[keys[-1]], method, weights)
    boxes[keys[-1] :], confidence[keys[-1] :] = tail
    for key in keys:
        boxes[key], confidence[key] = keyframes[key], 1.0
    return Tracked(boxes, confidence)


def blend(forward: Tracked, backward: Tracked, lost_below: float) -> Tracked:
    """Two tracks of the same frames, (T, 4) each, weighted from 1:0 at the first frame to 0:1 at the last."""
    weight = np.linspace(1, 0, len(forward.boxes))
    trust = np.stack([forward.confidence, backward.confidence]) >= lost_below
    weight = np.where(trust[0] & ~trust[1], 1.0, np.where(trust[1] & ~trust[0], 0.0, weight))
    boxes = weight[:, None] * forward.boxes + (1 - weight[:, None]) * backward.boxes
    return Tracked(boxes, np.maximum(forward.confidence, backward.confidence))
