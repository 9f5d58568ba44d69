"""The scope of one table or figure: settings of one data set, with the actions, splits and protocols they share."""

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from swapaqa.measures.record import Description
from swapaqa.report.captions import caption, floor_notes, missing_notes
from swapaqa.report.published import Published
from swapaqa.report.table import FEWER_SEEDS, Cell, Table, Value, cell_notes, estimate_cell
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.runs_table import AVERAGE, Estimate, Estimates
from swapaqa.runs.settings import (
    Setting,
    Settings,
    actions_of,
    label,
    measures_of,
    protocols_of,
    seed_words,
    seeds_of,
    splits_of,
)


class Column(NamedTuple):
    """A column of numbers."""

    heading: str
    metric: Description
    split: str
    action: str = AVERAGE


@dataclass(frozen=True, eq=False)
class Scope:
    """The settings that one table is about, of one data set, and the sweeps that they come from."""

    data: str
    settings: Settings
    sweeps: Sequence[Sweep]
    published: Published

    @cached_property
    def runs(self) -> list[Run]:
        return [run for runs in self.settings.values() for run in runs]

    @cached_property
    def protocols(self) -> tuple[str, ...]:
        return protocols_of(self.runs)

    @cached_property
    def splits(self) -> tuple[str, ...]:
        return splits_of(self.runs)

    @cached_property
    def actions(self) -> tuple[str, ...]:
        """Those of a published table by action, in its order; else those of the runs."""
        for printed in self.published.of_data(self.data):
            if printed.columns[-1] == AVERAGE:
                return printed.columns[:-1]
        return tuple(dict.fromkeys(action for runs in self.settings.values() for action in actions_of(runs)))

    @cached_property
    def measures(self) -> tuple[Description, ...]:
        """The metrics that its runs were asked for."""
        return measures_of(self.runs)

    @cached_property
    def estimates(self) -> Estimates:
        return Estimates(self.settings, self.actions)

    def only(self, settings: Iterable[Setting]) -> "Scope":
        return Scope(self.data, {one: self.settings[one] for one in settings}, self.sweeps, self.published)

    def name(self, setting: Setting) -> str:
        return label(setting, list(self.settings))

    def seeds(self, setting: Setting) -> str:
        return seed_words(self.settings[setting])

    def estimate(self, setting: Setting, protocol: str, column: Column) -> Estimate | None:
        return self.estimates.of(setting, column.metric, protocol, column.split, column.action)

    def cell(self, setting: Setting, protocol: str, column: Column) -> Cell:
        found = self.estimate(setting, protocol, column)
        return estimate_cell(found, column.metric, found is not None and self.estimates.is_partial(setting, found))

    def gain(self, plain: Setting, swapped: Setting, protocol: str, column: Column) -> Cell:
        """The relative gain of the average in %; the decrease where lower is better."""
        before, after = (
            self.estimates.seeds(one, column.metric, protocol, column.split, column.action) for one in (plain, swapped)
        )
        planned = max(len(seeds_of(self.settings[one])) for one in (plain, swapped))
        return percent_cell(before, after, planned, falling=column.metric.higher_is_better is False)

    def average_columns(self, measures: Sequence[Description]) -> list[Column]:
        """A column a metric and split, averaged over the actions."""
        return [Column(self.heading(m.title, split), m, split) for split in self.splits for m in measures]

    def action_columns(self, metric: Description) -> list[Column]:
        """A column an action, and the average where there are several, for every split."""
        actions = (*self.actions, AVERAGE) if len(self.actions) > 1 else self.actions
        return [
            Column(self.heading(action.replace("_", " "), split), metric, split, action)
            for split in self.splits
            for action in actions
        ]

    def heading(self, words: str, split: str) -> str:
        """With the split where there are several."""
        return f"{words}, {split}" if len(self.splits) > 1 else words

    def rows(
        self, labels: Mapping[Setting, tuple[Cell, ...]], columns: Sequence[Column], beside: Sequence[Cell] = ()
    ) -> list[tuple[Cell, ...]]:
        """A row a setting and protocol: labels, protocol, seeds, numbers. `beside`: what every row ends with."""
        return [
            (*own, protocol, self.seeds(one), *(self.cell(one, protocol, column) for column in columns), *beside)
            for one, own in labels.items()
            for protocol in self.protocols
        ]

    def table(
        self,
        key: str,
        title: str,
        what: str,
        columns: Sequence[str | Column],
        rows: Sequence[tuple[Cell, ...]],
        notes: Sequence[str] = (),
    ) -> Table:
        """Add what every table says: caption, signs, missing jobs."""
        slug = re.sub(r"\W+", "_", key).strip("_")
        said = (*cell_notes(rows), *notes, *floor_notes(self.settings), *missing_notes(self.sweeps, self.runs))
        better = {
            column.heading: column.metric.higher_is_better
            for column in columns
            if isinstance(column, Column) and column.metric.higher_is_better is not None
        }
        heads = tuple(column if isinstance(column, str) else column.heading for column in columns)
        about = caption(what, self.settings, self.protocols)
        return Table(slug, title, about, heads, tuple(rows), said, better, self.published.citations)


def percent_cell(before: Mapping[int, float], after: Mapping[int, float], planned: int, falling: bool = False) -> Cell:
    """The relative gain in % of means over the seeds that both have; `falling`: the decrease. Missing without one.

    Undefined over a value that is not positive, as a correlation can be.
    """
    common = before.keys() & after.keys()
    if not common:
        return None
    base = statistics.fmean(before[seed] for seed in common)
    gain = 100 * (statistics.fmean(after[seed] for seed in common) / base - 1) if base > 0 else math.nan
    return Value(-gain if falling else gain, None, 2, FEWER_SEEDS if len(common) < planned else "")
