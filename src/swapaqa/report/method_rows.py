"""Many methods without and with the swap: a row each (Fig. 9), as bars of many would be too narrow to read."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swapaqa.measures.ours import STANDARD
from swapaqa.measures.record import Description
from swapaqa.report.bars import Method, absent, as_plug_and_play, change_words, legend_below, signed
from swapaqa.report.drawing import PAPER, PLAIN, SWAPPED, Drawing, error_bars, is_known, mean_of, tidy

ROW = 0.21  # inches
HEAD = 0.75  # inches of a panel beside its rows


def plug_and_play_rows(methods: Sequence[Method], splits: Sequence[str], protocol: str) -> Drawing:
    """Two panels a split with a row a method: a point without and one with the swap, and on the right the change in %.

    The axes begin where the values do: points are compared by their places.
    """
    height = len(splits) * (HEAD + ROW * len(methods))
    figure = Figure(figsize=(9.6, 0.3 + height), layout="constrained")
    grid = figure.subplots(len(splits), len(STANDARD), squeeze=False, sharey=True)
    for split, row in zip(splits, grid, strict=True):
        for metric, panel in zip(STANDARD, row, strict=True):
            _draw(panel, methods, split, metric)
            _write_changes(panel, methods, split, metric, printed=split == splits[0])
            panel.set_title(split if len(splits) > 1 else "", fontsize=10)
    names = [", ".join(method.name.split("\n")) for method in methods]
    grid[0, 0].set_yticks(range(len(names)), names)  # of all panels, which share it
    grid[0, 0].set_ylim(len(names) - 0.3, -0.7)
    legend_below(figure, (PLAIN, "without the swap"), (SWAPPED, "with the swap"))
    return as_plug_and_play(figure, methods, splits, protocol)


def _draw(panel: Axes, methods: Sequence[Method], split: str, metric: Description) -> None:
    """Points with error bars, a line between the two of a method, and words where one of them is not there."""
    place, rows = (split, metric.name), range(len(methods))
    before = [method.without.get(place) for method in methods]
    after = [method.swapped.get(place) for method in methods]
    panel.hlines(rows, [mean_of(one) for one in before], [mean_of(one) for one in after], color="#d0d3d8", linewidth=2)
    for values, colour in ((before, PLAIN), (after, SWAPPED)):
        panel.errorbar(
            [mean_of(one) for one in values], rows, xerr=error_bars(values), linestyle="", marker="o", markersize=5,
            capsize=2, color=colour,
        )  # fmt: skip
    for row, (plain, swapped) in enumerate(zip(before, after, strict=True)):
        sides = (("without", plain), ("with", swapped))
        words = "; ".join(f"{absent(one)} {side} the swap" for side, one in sides if not is_known(one))
        where = panel.get_yaxis_transform()
        if words:
            panel.text(0.01, row, words, color="#a00000", fontsize=6, va="center", transform=where)
    panel.set_xlabel(metric.axis)
    tidy(panel)
    panel.grid(axis="x", color="#dddddd", linewidth=0.7)


def _write_changes(panel: Axes, methods: Sequence[Method], split: str, metric: Description, printed: bool) -> None:
    """Right of the panel; `printed`: beside it the paper's, which are of the first split."""
    place = (split, metric.name)
    for row, method in enumerate(methods):
        change = change_words(mean_of(method.without.get(place)), mean_of(method.swapped.get(place)))
        where = panel.get_yaxis_transform()
        panel.text(1.01, row, change, fontweight="bold", fontsize=7, va="center", transform=where)
        paper = method.paper_change.get(metric.name) if printed else None
        if paper is not None:
            words = f"paper {signed(paper)}"
            panel.text(1.16, row, words, color=PAPER, fontsize=7, va="center", transform=where)
