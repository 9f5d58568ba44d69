"""Bars beside the paper's numbers: box sources (Table 3) and the swap under other methods (Fig. 9).

Every test split has a row of panels; the paper's numbers are of the first.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from swapaqa.measures.ours import SPEARMAN, STANDARD
from swapaqa.measures.record import Description
from swapaqa.report.drawing import (
    PAPER,
    PLAIN,
    SWAPPED,
    Drawing,
    error_bars,
    is_known,
    mean_of,
    missing_words,
    spread_words,
    tidy,
)
from swapaqa.runs.runs_table import Estimate

Reached = Mapping[tuple[str, str], Estimate | None]  # what one setting reached, by split and name of the metric
Printed = Mapping[str, float]  # what the paper prints, by name of the metric
NOT_PRINTED: Printed = MappingProxyType({})


class BoxSource(NamedTuple):
    """One row of Table 3."""

    name: str
    reached: Reached
    paper: Printed = NOT_PRINTED


class Method(NamedTuple):
    """One method of Fig. 9. `paper_change`: in per cent of the value without the swap, below 0 for a decrease."""

    name: str
    without: Reached
    swapped: Reached
    paper_change: Printed = NOT_PRINTED


MOST_BARS = 8  # methods whose numbers and names do not meet; of more there are rows (`method_rows`)


def box_source_bars(sources: Sequence[BoxSource], splits: Sequence[str], protocol: str) -> Drawing:
    """Two panels a split with a pair of bars a box source: ours, and the paper's where it has a number.

    Bars start at 0, so that their lengths can be compared; the numbers are written on them. Without any number of the
    paper there are no bars for it.
    """
    beside = any(source.paper for source in sources)
    figure, panels = _panels(splits)
    for (split, metric), panel in panels.items():
        ours = Bars("this report", SWAPPED, [s.reached.get((split, metric.name)) for s in sources], metric.decimals)
        printed = [source.paper.get(metric.name) if split == splits[0] else None for source in sources]
        known = [None if number is None else Estimate(number, None, 1) for number in printed]
        groups = [ours, Bars("paper", PAPER, known, metric.decimals)] if beside and split == splits[0] else [ours]
        _draw_beside(panel, groups)
        _label(panel, metric, [source.name for source in sources])
    legend_below(figure, (SWAPPED, "this report"), *([(PAPER, "paper (–: no number)")] if beside else []))
    rho = {(source.name, split): source.reached.get((split, SPEARMAN.name)) for source in sources for split in splits}
    caption = f"{protocol} {spread_words([*rho.values()])}{missing_words(_unknown(rho, splits))}"
    return Drawing("box_sources", "Where the boxes come from (Table 3)", caption, figure)


def plug_and_play_bars(methods: Sequence[Method], splits: Sequence[str], protocol: str) -> Drawing:
    """Two panels a split with a pair of bars a method, without and with the swap, and the change in % above them."""
    figure, panels = _panels(splits)
    for (split, metric), panel in panels.items():
        place, digits = (split, metric.name), metric.decimals
        before = Bars("without", PLAIN, [method.without.get(place) for method in methods], digits)
        after = Bars("with", SWAPPED, [method.swapped.get(place) for method in methods], digits)
        printed = [method.paper_change.get(metric.name) if split == splits[0] else None for method in methods]
        _write_changes(panel, _draw_beside(panel, [before, after]), before, after, printed)
        _label(panel, metric, [method.name for method in methods])
    legend_below(figure, (PLAIN, "without the swap"), (SWAPPED, "with the swap"))
    return as_plug_and_play(figure, methods, splits, protocol)


def as_plug_and_play(figure: Figure, methods: Sequence[Method], splits: Sequence[str], protocol: str) -> Drawing:
    """The figure with its title and words."""
    rho = {
        (f"{method.name} {word} the swap", split): found.get((split, SPEARMAN.name))
        for method in methods
        for word, found in (("without", method.without), ("with", method.swapped))
        for split in splits
    }
    caption = (
        f"{protocol} {spread_words([*rho.values()])} In bold, the change in per cent of the "
        f"value without the swap.{missing_words(_unknown(rho, splits))}"
    )
    return Drawing("plug_and_play", "The swap under other methods (Fig. 9)", caption, figure)


def _panels(splits: Sequence[str]) -> tuple[Figure, dict[tuple[str, Description], Axes]]:
    """A row a split, a column a metric."""
    figure = Figure(figsize=(9.6, 0.4 + 3.8 * len(splits)), layout="constrained")
    grid = figure.subplots(len(splits), len(STANDARD), squeeze=False)
    panels: dict[tuple[str, Description], Axes] = {
        (split, metric): panel
        for split, row in zip(splits, grid, strict=True)
        for metric, panel in zip(STANDARD, row, strict=True)
    }
    for (split, _), panel in panels.items():
        panel.set_title(split if len(splits) > 1 else "", fontsize=10)
    return figure, panels


def _unknown(found: Mapping[tuple[str, str], Estimate | None], splits: Sequence[str]) -> list[str]:
    """The names without a number, with their split where there are several."""
    return [
        f"{name} ({split})" if len(splits) > 1 else name for (name, split), one in found.items() if not is_known(one)
    ]


def relative_change(before: float, after: float) -> float:
    """In per cent of `before`; NaN where that is not above 0, as a change of a negative correlation says nothing."""
    return 100 * (after - before) / before if before > 0 else math.nan


def signed(percent: float) -> str:
    """`+2.04 %`, with a true minus sign below 0."""
    return f"{percent:+.2f} %".replace("-", "−")


def change_words(before: float, after: float) -> str:
    """`+2.04 %`, or `–` where one of the two is not known."""
    change = relative_change(before, after)
    return signed(change) if math.isfinite(change) else "–"


class Bars(NamedTuple):
    """Bars of one colour in one panel."""

    label: str
    colour: str
    values: Sequence[Estimate | None]
    digits: int

    def tops(self) -> list[float]:
        """The height that each bar reaches with its error bar; 0 for one that is missing or below 0."""
        reached = [mean_of(one) + above for one, above in zip(self.values, error_bars(self.values)[1], strict=True)]
        return [max(height, 0.0) if math.isfinite(height) else 0.0 for height in reached]


UPRIGHT: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 8}
NUMBER = 0.17  # height of an upright number, as a share of the highest bar


def _draw_beside(panel: Axes, groups: Sequence[Bars]) -> list[float]:
    """Bars of one or two colours beside each other; returns the height that each place reaches with its numbers.

    A number stands at the foot of its bar, above the bar where that is too short. Where there is nothing to draw a word
    stands instead of the bar.
    """
    highest = max((top for bars in groups for top in bars.tops()), default=0.0) or 1.0
    shifts = (-0.2, 0.2) if len(groups) > 1 else (0.0,)
    reached = [0.0] * len(groups[0].values)
    for bars, shift in zip(groups, shifts, strict=True):
        for place, (found, top) in enumerate(zip(bars.values, bars.tops(), strict=True)):
            mean, reach = mean_of(found), error_bars([found])
            reached[place] = max(reached[place], top)
            if not math.isfinite(mean):
                panel.text(place + shift, 0.02 * highest, _absent(bars, found), color="#a00000", **UPRIGHT)
                continue
            panel.bar(
                place + shift,
                mean,
                0.36,
                color=bars.colour,
                yerr=reach if reach.any() else None,
                capsize=3,
                label=bars.label,
            )
            inside = mean - reach[0, 0] > 1.15 * NUMBER * highest
            foot, colour = (0.02 * highest, "white") if inside else (top + 0.02 * highest, "black")
            panel.text(place + shift, foot, f"{mean:.{bars.digits}f}".replace("-", "−"), color=colour, **UPRIGHT)
            if not inside:
                reached[place] = max(reached[place], top + NUMBER * highest)
    panel.set_ylim(top=1.05 * max(reached, default=1.0) or 1.0)
    return reached


def _absent(bars: Bars, found: Estimate | None) -> str:
    """Why there is no bar: the paper has no number, no run is complete, or a correlation does not exist."""
    return "–" if bars.colour == PAPER else absent(found)


def absent(found: Estimate | None) -> str:
    """The word for a number of ours that is not there."""
    return "undefined" if found else "missing"


def _write_changes(
    panel: Axes, reached: Sequence[float], before: Bars, after: Bars, printed: Sequence[float | None]
) -> None:
    """Above each pair its change in per cent, and above that the paper's. `reached`: where the pairs end."""
    highest = max(reached, default=0.0) or 1.0
    for place, top in enumerate(reached):
        change = change_words(mean_of(before.values[place]), mean_of(after.values[place]))
        panel.text(place, top + 0.04 * highest, change, ha="center", fontsize=9, fontweight="bold")
        paper = printed[place]
        if paper is not None:
            words = f"paper {signed(paper)}"
            panel.text(place, top + 0.13 * highest, words, ha="center", fontsize=8, color=PAPER)
    panel.set_ylim(top=1.26 * highest)


def _label(panel: Axes, metric: Description, names: Sequence[str]) -> None:
    panel.axhline(0, color="black", linewidth=0.8)
    panel.set_xticks(range(len(names)), names)
    panel.set_xlim(-0.6, len(names) - 0.4)
    panel.set_ylabel(metric.axis)
    if metric.average == "fisher":
        panel.set_yticks([tick for tick in panel.get_yticks() if tick <= 1.0])  # there is no correlation above
    tidy(panel)


def legend_below(figure: Figure, *entries: tuple[str, str]) -> None:
    """What the colours mean, under the panels."""
    handles = [Patch(color=colour, label=label) for colour, label in entries]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(entries), fontsize=8, frameon=False)
