"""Bars beside the paper's numbers: box sources (Table 3) and the swap under other methods (Fig. 9)."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from swapaqa.measures.ours import STANDARD
from swapaqa.measures.record import Description
from swapaqa.report.drawing import (
    PAPER,
    PLAIN,
    SWAPPED,
    BySeed,
    Drawing,
    is_known,
    mean_and_std,
    missing_words,
    seeds_words,
    tidy,
)


class Scores(NamedTuple):
    """What one setting reached, by seed; empty: no run is complete."""

    spearman: BySeed
    relative_l2_x100: BySeed


class Printed(NamedTuple):
    """What the paper prints for the same setting; None where it prints nothing."""

    spearman: float | None
    relative_l2_x100: float | None


NOT_PRINTED = Printed(None, None)


class BoxSource(NamedTuple):
    """One row of Table 3."""

    name: str
    scores: Scores
    paper: Printed = NOT_PRINTED


class Method(NamedTuple):
    """One method of Fig. 9. `paper_change`: in per cent of the value without the swap, below 0 for a decrease."""

    name: str
    without: Scores
    swapped: Scores
    paper_change: Printed = NOT_PRINTED


def box_source_bars(sources: Sequence[BoxSource], protocol: str) -> Drawing:
    """Two panels with a pair of bars a box source: ours, and the paper's where it has a number.

    Bars start at 0, so that their lengths can be compared; the numbers are written on them. Without any number of the
    paper there are no bars for it.
    """
    beside = any(source.paper != NOT_PRINTED for source in sources)
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    for panel, metric in zip(figure.subplots(1, 2), STANDARD, strict=True):
        digits = metric.decimals
        ours = Bars("this report", SWAPPED, [getattr(source.scores, metric.name) for source in sources], digits)
        printed = [getattr(source.paper, metric.name) for source in sources]
        paper = Bars("paper", PAPER, [{} if number is None else {0: number} for number in printed], digits)
        _draw_beside(panel, [ours, paper] if beside else [ours])
        _label(panel, metric, [source.name for source in sources])
    _legend_below(figure, (SWAPPED, "this report"), *([(PAPER, "paper (–: no number)")] if beside else []))
    gaps = [source.name for source in sources if not is_known(source.scores.spearman)]
    caption = f"{protocol} {seeds_words([source.scores.spearman for source in sources])}{missing_words(gaps)}"
    return Drawing("box_sources", "Where the boxes come from (Table 3)", caption, figure)


def plug_and_play_bars(methods: Sequence[Method], protocol: str) -> Drawing:
    """Two panels with a pair of bars a method, without and with the swap, and the change in per cent above them."""
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    for panel, metric in zip(figure.subplots(1, 2), STANDARD, strict=True):
        name, digits = metric.name, metric.decimals
        before = Bars("without", PLAIN, [getattr(method.without, name) for method in methods], digits)
        after = Bars("with", SWAPPED, [getattr(method.swapped, name) for method in methods], digits)
        reached = _draw_beside(panel, [before, after])
        _write_changes(panel, reached, before, after, [getattr(method.paper_change, name) for method in methods])
        _label(panel, metric, [method.name for method in methods])
    _legend_below(figure, (PLAIN, "without the swap"), (SWAPPED, "with the swap"))
    arms = [
        (f"{m.name} {word} the swap", s) for m in methods for word, s in (("without", m.without), ("with", m.swapped))
    ]
    gaps = missing_words([name for name, scores in arms if not is_known(scores.spearman)])
    caption = (
        f"{protocol} {seeds_words([scores.spearman for _, scores in arms])} In bold, the change in per cent of the "
        f"value without the swap.{gaps}"
    )
    return Drawing("plug_and_play", "The swap under other methods (Fig. 9)", caption, figure)


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
    values: Sequence[BySeed]
    digits: int

    def tops(self) -> list[float]:
        """The height that each bar reaches with its error bar; 0 for one that is missing or below 0."""
        reached = [mean + std for mean, std in map(mean_and_std, self.values)]
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
        for place, (values, top) in enumerate(zip(bars.values, bars.tops(), strict=True)):
            mean, std = mean_and_std(values)
            reached[place] = max(reached[place], top)
            if not math.isfinite(mean):
                panel.text(place + shift, 0.02 * highest, _absent(bars, values), color="#a00000", **UPRIGHT)
                continue
            panel.bar(place + shift, mean, 0.36, color=bars.colour, yerr=std or None, capsize=3, label=bars.label)
            inside = mean - std > 1.15 * NUMBER * highest
            foot, colour = (0.02 * highest, "white") if inside else (top + 0.02 * highest, "black")
            panel.text(place + shift, foot, f"{mean:.{bars.digits}f}".replace("-", "−"), color=colour, **UPRIGHT)
            if not inside:
                reached[place] = max(reached[place], top + NUMBER * highest)
    panel.set_ylim(top=1.05 * max(reached, default=1.0) or 1.0)
    return reached


def _absent(bars: Bars, values: BySeed) -> str:
    """Why there is no bar: the paper has no number, no run is complete, or a correlation does not exist."""
    if bars.colour == PAPER:
        return "–"
    return "undefined" if values else "missing"


def _write_changes(
    panel: Axes, reached: Sequence[float], before: Bars, after: Bars, printed: Sequence[float | None]
) -> None:
    """Above each pair its change in per cent, and above that the paper's. `reached`: where the pairs end."""
    highest = max(reached, default=0.0) or 1.0
    for place, top in enumerate(reached):
        change = change_words(mean_and_std(before.values[place])[0], mean_and_std(after.values[place])[0])
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


def _legend_below(figure: Figure, *entries: tuple[str, str]) -> None:
    """What the colours mean, under the panels."""
    handles = [Patch(color=colour, label=label) for colour, label in entries]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(entries), fontsize=8, frameon=False)
