"""What `check` says of boxes with known faults: precision, recall, and the order of its list."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from rich.table import Table
from scipy.stats import spearmanr

from swapaqa.annotate.examine import measures
from swapaqa.annotate.follow import follow_between
from swapaqa.annotate.known import Known
from swapaqa.annotate.measure import METHODS, drawn_boxes, harm_of
from swapaqa.annotate.suspicion import severity_of, suspicions
from swapaqa.boxes.objects import interpolate_keyframes
from swapaqa.boxes.shots import Filmed, shot_starts
from swapaqa.boxes.tracker import overlap
from swapaqa.errors import InputError

WRONG_IOU = 0.3  # mean overlap with the true boxes: below, boxes are wrong
WRONG_HARM = 0.25  # share of the athlete that the swap replaces: above, boxes are wrong
FIRST = 0.1  # of the list: what a person looks at
MOVED = (0.4, 0.8, 1.5)  # of a box's side
COLUMNS = ("videos", "files", "suspicious", "wrong by IoU", "precision", "recall", "wrong by harm", "precision",
           "recall", "rank corr.", "harm: first tenth", "all")  # fmt: skip


class Judged(NamedTuple):
    """Boxes with one fault, and what `check` says of them."""

    fault: str
    overlap: float  # IoU with the true boxes, the mean over the frames that show the athlete
    harm: float  # share of the athlete's box that lies outside of the found one when grown, likewise
    severity: float


def faulty(video: Known, lost_below: float, rng: np.random.Generator) -> Iterator[tuple[str, Filmed]]:
    """A name and boxes for each fault: none, a quick hand, moved off, stuck, lost, too large, anywhere, and trackers.

    A tracker that finds nobody is left out.
    """
    count = len(video.frames)
    true, side, angle, third = video.everywhere, video.side, rng.uniform(0, 2 * np.pi), count // 3
    size = np.array([video.frames.shape[2], video.frames.shape[1]])
    drawn = drawn_boxes(video, "by hand", rng)
    by_hand = interpolate_keyframes(np.array(list(drawn)), np.stack(list(drawn.values())), range(count))
    boxes = {"none": true, "quick hand": by_hand}
    for share in MOVED:
        boxes[f"moved by {share} sides"] = true + np.tile([np.cos(angle), np.sin(angle)], 2) * share * side
    boxes["stuck"] = np.repeat(true[count // 2][None], count, axis=0)
    boxes["lost after a third"] = np.concatenate([true[:third], np.repeat(true[third][None], count - third, axis=0)])
    boxes["twice as large"] = true + np.array([-1, -1, 1, 1]) * np.tile(true[:, 2:] - true[:, :2] + 1, 2) / 2
    corner = rng.uniform(0.08, 0.7, 2) * size
    drift = np.linspace(0, side * 8 / 13, count)[:, None]
    boxes["anywhere"] = np.concatenate([corner, corner + side - 1]) + drift
    yield from ((name, Filmed(found, np.ones(count), ~video.shown)) for name, found in boxes.items())
    for method in METHODS:
        try:
            yield f"motion, {method}", follow_between(video.frames, {}, method, (), lost_below)
        except InputError:
            continue


def judge_faults(video: Known, lost_below: float, rng: np.random.Generator) -> list[Judged]:
    """What `check` and the truth say of every fault of a video."""
    pictures, times = dict(enumerate(video.frames)), list(range(len(video.frames)))
    cuts = shot_starts(video.frames)[1:]
    found = []
    for fault, filmed in faulty(video, lost_below, rng):
        boxed = np.flatnonzero(filmed.confidence >= lost_below).tolist()
        away = set(np.flatnonzero(filmed.outside).tolist())
        said = suspicions(measures(pictures, times, filmed.boxes, boxed, cuts, away)[0])
        overlaps = overlap(filmed.boxes[video.shown], video.boxes[video.shown])
        found.append(Judged(fault, float(overlaps.mean()), harm_of(filmed.boxes, video.boxes), severity_of(said)))
    return found


def check_table(judged: Mapping[str, Sequence[Judged]]) -> Table:
    """A row for each set of videos."""
    table = Table(title=f"what check says; wrong: IoU below {WRONG_IOU}, or over {WRONG_HARM:.0%} of the athlete lost")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for name, found in judged.items():
        table.add_row(name, *check_row(found))
    return table


def check_row(judged: Sequence[Judged]) -> list[str]:
    """Precision and recall of what is suspicious by both readings of wrong, and the order of the list."""
    harm, severity = np.array([one.harm for one in judged]), np.array([one.severity for one in judged])
    suspicious, first = severity >= 1, np.argsort(-severity, kind="stable")[: max(1, round(FIRST * len(judged)))]
    cells = [str(len(judged)), str(suspicious.sum())]
    for wrong in (np.array([one.overlap for one in judged]) < WRONG_IOU, harm > WRONG_HARM):
        hits = (wrong & suspicious).sum()
        cells += [str(wrong.sum()), f"{hits / max(1, suspicious.sum()):.2f}", f"{hits / max(1, wrong.sum()):.2f}"]
    order = f"{spearmanr(severity, harm).statistic:.2f}"
    return [*cells, order, f"{harm[first].mean():.2f}", f"{harm.mean():.2f}"]


def fault_table(judged: Mapping[str, Sequence[Judged]]) -> Table:
    """A row for each fault: IoU, harm, and how many are suspicious, for each set of videos."""
    table = Table(title="by fault: mean IoU, harm, suspicious")
    for column in ("fault", *judged):
        table.add_column(column, justify="right")
    for fault in dict.fromkeys(one.fault for found in judged.values() for one in found):
        table.add_row(fault, *(_fault_cell([one for one in found if one.fault == fault]) for found in judged.values()))
    return table


def _fault_cell(own: Sequence[Judged]) -> str:
    if not own:
        return ""
    called = sum(one.severity >= 1 for one in own)
    return f"{np.mean([one.overlap for one in own]):.2f}, {np.mean([one.harm for one in own]):.2f}, {called}/{len(own)}"
