"""Athletes followed by what a detector finds in every few frames of a shot.

Between two detections of a track boxes are interpolated; before the first and after the last one a tracker goes on.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from swapaqa.boxes.detector import Detections, Detector, make_detector, within
from swapaqa.boxes.joining import SAME, Track, boxes_between, choose_athletes, join_detections
from swapaqa.boxes.motion import camera_path
from swapaqa.boxes.shots import Filmed, follow_shots, shot_starts
from swapaqa.boxes.tracker import Method, Tracked, overlap, track_boxes
from swapaqa.errors import InputError


class Detecting(NamedTuple):
    """How athletes are detected: the keys of `conf/boxes/tracker.yaml`."""

    weights: tuple[str, ...]  # one ONNX file, or none for HOG
    every: int  # frames from look to look
    class_ids: tuple[int, ...]
    athletes: int  # 2 for synchronised diving


@lru_cache(maxsize=2)
def detector_of(weights: tuple[str, ...], class_ids: tuple[int, ...]) -> Detector:
    """`make_detector`, once in a process."""
    return make_detector(weights, class_ids)


def film_detected(
    frames: np.ndarray, detecting: Detecting, method: Method, lost_below: float, starts: Sequence[int] | None = None
) -> list[Filmed]:
    """The athletes of `frames` (T, H, W, 3) uint8 RGB, one after the other; every shot by itself.

    Raises:
        InputError: nobody, or not so many athletes, are found.
    """
    starts = shot_starts(frames) if starts is None else starts
    tracks: dict[int, list[Track]] = {}

    def follow(athlete: int) -> Callable[[slice], Tracked]:
        def follow_one(shot: slice) -> Tracked:
            if shot.start not in tracks:
                tracks[shot.start] = detect_athletes(frames[shot], detecting)
            found = tracks[shot.start]
            if len(found) <= athlete:
                who = "nobody" if athlete == 0 else f"no athlete number {athlete + 1}"
                raise InputError(
                    f"the detector finds {who}; take other weights, say boxes.every=1, or draw boxes (docs/boxes.md)"
                )
            return follow_track(frames[shot], found[athlete], method)

        return follow_one

    return [follow_shots(frames, lost_below, follow(athlete), starts) for athlete in range(detecting.athletes)]


def detect_athletes(frames: np.ndarray, detecting: Detecting) -> list[Track]:
    """The athletes' tracks in one shot (T, H, W, 3), those of the best first."""
    detector = detector_of(detecting.weights, detecting.class_ids)
    looked = sorted({*range(0, len(frames), detecting.every), len(frames) - 1})
    path = camera_path(frames)
    cameras = [np.eye(3), *(_chained(path[before:after]) for before, after in itertools.pairwise(looked))]
    tracks = join_detections(looked, [detector(frames[t]) for t in looked], cameras)
    return choose_athletes(tracks, frames, detecting.athletes)


def _chained(motions: Sequence[np.ndarray]) -> np.ndarray:
    """From motions (3, 3) that take a point of each frame to the one before: from the first frame to the last."""
    back = np.eye(3)
    for motion in motions:
        back = back @ motion
    return np.linalg.inv(back)


def athlete_mask(found: Detections, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask (H, W) bool, on a frame of `size`, of the detection that lies where the athlete's `box` (4,) is.

    Where nobody was detected there, his box is his mask: an empty one would give him away to the swap.
    """
    if len(found.boxes) and found.masks is not None:
        shared = overlap(found.boxes, np.broadcast_to(box, found.boxes.shape))
        mask: np.ndarray = found.masks[int(shared.argmax())]
        if shared.max() >= SAME and mask.any():
            return mask
    return within(np.ones(size, bool), box)


def follow_track(frames: np.ndarray, track: Track, method: Method) -> Tracked:
    """A track through all `frames` of its shot; where a tracker goes on its confidence is the tracker's."""
    first, last = track.frames[0], track.frames[-1]
    size = np.array([frames.shape[2], frames.shape[1]] * 2)
    between = np.clip(boxes_between(track), 0, size - 1)
    head = track_boxes(frames[first::-1], between[0], method)
    tail = track_boxes(frames[last:], between[-1], method)
    boxes = np.concatenate([head.boxes[:0:-1], between, tail.boxes[1:]])
    return Tracked(boxes, np.concatenate([head.confidence[:0:-1], np.ones(len(between)), tail.confidence[1:]]))
