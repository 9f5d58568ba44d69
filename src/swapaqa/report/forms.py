"""Tables in the forms of the paper's, with its numbers beside ours."""

from collections.abc import Sequence

from swapaqa.measures.ours import OURS, SPEARMAN
from swapaqa.measures.record import Description
from swapaqa.report.arms import Arm, label
from swapaqa.report.cells import Cell, Marks, Table, printed_cells
from swapaqa.report.paper import PrintedTable, paper_numbers
from swapaqa.report.scope import Scope

AS_PRINTED = "as printed"
NOT_PRINTED = "no number"  # the paper has none for this


def printed_of(data: str) -> list[PrintedTable]:
    """The paper's tables on a data set."""
    return [table for table in paper_numbers().tables.values() if table.data == data]


def which(measures: Sequence[Description]) -> str:
    """The beginning of a caption."""
    return "Both metrics" if len(measures) == 2 else "All metrics"


def by_fishers_z(measures: Sequence[Description]) -> str:
    """`rho by Fisher's z`: how those that are no means are averaged."""
    return f"{', '.join(measure.short for measure in measures if measure.average == 'fisher')} by Fisher's z"


def action_table(scope: Scope, metric: Description) -> Table:
    """Systems by actions, in the form of the paper's Table 1 and beside its rows."""
    rows: list[tuple[Cell, ...]] = [
        (scope.name(arm), protocol, scope.seeds(arm), *scope.by_action(arm, metric, protocol))
        for arm in scope.arms
        for protocol in scope.protocols
    ]
    marks, notes = Marks(), []
    for printed in printed_of(scope.data):
        if printed.metric == metric.name:
            rows += _printed_rows(printed, [metric] * len(printed.columns), marks)
            notes += [f"Rows {AS_PRINTED}: the paper's Table {printed.number}, which names no protocol."]
    return scope.table(
        f"actions_{metric.name}_{scope.data}",
        f"{metric.title} by action, {scope.data}",
        f"{metric.title} of the test split by action{_average_words(scope, metric)}",
        ("system", "protocol", "seeds", *scope.action_columns),
        rows,
        (*notes, *marks.notes),
    )


def _average_words(scope: Scope, metric: Description) -> str:
    way = "by Fisher's z" if metric.average == "fisher" else "arithmetic"
    return f"; the average over the actions is {way}, seed by seed" if len(scope.actions) > 1 else ""


def _printed_rows(
    printed: PrintedTable, metrics: Sequence[Description], marks: Marks, empty: int = 0
) -> list[tuple[Cell, ...]]:
    """The systems of the paper; `empty` columns that it has no numbers for."""
    return [
        (
            f"{row.system} [{row.reference}]" if row.reference else f"{row.system} (the paper's)",
            AS_PRINTED,
            "",
            *printed_cells(row, printed.columns, metrics, marks),
            *[NOT_PRINTED] * empty,
        )
        for row in printed.systems
    ]


def system_table(scope: Scope, printed: PrintedTable) -> Table:
    """Systems and metrics, in the form of the paper's Table 2 and beside its rows, which are of the first alone."""
    marks, measures = Marks(), scope.measures
    rows: list[tuple[Cell, ...]] = [
        (scope.name(arm), protocol, scope.seeds(arm), *(scope.average(arm, metric, protocol) for metric in measures))
        for arm in scope.arms
        for protocol in scope.protocols
    ]
    rows += _printed_rows(printed, measures[:1], marks, empty=len(measures) - 1)
    notes = f"Rows {AS_PRINTED}: the paper's Table {printed.number}, which names no protocol and has no R-l2."
    return scope.table(
        f"systems_{scope.data}",
        f"Systems, {scope.data}",
        f"{which(measures)} of the test split",
        ("system", "protocol", "seeds", *(metric.title for metric in measures)),
        rows,
        (notes, *marks.notes),
    )


def ratio_table(scope: Scope, metric: Description) -> Table:
    """Ratios by actions: the numbers of the paper's Fig. 7. `scope`: arms that differ in the ratio alone."""
    first = next(iter(scope.arms))
    rows = [
        (f"{arm.ratio:g}", protocol, scope.seeds(arm), *scope.by_action(arm, metric, protocol))
        for arm in scope.arms
        for protocol in scope.protocols
    ]
    best = " or ".join(f"{ratio:g}" for ratio in paper_numbers().best_ratios)
    notes = [f"The paper's Fig. 7 has no numbers; its text finds the highest rho at ratio {best}."] * (
        bool(printed_of(scope.data)) and metric == SPEARMAN
    )
    name = label(first._replace(ratio=None), [arm._replace(ratio=None) for arm in scope.arms])
    return scope.table(
        f"ratio_{metric.name}_{scope.data}_{first.model}_{first.boxes}",
        f"{metric.title} by scale ratio, {name}, {scope.data}",
        f"{metric.title} of the test split by scale ratio and action{_average_words(scope, metric)}",
        ("ratio", "protocol", "seeds", *scope.action_columns),
        rows,
        notes,
    )


def box_source_table(scope: Scope) -> Table:
    """Box sources, in the form of the paper's Table 3 and beside its numbers. `scope`: the arms of one model."""
    model = next(iter(scope.arms)).model
    printed = paper_numbers().tables["box_source"]
    beside = (printed.data, printed.model) == (scope.data, model)
    marks, measures = Marks(), scope.measures
    rows = [
        (
            arm.boxes,
            "" if arm.ratio is None else f"{arm.ratio:g}",
            protocol,
            scope.seeds(arm),
            *(scope.average(arm, metric, protocol) for metric in measures),
            *(_printed_source(printed, arm.boxes, marks) if beside else ()),
        )
        for arm in scope.arms
        for protocol in scope.protocols
    ]
    words = [metric.title for metric in measures]
    paper = [f"{OURS[name].title}, paper" for name in printed.columns] if beside else []
    notes = [f"Columns of the paper: its Table {printed.number}, which names no protocol."] * beside
    return scope.table(
        f"box_source_{scope.data}_{model}",
        f"Box sources, {model}, {scope.data}",
        f"{which(measures)} of the test split, averaged over the actions ({by_fishers_z(measures)}), by box source",
        ("boxes", "ratio", "protocol", "seeds", *words, *paper),
        rows,
        (*notes, *marks.notes),
    )


def _printed_source(printed: PrintedTable, boxes: str, marks: Marks) -> tuple[Cell, ...]:
    name = "baseline" if boxes == "none" else boxes.partition(" ")[0]
    for row in printed.rows:
        if row.system.lower() == name:
            return printed_cells(row, printed.columns, [OURS[name] for name in printed.columns], marks)
    return (NOT_PRINTED,) * len(printed.columns)


def plug_and_play_table(scope: Scope, pairs: Sequence[tuple[Arm, Arm]]) -> Table:
    """Every model without and with the swap, with relative gains in %: the paper's Fig. 9, on its data sets."""
    beside, measures = bool(printed_of(scope.data)), scope.measures
    rows: list[tuple[Cell, ...]] = []
    for plain, swapped in pairs:
        alone = sum(other.model == plain.model for other, _ in pairs) == 1
        for protocol in scope.protocols:
            cells: list[Cell] = []
            for metric in measures:
                cells += [scope.average(arm, metric, protocol) for arm in (plain, swapped)]
                cells += [scope.gain(plain, swapped, metric, protocol)]
                cells += [_printed_gain(plain.model, metric.name)] * beside
            rows.append((plain.model if alone else scope.name(swapped), protocol, scope.seeds(swapped), *cells))
    columns = [
        f"{metric.short} {word}"
        for metric in measures
        for word in ("without", "with", f"{metric.change} %", *[f"{metric.change} %, paper"] * beside)
    ]
    return scope.only(arm for pair in pairs for arm in pair).table(
        f"plug_and_play_{scope.data}",
        f"Models without and with the swap, {scope.data}",
        f"{which(measures)} of the test split without and with the swap; gain and decrease are "
        "relative, of the means over the seeds that both have",
        ("model", "protocol", "seeds", *columns),
        rows,
        ["The paper's gains are of its Fig. 9, whose text names neither the data set nor a protocol."] * beside,
    )


def _printed_gain(model: str, metric: str) -> str:
    for gain in paper_numbers().plug_and_play:
        if gain.model == model:
            return f"{gain.by_metric[metric]:g}" if metric in gain.by_metric else NOT_PRINTED
    return NOT_PRINTED
