"""What `check` says of boxes with known faults on the demo's videos: precision, recall, and the order of its list."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from swapaqa.annotate.examine import cuts_between, measures
from swapaqa.annotate.measure import Known, known_video
from swapaqa.annotate.suspicion import RATIO, severity_of, suspicions
from swapaqa.boxes.objects import interpolate_keyframes
from swapaqa.boxes.shots import shot_starts
from swapaqa.data.demo_files import DemoSettings

WRONG = 0.25  # share of the athlete that the swap replaces: such boxes should be found
FIRST = 0.1  # of the list: what a person looks at
MOVED = (0.4, 0.8, 1.5)  # of a box's side


class Judged(NamedTuple):
    """Boxes with one fault, and what `check` says of them."""

    fault: str
    harm: float  # share of the athlete's box that lies outside of the found one at RATIO, the mean over the frames
    severity: float


def faulty(video: Known, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """A name and boxes (T, 4) for each fault: none, a quick hand, moved off, stuck, lost, too large, anywhere."""
    count = len(video.frames)
    true = interpolate_keyframes(np.flatnonzero(video.shown), video.boxes[video.shown], range(count))
    side, angle, third = true[0, 2] - true[0, 0] + 1, rng.uniform(0, 2 * np.pi), count // 3
    yield "none", true
    yield "quick hand", true + rng.normal(0, 1, true.shape)
    for share in MOVED:
        yield f"moved by {share} sides", true + np.tile([np.cos(angle), np.sin(angle)], 2) * share * side
    yield "stuck", np.repeat(true[count // 2][None], count, axis=0)
    yield "lost after a third", np.concatenate([true[:third], np.repeat(true[third][None], count - third, axis=0)])
    yield "twice as large", true + np.array([-1, -1, 1, 1]) * side / 2
    corner = rng.uniform(5, 45, 2)
    drift = np.linspace(0, 8, count)[:, None]
    yield "anywhere", np.concatenate([corner, corner + side - 1]) + drift


def harm_of(boxes: np.ndarray, true: np.ndarray) -> float:
    """The share of the `true` boxes (T, 4) that `boxes` at RATIO leave out, the mean over frames that have one."""
    grow = (boxes[:, 2:] - boxes[:, :2] + 1) * (RATIO - 1) / 2
    low, high = np.maximum(boxes[:, :2] - grow, true[:, :2]), np.minimum(boxes[:, 2:] + grow, true[:, 2:])
    kept = np.clip(high - low + 1, 0, None).prod(axis=1) / (true[:, 2:] - true[:, :2] + 1).prod(axis=1)
    return float(np.nanmean(1 - kept))


def judge_faults(index: int, demo: DemoSettings) -> list[Judged]:
    """Every fault of demo video `index`."""
    video, times = known_video(index, demo), list(range(demo.frames))
    pictures = dict(enumerate(video.frames))
    cuts = cuts_between(shot_starts(video.frames)[1:], times, set(np.flatnonzero(~video.shown).tolist()))
    found = []
    for fault, boxes in faulty(video, np.random.default_rng((demo.seed, index, 2))):
        said = suspicions(measures(pictures, times, boxes, times, cuts)[0])
        found.append(Judged(fault, harm_of(boxes, video.boxes), severity_of(said)))
    return found


def check_summary(judged: Sequence[Judged]) -> list[str]:
    """Precision and recall of what is suspicious, the harm of the list's first tenth, and false alarms by fault."""
    harm, severity = np.array([one.harm for one in judged]), np.array([one.severity for one in judged])
    wrong, suspicious = harm > WRONG, severity >= 1
    first = np.argsort(-severity, kind="stable")[: round(FIRST * len(judged))]
    lines = [
        f"{len(judged)} files, {wrong.sum()} lose over {WRONG:.0%} of the athlete, {suspicious.sum()} are suspicious",
        f"precision {(wrong & suspicious).sum() / max(1, suspicious.sum()):.2f}, "
        f"recall {(wrong & suspicious).sum() / max(1, wrong.sum()):.2f}",
        f"rank correlation of severity and harm: {spearmanr(severity, harm).statistic:.2f}",
        f"harm of the first tenth: {harm[first].mean():.2f}, of all: {harm.mean():.2f}",
    ]
    for fault in dict.fromkeys(one.fault for one in judged):
        own = [one for one in judged if one.fault == fault]
        called = sum(one.severity >= 1 for one in own)
        lines.append(f"{fault}: harm {np.mean([one.harm for one in own]):.2f}, {called} of {len(own)} suspicious")
    return lines
