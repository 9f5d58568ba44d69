"""A sweep that is a list of cells, each of which differs from a reference in one factor: a table, and two figures.

Its jobs name different keys, so the forms of the paper's tables have no columns for them: a row is a cell by its own
words. The same cells in several folders, of other seeds or from other machines, are one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swapaqa.measures.ours import SPEARMAN
from swapaqa.measures.record import Description
from swapaqa.report.arms import Member, actions_of, averages_by_seed, estimate, find_facts, measures_of, seed_words
from swapaqa.report.captions import PROTOCOLS
from swapaqa.report.cells import Cell, Table, Value, cell_notes, estimate_cell
from swapaqa.report.drawing import (
    COLOURS,
    MARKERS,
    BySeed,
    Drawing,
    is_known,
    mean_and_std,
    missing_words,
    seeds_words,
    tidy,
)
from swapaqa.report.runs import Run, Sweep

NOT_A_FACTOR = ("seed", "sweeps", "logger", "save_every", "plan", "resume", "measures")
LEAST_POINTS = 3  # of a line
RATIO = "aug.ratio"

Words = frozenset[str]


def is_list_of_cells(sweep: Sweep) -> bool:
    """Whether the jobs of a planned sweep name different keys."""
    return sweep.command is not None and len({frozenset(factors(run)) for run in sweep.runs}) > 1


def parted(sweeps: Sequence[Sweep]) -> tuple[dict[str, list[Sweep]], list[Sweep]]:
    """The sweeps that are lists of cells, by name, and the others."""
    listed: dict[str, list[Sweep]] = {}
    for sweep in sweeps:
        if is_list_of_cells(sweep):
            listed.setdefault(sweep.name, []).append(sweep)
    return listed, [sweep for sweep in sweeps if not is_list_of_cells(sweep)]


def factors(run: Run) -> dict[str, str]:
    """What sets the cell of a run apart, by key: its overrides but for the seed and what decides nothing."""
    return {key: value for key, value in run.given.items() if key not in NOT_A_FACTOR}


@dataclass(frozen=True)
class Cells:
    """The cells of one experiment in the order of its jobs, each with its runs over the seeds."""

    members: Mapping[Words, tuple[Member, ...]]

    def values(self, words: Words, split: str, protocol: str, metric: Description = SPEARMAN) -> dict[int, float]:
        members = self.members[words]
        return averages_by_seed(members, metric, protocol, actions_of(members), split)

    @property
    def measures(self) -> tuple[Description, ...]:
        return measures_of(member.run for runs in self.members.values() for member in runs)

    @property
    def splits(self) -> list[str]:
        found = (s for runs in self.members.values() for m in runs for name in m.run.protocols
                 for s in m.run.splits(name))  # fmt: skip
        return list(dict.fromkeys(found)) or ["test"]

    @property
    def protocols(self) -> list[str]:
        found = {name for runs in self.members.values() for m in runs for name in m.run.protocols}
        return [name for name in PROTOCOLS if name in found] or ["last"]

    @property
    def missing(self) -> list[str]:
        """Cells without any finished run."""
        return [cell_name(w) for w, runs in self.members.items() if not any(member.run.result for member in runs)]


def find_cells(sweeps: Sequence[Sweep]) -> Cells:
    """The cells of all `sweeps`, those of equal words as one."""
    found: dict[Words, list[Member]] = {}
    for sweep in sweeps:
        for run in sweep.runs:
            words = frozenset(f"{key}={value}" for key, value in factors(run).items())
            found.setdefault(words, []).append(Member(run, find_facts(run, sweep)))
    return Cells({words: tuple(members) for words, members in found.items()})


def cell_name(words: Words) -> str:
    """`aug=swap ratio=3`: keys without the groups they are in, the augmentation first."""
    short = (word.partition("=")[0].rsplit(".", 1)[-1] + "=" + word.partition("=")[2] for word in words)
    return " ".join(sorted(short, key=lambda word: (not word.startswith("aug="), word)))


def factor_table(name: str, cells: Cells) -> Table:
    """A row a cell and protocol: the metrics of every split, and the share of pixels replaced."""
    measures = cells.measures
    columns = [f"{metric.title}, {split}" for split in cells.splits for metric in measures]
    rows: list[tuple[Cell, ...]] = [
        (
            cell_name(words),
            protocol,
            seed_words(members),
            *(_cell(cells, words, split, protocol, metric) for split in cells.splits for metric in measures),
            _replaced(members),
        )
        for words, members in cells.members.items()
        for protocol in cells.protocols
    ]
    protocols = "; ".join(f"{protocol} ({PROTOCOLS.get(protocol, protocol)})" for protocol in cells.protocols)
    return Table(
        f"cells_{name}",
        f"One factor at a time: {name}",
        f"Every cell by what it varies; mean ± sample standard deviation over seeds. Protocols: {protocols}.",
        ("cell", "protocol", "seeds", *columns, "pixels replaced %"),
        tuple(rows),
        (*cell_notes(rows), *([f"Not run: {'; '.join(cells.missing)}."] if cells.missing else [])),
    )


def _cell(cells: Cells, words: Words, split: str, protocol: str, metric: Description) -> Cell:
    found = estimate(list(cells.values(words, split, protocol, metric).values()))
    return estimate_cell(found, metric, cells.members[words])


def _replaced(members: Sequence[Member]) -> Cell:
    shares = [m.run.result["replaced_share"]["mean"] for m in members if m.run.result]
    found = estimate([100 * share for share in shares])
    return None if found is None else Value(found.mean, None, 1)


def factor_drawings(name: str, cells: Cells, protocol: str) -> list[Drawing]:
    """All cells as points, and a panel of lines for every numeric factor with enough values."""
    lines = {key: found for key in _keys(cells) if (found := factor_lines(cells, key))}
    drawings = [cells_drawing(name, cells, protocol)]
    drawings += [lines_drawing(name, cells, lines, protocol)] if lines else []
    return drawings + ([shares_drawing(name, cells, lines[RATIO], protocol)] if RATIO in lines else [])


def cells_drawing(name: str, cells: Cells, protocol: str) -> Drawing:
    """A row a cell, a marker a split, bars of a standard deviation; cells without a run are named as such."""
    words = list(cells.members)
    figure = Figure(figsize=(9.6, 1.2 + 0.21 * len(words)), layout="constrained")
    panel = figure.subplots()
    for number, split in enumerate(cells.splits):
        points = [mean_and_std(cells.values(one, split, protocol)) for one in words]
        places = [row + 0.12 * (number - (len(cells.splits) - 1) / 2) for row in range(len(words))]
        panel.errorbar(
            [mean for mean, _ in points], places, xerr=[std for _, std in points], linestyle="", capsize=2,
            label=split, marker=MARKERS[number % 7], color=COLOURS[number % 7], markersize=5,
        )  # fmt: skip
    for row, one in enumerate(words):
        if not any(is_known(cells.values(one, split, protocol)) for split in cells.splits):
            panel.text(
                0.01, row, "not run, or undefined", fontsize=7, va="center", color="#7f7f7f",
                transform=panel.get_yaxis_transform(),
            )  # fmt: skip
    panel.set_yticks(range(len(words)), [cell_name(one) for one in words], fontsize=7)
    panel.set_ylim(len(words) - 0.3, -0.7)
    panel.set_xlabel(SPEARMAN.axis)
    panel.set_xlim(right=1.03)
    panel.axvline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    tidy(panel)
    panel.grid(axis="x", color="#dddddd", linewidth=0.7)
    figure.legend(loc="outside upper right", ncols=len(cells.splits), fontsize=8, frameon=False)
    known = [cells.values(one, split, protocol) for one in words for split in cells.splits]
    caption = f"Protocol: {PROTOCOLS.get(protocol, protocol)}. {seeds_words(known)}"
    return Drawing(f"cells_{name}_{protocol}", f"Every cell: {name}", caption, figure)


def shares_drawing(name: str, cells: Cells, lines: Sequence["Line"], protocol: str) -> Drawing:
    """Spearman over the share of pixels that the augmentation replaced: the lines over the ratio, seen differently."""
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    panels = figure.subplots(1, len(cells.splits), squeeze=False, sharey=True)[0]
    for panel, split in zip(panels, cells.splits, strict=True):
        for number, line in enumerate(lines):
            points = [
                (share.mean, *mean_and_std(found), f"{ratio:g}")
                for ratio, words in line.points.items()
                if isinstance(share := _replaced(cells.members[words]), Value)
                and is_known(found := cells.values(words, split, protocol))
            ]
            if points:
                shares, means, stds, ratios = zip(*points, strict=True)
                panel.errorbar(shares, means, yerr=stds, label=line.name, color=COLOURS[number % 7],
                               marker=MARKERS[number % 7], markersize=4.5, linewidth=1.0, capsize=2)  # fmt: skip
                for share, mean, ratio in zip(shares, means, ratios, strict=True):
                    panel.annotate(ratio, (share, mean), (3, 3), textcoords="offset points", fontsize=7)
        panel.set(xlabel="pixels replaced, %", title=split)
        tidy(panel)
    panels[0].set_ylabel(SPEARMAN.axis)
    panels[0].legend(fontsize=6.5, loc="best")
    known = [cells.values(w, s, protocol) for line in lines for w in line.points.values() for s in cells.splits]
    caption = f"Protocol: {PROTOCOLS.get(protocol, protocol)}. The number at a point is its ratio. {seeds_words(known)}"
    return Drawing(f"shares_{name}_{protocol}", f"Over the share of pixels replaced: {name}", caption, figure)


class Line(NamedTuple):
    """Cells that differ in one numeric factor alone: `points` by its value."""

    name: str
    points: dict[float, Words]


def factor_lines(cells: Cells, key: str) -> list[Line]:
    """The lines over `key`: cells that name it and are otherwise equal, with the one that leaves it at its default."""
    found: dict[Words, dict[float, Words]] = {}
    for words in cells.members:
        own = next((word for word in words if word.startswith(f"{key}=")), None)
        value = _number(own.partition("=")[2]) if own else None
        if own is not None and value is not None:
            found.setdefault(words - {own}, {})[value] = words
    for rest, points in found.items():
        reference = _as_named(cells, rest)
        default = _default(cells.members.get(reference, ()), key)
        if default is not None:
            points.setdefault(default, reference)
    return [
        Line(cell_name(rest), dict(sorted(points.items())))
        for rest, points in found.items()
        if len(points) >= LEAST_POINTS
    ]


def lines_drawing(name: str, cells: Cells, lines: Mapping[str, Sequence[Line]], protocol: str) -> Drawing:
    """A panel a factor; every line once for each split, in full for the last split and dashed for the others."""
    columns = 2 if len(lines) > 1 else 1
    rows = math.ceil(len(lines) / columns)
    figure = Figure(figsize=(9.6, 3.6 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    gaps: list[str] = []
    for (key, of_factor), panel in zip(lines.items(), panels, strict=False):  # so that no spare panel is taken
        for number, line in enumerate(of_factor):
            for split in cells.splits:
                last = split == cells.splits[-1]
                values = {value: cells.values(words, split, protocol) for value, words in line.points.items()}
                _draw(panel, values, f"{line.name}, {split}", number, last)
                gaps += [f"{line.name} at {value:g}" for value, one in values.items() if last and not is_known(one)]
        panel.set(xlabel=key.removeprefix("data.settings.").replace("_", " "), ylabel=SPEARMAN.label)
        panel.legend(fontsize=6.5, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)  # below: it hides nothing
        tidy(panel)
    for panel in list(panels):
        panel.set_axis_off()
    known = [cells.values(words, s, protocol) for found in lines.values() for one in found
             for words in one.points.values() for s in cells.splits]  # fmt: skip
    caption = f"Protocol: {PROTOCOLS.get(protocol, protocol)}. {seeds_words(known)}{missing_words(gaps)}"
    return Drawing(f"factors_{name}_{protocol}", f"Over each factor: {name}", caption, figure)


def _draw(panel: Axes, values: Mapping[float, BySeed], name: str, number: int, solid: bool) -> None:
    points = {value: mean_and_std(one) for value, one in values.items() if is_known(one)}
    panel.errorbar(
        list(points), [mean for mean, _ in points.values()], yerr=[std for _, std in points.values()],
        label=name, color=COLOURS[number % 7], marker=MARKERS[number % 7], markersize=4.5, capsize=2,
        linewidth=1.4 if solid else 0.9, linestyle="-" if solid else ":", markerfacecolor=None if solid else "white",
    )  # fmt: skip


def _as_named(cells: Cells, words: Words) -> Words:
    """The cell of `words`; it may leave out one that says what holds without it, as `aug.ratio=2` does."""
    if words in cells.members:
        return words
    for word in sorted(words):
        key, _, value = word.partition("=")
        shorter = words - {word}
        if shorter in cells.members and _default(cells.members[shorter], key) == _number(value) is not None:
            return shorter
    return words


def _keys(cells: Cells) -> list[str]:
    return list(dict.fromkeys(word.partition("=")[0] for words in cells.members for word in sorted(words)))


def _default(members: Sequence[Member], key: str) -> float | None:
    found = (member.run.setting(key) for member in members if member.run.config is not None)
    return next((number for value in found if (number := _number(value)) is not None), None)


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
