"""Trackers and keyframes measured on videos of which the truth is known."""

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from rich.table import Table
from scipy.stats import t

from swapaqa.annotate.examine import measures, motion_of, pairs_of
from swapaqa.annotate.follow import follow_between
from swapaqa.annotate.known import Known
from swapaqa.annotate.suspicion import RATIO, severity_of, suspicions
from swapaqa.boxes.detected import Detecting, film_detected
from swapaqa.boxes.motion import motion_inside
from swapaqa.boxes.objects import interpolate_keyframes
from swapaqa.boxes.shots import Filmed, shot_starts
from swapaqa.boxes.tracker import Method, overlap
from swapaqa.errors import InputError

METHODS: tuple[Method, ...] = ("csrt", "kcf")  # those that need no weights
MOVED_OFF = 1.5  # of the box's side, to the right and down
GRADES = (0.0, 0.2, 0.5, 1.01)  # of overlap: wrong, loose, good
HAND_ERROR = 0.0762  # of a box's side, a pixel of the demo's: standard deviation of each side that a quick hand draws

Start = Literal["given", "motion", "keyframes", "by hand", "detector"]


class Measured(NamedTuple):
    """One video followed in one way."""

    harm: float  # share of the athlete that the swap replaces, see `harm_of`
    overlap: np.ndarray  # (T,) intersection over union with the true boxes; NaN where the athlete is not shown
    confidence: np.ndarray  # (T,)
    outside: np.ndarray  # (T,) bool: shots of which the tracker says that they do not show the athlete
    seconds: float
    severity: float  # of the worst suspicion of `check`
    motion: tuple[float, float]  # inside the true boxes over beside them, and the same for boxes moved off the diver

    @property
    def mean_overlap(self) -> float:
        """Without the first frame, which is mostly given."""
        return float(np.nanmean(self.overlap[1:]))


def ways() -> Iterator[tuple[Method | None, Start]]:
    """What is compared: a tracker from one box or between keyframes, keyframes alone, and a detector."""
    yield "kcf", "detector"
    for method in METHODS:
        yield method, "given"
        yield method, "motion"
    for start in ("keyframes", "by hand"):
        yield None, start
        for method in METHODS:
            yield method, start


def follow_all(
    videos: Iterable[tuple[np.random.Generator, Known]],
    method: Method | None,
    start: Start,
    lost_below: float,
    detecting: Detecting,
) -> list[Measured]:
    """`follow_known` of every video; one in which nobody is found has an overlap of 0."""
    found = []
    for rng, video in videos:
        begin = time.perf_counter()
        try:
            found.append(follow_known(video, method, start, lost_below, rng, detecting))
        except InputError:
            count = len(video.frames)
            nobody = Filmed(np.zeros((count, 4)), np.zeros(count), np.zeros(count, bool))
            found.append(judged(video, nobody, time.perf_counter() - begin, lost_below))
    return found


def follow_known(
    video: Known,
    method: Method | None,
    start: Start,
    lost_below: float,
    rng: np.random.Generator,
    detecting: Detecting,
) -> Measured:
    """The boxes of a video, from `start` on; without a method they are interpolated.

    Raises:
        InputError: nobody is found.
    """
    drawn = drawn_boxes(video, start, rng)
    begin = time.perf_counter()
    if method is None:
        boxes = interpolate_keyframes(np.array(list(drawn)), np.stack(list(drawn.values())), range(len(video.frames)))
        filmed = Filmed(boxes, np.ones(len(boxes)), ~video.shown)
    elif start == "detector":
        (filmed,) = film_detected(video.frames, detecting, method, lost_below)
    else:
        filmed = follow_between(video.frames, drawn, method, (), lost_below)
    return judged(video, filmed, time.perf_counter() - begin, lost_below)


def drawn_boxes(video: Known, start: Start, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """The boxes from which a video is followed, by frame."""
    chosen = {"motion": [], "detector": [], "given": video.keys[:1].tolist()}.get(start, video.keys.tolist())
    errors = video.side * rng.normal(0, HAND_ERROR if start == "by hand" else 0, (len(chosen), 4))
    return {frame: video.boxes[frame] + error for frame, error in zip(chosen, errors, strict=True)}


def judged(video: Known, filmed: Filmed, seconds: float, lost_below: float) -> Measured:
    """What `check` says of a track, and what the truth says."""
    pictures, times = dict(enumerate(video.frames)), list(range(len(video.frames)))
    boxed = np.flatnonzero(filmed.confidence >= lost_below).tolist()
    away = set(np.flatnonzero(filmed.outside).tolist())
    found = suspicions(measures(pictures, times, filmed.boxes, boxed, shot_starts(video.frames)[1:], away)[0])
    true = video.everywhere
    off = true + MOVED_OFF * video.side
    motion = [motion_inside(*motion_of(pictures, *pairs_of(times), times, boxes)) for boxes in (true, off)]
    overlaps = np.where(video.shown, overlap(filmed.boxes, true), np.nan)
    return Measured(
        harm_of(filmed.boxes, video.boxes),
        overlaps,
        filmed.confidence,
        filmed.outside,
        seconds,
        severity_of(found),
        (motion[0], motion[1]),
    )


def harm_of(boxes: np.ndarray, true: np.ndarray) -> float:
    """The share of the `true` boxes (T, 4) that `boxes` at RATIO leave out, the mean over frames that have one."""
    grow = (boxes[:, 2:] - boxes[:, :2] + 1) * (RATIO - 1) / 2
    low, high = np.maximum(boxes[:, :2] - grow, true[:, :2]), np.minimum(boxes[:, 2:] + grow, true[:, 2:])
    kept = np.clip(high - low + 1, 0, None).prod(axis=1) / (true[:, 2:] - true[:, :2] + 1).prod(axis=1)
    return float(np.nanmean(1 - kept))


def summary(found: list[Measured], lost_below: float) -> list[str]:
    """The numbers of one row, without the first frame, which is mostly given."""
    overlaps = np.concatenate([video.overlap[1:] for video in found])
    confidence = np.concatenate([video.confidence[1:] for video in found])
    shown = ~np.isnan(overlaps)
    related = ""
    if confidence[shown].std() > 0:
        related = f"{np.corrcoef(confidence[shown], overlaps[shown])[0, 1]:.2f}"
    return [
        f"{np.nanmean(overlaps):.3f}",
        f"{min(video.mean_overlap for video in found):.3f}",
        mean_and_interval([video.harm for video in found]),
        f"{np.nanmean([video.overlap[0] for video in found]):.3f}",
        f"{(confidence[shown] < lost_below).mean():.1%}",
        related,
        f"{np.mean([video.seconds for video in found]):.2f}",
    ]


def mean_and_interval(values: Sequence[float]) -> str:
    """Mean and half of its 95 % interval by Student's t; of one value the value alone."""
    if len(values) < 2:
        return f"{np.mean(values):.3f}"
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {half:.3f}"


def clip_table(rows: Mapping[tuple[Method | None, Start], Sequence[Measured]], clips: Sequence[str]) -> Table:
    """A row for each way to boxes, a column for each clip: mean IoU, and the share of the athlete that is replaced."""
    table = Table(title="clips: mean IoU, share of the athlete that the swap replaces")
    for column in ("tracker", "from", *clips, "s a video"):
        table.add_column(column, justify="right")
    for (method, start), found in rows.items():
        cells = [f"{video.mean_overlap:.2f}, {video.harm:.2f}" for video in found]
        table.add_row(method or "linear", start, *cells, f"{np.mean([video.seconds for video in found]):.1f}")
    return table


def outside_counts(found: list[Measured]) -> str:
    """Of the frames without the athlete how many are called outside, and how many of those with him."""
    absent = np.concatenate([np.isnan(video.overlap) for video in found])
    outside = np.concatenate([video.outside for video in found])
    return f"{(outside & absent).sum()} of {absent.sum()}, {(outside & ~absent).sum()} of {(~absent).sum()}"


def suspected(found: list[Measured]) -> list[str]:
    """What `check` would say: how many tracks of each grade are suspicious, and the motion on and off the diver."""
    means = np.array([video.mean_overlap for video in found])
    suspicious = np.array([video.severity >= 1 for video in found])
    lines = []
    for low, high in itertools.pairwise(GRADES):
        grade = (means >= low) & (means < high)
        lines.append(f"IoU {low:.1f} to {min(high, 1):.1f}: {(suspicious & grade).sum()} of {grade.sum()} suspicious")
    on, off = np.array([video.motion for video in found]).T
    lines.append(f"motion in the true boxes over motion beside them: {on.min():.1f} to {on.max():.1f}")
    return [*lines, f"the same, the boxes moved by {MOVED_OFF} sides: {off.min():.1f} to {off.max():.1f}"]
