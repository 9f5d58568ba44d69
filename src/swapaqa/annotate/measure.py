"""Trackers and keyframes measured on the demo data, whose true centres are known."""

import itertools
import time
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from swapaqa.annotate.examine import measures, motion_of, pairs_of
from swapaqa.annotate.follow import follow_between
from swapaqa.annotate.suspicion import suspicions
from swapaqa.boxes.motion import find_first_box
from swapaqa.boxes.objects import interpolate_keyframes
from swapaqa.boxes.tracker import Method, Tracked, overlap, track_boxes
from swapaqa.data.demo_files import DemoSettings, draw

METHODS: tuple[Method, ...] = ("csrt", "kcf")  # those that need no weights
DEMO = DemoSettings(train=2, test=2, shifted=2, cue_strength=1.0, keyframes=4, seed=0)
SIDE = 0.205 * DEMO.size  # of the demo's boxes
KEYFRAMES = 3  # first, middle and last frame
MOVED_OFF = 20  # pixels to the right and down
GRADES = (0.0, 0.2, 0.5, 1.01)  # of overlap: wrong, loose, good
HAND_ERROR = 1.0  # pixels, standard deviation of every side of a box that a quick hand draws

Start = Literal["given", "motion", "keyframes", "by hand"]


class Measured(NamedTuple):
    """One video followed in one way."""

    overlap: np.ndarray  # (T,) intersection over union with the true boxes
    confidence: np.ndarray  # (T,)
    seconds: float
    severity: float  # of the worst suspicion of `check`
    motion: tuple[float, float]  # inside the true boxes over beside them, and the same for boxes moved off the diver


def ways() -> Iterator[tuple[Method | None, Start]]:
    """What is compared: a tracker from one box or between keyframes, and keyframes alone."""
    for method in METHODS:
        yield method, "given"
        yield method, "motion"
    for start in ("keyframes", "by hand"):
        yield None, start
        for method in METHODS:
            yield method, start


def follow_demo(index: int, method: Method | None, start: Start, lost_below: float) -> Measured:
    """The boxes of demo video `index`, from `start` on; without a method they are interpolated."""
    rng = np.random.default_rng((DEMO.seed, index))
    _, frames, centres = draw(rng, "diving", "train", DEMO)
    true = np.concatenate([centres - SIDE / 2, centres + SIDE / 2 - 1], axis=1)
    keys = np.linspace(0, len(frames) - 1, KEYFRAMES).round().astype(int)
    drawn = true[keys]
    if start == "by hand":
        drawn = drawn + rng.normal(0, HAND_ERROR, drawn.shape)
    begin = time.perf_counter()
    if method is None:
        tracked = Tracked(interpolate_keyframes(keys, drawn, range(len(frames))), np.ones(len(frames)))
    elif start in ("given", "motion"):
        tracked = track_boxes(frames, true[0] if start == "given" else find_first_box(frames), method)
    else:
        anchors = dict(zip(keys.tolist(), drawn, strict=True))
        tracked = follow_between(frames, anchors, method, (), lost_below)
    seconds = time.perf_counter() - begin
    pictures, times = dict(enumerate(frames)), list(range(len(frames)))
    boxed = np.flatnonzero(tracked.confidence >= lost_below).tolist()
    found = suspicions(measures(pictures, times, tracked.boxes, boxed)[0])
    motion = [motion_of(pictures, *pairs_of(times), times, boxes) for boxes in (true, true + MOVED_OFF)]
    found_overlap = overlap(tracked.boxes, true)
    return Measured(found_overlap, tracked.confidence, seconds, found[0].severity, (motion[0], motion[1]))


def summary(found: list[Measured], lost_below: float) -> list[str]:
    """The numbers of one row, without the first frame, which is mostly given."""
    overlaps = np.stack([video.overlap for video in found])[:, 1:]
    confidence = np.stack([video.confidence for video in found])[:, 1:]
    related = "" if confidence.std() == 0 else f"{np.corrcoef(confidence.ravel(), overlaps.ravel())[0, 1]:.2f}"
    return [
        f"{overlaps.mean():.3f}",
        f"{overlaps.mean(axis=1).min():.3f}",
        f"{np.mean([video.overlap[0] for video in found]):.3f}",
        f"{(confidence < lost_below).mean():.1%}",
        related,
        f"{np.mean([video.seconds for video in found]):.2f}",
    ]


def suspected(found: list[Measured]) -> list[str]:
    """What `check` would say: how many tracks of each grade are suspicious, and the motion on and off the diver."""
    means = np.array([video.overlap[1:].mean() for video in found])
    suspicious = np.array([video.severity >= 1 for video in found])
    lines = []
    for low, high in itertools.pairwise(GRADES):
        grade = (means >= low) & (means < high)
        lines.append(f"IoU {low:.1f} to {min(high, 1):.1f}: {(suspicious & grade).sum()} of {grade.sum()} suspicious")
    on, off = np.array([video.motion for video in found]).T
    lines.append(f"motion in the true boxes over motion beside them: {on.min():.1f} to {on.max():.1f}")
    return [*lines, f"the same, the boxes moved by {MOVED_OFF} pixels: {off.min():.1f} to {off.max():.1f}"]
