"""What one table is about: arms of one data set, with the actions, protocols and cells that all its rows share."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from swapaqa.measures.record import Description
from swapaqa.report.arms import (
    UNKNOWN,
    Arm,
    Arms,
    actions_of,
    average_over_actions,
    averages_by_seed,
    find_facts,
    label,
    measures_of,
    over_seeds,
    seed_words,
    seeds_of,
)
from swapaqa.report.captions import caption, floor_notes, missing_notes, protocols_of
from swapaqa.report.cells import Cell, Table, cell_notes, estimate_cell, percent_cell
from swapaqa.report.intervals import interval
from swapaqa.report.paper import paper_numbers
from swapaqa.report.runs import Run, Sweep


@dataclass(frozen=True)
class Scope:
    """The arms that one table is about, of one data set, and the sweeps that they come from."""

    data: str
    arms: Arms
    sweeps: Sequence[Sweep]

    @property
    def protocols(self) -> tuple[str, ...]:
        return protocols_of(self.arms)

    @property
    def actions(self) -> tuple[str, ...]:
        """The paper's, in its order, where it has a table by action; else those of the runs."""
        for printed in paper_numbers().tables.values():
            if printed.data == self.data and printed.columns[-1] == "average":
                return printed.columns[:-1]
        return tuple(dict.fromkeys(action for members in self.arms.values() for action in actions_of(members)))

    @property
    def measures(self) -> tuple[Description, ...]:
        """The metrics that its runs were asked for."""
        return measures_of(member.run for members in self.arms.values() for member in members)

    def only(self, arms: Iterable[Arm]) -> "Scope":
        return Scope(self.data, {arm: self.arms[arm] for arm in arms}, self.sweeps)

    def name(self, arm: Arm) -> str:
        return label(arm, list(self.arms))

    def average(self, arm: Arm, metric: Description, protocol: str) -> Cell:
        found = average_over_actions(self.arms[arm], metric, protocol, self.actions)
        return estimate_cell(found, metric, self.arms[arm], interval(self.arms[arm], metric, protocol, self.actions))

    def gain(self, plain: Arm, swapped: Arm, metric: Description, protocol: str) -> Cell:
        """The relative gain of the average in %; the decrease where lower is better."""
        before, after = (averages_by_seed(self.arms[a], metric, protocol, self.actions) for a in (plain, swapped))
        planned = max(len(seeds_of(self.arms[arm])) for arm in (plain, swapped))
        return percent_cell(before, after, planned, falling=metric.higher_is_better is False)

    def by_action(self, arm: Arm, metric: Description, protocol: str) -> tuple[Cell, ...]:
        """A cell an action, and the average where there are several."""
        members = self.arms[arm]
        cells = [
            estimate_cell(
                over_seeds(members, metric, protocol, action), metric, members,
                interval(members, metric, protocol, [action]),
            )
            for action in self.actions
        ]  # fmt: skip
        return (*cells, *([self.average(arm, metric, protocol)] if len(self.actions) > 1 else []))

    @property
    def action_columns(self) -> tuple[str, ...]:
        words = tuple(action.replace("_", " ") for action in self.actions)
        return (*words, "average") if len(words) > 1 else words

    def seeds(self, arm: Arm) -> str:
        return seed_words(self.arms[arm])

    def table(
        self,
        key: str,
        title: str,
        what: str,
        columns: Sequence[str],
        rows: Sequence[tuple[Cell, ...]],
        notes: Sequence[str] = (),
    ) -> Table:
        """Add what every table says: caption, signs, missing jobs."""
        slug = re.sub(r"\W+", "_", key).strip("_")
        said = (*cell_notes(rows), *notes, *floor_notes(self.arms), *missing_notes(self.sweeps, self._runs()))
        return Table(slug, title, caption(what, self.arms, self.protocols), tuple(columns), tuple(rows), said)

    def _runs(self) -> list[Run]:
        """The runs of the table, and those jobs of their sweeps of an unknown model: they may be its own."""
        shown = {id(member.run) for members in self.arms.values() for member in members}
        runs = []
        for sweep in self.sweeps:
            if any(id(run) in shown for run in sweep.runs):
                runs += [r for r in sweep.runs if id(r) in shown or find_facts(r, sweep).model == UNKNOWN]
        return runs
