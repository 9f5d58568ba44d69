"""Predictions against ground truth, after the paper's Fig. 6 and the shares in its text.

All test videos of all actions are pooled in raw points, so that an error of 5 points is the same mistake everywhere.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swapaqa.report.drawing import AVERAGE_COLOUR, COLOURS, MARKERS, Drawing

CLOSE = 5.0  # points


class Prediction(NamedTuple):
    """One test video under one system, in points."""

    video_id: str
    action: str
    true: float
    predicted: float

    @property
    def error(self) -> float:
        return abs(self.predicted - self.true)


class Shares(NamedTuple):
    """The numbers in the text of Fig. 6, as shares; `videos` is their common denominator."""

    videos: int
    baseline_close: float  # errors below 5 points
    method_close: float
    method_better: float  # videos with a smaller error than the baseline's


class PublishedShares(NamedTuple):
    """The same as the paper prints them."""

    baseline_close: float
    method_close: float
    method_better: float


def error_shares(baseline: Sequence[Prediction], method: Sequence[Prediction], close: float = CLOSE) -> Shares:
    """Shares of errors below `close` points, and of videos on which `method` is nearer to the truth.

    Only videos that both have are counted, paired by action and id; an equal error is not better. NaN without any.
    """
    before, after = paired(baseline, method)
    if not before:
        return Shares(0, *[float("nan")] * 3)
    return Shares(
        len(before),
        fmean(one.error < close for one in before),
        fmean(one.error < close for one in after),
        fmean(b.error < a.error for a, b in zip(before, after, strict=True)),
    )


def paired(first: Sequence[Prediction], second: Sequence[Prediction]) -> tuple[list[Prediction], list[Prediction]]:
    """The videos that both have, in the order of the first."""
    found = {(one.action, one.video_id): one for one in second}
    common = [one for one in first if (one.action, one.video_id) in found]
    return common, [found[one.action, one.video_id] for one in common]


Systems = Mapping[str, Mapping[int, Sequence[Prediction]]]  # baseline, then method: pooled predictions by seed


def truth_scatter(systems: Mapping[str, Systems], protocol: str, paper: PublishedShares | None) -> Drawing:
    """A panel for the baseline and one for the method, a point a video, with the line of equality and 5 points to it.

    Args:
        systems: by split, a row of panels each. The first common seed is drawn; the shares are averaged over the common
            seeds.
        protocol: the sentence that says which epoch the numbers are from.
        paper: the shares that the paper prints, of the first split.
    """
    seeds = {split: sorted(set.intersection(*map(set, found.values()))) for split, found in systems.items()}
    first, second = next(iter(systems.values()))
    if not all(seeds.values()):
        return _missing_scatter(first, second)
    figure = Figure(figsize=(9.6, 0.4 + 5.1 * len(systems)), layout="constrained")
    grid = figure.subplots(len(systems), 2, squeeze=False, sharex="row", sharey="row")
    words = []
    for number, (split, found) in enumerate(systems.items()):
        shares = _draw_pair(grid[number], found, seeds[split], split if len(systems) > 1 else "")
        said = shares_words(shares, seeds[split], (first, second), paper if number == 0 else None)
        words.append(f"{split}: {said}" if len(systems) > 1 else said)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return Drawing("truth_scatter", "Against ground truth (Fig. 6)", " ".join([protocol, *words]).strip(), figure)


def _draw_pair(panels: Sequence[Axes], systems: Systems, seeds: Sequence[int], split: str) -> list[Shares]:
    """Both systems of a split; returns the shares of every seed."""
    (first, baseline), (second, method) = systems.items()
    shares = [error_shares(baseline[seed], method[seed]) for seed in seeds]
    before, after = paired(baseline[seeds[0]], method[seeds[0]])
    values = [number for row in before + after for number in (row.true, row.predicted)]
    ends = np.array([min(values), max(values)])
    for panel, name, rows, key in (
        (panels[0], first, before, "baseline_close"),
        (panels[1], second, after, "method_close"),
    ):
        scatter_panel(panel, rows, ends)
        share = fmean(getattr(one, key) for one in shares)
        where = f"{split}: {name}" if split else name
        panel.set_title(f"{where}\n{share:.2%} of the errors below {CLOSE:g} points", fontsize=10)
    return shares


def shares_words(
    shares: Sequence[Shares], seeds: Sequence[int], names: tuple[str, str], paper: PublishedShares | None
) -> str:
    """The sentences about the shares, with the paper's beside them."""
    means = {key: fmean(getattr(one, key) for one in shares) for key in PublishedShares._fields}

    def number(key: str) -> str:
        printed = f" (paper: {getattr(paper, key):.2%})" if paper else ""
        return f"{means[key]:.2%}{printed}"

    drawn = "" if len(seeds) == 1 else f" Shares are means over {len(seeds)} seeds; seed {seeds[0]} is drawn."
    counts = sorted({one.videos for one in shares})
    videos = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"{videos} test videos, pooled in raw points; black: the true score, grey: {CLOSE:g} points to both sides. "
        f"Errors below {CLOSE:g} points: {number('baseline_close')} with {names[0]}, {number('method_close')} with "
        f"{names[1]}, which is nearer to the truth on {number('method_better')} of the videos.{drawn}"
    )


def _missing_scatter(first: str, second: str) -> Drawing:
    """What stands for the figure where it cannot be drawn."""
    words = f"no seed has complete runs of both {first} and {second}"
    figure = Figure(figsize=(9.6, 1.0), layout="constrained")
    figure.text(0.5, 0.5, f"missing: {words}", ha="center", va="center", fontsize=9, color="#a00000")
    return Drawing("truth_scatter", "Against ground truth (Fig. 6)", f"Missing: {words}.", figure)


def scatter_panel(panel: Axes, rows: Sequence[Prediction], ends: np.ndarray) -> None:
    """Points coloured by action, the line of equality between `ends`, and a band of `CLOSE` points."""
    panel.fill_between(ends, ends - CLOSE, ends + CLOSE, color="#000000", alpha=0.08, linewidth=0)
    panel.plot(ends, ends, color=AVERAGE_COLOUR, linewidth=1)
    for number, action in enumerate(dict.fromkeys(row.action for row in rows)):
        chosen = [row for row in rows if row.action == action]
        panel.scatter(
            [row.true for row in chosen],
            [row.predicted for row in chosen],
            s=16,
            alpha=0.75,
            color=COLOURS[number % 7],
            marker=MARKERS[number % 7],
            linewidths=0,
            label=action,
        )
    panel.set_xlabel("true score, points")
    panel.set_ylabel("predicted score, points")
    panel.set_aspect("equal", adjustable="box")  # datalim is refused for shared axes
    panel.grid(color="#e6e6e6", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=8)
