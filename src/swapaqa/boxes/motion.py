"""The first box of a video from its motion, when nobody has drawn one: what moves once the camera's motion is out.

The camera's motion between neighbouring frames is a similarity transform, fitted with RANSAC to corners that
Lucas-Kanade follows. Frames spread over the video are laid on the first one by it; their median is the background,
because the athlete stands elsewhere in most of them. The largest region in which the first frame differs from that
background is the athlete.
"""

import cv2
import numpy as np

from swapaqa.errors import InputError

SAMPLES = 15  # frames that make the background
WORKING_SIDE = 160  # pixels of the short side: enough to find a region
CLOSER = 0.85  # of the difference that is left without a transform
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
    """The similarity transform (2, 3) that takes a point of grey picture `after` (H, W) to where it is in `before`.

    The identity where too few corners can be followed, and where the transform does not bring the pictures as wholes
    closer: the corners were the athlete's then, and their motion would add up over the frames.
    """
    still = np.eye(2, 3)
    corners = cv2.goodFeaturesToTrack(after, maxCorners=200, qualityLevel=0.01, minDistance=6)
    if corners is None:
        return still
    moved, found, _ = cv2.calcOpticalFlowPyrLK(after, before, corners, None)  # type: ignore[call-overload]  # the stub forbids None
    kept = found.ravel() == 1
    if kept.sum() < 8:
        return still
    fitted: np.ndarray | None
    fitted, _ = cv2.estimateAffinePartial2D(corners[kept], moved[kept], method=cv2.RANSAC, ransacReprojThreshold=1.5)
    if fitted is None or _apart(before, after, fitted) > CLOSER * _apart(before, after, still):
        return still
    return fitted


def _apart(before: np.ndarray, after: np.ndarray, motion: np.ndarray) -> float:
    """Mean difference of two grey pictures under `motion`, noise smoothed, a fast athlete limited."""
    size = (before.shape[1], before.shape[0])
    laid = cv2.warpAffine(cv2.blur(after, (5, 5)), motion, size, borderMode=cv2.BORDER_REPLICATE)
    return float(np.minimum(cv2.absdiff(laid, cv2.blur(before, (5, 5))), 40).mean())


def background_of_first(frames: np.ndarray) -> np.ndarray:
    """What the first frame would show without the athlete, (H, W, 3) float32; NaN where no other frame looks."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    height, width = grey[0].shape
    shown = set(np.linspace(1, len(frames) - 1, min(SAMPLES, len(frames) - 1)).round().astype(int).tolist())
    to_first, layers = np.eye(3), []
    for t in range(1, len(frames)):
        to_first = to_first @ np.vstack([camera_motion(grey[t - 1], grey[t]), [0, 0, 1]])
        if t in shown:
            layer = cv2.warpAffine(
                frames[t].astype(np.float32), to_first[:2], (width, height), borderValue=(np.nan, np.nan, np.nan)
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
