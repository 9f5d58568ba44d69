"""A sweep that is a list of settings: a table of all, all as points, and lines over every numeric factor."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swapaqa.measures.ours import SPEARMAN, STANDARD
from swapaqa.measures.record import Description
from swapaqa.report.bars import Method, Reached
from swapaqa.report.captions import protocol_words
from swapaqa.report.drawing import (
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
from swapaqa.report.method_rows import plug_and_play_rows
from swapaqa.report.table import Cell, Table, Value, cell_notes, estimate_cell
from swapaqa.runs.factors import Factors, Line, Overrides, Pair, all_lines, factor_name, swap_pairs
from swapaqa.runs.runs_table import Estimate
from swapaqa.runs.settings import PROTOCOLS, measures_of, seed_words

RATIO = "aug.ratio"
MOST_ROWS = 120  # of a figure, that a page can show
MOST_LINES = len(COLOURS)  # of a panel, that an eye can tell apart


def factor_table(name: str, found: Factors) -> Table:
    """A row a setting and protocol: the metrics of every split, and the share of pixels replaced."""
    columns = [(split, metric) for split in found.splits for metric in measures_of(found.all_runs)]
    heads = [f"{metric.title}, {split}" for split, metric in columns]
    rows: list[tuple[Cell, ...]] = [
        (
            factor_name(own),
            protocol,
            seed_words(runs),
            *(_cell(found, own, split, protocol, metric) for split, metric in columns),
            None if (share := found.replaced(own)) is None else Value(share, None, 1),
        )
        for own, runs in found.runs.items()
        for protocol in found.protocols
    ]
    protocols = "; ".join(f"{protocol} ({PROTOCOLS.get(protocol, protocol)})" for protocol in found.protocols)
    better = {
        head: metric.higher_is_better
        for head, (_, metric) in zip(heads, columns, strict=True)
        if metric.higher_is_better is not None
    }
    return Table(
        f"settings_{name}",
        f"One factor at a time: {name}",
        f"Every setting by what it varies; mean ± sample standard deviation over seeds. Protocols: {protocols}.",
        ("setting", "protocol", "seeds", *heads, "pixels replaced %"),
        tuple(rows),
        (*cell_notes(rows), *([f"Not run: {'; '.join(found.missing)}."] if found.missing else [])),
        better,
    )


def _cell(found: Factors, own: Overrides, split: str, protocol: str, metric: Description) -> Cell:
    one = found.estimate(own, split, protocol, metric)
    return estimate_cell(one, metric, one is not None and found.estimates.is_partial(own, one))


def factor_drawings(name: str, found: Factors, protocol: str) -> list[Drawing]:
    """All settings as points, pairs without and with the swap as rows, and lines over every numeric factor."""
    lines = all_lines(found)
    drawings = [settings_drawing(name, found, protocol)]
    pairs = swap_pairs(found)
    drawings += [pairs_drawing(name, found, pairs, protocol)] if len(pairs) > 1 else []
    drawings += [lines_drawing(name, found, lines, protocol)] if lines else []
    return drawings + ([shares_drawing(name, found, lines[RATIO], protocol)] if RATIO in lines else [])


def pairs_drawing(name: str, found: Factors, pairs: Sequence[Pair], protocol: str) -> Drawing:
    """A row a pair of settings that differ in the swap alone."""
    places = [(split, metric) for split in found.splits for metric in STANDARD]

    def reached(own: Overrides) -> Reached:
        return {(split, metric.name): found.estimate(own, split, protocol, metric) for split, metric in places}

    methods = [Method(pair.name, reached(pair.without), reached(pair.swapped)) for pair in pairs]
    drawing = plug_and_play_rows(methods, found.splits, protocol_words(protocol))
    return drawing._replace(name=f"pairs_{name}_{protocol}", title=f"Without and with the swap: {name}")


def settings_drawing(name: str, found: Factors, protocol: str) -> Drawing:
    """A row a setting, a marker a split, with error bars; settings without a run are named as such."""
    settings = list(found.runs)[:MOST_ROWS]
    figure = Figure(figsize=(9.6, 1.2 + 0.21 * len(settings)), layout="constrained")
    panel = figure.subplots()
    for number, split in enumerate(found.splits):
        points = [found.estimate(own, split, protocol) for own in settings]
        places = [row + 0.12 * (number - (len(found.splits) - 1) / 2) for row in range(len(settings))]
        panel.errorbar(
            [mean_of(one) for one in points], places, xerr=error_bars(points), linestyle="", capsize=2,
            label=split, marker=MARKERS[number % 7], color=COLOURS[number % 7], markersize=5,
        )  # fmt: skip
    for row, own in enumerate(settings):
        if not any(is_known(found.estimate(own, split, protocol)) for split in found.splits):
            panel.text(
                0.01, row, "not run, or undefined", fontsize=7, va="center", color="#7f7f7f",
                transform=panel.get_yaxis_transform(),
            )  # fmt: skip
    panel.set_yticks(range(len(settings)), [factor_name(own) for own in settings], fontsize=7)
    panel.set_ylim(len(settings) - 0.3, -0.7)
    panel.set_xlabel(SPEARMAN.axis)
    panel.set_xlim(right=1.03)
    panel.axvline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    tidy(panel)
    panel.grid(axis="x", color="#dddddd", linewidth=0.7)
    figure.legend(loc="outside upper right", ncols=len(found.splits), fontsize=8, frameon=False)
    rest = _not_drawn(len(found.runs) - len(settings), "settings")
    caption = f"{protocol_words(protocol)} {_spread(found, settings, protocol)}{rest}"
    return Drawing(f"settings_{name}_{protocol}", f"Every setting: {name}", caption, figure)


def _not_drawn(count: int, what: str) -> str:
    return f" {count} more {what} are not drawn: see the table." * (count > 0)


def _spread(found: Factors, settings: Sequence[frozenset[str]], protocol: str) -> str:
    return spread_words([found.estimate(own, split, protocol) for own in settings for split in found.splits])


def shares_drawing(name: str, found: Factors, lines: Sequence[Line], protocol: str) -> Drawing:
    """Spearman over the share of pixels that the augmentation replaced: the lines over the ratio, seen differently."""
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    panels = figure.subplots(1, len(found.splits), squeeze=False, sharey=True)[0]
    for panel, split in zip(panels, found.splits, strict=True):
        for number, line in enumerate(lines[:MOST_LINES]):
            points = [
                (share, one, f"{ratio:g}")
                for ratio, own in line.points.items()
                if own in found.runs
                and (share := found.replaced(own)) is not None
                and is_known(one := found.estimate(own, split, protocol))
            ]
            if points:
                shares, estimates, ratios = zip(*points, strict=True)
                panel.errorbar(shares, [mean_of(one) for one in estimates], yerr=error_bars(estimates), label=line.name,
                               color=COLOURS[number % 7], marker=MARKERS[number % 7], markersize=4.5, linewidth=1.0,
                               capsize=2)  # fmt: skip
                for share, one, ratio in zip(shares, estimates, ratios, strict=True):
                    panel.annotate(ratio, (share, mean_of(one)), (3, 3), textcoords="offset points", fontsize=7)
        panel.set(xlabel="pixels replaced, %", title=split)
        tidy(panel)
    panels[0].set_ylabel(SPEARMAN.axis)
    panels[0].legend(fontsize=6.5, loc="best")
    settings = [own for line in lines[:MOST_LINES] for own in line.points.values() if own in found.runs]
    numbers = "The number at a point is its ratio."
    rest = _not_drawn(len(lines) - MOST_LINES, "lines")
    caption = f"{protocol_words(protocol)} {numbers} {_spread(found, settings, protocol)}{rest}"
    return Drawing(f"shares_{name}_{protocol}", f"Over the share of pixels replaced: {name}", caption, figure)


def lines_drawing(name: str, found: Factors, lines: Mapping[str, Sequence[Line]], protocol: str) -> Drawing:
    """A panel a factor; every line once for each split, in full for the last split and dashed for the others."""
    columns = 2 if len(lines) > 1 else 1
    rows = math.ceil(len(lines) / columns)
    figure = Figure(figsize=(9.6, 3.6 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    gaps: list[str] = []
    for (key, of_factor), panel in zip(lines.items(), panels, strict=False):  # so that no spare panel is taken
        for number, line in enumerate(of_factor[:MOST_LINES]):
            for split in found.splits:
                last = split == found.splits[-1]
                values = {
                    value: found.estimate(own, split, protocol) if own in found.runs else None
                    for value, own in line.points.items()
                }
                _draw(panel, values, f"{line.name}, {split}", number, last)
                gaps += [f"{line.name} at {value:g}" for value, one in values.items() if last and not is_known(one)]
        panel.set(xlabel=key.removeprefix("data.settings.").replace("_", " "), ylabel=SPEARMAN.label)
        panel.legend(fontsize=6.5, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)  # below: it hides nothing
        tidy(panel)
    for panel in list(panels):
        panel.set_axis_off()
    drawn = [line for of_factor in lines.values() for line in of_factor[:MOST_LINES]]
    settings = [own for line in drawn for own in line.points.values() if own in found.runs]
    rest = _not_drawn(sum(map(len, lines.values())) - len(drawn), "lines")
    caption = f"{protocol_words(protocol)} {_spread(found, settings, protocol)}{missing_words(gaps)}{rest}"
    return Drawing(f"factors_{name}_{protocol}", f"Over each factor: {name}", caption, figure)


def _draw(panel: Axes, values: Mapping[float, Estimate | None], name: str, number: int, solid: bool) -> None:
    points = {value: one for value, one in values.items() if is_known(one)}
    panel.errorbar(
        list(points), [mean_of(one) for one in points.values()], yerr=error_bars([*points.values()]),
        label=name, color=COLOURS[number % 7], marker=MARKERS[number % 7], markersize=4.5, capsize=2,
        linewidth=1.4 if solid else 0.9, linestyle="-" if solid else ":", markerfacecolor=None if solid else "white",
    )  # fmt: skip
