"""Where one shot of a video ends and the next begins: an athlete is never followed across a cut.

A cut is a change of colours that stands out against the changes around it. Each frame is a 2x2 grid of colour
histograms; the change from frame to frame is one minus their intersection (Swain and Ballard 1991). A fixed threshold
alone takes a fast pan for a cut: on a real dive, 21 frames of a gif, the colours change by up to 0.6 without one. So
a cut must also be twice any change within two frames of it, as in PySceneDetect's adaptive detector, which compares
with the mean. A flash of one frame changes the colours twice, and is none.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from swapaqa.boxes.motion import motion_followed
from swapaqa.boxes.tracker import Tracked, colours_in, likeness
from swapaqa.errors import InputError

GRID, BINS = 2, 8  # cells a side, bins of a colour channel
SIDE = 64  # pixels of the small square in which colours are counted
LEAST = 0.25  # change: below, no cut is meant
STANDS_OUT = 2.0  # times the largest change around it
AROUND = 2  # changes before and after
REPEATED = 0.005  # change: not above, the frame is the one before, shown again
LEAST_FOUND = 0.5  # of a shot's frames
LEAST_MOTION = 1.2  # in the boxes over beside them
LESS_MOTION = 0.5  # of the best shot's
ALIKE = 0.22  # of the colours in the box
LOOKED_AT = 8  # frames of a shot, for its colours
INNER = 0.6  # of a box's sides: the athlete, and little of what is behind


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
    """The positions of frames that a cut comes before. `changes` (T - 1,): of frame t + 1 from frame t at t.

    Behind a frame that is shown again a change is that of several frames, and has to stand out so much more: a camera
    that pans while the recorder drops frames is not cut.
    """
    cuts = []
    for t in np.flatnonzero(changes >= LEAST):
        before, after = changes[max(0, t - AROUND) : t], changes[t + 1 : t + 1 + AROUND]
        repeated = next((count for count, change in enumerate(before[::-1]) if change > REPEATED), len(before))
        if changes[t] >= STANDS_OUT * (1 + repeated) * np.concatenate([before, after]).max(initial=0):
            cuts.append(int(t) + 1)
    return cuts


class Filmed(NamedTuple):
    """One athlete over all shots of T frames."""

    boxes: np.ndarray  # (T, 4) float64, inclusive pixels
    confidence: np.ndarray  # (T,) from 0, lost, to 1
    outside: np.ndarray  # (T,) bool: the shot does not show the athlete; its confidence is 0


def follow_shots(
    frames: np.ndarray,
    lost_below: float,
    follow: Callable[[slice], Tracked],
    starts: Sequence[int] | None = None,
    drawn: Iterable[int] = (),
) -> Filmed:
    """One track over all shots of `frames` (T, H, W, 3), each followed by itself.

    Shots that do not show the athlete are `outside`: those in which `follow` finds nobody, and those in which it finds
    somebody else (`shows_athlete`) than in the best shot, where the athlete is found for longest. They get the box of
    the nearest frame of another shot. A shot with a frame of `drawn` shows the athlete in any case.

    At a cut the box of the nearest frame of the same shot in which the athlete was found is held, so that what is lost
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
    if np.isnan(boxes).all():
        raise problems[0]
    outside = _outside(frames, Tracked(boxes, confidence), shots, lost_below, set(drawn))
    boxes[outside], confidence[outside] = np.nan, 0
    known = np.flatnonzero(~outside)
    for shot in shots:
        _hold_at_cuts(boxes, confidence, shot, lost_below)
    for t in np.flatnonzero(outside):
        boxes[t] = boxes[known[np.abs(known - t).argmin()]]
    return Filmed(boxes, confidence, outside)


def begins(outside: np.ndarray) -> np.ndarray:
    """The first frame of each run of True in (T,) bool: (T,) bool."""
    first: np.ndarray = outside & ~np.concatenate([[False], outside[:-1]])
    return first


def _outside(
    frames: np.ndarray, tracked: Tracked, shots: Sequence[slice], lost_below: float, drawn: set[int]
) -> np.ndarray:
    """(T,) bool: frames of shots that do not show the athlete. A shot without any track has boxes of NaN."""
    found = tracked.confidence >= lost_below
    looks = {
        shot.start: _look(frames[shot], tracked.boxes[shot], found[shot])
        for shot in shots
        if not np.isnan(tracked.boxes[shot.start, 0])
    }
    sure = [shot for shot in shots if any(shot.start <= frame < shot.stop for frame in drawn) and shot.start in looks]
    best = max(sure or shots, key=lambda shot: int(found[shot].sum()) if shot.start in looks else -1)
    outside = np.ones(len(frames), bool)
    for shot in shots:
        certain = shot in (best, *sure)
        if certain or (shot.start in looks and shows_athlete(looks[shot.start], looks[best.start])):
            outside[shot] = False
    return outside


class Look(NamedTuple):
    """What was followed in a shot."""

    found: float  # share of the frames
    motion: float  # `motion_inside`; NaN where it is not known
    colours: np.ndarray  # shares, the mean over the frames in which it was found


def _look(frames: np.ndarray, boxes: np.ndarray, found: np.ndarray) -> Look:
    shown = np.flatnonzero(found) if found.any() else np.arange(1)
    shown = shown[np.linspace(0, len(shown) - 1, min(LOOKED_AT, len(shown))).round().astype(int)]
    colours = []
    for t in shown:
        size = INNER * (boxes[t, 2:] - boxes[t, :2] + 1)
        colours.append(colours_in(frames[t], (*(boxes[t, :2] + boxes[t, 2:] + 1 - size) / 2, *size)))
    return Look(float(found.mean()), motion_followed(frames, boxes), np.mean(colours, axis=0))


def shows_athlete(look: Look, best: Look) -> bool:
    """Whether a shot shows the athlete of the `best` one: mostly found, moving about as much, in like colours."""
    if look.found < LEAST_FOUND or look.motion < max(LEAST_MOTION, LESS_MOTION * best.motion):
        return False
    return likeness(look.colours, best.colours) >= ALIKE


def _hold_at_cuts(boxes: np.ndarray, confidence: np.ndarray, shot: slice, lost_below: float) -> None:
    found = shot.start + np.flatnonzero(confidence[shot] >= max(lost_below, np.nextafter(0, 1)))
    edges = [edge for edge in (shot.start, shot.stop - 1) if edge not in (0, len(boxes) - 1)]
    for edge in edges if len(found) else ():
        nearest = found[np.abs(found - edge).argmin()]
        boxes[edge], confidence[edge] = boxes[nearest], confidence[nearest]
