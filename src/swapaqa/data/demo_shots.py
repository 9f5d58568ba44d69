"""Shots of a demo video: what the cameras of a broadcast show beside the one that stands at the platform.

A video with cuts begins with spectators, in whom no athlete is, or changes to a camera on the other side of the venue
while the athlete performs, or both.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

Camera = Literal["platform", "opposite", "spectators"]
OPENING = (0.1, 0.25)  # of the frames: how long spectators are shown
CHANGE = (0.45, 0.7)  # of the frames: when the camera changes


class Shot(NamedTuple):
    """Frames from `first` on, until the next shot begins."""

    first: int
    camera: Camera


def plan_shots(extras: np.random.Generator, frames: int, cuts: float) -> list[Shot]:
    """The shots of one video, the first one from frame 0; more than one with probability `cuts`."""
    if not cuts or extras.random() >= cuts:
        return [Shot(0, "platform")]
    opens, changes = [(True, False), (False, True), (True, True)][extras.integers(3)]
    shots = [Shot(0, "platform")]
    if opens:
        shots = [Shot(0, "spectators"), Shot(max(2, round(frames * extras.uniform(*OPENING))), "platform")]
    if changes:
        shots.append(Shot(round(frames * extras.uniform(*CHANGE)), "opposite"))
    return shots


def camera_of(shots: Sequence[Shot], frame: int) -> Camera:
    """Which camera shows a frame."""
    return next(shot.camera for shot in reversed(shots) if shot.first <= frame)


def keyframes_of(there: np.ndarray, starts: Sequence[int], count: int) -> np.ndarray:
    """`count` frames spread over those in which the athlete is (T,) bool, and the edges of his shots, ascending.

    Between keyframes boxes are interpolated, and an athlete does not move across a cut.
    """
    shown = np.flatnonzero(there)
    spread = shown[np.linspace(0, len(shown) - 1, min(count, len(shown))).round().astype(int)]
    edges = [edge for start in starts[1:] for edge in (start - 1, start) if there[edge]]
    return np.unique([*spread, *edges]).astype(int)
