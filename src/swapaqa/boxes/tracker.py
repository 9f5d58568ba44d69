"""Following the athlete from one box with OpenCV's trackers, the third box source of the paper's section 3.2.

CSRT (Lukezic et al. 2017) and KCF (Henriques et al. 2015) need no weights; Nano and ViT are learnt and need theirs.
The paper says "VOT", which is the name of a benchmark: a tracker here goes by its own name.

CSRT and KCF report no confidence of their own in OpenCV (their score is constantly -1), so theirs is how much of the
first box's colours the box still holds, the intersection of the two histograms: indifferent to the turning of a dive,
and near the true overlap on the demo data (docs/boxes_measured.md).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

from swapaqa.errors import InputError

Method = Literal["csrt", "kcf", "nano", "vit"]
WEIGHTS = {"csrt": (), "kcf": (), "nano": ("backbone.onnx", "neckhead.onnx"), "vit": ("vitTracker.onnx",)}
DETECTOR = "detector"  # who made a box that no tracker did
CLASSES = {"csrt": "TrackerCSRT", "kcf": "TrackerKCF", "nano": "TrackerNano", "vit": "TrackerVit"}
SMALLEST_SIDE = 32  # pixels: the frames are enlarged until the first box has them, below it the features are too coarse
KCF_DETECT_THRESHOLD = 0.1  # OpenCV's 0.5 gives a turning diver up within a few frames (docs/boxes_measured.md)
BINS = 8  # a colour channel


class Tracked(NamedTuple):
    """Where the athlete was found."""

    boxes: np.ndarray  # (T, 4) float64, inclusive pixels; the last one is held where it is lost
    confidence: np.ndarray  # (T,) from 0, lost, to 1


def track_boxes(frames: np.ndarray, first_box: np.ndarray, method: Method, weights: Sequence[str] = ()) -> Tracked:
    """Follow what `first_box` (4,) shows in the first of `frames` (T, H, W, 3) uint8 RGB through all of them.

    Args:
        weights: ONNX files of a learnt tracker: nano takes backbone and neckhead, vit takes one.

    Raises:
        InputError: a box outside of the frame, a build of OpenCV without the tracker, weights that are not there.
    """
    x1, y1, x2, y2 = _inside(first_box, frames.shape[1:3])
    scale = max(1.0, SMALLEST_SIDE / min(x2 - x1 + 1, y2 - y1 + 1))
    tracker = make_tracker(method, weights)
    first = _enlarged(frames[0], scale)
    corner: Sequence[float] = (
        round(x1 * scale),
        round(y1 * scale),
        round((x2 - x1 + 1) * scale),
        round((y2 - y1 + 1) * scale),
    )
    tracker.init(first, corner)
    if method == "kcf":  # OpenCV's KCF learns only at its first update, without looking: on the next frame it would lag
        tracker.update(first)
    colours = colours_in(first, corner)
    boxes, confidence = [np.array([x1, y1, x2, y2])], [1.0]
    for frame in frames[1:]:
        picture = _enlarged(frame, scale)
        found, corner = updated(tracker, picture)
        if found:
            left, top, width, height = np.array(corner) / scale
            boxes.append(np.array([left, top, left + width - 1, top + height - 1]))
            own = tracker.getTrackingScore() if WEIGHTS[method] else likeness(colours, colours_in(picture, corner))
            confidence.append(float(np.clip(own, 0, 1)))
        else:
            boxes.append(boxes[-1])
            confidence.append(0.0)
    return Tracked(np.stack(boxes), np.array(confidence))


def updated(tracker: Any, picture: np.ndarray) -> tuple[bool, Sequence[float]]:
    """Whether the athlete was found, and in which rectangle x, y, w, h.

    OpenCV's CSRT fails on an athlete who leaves the frame, with an assertion on the part of the picture it looks at:
    then he is lost.
    """
    try:
        found, corner = tracker.update(picture)
    except cv2.error:
        return False, (0, 0, 0, 0)
    return bool(found), corner


def make_tracker(method: Method, weights: Sequence[str]) -> Any:
    """An OpenCV tracker by its name. InputError if this build has none or the weights are missing."""
    if method not in CLASSES:
        raise InputError(f"boxes.method={method}: there are {', '.join(CLASSES)}")
    if len(weights) != len(WEIGHTS[method]):
        wanted = f"the {len(WEIGHTS[method])} files {', '.join(WEIGHTS[method])}" if WEIGHTS[method] else "none"
        raise InputError(f"boxes.weights={list(weights)}: {method} takes {wanted}")
    for path in weights:
        if not Path(path).expanduser().is_file():
            raise InputError(f"boxes.weights: {path}: no such file")
    name = CLASSES[method]
    if not hasattr(cv2, f"{name}_create"):
        raise InputError(
            f"boxes.method={method}: this build of OpenCV has no {name}; install opencv-contrib-python-headless and "
            "remove other opencv-python packages"
        )
    parameters = getattr(cv2, f"{name}_Params")()
    files = [str(Path(path).expanduser()) for path in weights]
    if method == "kcf":
        parameters.detect_thresh = KCF_DETECT_THRESHOLD
    elif method == "nano":
        parameters.backbone, parameters.neckhead = files
    elif method == "vit":
        parameters.net = files[0]
    try:
        return getattr(cv2, f"{name}_create")(parameters)
    except cv2.error as error:
        raise InputError(f"boxes.weights={files}: OpenCV cannot read them for {method} ({error.err})") from error


def overlap(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (T, 4) in inclusive pixels: (T,)."""
    low, high = np.maximum(found[:, :2], true[:, :2]), np.minimum(found[:, 2:], true[:, 2:])
    shared = np.clip(high - low + 1, 0, None).prod(axis=1)
    areas = [(boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1) for boxes in (found, true)]
    ratio: np.ndarray = shared / (areas[0] + areas[1] - shared)
    return ratio


def _inside(box: np.ndarray, size: tuple[int, ...]) -> list[float]:
    height, width = size
    x1, y1, x2, y2 = np.clip(box, 0, [width - 1, height - 1] * 2).tolist()
    if x2 - x1 < 2 or y2 - y1 < 2:
        raise InputError(
            f"first box {np.round(box, 1).tolist()}: under 3 pixels of it lie in the {width}x{height} frame"
        )
    return [x1, y1, x2, y2]


def _enlarged(frame: np.ndarray, scale: float) -> np.ndarray:
    """RGB -> the BGR that OpenCV's trackers expect, `scale` times as large."""
    picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    return picture if scale == 1 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)


def colours_in(picture: np.ndarray, corner: Sequence[float]) -> np.ndarray:
    """Share of every colour in the rectangle x, y, w, h: (BINS ** 3,); zeros where it lies outside."""
    x, y, w, h = (round(value) for value in corner)
    inside = np.ascontiguousarray(picture[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)])
    if not inside.size:
        return np.zeros(BINS**3)
    counts = cv2.calcHist([inside], [0, 1, 2], None, [BINS] * 3, [0, 256] * 3)
    shares: np.ndarray = counts.ravel() / counts.sum()
    return shares


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """The intersection of two histograms of `colours_in`: from 0 to 1."""
    return float(np.minimum(first, second).sum())
