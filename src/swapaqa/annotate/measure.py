"""Trackers and keyframes measured on the demo data, whose true centres are known."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from swapaqa.annotate.examine import cuts_between, measures, motion_of, pairs_of
from swapaqa.annotate.follow import follow_between
from swapaqa.annotate.suspicion import severity_of, suspicions
from swapaqa.boxes.detected import Detecting, film_detected
from swapaqa.boxes.motion import motion_inside
from swapaqa.boxes.objects import interpolate_keyframes
from swapaqa.boxes.shots import Filmed, shot_starts
from swapaqa.boxes.tracker import Method, overlap
from swapaqa.data.demo_files import DemoSettings, draw
from swapaqa.data.demo_scene import box_side
from swapaqa.data.demo_shots import keyframes_of

METHODS: tuple[Method, ...] = ("csrt", "kcf")  # those that need no weights
DEMO = DemoSettings(train=2, test=2, shifted=2, cue_strength=1.0, keyframes=4, seed=0)
LONGER = replace(DEMO, frames=32)
VARIANTS = {
    "demo": DEMO,
    "still": LONGER,
    "pans": replace(LONGER, pan=1.0),
    "people": replace(LONGER, distractors=2),
    "cuts": replace(LONGER, cuts=1.0),
    "broadcast": replace(LONGER, pan=1.0, distractors=2, cuts=1.0),  # data=demo_broadcast
}
KEYFRAMES = 3  # first, middle and last frame
MOVED_OFF = 20  # pixels to the right and down
GRADES = (0.0, 0.2, 0.5, 1.01)  # of overlap: wrong, loose, good
HAND_ERROR = 1.0  # pixels, standard deviation of every side of a box that a quick hand draws

Start = Literal["given", "motion", "keyframes", "by hand", "detector"]


class Measured(NamedTuple):
    """One video followed in one way."""

    overlap: np.ndarray  # (T,) intersection over union with the true boxes; NaN where the athlete is not shown
    confidence: np.ndarray  # (T,)
    outside: np.ndarray  # (T,) bool: shots of which the tracker says that they do not show the athlete
    seconds: float
    severity: float  # of the worst suspicion of `check`
    motion: tuple[float, float]  # inside the true boxes over beside them, and the same for boxes moved off the diver


def ways(detector: bool) -> Iterator[tuple[Method | None, Start]]:
    """What is compared: a tracker from one box or between keyframes, keyframes alone, and a detector."""
    if detector:
        yield "kcf", "detector"
    for method in METHODS:
        yield method, "given"
        yield method, "motion"
    for start in ("keyframes", "by hand"):
        yield None, start
        for method in METHODS:
            yield method, start


class Known(NamedTuple):
    """A demo video of which the truth is known."""

    frames: np.ndarray  # (T, H, W, 3)
    boxes: np.ndarray  # (T, 4); NaN where the athlete is not shown
    keys: np.ndarray  # frames in which a box is drawn

    @property
    def shown(self) -> np.ndarray:
        there: np.ndarray = ~np.isnan(self.boxes[:, 0])
        return there


def known_video(index: int, demo: DemoSettings) -> Known:
    """Demo video `index`: keyframes are the first, middle and last one that show the athlete, and those at cuts."""
    rng = np.random.default_rng((demo.seed, index))
    _, frames, centres, starts = draw(rng, "diving", "train", demo)
    side = box_side(demo.scene)
    boxes = np.concatenate([centres - side / 2, centres + side / 2 - 1], axis=1)
    return Known(frames, boxes, keyframes_of(~np.isnan(centres[:, 0]), starts, KEYFRAMES))


def follow_demo(
    index: int,
    method: Method | None,
    start: Start,
    lost_below: float,
    demo: DemoSettings,
    detecting: Detecting | None = None,
) -> Measured:
    """The boxes of demo video `index`, from `start` on; without a method they are interpolated."""
    video = known_video(index, demo)
    drawn = drawn_boxes(video, start, np.random.default_rng((demo.seed, index, 1)))
    begin = time.perf_counter()
    if method is None:
        boxes = interpolate_keyframes(np.array(list(drawn)), np.stack(list(drawn.values())), range(len(video.frames)))
        filmed = Filmed(boxes, np.ones(len(boxes)), ~video.shown)
    elif start == "detector" and detecting:
        (filmed,) = film_detected(video.frames, detecting, method, lost_below)
    else:
        filmed = follow_between(video.frames, drawn, method, (), lost_below)
    return judged(video, filmed, time.perf_counter() - begin, lost_below)


def drawn_boxes(video: Known, start: Start, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """The boxes from which a video is followed, by frame."""
    chosen = {"motion": [], "detector": [], "given": video.keys[:1].tolist()}.get(start, video.keys.tolist())
    errors = rng.normal(0, HAND_ERROR if start == "by hand" else 0, (len(chosen), 4))
    return {frame: video.boxes[frame] + error for frame, error in zip(chosen, errors, strict=True)}


def judged(video: Known, filmed: Filmed, seconds: float, lost_below: float) -> Measured:
    """What `check` says of a track, and what the truth says."""
    pictures, times = dict(enumerate(video.frames)), list(range(len(video.frames)))
    boxed = np.flatnonzero(filmed.confidence >= lost_below).tolist()
    cuts = cuts_between(shot_starts(video.frames)[1:], times, set(np.flatnonzero(filmed.outside).tolist()))
    found = suspicions(measures(pictures, times, filmed.boxes, boxed, cuts)[0])
    true = interpolate_keyframes(np.flatnonzero(video.shown), video.boxes[video.shown], times)
    motion = [motion_inside(*motion_of(pictures, *pairs_of(times), times, boxes)) for boxes in (true, true + MOVED_OFF)]
    overlaps = np.where(video.shown, overlap(filmed.boxes, true), np.nan)
    return Measured(overlaps, filmed.confidence, filmed.outside, seconds, severity_of(found), (motion[0], motion[1]))


def summary(found: list[Measured], lost_below: float) -> list[str]:
    """The numbers of one row, without the first frame, which is mostly given."""
    overlaps = np.stack([video.overlap for video in found])[:, 1:]
    confidence = np.stack([video.confidence for video in found])[:, 1:]
    shown = ~np.isnan(overlaps)
    related = ""
    if confidence[shown].std() > 0:
        related = f"{np.corrcoef(confidence[shown], overlaps[shown])[0, 1]:.2f}"
    return [
        f"{np.nanmean(overlaps):.3f}",
        f"{np.nanmean(overlaps, axis=1).min():.3f}",
        f"{np.nanmean([video.overlap[0] for video in found]):.3f}",
        f"{(confidence[shown] < lost_below).mean():.1%}",
        related,
        f"{np.mean([video.seconds for video in found]):.2f}",
    ]


def outside_counts(found: list[Measured]) -> str:
    """Of the frames without the athlete how many are called outside, and how many of those with him."""
    absent = np.concatenate([np.isnan(video.overlap) for video in found])
    outside = np.concatenate([video.outside for video in found])
    return f"{(outside & absent).sum()} of {absent.sum()}, {(outside & ~absent).sum()} of {(~absent).sum()}"


def suspected(found: list[Measured]) -> list[str]:
    """What `check` would say: how many tracks of each grade are suspicious, and the motion on and off the diver."""
    means = np.array([np.nanmean(video.overlap[1:]) for video in found])
    suspicious = np.array([video.severity >= 1 for video in found])
    lines = []
    for low, high in itertools.pairwise(GRADES):
        grade = (means >= low) & (means < high)
        lines.append(f"IoU {low:.1f} to {min(high, 1):.1f}: {(suspicious & grade).sum()} of {grade.sum()} suspicious")
    on, off = np.array([video.motion for video in found]).T
    lines.append(f"motion in the true boxes over motion beside them: {on.min():.1f} to {on.max():.1f}")
    return [*lines, f"the same, the boxes moved by {MOVED_OFF} pixels: {off.min():.1f} to {off.max():.1f}"]
