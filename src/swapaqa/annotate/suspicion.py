"""How suspicious a video's boxes are: pure measures of a track, each compared with a limit.

A measure at its limit has severity 1. The limits were set by looking at the demo's true boxes, at boxes moved off the
athlete, and at trackers on a real dive (docs/boxes_measured.md).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from swapaqa.boxes.motion import motion_inside
from swapaqa.boxes.tracker import overlap

HARM, AT_A_CUT = "expected harm", "unmoved at a cut"
LIMITS = {
    HARM: 0.4,  # share of the swap that is expected to be wrong
    "jump": 0.5,  # of the box's size, how far its centre leaves its neighbours' line
    "size change": 2.0,  # of the area, from frame to frame
    "lost": 0.25,  # of the frames: without a box of the tracker, or before the first or after the last box
    AT_A_CUT: 0.3,  # IoU of the boxes before and after a cut: two shots show nobody in one place
    "outside": 0.25,  # of the frames: less than half of the box lies in the frame
    "no motion inside": 1.2,  # motion in the box over motion beside it, at least
}
TELLING = 0.15  # expected harm: below, alarms of other measures were false on the demo (docs/boxes_measured.md)
RATIO = 2.0  # at which boxes are swapped
STILL = 4.0  # grey levels of motion above the median that are noise
LOWER_IS_WORSE = ("no motion inside",)
DENSE = 0.5  # of the frames: a file with more boxes is a tracker's or an export, and its gaps mean something


class Suspicion(NamedTuple):
    """One measure and how bad it is: 1 and more is suspicious."""

    measure: str  # a key of LIMITS
    value: float
    severity: float
    frame: int | None = None  # of the video, where it is one frame's


def suspicions(values: dict[str, float], frames: dict[str, int] | None = None) -> list[Suspicion]:
    """`values` by measure (NaN: not known), the worst first; `frames` by measure."""
    found = []
    for measure, value in values.items():
        limit = LIMITS[measure]
        if not np.isnan(value):
            severity = limit / max(value, 1e-3) if measure in LOWER_IS_WORSE else value / limit
            found.append(Suspicion(measure, value, severity, (frames or {}).get(measure)))
    return sorted(found, key=lambda suspicion: -suspicion.severity)


def severity_of(found: Sequence[Suspicion]) -> float:
    """Of a video: its expected harm over the limit, and at least 1 where another measure is beyond its own.

    So the list is in the order of what the swap would lose, and 1 and more is suspicious. Where the expected harm is
    known and below TELLING, no other measure makes a video suspicious but a box that stands still at a cut: between two
    shots no motion is looked for.
    """
    harms = [suspicion for suspicion in found if suspicion.measure == HARM]
    harm = max((suspicion.severity for suspicion in harms), default=0.0)
    tells = not harms or max(suspicion.value for suspicion in harms) >= TELLING
    beyond = any(suspicion.severity >= 1 and (tells or suspicion.measure == AT_A_CUT) for suspicion in found)
    return max(harm, 1.0) if beyond else harm


def expected_harm(differences: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
    """Share of the swap that is expected to be wrong, from 0 to 1, by pairs of frames; NaN without a pair.

    The mean of two shares: of the motion that lies outside of the boxes at ratio 2, where it would be replaced, and of
    the pairs in whose boxes nothing moves more than beside them. Motion is what remains after the camera's, see
    `swapaqa.boxes.motion.residual_motion`; who else moves counts as missed.

    Args:
        differences, before, after: as of `motion_inside`.
    """
    missed, still = [], []
    for difference, *pair in zip(differences, before, after, strict=True):
        moving = np.clip(difference - np.median(difference) - STILL, 0, None)
        kept = np.zeros(difference.shape, bool)
        for x1, y1, x2, y2 in map(grown, pair):
            kept[max(0, int(y1)) : max(0, int(y2) + 1), max(0, int(x1)) : max(0, int(x2) + 1)] = True
        if moving.any():
            missed.append(1 - moving[kept].sum() / moving.sum())
        inside = motion_inside(difference[None], pair[0][None], pair[1][None])
        if not np.isnan(inside):
            still.append(inside < LIMITS["no motion inside"])
    shares = [float(np.mean(shares)) for shares in (missed, still) if shares]
    return float(np.mean(shares)) if shares else float("nan")


def grown(box: np.ndarray) -> np.ndarray:
    """A box (4,) about its centre at RATIO, in whole pixels."""
    grow = (box[2:] - box[:2] + 1) * (RATIO - 1) / 2
    return np.concatenate([np.floor(box[:2] - grow), np.ceil(box[2:] + grow)])


def jumps(boxes: np.ndarray, cuts: Sequence[int] = ()) -> np.ndarray:
    """How far each centre lies from the line between its neighbours, in units of the box's size: (T,), 0 at the ends.

    boxes (T, 4) inclusive pixels; the size is the root of the median area. Steady motion, however fast, gives 0. A step
    by d gives d / 2, a single frame that is off by d gives d. Beside `cuts`, the first frames of later shots, boxes
    have to jump: 0.
    """
    found = np.zeros(len(boxes))
    if len(boxes) > 2:
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        bend = np.linalg.norm(centres[2:] - 2 * centres[1:-1] + centres[:-2], axis=1) / 2
        found[1:-1] = bend / np.sqrt(np.median(areas(boxes)))
    for cut in cuts:
        found[cut - 1 : cut + 1] = 0
    return found


def size_changes(boxes: np.ndarray, cuts: Sequence[int] = ()) -> np.ndarray:
    """The ratio of each box's area to the one before, at least 1: (T,), 1 for the first and at `cuts`. boxes (T, 4)."""
    found = np.ones(len(boxes))
    found[1:] = np.exp(np.abs(np.diff(np.log(areas(boxes)))))
    found[list(cuts)] = 1
    return found


def unmoved(boxes: np.ndarray, cuts: Sequence[int]) -> np.ndarray:
    """At each of `cuts` the overlap (IoU) of the boxes (T, 4) before and after it: (T,), 0 elsewhere."""
    found = np.zeros(len(boxes))
    later = np.array(cuts, int)
    found[later] = overlap(boxes[later - 1], boxes[later])
    return found


def areas(boxes: np.ndarray) -> np.ndarray:
    """Pixels of boxes (T, 4): (T,), at least 1."""
    pixels: np.ndarray = np.maximum(boxes[:, 2:] - boxes[:, :2] + 1, 1).prod(axis=1)
    return pixels


def lost_share(frames: Sequence[int], boxed: Sequence[int]) -> float:
    """Share of the window's `frames` for which the file has nothing to say. `boxed`: the frames that have a box there.

    Frames before the first and after the last box, which get the nearest one; in a dense file also those between.
    """
    there, window = set(boxed), np.array(frames)
    if not there:
        return 1.0
    beyond = (window < min(there)) | (window > max(there))
    known = np.array([frame in there for frame in frames])
    if known.sum() < DENSE * len(frames):
        return float(beyond.mean())
    return float((~known).mean())


def outside_share(boxes: np.ndarray, size: tuple[int, int]) -> float:
    """Share of the boxes (T, 4) of which less than half lies in a frame of `size` (H, W)."""
    height, width = size
    low = np.maximum(boxes[:, :2], 0)
    high = np.minimum(boxes[:, 2:], [width - 1, height - 1])
    seen = np.clip(high - low + 1, 0, None).prod(axis=1)
    return float((seen < 0.5 * areas(boxes)).mean())
