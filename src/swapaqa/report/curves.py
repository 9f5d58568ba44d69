"""Ratio curves, after the paper's Fig. 7: both metrics over the scale ratio, a line an action and one for the average.

The paper draws a panel of bars for each action; lines in one panel let the actions be compared. Every test split has a
row of panels.
"""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swapaqa.measures.ours import SPEARMAN, STANDARD
from swapaqa.report.drawing import (
    AVERAGE_COLOUR,
    COLOURS,
    MARKERS,
    Drawing,
    error_bars,
    is_known,
    mean_of,
    missing_words,
    spread_words,
    tidy,
)
from swapaqa.runs.runs_table import AVERAGE, Estimate

AVERAGE_LINE = "Fisher mean (R-ℓ2: mean)"
Curve = Mapping[float, Estimate | None]  # by ratio; every ratio that was planned is a key
Curves = Mapping[str, Curve]  # by action and, of several, AVERAGE


def ratio_curves(curves: Mapping[tuple[str, str], Curves], protocol: str) -> Drawing:
    """Two panels a split, Spearman and R-l2 x100, over the ratio.

    Args:
        curves: by split and name of the metric; a ratio without a value is a gap in the line.
        protocol: the sentence that says which epoch the numbers are from.
    """
    splits = list(dict.fromkeys(split for split, _ in curves))
    figure = Figure(figsize=(9.6, 0.6 + 3.7 * len(splits)), layout="constrained")
    panels = figure.subplots(len(splits), 2, squeeze=False)
    for split, row in zip(splits, panels, strict=True):
        for panel, metric in zip(row, STANDARD, strict=True):
            for number, (action, curve) in enumerate(curves[split, metric.name].items()):
                _draw(panel, action, curve, number)
            panel.set(xlabel="scale ratio", ylabel=metric.axis)
            panel.set_title(split if len(splits) > 1 else "", fontsize=10)
            panel.set_xticks(sorted({ratio for curve in curves[split, metric.name].values() for ratio in curve}))
            tidy(panel)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    rho = {split: {a: c for a, c in curves[split, SPEARMAN.name].items() if a != AVERAGE} for split in splits}
    found = [one for actions in rho.values() for curve in actions.values() for one in curve.values()]
    words = (protocol, spread_words(found), best_words(rho) + missing_words(missing_points(rho)))
    return Drawing("ratio_curves", "Scale ratio (Fig. 7)", " ".join(word for word in words if word), figure)


def missing_points(curves: Mapping[str, Curves]) -> list[str]:
    """`diving at 2.5` for every planned point without a number; with its split where there are several."""
    return [
        f"{action} at {ratio:g}" + (f" ({split})" if len(curves) > 1 else "")
        for split, actions in curves.items()
        for action, curve in actions.items()
        for ratio, one in curve.items()
        if not is_known(one)
    ]


def best_ratios(curves: Curves) -> dict[str, float]:
    """By action, the ratio of the highest mean; actions without a number are left out."""
    known = {action: {r: mean_of(one) for r, one in c.items() if is_known(one)} for action, c in curves.items()}
    return {action: max(means, key=lambda ratio: means[ratio]) for action, means in known.items() if means}


def best_words(curves: Mapping[str, Curves]) -> str:
    """The sentence of the caption about where Spearman's correlation is highest, on every split."""
    found = {split: best_ratios(actions) for split, actions in curves.items()}
    words = {split: ", ".join(f"{action} {ratio:g}" for action, ratio in one.items()) for split, one in found.items()}
    said = [f"on {split}: {word}" if len(words) > 1 else word for split, word in words.items() if word]
    return f"Highest ρ at: {'; '.join(said)}." if said else "No run is complete."


def _draw(panel: Axes, action: str, curve: Curve, number: int) -> None:
    """One line; `number` chooses its colour and marker."""
    average = action == AVERAGE
    found = [curve[ratio] for ratio in sorted(curve)]
    panel.errorbar(
        sorted(curve),
        [mean_of(one) for one in found],
        yerr=error_bars(found),
        label=AVERAGE_LINE if average else action,
        color=AVERAGE_COLOUR if average else COLOURS[number % 7],
        marker="o" if average else MARKERS[number % 7],
        markersize=5,
        linewidth=2.4 if average else 1.3,
        capsize=2.5,
        zorder=3 if average else 2,
    )
