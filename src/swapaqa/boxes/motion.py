"""The first box of a video from its motion, when nobody has drawn one: what moves once the camera's motion is out.

The camera's motion between neighbouring frames is a homography, or a similarity transform where few corners are seen,
fitted with RANSAC to corners that Lucas-Kanade follows. Frames spread over the video are laid on the first one by it;
their median is the background, because the athlete stands elsewhere in most of them. The largest region in which the
first frame differs from that background is the athlete.
"""

import itertools
from collections.abc import Iterator

import cv2
import numpy as np

from swapaqa.errors import InputError

SAMPLES = 15  # frames that make the background
WORKING_SIDE = 160  # pixels of the short side: enough to find a region
CLOSER = 0.85  # of the difference that a simpler transform, or none, leaves
FEWEST_CORNERS = 8
PAIRS = 6  # neighbouring frames in which motion is measured
SMALLEST = 0.002  # of the frame's area: below, it is noise


def find_first_box(frames: np.ndarray) -> np.ndarray:
    """The box (4,) of what moves, in the first of `frames` (T, H, W, 3) uint8: inclusive pixels.

    Raises:
        InputError: nothing moves against the background.
    """
    scale = min(1.0, WORKING_SIDE / min(frames.shape[1:3]))
    size = (round(frames.shape[2] * scale), round(frames.shape[1] * scale))
    small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
    difference = _difference(small, background_of_first(small))
    x, y, w, h = _largest_region(difference)
    box: np.ndarray = np.array([x, y, x + w, y + h], np.float64) / scale - [0, 0, 1, 1]
    return box


def camera_motion(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The homography (3, 3) that takes a point of grey picture `after` (H, W) to where it is in `before`.

    Of a similarity transform and a homography the one that brings the pictures as wholes closer: eight numbers follow
    a camera that turns, and are too many for a few corners. The identity where too few corners can be followed, and
    where neither brings the pictures closer: the corners were the athlete's then, and their motion would add up over
    the frames.
    """
    best, least = np.eye(3), CLOSER * _apart(before, after, np.eye(3))
    for fitted in _fitted(before, after):
        apart = _apart(before, after, fitted)
        if apart < least:
            best, least = fitted, CLOSER * apart
    return best


def _fitted(before: np.ndarray, after: np.ndarray) -> Iterator[np.ndarray]:
    """Transforms (3, 3) that most of the corners agree with, that of the fewest parameters first."""
    corners = cv2.goodFeaturesToTrack(after, maxCorners=200, qualityLevel=0.01, minDistance=6)
    if corners is None:
        return
    moved, found, _ = cv2.calcOpticalFlowPyrLK(after, before, corners, None)  # type: ignore[call-overload]  # the stub forbids None
    kept = found.ravel() == 1
    if kept.sum() < FEWEST_CORNERS:
        return
    similarity: np.ndarray | None
    similarity, _ = cv2.estimateAffinePartial2D(
        corners[kept], moved[kept], method=cv2.RANSAC, ransacReprojThreshold=1.5
    )
    if similarity is not None:
        yield np.vstack([similarity, [0, 0, 1]])
    homography: np.ndarray | None
    homography, _ = cv2.findHomography(corners[kept], moved[kept], cv2.RANSAC, 1.5)
    if homography is not None:
        yield homography


def laid_on(picture: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """`picture` (H, W) under `motion` (3, 3), on its own grid; what comes into view repeats the edge."""
    size = (picture.shape[1], picture.shape[0])
    return cv2.warpPerspective(picture, motion, size, borderMode=cv2.BORDER_REPLICATE)


def _apart(before: np.ndarray, after: np.ndarray, motion: np.ndarray) -> float:
    """Mean difference of two grey pictures under `motion`, noise smoothed, a fast athlete limited."""
    laid = laid_on(cv2.blur(after, (5, 5)), motion)
    return float(np.minimum(cv2.absdiff(laid, cv2.blur(before, (5, 5))), 40).mean())


def residual_motion(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How much grey pictures (H, W) differ once the camera's motion is out: (H, W) float32, smoothed."""
    difference = cv2.absdiff(laid_on(after, camera_motion(before, after)), before)
    return cv2.blur(difference, (3, 3)).astype(np.float32)


def motion_inside(differences: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
    """Motion inside the boxes over motion beside them, the median over the pairs of frames; NaN without a pair.

    Args:
        differences: (P, H, W) the `residual_motion` of each pair.
        before, after: (P, 4) boxes in the two frames of a pair. What left the first and entered the second both count.
    """
    height, width = differences.shape[1:]
    found = []
    for difference, *pair in zip(differences, before, after, strict=True):
        mask = np.zeros((height, width), bool)
        for x1, y1, x2, y2 in pair:
            mask[max(0, round(y1)) : max(0, round(y2) + 1), max(0, round(x1)) : max(0, round(x2) + 1)] = True
        if mask.any() and not mask.all():
            found.append((difference[mask].mean() + 0.1) / (difference[~mask].mean() + 0.1))
        else:
            found.append(0.0 if not mask.any() else np.nan)
    known = [value for value in found if not np.isnan(value)]
    return float(np.median(known)) if known else float("nan")


def motion_followed(frames: np.ndarray, boxes: np.ndarray) -> float:
    """`motion_inside` of boxes (T, 4) in a few pairs of neighbouring `frames` (T, H, W, 3); NaN of one frame."""
    early = np.unique(np.linspace(0, len(frames) - 2, min(PAIRS, len(frames) - 1)).round().astype(int))
    if not len(early):
        return float("nan")
    scale = min(1.0, WORKING_SIDE / min(frames.shape[1:3]))
    grey = {t: _small_grey(frames[t], scale) for first in early for t in (first, first + 1)}
    differences = np.stack([residual_motion(grey[first], grey[first + 1]) for first in early])
    small = (boxes + 0.5) * scale - 0.5
    return motion_inside(differences, small[early], small[early + 1])


def camera_path(frames: np.ndarray) -> list[np.ndarray]:
    """The `camera_motion` (3, 3) of each of `frames` (T, H, W, 3) but the first to the one before, in their pixels."""
    scale = min(1.0, WORKING_SIDE / min(frames.shape[1:3]))
    grow = np.diag([1 / scale, 1 / scale, 1])
    grey = [_small_grey(frame, scale) for frame in frames]
    return [grow @ camera_motion(*pair) @ np.linalg.inv(grow) for pair in itertools.pairwise(grey)]


def _small_grey(frame: np.ndarray, scale: float) -> np.ndarray:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return grey if scale == 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def background_of_first(frames: np.ndarray) -> np.ndarray:
    """What the first frame would show without the athlete, (H, W, 3) float32; NaN where no other frame looks."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    height, width = grey[0].shape
    shown = set(np.linspace(1, len(frames) - 1, min(SAMPLES, len(frames) - 1)).round().astype(int).tolist())
    to_first, layers = np.eye(3), []
    for t in range(1, len(frames)):
        to_first = to_first @ camera_motion(grey[t - 1], grey[t])
        if t in shown:
            layer = cv2.warpPerspective(
                frames[t].astype(np.float32), to_first, (width, height), borderValue=(np.nan, np.nan, np.nan)
            )
            layers.append(layer)
    if not layers:
        return np.full(frames.shape[1:], np.nan, np.float32)
    known = ~np.isnan(layers).all(axis=0)
    background = np.full(frames.shape[1:], np.nan, np.float32)
    background[known] = np.nanmedian(np.stack(layers)[:, known], axis=0)
    return background


def _difference(frames: np.ndarray, background: np.ndarray) -> np.ndarray:
    """(H, W) uint8: how far the first frame is from the background, 0 where that is unknown, smoothed."""
    apart = np.nan_to_num(np.abs(frames[0].astype(np.float32) - background)).max(axis=2)
    smoothed: np.ndarray = cv2.GaussianBlur(np.clip(apart, 0, 255).astype(np.uint8), (5, 5), 0)
    return smoothed


def _largest_region(difference: np.ndarray) -> tuple[int, int, int, int]:
    """x, y, w, h of the connected region with the most difference in it."""
    threshold, mask = cv2.threshold(difference, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))  # limbs belong to the torso
    count, regions, stats, _ = cv2.connectedComponentsWithStats(mask)
    weights = np.bincount(regions.ravel(), difference.ravel().astype(np.float64), minlength=count)
    weights[0] = 0
    best = int(weights.argmax())
    if threshold < 8 or stats[best, cv2.CC_STAT_AREA] < SMALLEST * difference.size:
        raise InputError(
            "nothing moves against the background, so no first box was found; draw one (docs/boxes.md) "
            "or use boxes=fixed"
        )
    x, y, w, h = (int(stats[best, field]) for field in range(4))
    return x, y, w, h
