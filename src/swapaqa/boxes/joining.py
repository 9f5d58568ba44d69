"""Detections of single frames joined into tracks, after ByteTrack (Zhang et al. 2022), and the athlete among them.

Sure detections are matched first, doubtful ones only continue a track. A Kalman filter of constant velocity (OpenCV's)
says where a track goes on, the camera's motion is taken out of it, and the assignment is SciPy's. The cost of a match
is one minus the distance IoU (Zheng et al. 2020): a small athlete who falls fast leaves his last box altogether.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from swapaqa.boxes.detector import Detections
from swapaqa.boxes.motion import motion_followed
from swapaqa.boxes.tracker import overlap

SURE = 0.5  # score from which a detection begins a track
FARTHEST = 1.5  # cost of a match: 1 is beside each other, 2 is as far away as can be
PATIENCE = 5  # looks without a detection that a track outlives
SHAPE_NOISE, SPEED_NOISE, SEEN_NOISE = 0.05, 0.1, 0.05  # of a box's size, standard deviations
MOST_MOTION = 10.0  # motion inside over beside: more counts no more
TOGETHER = 0.5  # of the shorter one's time: two athletes are there at once
SAME = 0.3  # IoU of two tracks of one person, of whom a detector found parts


class Track(NamedTuple):
    """One person, in the frames in which a detector found him."""

    frames: list[int]  # ascending
    boxes: np.ndarray  # (K, 4) inclusive pixels


class _Follower:
    """A track that is being made: its detections, and a filter of centre, size and their speeds."""

    def __init__(self, frame: int, box: np.ndarray) -> None:
        self.frames, self.boxes, self.missed = [frame], [box], 0
        self.filter = cv2.KalmanFilter(8, 4, 0, cv2.CV_64F)
        self.filter.transitionMatrix = np.eye(8) + np.eye(8, k=4)
        self.filter.measurementMatrix = np.eye(4, 8)
        self.filter.errorCovPost = np.diag([SEEN_NOISE**2] * 4 + [1.0] * 4) * _size(box) ** 2
        self.filter.statePost = np.concatenate([_middle(box), np.zeros(4)])[:, None]

    def predict(self, camera: np.ndarray) -> None:
        """One look on; `camera` (3, 3) takes a point of the last look's frame to where it is in this one's."""
        size = max(1.0, float(np.sqrt(np.prod(np.maximum(self.filter.statePost[2:4], 1)))))
        self.filter.processNoiseCov = np.diag([SHAPE_NOISE**2] * 4 + [SPEED_NOISE**2] * 4) * size**2
        self.filter.measurementNoiseCov = np.eye(4) * (SEEN_NOISE * size) ** 2
        state = self.filter.statePost.copy()
        state[:2] = cv2.perspectiveTransform(state[:2].reshape(1, 1, 2), camera).reshape(2, 1)
        self.filter.statePost = state
        self.predicted = _corners(self.filter.predict()[:4, 0])

    def see(self, frame: int, box: np.ndarray) -> None:
        self.filter.correct(_middle(box)[:, None])
        self.frames.append(frame)
        self.boxes.append(box)
        self.missed = 0


def join_detections(frames: Sequence[int], found: Sequence[Detections], cameras: Sequence[np.ndarray]) -> list[Track]:
    """The tracks of persons, of two detections at least.

    Args:
        frames: those that were looked at, ascending.
        found: what a detector found in each.
        cameras: for each (3, 3), where a point of the frame before lies in it; not looked at for the first.
    """
    living, ended = list[_Follower](), list[_Follower]()
    for frame, detections, camera in zip(frames, found, cameras, strict=True):
        for follower in living:
            follower.predict(camera)
        sure = detections.scores >= SURE
        left = _match(living, frame, detections.boxes[sure])
        unseen = [follower for follower in living if follower.frames[-1] != frame]
        _match(unseen, frame, detections.boxes[~sure])
        for follower in living:
            follower.missed += follower.frames[-1] != frame
        ended += [follower for follower in living if follower.missed > PATIENCE]
        living = [follower for follower in living if follower.missed <= PATIENCE]
        living += [_Follower(frame, box) for box in left]
    return [Track(f.frames, np.stack(f.boxes)) for f in [*ended, *living] if len(f.frames) > 1]


def _match(followers: Sequence[_Follower], frame: int, boxes: np.ndarray) -> list[np.ndarray]:
    """Let the followers see the boxes (K, 4) that are theirs; returns the others."""
    if not len(followers) or not len(boxes):
        return list(boxes)
    costs = np.stack([distance_cost(follower.predicted, boxes) for follower in followers])
    taken = set()
    for row, column in zip(*linear_sum_assignment(np.minimum(costs, FARTHEST)), strict=True):
        if costs[row, column] < FARTHEST:
            followers[row].see(frame, boxes[column])
            taken.add(column)
    return [box for column, box in enumerate(boxes) if column not in taken]


def distance_cost(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """One minus the distance IoU of a box (4,) and each of others (K, 4): (K,) from 0, the same, to 2, far away."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low + 1, 0, None).prod(axis=1)
    areas = [np.maximum(boxes[..., 2:] - boxes[..., :2] + 1, 0).prod(axis=-1) for boxes in (box, others)]
    around = np.maximum(box[2:], others[:, 2:]) - np.minimum(box[:2], others[:, :2]) + 1
    apart = ((box[:2] + box[2:] - others[:, :2] - others[:, 2:]) / 2) ** 2
    cost: np.ndarray = 1 - shared / (areas[0] + areas[1] - shared) + apart.sum(axis=1) / (around**2).sum(axis=1)
    return cost


def choose_athletes(tracks: Sequence[Track], frames: np.ndarray, count: int) -> list[Track]:
    """The `count` tracks that are most likely the athletes' in `frames` (T, H, W, 3), the best first.

    A track's worth is the share of the frames through which it goes, times how much more moves in it than beside it,
    times how near the middle it is. A second athlete is there at the same time as the first, and beside him.
    """
    ranked = sorted(tracks, key=lambda track: worth(track, frames), reverse=True)
    chosen: list[Track] = []
    for track in ranked:
        if len(chosen) < count and all(_are_two(track, other) for other in chosen):
            chosen.append(track)
    return chosen


def worth(track: Track, frames: np.ndarray) -> float:
    """How likely a track is the athlete's, see `choose_athletes`."""
    first, last = track.frames[0], track.frames[-1]
    boxes = boxes_between(track)
    motion = motion_followed(frames[first : last + 1], boxes)
    middle = np.array([frames.shape[2], frames.shape[1]]) / 2
    away = np.abs((boxes[:, :2] + boxes[:, 2:]) / 2 - middle) / middle
    share = (last - first + 1) / len(frames)
    return float(share * min(np.nan_to_num(motion, nan=1.0), MOST_MOTION) * np.exp(-away.max(axis=1)).mean())


def boxes_between(track: Track) -> np.ndarray:
    """The boxes of all frames from a track's first to its last, interpolated: (T, 4)."""
    times = np.arange(track.frames[0], track.frames[-1] + 1)
    return np.stack([np.interp(times, track.frames, track.boxes[:, side]) for side in range(4)], axis=1)


def _are_two(first: Track, second: Track) -> bool:
    """Whether two tracks are there at once, and not twice the same person's."""
    start, stop = max(first.frames[0], second.frames[0]), min(first.frames[-1], second.frames[-1]) + 1
    shorter = min(track.frames[-1] - track.frames[0] + 1 for track in (first, second))
    if stop - start < TOGETHER * shorter:
        return False
    shared = [boxes_between(track)[start - track.frames[0] : stop - track.frames[0]] for track in (first, second)]
    return float(np.median(overlap(*shared))) < SAME


def _middle(box: np.ndarray) -> np.ndarray:
    """Corners -> centre and size: (4,)."""
    return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2] + 1])


def _corners(middle: np.ndarray) -> np.ndarray:
    size = np.maximum(middle[2:], 1)
    return np.concatenate([middle[:2] - (size - 1) / 2, middle[:2] + (size - 1) / 2])


def _size(box: np.ndarray) -> float:
    return float(np.sqrt(np.prod(box[2:] - box[:2] + 1)))
