"""Where one shot of a video ends and the next begins: an athlete is never followed across a cut.

A cut is a change of colours that stands out against the changes around it. Each frame is a 2x2 grid of colour
histograms; the change from frame to frame is one minus their intersection (Swain and Ballard 1991). A fixed threshold
alone takes a fast pan for a cut: on a real dive, 21 frames of a gif, the colours change by up to 0.6 without one. So
a cut must also be twice any change within two frames of it, as in PySceneDetect's adaptive detector, which compares
with the mean. A flash of one frame changes the colours twice, and is none.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np

from swapaqa.boxes.tracker import Tracked
from swapaqa.errors import InputError

GRID, BINS = 2, 8  # cells a side, bins of a colour channel
SIDE = 64  # pixels of the small square in which colours are counted
LEAST = 0.25  # change: below, no cut is meant
STANDS_OUT = 2.0  # times the largest change around it
AROUND = 2  # changes before and after


def shot_starts(frames: Iterable[np.ndarray]) -> list[int]:
    """The first frames of all shots, 0 first, by position in `frames`, each (H, W, 3) uint8. Looked at once."""
    return [0, *cuts_among(colour_changes(frames))]


def colour_changes(frames: Iterable[np.ndarray]) -> np.ndarray:
    """How much the colours change from each frame to the next: (T - 1,) from 0 to 1."""
    changes, before = [], None
    for frame in frames:
        after = _colours(frame)
        if before is not None:
            changes.append(1 - float(np.minimum(before, after).sum()))
        before = after
    return np.array(changes)


def _colours(frame: np.ndarray) -> np.ndarray:
    """Shares of every colour in every cell, (GRID * GRID, BINS ** 3), that sum to 1."""
    small, side = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA), SIDE // GRID
    cells = [small[y : y + side, x : x + side] for y in range(0, SIDE, side) for x in range(0, SIDE, side)]
    counts = [cv2.calcHist([np.ascontiguousarray(c)], [0, 1, 2], None, [BINS] * 3, [0, 256] * 3) for c in cells]
    return np.stack(counts).reshape(len(cells), -1) / SIDE**2


def cuts_among(changes: np.ndarray) -> list[int]:
    """The positions of frames that a cut comes before. `changes` (T - 1,): of frame t + 1 from frame t at t."""
    cuts = []
    for t in np.flatnonzero(changes >= LEAST):
        around = np.concatenate([changes[max(0, t - AROUND) : t], changes[t + 1 : t + 1 + AROUND]])
        if changes[t] >= STANDS_OUT * around.max(initial=LEAST / STANDS_OUT):
            cuts.append(int(t) + 1)
    return cuts


def follow_shots(
    frames: np.ndarray, lost_below: float, follow: Callable[[slice], Tracked], starts: Sequence[int] | None = None
) -> Tracked:
    """One track over all shots of `frames` (T, H, W, 3), each followed by itself.

    A shot in which `follow` finds no athlete is lost: confidence 0, and the box of the nearest shot that has one. At a
    cut the box of the nearest frame of the same shot in which the athlete was found is held, so that what is lost
    beside it is never interpolated across.

    Args:
        follow: the track of a slice of frames; InputError where there is nobody to follow.
        starts: as of `shot_starts`, where they are known.

    Raises:
        InputError: no shot has an athlete.
    """
    bounds = [*(shot_starts(frames) if starts is None else starts), len(frames)]
    shots = [slice(start, stop) for start, stop in itertools.pairwise(bounds)]
    boxes, confidence = np.full((len(frames), 4), np.nan), np.zeros(len(frames))
    problems = []
    for shot in shots:
        try:
            boxes[shot], confidence[shot] = follow(shot)
        except InputError as error:
            problems.append(error)
    known = np.flatnonzero(~np.isnan(boxes[:, 0]))
    if not len(known):
        raise problems[0]
    for shot in shots:
        _hold_at_cuts(boxes, confidence, shot, lost_below)
    for t in np.flatnonzero(np.isnan(boxes[:, 0])):
        boxes[t] = boxes[known[np.abs(known - t).argmin()]]
    return Tracked(boxes, confidence)


def _hold_at_cuts(boxes: np.ndarray, confidence: np.ndarray, shot: slice, lost_below: float) -> None:
    found = shot.start + np.flatnonzero(confidence[shot] >= max(lost_below, np.nextafter(0, 1)))
    edges = [edge for edge in (shot.start, shot.stop - 1) if edge not in (0, len(boxes) - 1)]
    for edge in edges if len(found) else ():
        nearest = found[np.abs(found - edge).argmin()]
        boxes[edge], confidence[edge] = boxes[nearest], confidence[nearest]
