"""The tables of a report, as data: in the forms of the paper's tables where runs answer them, else a generic one.

Runs are pooled over all sweeps given, so that a baseline may come from a folder of its own. A number always stands in a
row with its protocol, and in a column with its split where there are several; averages over actions are by Fisher's z
for rho and plain for R-l2, as the paper's. Spearman and R-l2 are in every table, and what else was asked for.
"""

import re
from collections.abc import Mapping, Sequence

from swapaqa.measures.ours import OURS, SPEARMAN, WRITTEN
from swapaqa.measures.record import Description
from swapaqa.report.captions import by_fishers_z, of_splits, which
from swapaqa.report.factor_views import factor_table
from swapaqa.report.published import Published, PublishedTable, paper_numbers, published
from swapaqa.report.scope import Column, Scope
from swapaqa.report.table import AS_PRINTED, Cell, Marks, Table, estimate_cell, published_cells
from swapaqa.runs.factors import factor_name, factors, find_factors, parted
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.runs_table import AVERAGE, Estimates
from swapaqa.runs.settings import (
    TOLD_BY_FACTS,
    Setting,
    find_settings,
    label,
    measures_of,
    pairs_of,
    ratio_groups,
    seed_words,
    source_groups,
)

NOT_PRINTED = "no number"  # the paper has none for this
NOT_IN_FILE_NAMES = re.compile(r"[^\w.-]+")
LONGEST_KEY = 100


def build_tables(sweeps: Sequence[Sweep], beside: Sequence[str] = ()) -> list[Table]:
    """Every table that the runs of `sweeps` answer; every run is in one of them at least. `beside`: as `published`."""
    listed, sweeps = parted(sweeps)
    tables, shown = [], set()
    for scope in scopes_of(sweeps, published(beside)):
        found, covered = _paper_like(scope)
        tables += found
        shown |= {id(run) for setting in covered for run in scope.settings[setting]}
    others = [sweep for sweep in sweeps if _unexplained(sweep) or any(id(run) not in shown for run in sweep.runs)]
    lists = [factor_table(name, find_factors(same)) for name, same in listed.items()]
    lists += _with_published([sweep for same in listed.values() for sweep in same], beside)
    return _distinct([*lists, *tables, *(generic_table(sweep) for sweep in others)])


def _with_published(listed: Sequence[Sweep], beside: Sequence[str]) -> list[Table]:
    """The settings of lists beside rows of others, where somebody asked for some."""
    found = []
    for scope in scopes_of(listed, published(beside)) if beside else []:
        names = {setting: _by_own_overrides(setting, scope) for setting in scope.settings}
        found += [system_table(scope, rows, names) for rows in [scope.published.of_data(scope.data)] if rows]
    return found


def _by_own_overrides(setting: Setting, scope: Scope) -> str:
    """By the facts; where another setting has the same, with what its jobs say besides, not with every swept value."""
    alike = sum(label(other) == label(setting) for other in scope.settings)
    given = factors(scope.settings[setting][0]) if alike > 1 else {}
    own = frozenset(f"{key}={value}" for key, value in given.items() if key not in TOLD_BY_FACTS)
    return ", ".join(filter(None, (label(setting), factor_name(own))))


def scopes_of(sweeps: Sequence[Sweep], rows: Published) -> list[Scope]:
    """The settings of each data set."""
    settings = find_settings(sweeps)
    return [
        Scope(data, {one: runs for one, runs in settings.items() if one.data == data}, sweeps, rows)
        for data in dict.fromkeys(setting.data for setting in settings)
    ]


def _paper_like(scope: Scope) -> tuple[list[Table], set[Setting]]:
    """The tables in the forms of the paper's, and the settings that they show."""
    ratios = [scope.only(group) for group in ratio_groups(scope.settings)]
    sources = [scope.only(group) for group in source_groups(scope.settings)]
    pairs = pairs_of(scope.settings)
    covered = {one for group in ratios + sources for one in group.settings} | {one for pair in pairs for one in pair}
    tables = [ratio_table(group, metric) for group in ratios for metric in group.measures]
    tables += [box_source_table(group) for group in sources]
    tables += [plug_and_play_table(scope, pairs)] if pairs and not sources else []
    whole = [action_table(scope, metric) for metric in scope.measures] if len(scope.actions) > 1 and not ratios else []
    beside = scope.published.of_data(scope.data)
    names = {setting: scope.name(setting) for setting in scope.settings}
    whole += [system_table(scope, beside, names)] if any(len(table.columns) == 1 for table in beside) else []
    return tables + whole, set(scope.settings) if whole else covered


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
    return any(key not in (*TOLD_BY_FACTS, "experiment") or key == "data.fold" for key in sweep.swept)


def action_table(scope: Scope, metric: Description) -> Table:
    """Systems by actions, in the form of the paper's Table 1 and beside its rows."""
    columns = scope.action_columns(metric)
    rows = scope.rows({one: (scope.name(one),) for one in scope.settings}, columns)
    marks, notes = Marks(), []
    for printed in scope.published.of_data(scope.data):
        if printed.metric == metric.name and printed.columns[-1] == AVERAGE:
            rows += _published_rows(printed, [metric] * len(printed.columns), marks, len(columns))
            notes += [f"Rows {AS_PRINTED}: {scope.published.source(printed)}."]
    return scope.table(
        f"actions_{metric.name}_{scope.data}",
        f"{metric.title} by action, {scope.data}",
        f"{metric.title} {of_splits(scope.splits)} by action{_average_words(scope, metric)}",
        ("system", "protocol", "seeds", *columns),
        rows,
        (*dict.fromkeys(notes), *marks.notes),
    )


def _average_words(scope: Scope, metric: Description) -> str:
    way = "by Fisher's z" if metric.average == "fisher" else "arithmetic"
    return f"; the average over the actions is {way}, seed by seed" if len(scope.actions) > 1 else ""


def _published_rows(
    printed: PublishedTable, metrics: Sequence[Description], marks: Marks, width: int
) -> list[tuple[Cell, ...]]:
    """The systems of a published table, whose numbers are of the first split; `width`: columns of numbers."""
    return [
        (
            f"{row.name} (the paper's)" if row.own and printed.number else row.name,
            AS_PRINTED,
            "",
            *published_cells(row, printed.columns, metrics, marks),
            *[NOT_PRINTED] * (width - len(printed.columns)),
        )
        for row in printed.systems
    ]


def system_table(scope: Scope, beside: Sequence[PublishedTable], names: Mapping[Setting, str]) -> Table:
    """Systems and metrics, in the form of the paper's Table 2 and beside rows of one metric."""
    marks, columns = Marks(), scope.average_columns(scope.measures)
    rows = scope.rows({one: (name,) for one, name in names.items()}, columns)
    notes = []
    for printed in beside:
        first = columns[0].metric
        if printed.columns == (first.name,):
            rows += _published_rows(printed, [first], marks, len(columns))
            lacks = " and has no R-l2" if printed.number else ""
            notes += [f"Rows {AS_PRINTED}: {scope.published.source(printed)}{lacks}."]
    return scope.table(
        f"systems_{scope.data}",
        f"Systems, {scope.data}",
        f"{which(scope.measures)} {of_splits(scope.splits)}",
        ("system", "protocol", "seeds", *columns),
        rows,
        (*dict.fromkeys(notes), *marks.notes),
    )


def ratio_table(scope: Scope, metric: Description) -> Table:
    """Ratios by actions: the numbers of the paper's Fig. 7. `scope`: settings that differ in the ratio alone."""
    first = next(iter(scope.settings))
    columns = scope.action_columns(metric)
    best = " or ".join(f"{ratio:g}" for ratio in paper_numbers().best_ratios)
    notes = [f"The paper's Fig. 7 has no numbers; its text finds the highest rho at ratio {best}."] * (
        bool(_of_the_paper(scope.data)) and metric == SPEARMAN
    )
    name = label(first._replace(ratio=None), [one._replace(ratio=None) for one in scope.settings])
    return scope.table(
        f"ratio_{metric.name}_{scope.data}_{first.model}_{first.boxes}",
        f"{metric.title} by scale ratio, {name}, {scope.data}",
        f"{metric.title} {of_splits(scope.splits)} by scale ratio and action{_average_words(scope, metric)}",
        ("ratio", "protocol", "seeds", *columns),
        scope.rows({one: (f"{one.ratio:g}",) for one in scope.settings}, columns),
        notes,
    )


def _of_the_paper(data: str) -> list[PublishedTable]:
    return [table for table in paper_numbers().tables.values() if table.data == data]


def box_source_table(scope: Scope) -> Table:
    """Box sources, in the form of the paper's Table 3 and beside its numbers. `scope`: the settings of one model."""
    model = next(iter(scope.settings)).model
    printed = paper_numbers().tables["box_source"]
    beside = (printed.data, printed.model) == (scope.data, model)
    marks, columns = Marks(), scope.average_columns(scope.measures)
    rows: list[tuple[Cell, ...]] = []
    for one in scope.settings:
        own = (one.boxes, "" if one.ratio is None else f"{one.ratio:g}")
        rows += scope.rows({one: own}, columns, _published_source(printed, one.boxes, marks) if beside else ())
    paper = [f"{OURS[name].title}, paper" for name in printed.columns] if beside else []
    notes = [f"Columns of the paper: its Table {printed.number}, which names no protocol."] * beside
    by_metric = f"averaged over the actions ({by_fishers_z(scope.measures)})"
    return scope.table(
        f"box_source_{scope.data}_{model}",
        f"Box sources, {model}, {scope.data}",
        f"{which(scope.measures)} {of_splits(scope.splits)}, {by_metric}, by box source",
        ("boxes", "ratio", "protocol", "seeds", *columns, *paper),
        rows,
        (*dict.fromkeys(notes), *marks.notes),
    )


def _published_source(printed: PublishedTable, boxes: str, marks: Marks) -> tuple[Cell, ...]:
    name = "baseline" if boxes == "none" else boxes.partition(" ")[0]
    for row in printed.rows:
        if row.system.lower() == name:
            return published_cells(row, printed.columns, [OURS[name] for name in printed.columns], marks)
    return (NOT_PRINTED,) * len(printed.columns)


def plug_and_play_table(scope: Scope, pairs: Sequence[tuple[Setting, Setting]]) -> Table:
    """Every model without and with the swap, with relative gains in %: the paper's Fig. 9, on its data sets."""
    beside, measures = bool(_of_the_paper(scope.data)), scope.measures
    sides = [Column("", metric, split) for split in scope.splits for metric in measures]
    rows: list[tuple[Cell, ...]] = []
    for plain, swapped in pairs:
        alone = sum(other.model == plain.model for other, _ in pairs) == 1
        for protocol in scope.protocols:
            cells: list[Cell] = []
            for side in sides:
                cells += [scope.cell(one, protocol, side) for one in (plain, swapped)]
                cells += [scope.gain(plain, swapped, protocol, side)]
                cells += [_published_gain(plain.model, side.metric.name)] * beside
            rows.append((plain.model if alone else scope.name(swapped), protocol, scope.seeds(swapped), *cells))
    columns: list[str | Column] = []
    for side in sides:
        short, change = side.metric.short, side.metric.change
        columns += [side._replace(heading=scope.heading(f"{short} {word}", side.split)) for word in ("without", "with")]
        columns += [scope.heading(f"{short} {change} %", side.split)]
        columns += [scope.heading(f"{short} {change} %, paper", side.split)] * beside
    return scope.only(one for pair in pairs for one in pair).table(
        f"plug_and_play_{scope.data}",
        f"Models without and with the swap, {scope.data}",
        f"{which(measures)} {of_splits(scope.splits)} without and with the swap; gain and decrease are "
        "relative, of the means over the seeds that both have",
        ("model", "protocol", "seeds", *columns),
        rows,
        ["The paper's gains are of its Fig. 9, whose text names neither the data set nor a protocol."] * beside,
    )


def _published_gain(model: str, metric: str) -> str:
    for gain in paper_numbers().plug_and_play:
        if gain.model == model:
            return f"{gain.by_metric[metric]:g}" if metric in gain.by_metric else NOT_PRINTED
    return NOT_PRINTED


def generic_table(sweep: Sweep) -> Table:
    """Any sweep: the swept values as columns and all metrics of every split, seeds merged, actions averaged."""
    keys = [key for key in sweep.swept if key not in ("seed", "data.action")]
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in sweep.runs:
        values = sweep.values(run)
        groups.setdefault(tuple(values[key] for key in keys) or (sweep.name,), []).append(run)
    settings = find_settings([sweep])
    scope = Scope("", settings, [sweep], Published())
    measures = tuple({m.name: m for m in (*WRITTEN, *measures_of(sweep.runs))}.values())
    columns, estimates = scope.average_columns(measures), Estimates(groups)
    rows = [
        (*named, protocol, seed_words(runs), *_generic_cells(estimates, named, protocol, columns))
        for named, runs in groups.items()
        for protocol in scope.protocols
    ]
    return scope.table(
        f"sweep_{sweep.name}",
        f"{'Sweep' if len(sweep.runs) > 1 else 'Run'} {sweep.name}",
        f"All metrics {of_splits(scope.splits)}; where there are several actions, averaged over them "
        f"({by_fishers_z(measures)})",
        (*(keys or ["run"]), "protocol", "seeds", *columns),
        rows,
    )


def _generic_cells(estimates: Estimates, key: tuple[str, ...], protocol: str, columns: Sequence[Column]) -> list[Cell]:
    found = [(column.metric, estimates.of(key, column.metric, protocol, column.split)) for column in columns]
    return [estimate_cell(one, metric, one is not None and estimates.is_partial(key, one)) for metric, one in found]
