"""Ratio curves, after the paper's Fig. 7: both metrics over the scale ratio, a line an action and one for the average.

The paper draws a panel of bars for each action; lines in one panel let the actions be compared.
"""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swapaqa.measures.ours import STANDARD
from swapaqa.measures.record import Description
from swapaqa.report.drawing import (
    AVERAGE,
    COLOURS,
    MARKERS,
    BySeed,
    Drawing,
    average_over,
    is_known,
    mean_and_std,
    missing_words,
    seeds_words,
    tidy,
)

AVERAGE_LINE = "Fisher mean (R-ℓ2: mean)"
Curve = Mapping[float, BySeed]  # by ratio; every ratio that was planned is a key


def ratio_curves(spearman: Mapping[str, Curve], relative_l2_x100: Mapping[str, Curve], protocol: str) -> Drawing:
    """Two panels, Spearman and R-l2 x100, over the ratio.

    Args:
        spearman: by action, in the order of the legend; a ratio without values is a gap in the line.
        relative_l2_x100: the same of the other metric.
        protocol: the sentence that says which epoch the numbers are from.
    """
    figure = Figure(figsize=(9.6, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for panel, metric, lines in zip((left, right), STANDARD, (spearman, relative_l2_x100), strict=True):
        for number, (name, curve) in enumerate(lines.items()):
            _draw(panel, name, curve, number)
        if len(lines) > 1:
            _draw(panel, AVERAGE_LINE, average_curve(lines, metric), None)
        panel.set(xlabel="scale ratio", ylabel=metric.axis)
        panel.set_xticks(sorted({ratio for curve in spearman.values() for ratio in curve}))
        tidy(panel)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    curves = [values for curve in spearman.values() for values in curve.values()]
    caption = f"{protocol} {seeds_words(curves)} {best_words(spearman)}{missing_words(missing_points(spearman))}"
    return Drawing("ratio_curves", "Scale ratio (Fig. 7)", caption.strip(), figure)


def average_curve(curves: Mapping[str, Curve], metric: Description) -> dict[float, dict[int, float]]:
    """The average over the actions by ratio and seed; where one action is missing there is none."""
    ratios = sorted({ratio for curve in curves.values() for ratio in curve})
    return {ratio: average_over([curve.get(ratio, {}) for curve in curves.values()], metric) for ratio in ratios}


def missing_points(curves: Mapping[str, Curve]) -> list[str]:
    """`diving at 2.5` for every planned point without a number."""
    ratios = sorted({ratio for curve in curves.values() for ratio in curve})
    return [f"{name} at {ratio:g}" for name, c in curves.items() for ratio in ratios if not is_known(c.get(ratio, {}))]


def best_ratios(curves: Mapping[str, Curve]) -> dict[str, float]:
    """By action, the ratio of the highest mean; actions without a number are left out."""
    means = {
        name: {ratio: mean_and_std(values)[0] for ratio, values in curve.items()} for name, curve in curves.items()
    }
    finite = {name: {r: v for r, v in row.items() if math.isfinite(v)} for name, row in means.items()}
    return {name: max(row, key=lambda ratio: row[ratio]) for name, row in finite.items() if row}


def best_words(spearman: Mapping[str, Curve]) -> str:
    """The sentence of the caption about where Spearman's correlation is highest."""
    best = ", ".join(f"{name} {ratio:g}" for name, ratio in best_ratios(spearman).items())
    return f"Highest ρ at: {best}." if best else "No run is complete."


def _draw(panel: Axes, name: str, curve: Curve, number: int | None) -> None:
    """One line; `number` chooses its colour and marker, None is the average."""
    ratios: Sequence[float] = sorted(curve)
    points = [mean_and_std(curve[ratio]) for ratio in ratios]
    style = (AVERAGE, "o", 2.4) if number is None else (COLOURS[number % 7], MARKERS[number % 7], 1.3)
    colour, marker, width = style
    panel.errorbar(
        ratios,
        [mean for mean, _ in points],
        yerr=[std for _, std in points],
        label=name,
        color=colour,
        marker=marker,
        markersize=5,
        linewidth=width,
        capsize=2.5,
        zorder=3 if number is None else 2,
    )
