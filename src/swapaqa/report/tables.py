"""The tables of a report, as data: in the forms of the paper's tables where runs answer them, else a generic one.

Runs are pooled over all sweeps given, so that a baseline may come from a folder of its own. A number always stands in a
row with its protocol; averages over actions are by Fisher's z for rho and plain for R-l2, as the paper's. Spearman and
R-l2 are in every table, and what else the runs were asked for.
"""

import re
from collections.abc import Sequence

from swapaqa.measures.ours import WRITTEN
from swapaqa.measures.record import Description
from swapaqa.report.arms import (
    FACTS,
    UNKNOWN,
    Arm,
    Member,
    actions_of,
    at_own_ratio,
    average_over_actions,
    find_arms,
    find_facts,
    grouped,
    measures_of,
    pairs_of,
    seed_words,
)
from swapaqa.report.cells import Cell, Table, estimate_cell
from swapaqa.report.duplicates import merged
from swapaqa.report.factors import factor_table, find_cells, parted
from swapaqa.report.forms import (
    action_table,
    box_source_table,
    by_fishers_z,
    plug_and_play_table,
    printed_of,
    ratio_table,
    system_table,
)
from swapaqa.report.intervals import interval
from swapaqa.report.runs import Sweep
from swapaqa.report.scope import Scope

NOT_IN_FILE_NAMES = re.compile(r"[^\w.-]+")
LONGEST_KEY = 100


def build_tables(sweeps: Sequence[Sweep]) -> list[Table]:
    """Every table that the runs of `sweeps` answer; every run is in one of them at least."""
    listed, sweeps = parted(sweeps)
    arms = merged(find_arms(sweeps))
    tables, shown = [], set()
    for data in dict.fromkeys(arm.data for arm in arms):
        scope = Scope(data, {arm: members for arm, members in arms.items() if arm.data == data}, sweeps)
        found, covered = _paper_like(scope)
        tables += found
        shown |= {id(member.run) for arm in covered for member in arms[arm]}
    others = [sweep for sweep in sweeps if _unexplained(sweep) or any(id(run) not in shown for run in sweep.runs)]
    lists = [factor_table(name, find_cells(same)) for name, same in listed.items()]
    return _distinct([*lists, *tables, *(generic_table(sweep) for sweep in others)])


def _paper_like(scope: Scope) -> tuple[list[Table], set[Arm]]:
    """The tables in the forms of the paper's, and the arms that they show."""
    ratios, sources, pairs = _ratio_groups(scope), _source_groups(scope), _pairs(scope)
    covered = {arm for group in ratios + sources for arm in group.arms} | {arm for pair in pairs for arm in pair}
    tables = [ratio_table(group, metric) for group in ratios for metric in group.measures]
    tables += [box_source_table(group) for group in sources]
    tables += [plug_and_play_table(scope, pairs)] if pairs and not sources else []
    whole = [action_table(scope, metric) for metric in scope.measures] if len(scope.actions) > 1 and not ratios else []
    whole += [system_table(scope, printed) for printed in printed_of(scope.data) if len(printed.columns) == 1]
    return tables + whole, set(scope.arms) if whole else covered


def _distinct(tables: Sequence[Table]) -> list[Table]:
    """The tables with a number behind a key that was there before."""
    found: dict[str, Table] = {}
    for table in tables:
        table = table._replace(key=NOT_IN_FILE_NAMES.sub("_", table.key)[:LONGEST_KEY])
        same = sum(key == table.key or key.startswith(f"{table.key}-") for key in found)
        key = f"{table.key}-{same + 1}" if same else table.key
        found[key] = table._replace(key=key)
    return list(found.values())


def _unexplained(sweep: Sweep) -> bool:
    """Whether a sweep varies something that the paper's forms have no column for."""
    return any(key not in (*FACTS, "experiment") or key == "data.fold" for key in sweep.swept)


def _ratio_groups(scope: Scope) -> list[Scope]:
    """Arms that differ in the ratio alone, of several ratios."""
    groups: dict[Arm, list[Arm]] = {}
    for arm in scope.arms:
        if arm.ratio is not None:
            groups.setdefault(arm._replace(ratio=None), []).append(arm)
    return [
        scope.only(sorted(arms, key=lambda arm: arm.ratio or 0)) for arms in groups.values() if len(arms) > 1
    ]  # fmt: skip


def _source_groups(scope: Scope) -> list[Scope]:
    """The arms of one model, of several box sources, each at its own ratio, beside those without an augmentation."""
    groups = (at_own_ratio(group) for group in grouped(scope.arms, "model").values())
    return [scope.only(arms) for arms in groups if len({arm.boxes for arm in arms} - {"none", UNKNOWN}) > 1]


def _pairs(scope: Scope) -> list[tuple[Arm, Arm]]:
    """Every model without and with the swap."""
    groups = grouped({arm: m for arm, m in scope.arms.items() if arm.model != UNKNOWN}, "model")
    return [pair for group in groups.values() for pair in pairs_of(group)]


def generic_table(sweep: Sweep) -> Table:
    """Any sweep: the swept values as columns and all metrics of every split, seeds merged, actions averaged."""
    keys = [key for key in sweep.swept if key not in ("seed", "data.action")]
    groups: dict[tuple[str, ...], list[Member]] = {}
    for run in sweep.runs:
        values = sweep.values(run)
        named = tuple(values[key] for key in keys) or (sweep.name,)
        groups.setdefault(named, []).append(Member(run, find_facts(run, sweep)))
    arms = find_arms([sweep])
    scope = Scope(next(iter(arms)).data, arms, [sweep])
    measures = tuple({m.name: m for m in (*WRITTEN, *measures_of(sweep.runs))}.values())
    splits = dict.fromkeys(s for run in sweep.runs for name in run.protocols for s in run.splits(name)) or ["test"]
    rows: list[tuple[Cell, ...]] = [
        (*named, protocol, split, seed_words(members), *_cells(members, measures, protocol, split))
        for named, members in groups.items()
        for protocol in scope.protocols
        for split in splits
    ]
    return scope.table(
        f"sweep_{sweep.name}",
        f"Sweep {sweep.name}",
        f"All metrics by split; where there are several actions, averaged over them ({by_fishers_z(measures)})",
        (*(keys or ["run"]), "protocol", "split", "seeds", *(metric.title for metric in measures)),
        rows,
    )


def _cells(members: Sequence[Member], measures: Sequence[Description], protocol: str, split: str) -> list[Cell]:
    actions = actions_of(members)
    return [
        estimate_cell(
            average_over_actions(members, metric, protocol, actions, split), metric, members,
            interval(members, metric, protocol, actions, split),
        )
        for metric in measures
    ]  # fmt: skip
