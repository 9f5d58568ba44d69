"""Figures that a set of runs supports, with the numbers in them: from settings to drawings.

A figure is drawn where its question is asked: two ratios for Fig. 7, two sources of boxes for Table 3, two methods with
and without the swap for Fig. 9, a baseline and a swap for Fig. 6. Jobs without a result are drawn as missing. The
paper's numbers stand beside ours only on its own data sets, and averages of Table 3 only beside the same actions.
"""

from collections.abc import Sequence
from typing import NamedTuple

from swapaqa.measures.ours import RELATIVE_L2, SPEARMAN, STANDARD
from swapaqa.report.bars import MOST_BARS, BoxSource, Method, Printed, Reached, box_source_bars, plug_and_play_bars
from swapaqa.report.captions import protocol_words
from swapaqa.report.curves import Curves, ratio_curves
from swapaqa.report.drawing import Drawing
from swapaqa.report.factor_views import factor_drawings
from swapaqa.report.method_rows import plug_and_play_rows
from swapaqa.report.published import Published, paper_numbers
from swapaqa.report.scope import Column, Scope
from swapaqa.report.truth import Prediction, PublishedShares, truth_scatter
from swapaqa.runs.factors import find_factors, parted
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.runs_table import AVERAGE
from swapaqa.runs.settings import Setting, find_settings, grouped, label, pairs_of, ratio_groups, source_groups


class Drawn(NamedTuple):
    """Figures, and how many more the runs would support."""

    drawings: list[Drawing]
    left_out: int


def drawings(sweeps: Sequence[Sweep], protocol: str, most: int | None = None) -> Drawn:
    """The figures of one protocol but for Fig. 8, which needs the videos. `most`: of a kind; None: all."""
    listed, sweeps = parted(sweeps)
    scopes = question_scopes(sweeps)
    pairs = [(scope, pair) for scope in scopes["models"] for pair in pairs_of(scope.settings)]
    found = [
        *(one for name, same in listed.items() for one in factor_drawings(name, find_factors(same), protocol)),
        *(ratio_drawing(scope, protocol) for scope in scopes["ratios"][:most]),
        *(box_source_drawing(scope, protocol) for scope in scopes["sources"][:most]),
        *(plug_and_play_drawing(scope, protocol) for scope in scopes["methods"][:most]),
        *(scatter_drawing(scope, pair, protocol) for scope, pair in pairs[:most]),
    ]
    kinds = (scopes["ratios"], scopes["sources"], scopes["methods"], pairs)
    left_out = sum(len(kind) - len(kind[:most]) for kind in kinds)
    return Drawn([numbered(drawing, found[:position]) for position, drawing in enumerate(found)], left_out)


def question_scopes(sweeps: Sequence[Sweep]) -> dict[str, list[Scope]]:
    """The settings that answer each question; averages are over the actions that they have themselves."""
    settings = find_settings(sweeps)
    by_data, by_model = grouped(settings, "data"), grouped(settings, "data", "model")
    groups = {
        "ratios": ratio_groups(settings),
        "sources": source_groups(settings),
        "methods": [g for g in by_data.values() if len({before.model for before, _ in pairs_of(g)}) > 1],
        "models": list(by_model.values()),
    }
    return {
        question: [Scope(next(iter(group)).data, group, sweeps, Published()) for group in found if group]
        for question, found in groups.items()
    }


def numbered(drawing: Drawing, before: Sequence[Drawing]) -> Drawing:
    """The drawing with a number where `before` has others of its name: the same facts under other settings."""
    same = sum(other.name == drawing.name for other in before)
    if not same:
        return drawing
    return drawing._replace(name=f"{drawing.name}_{same + 1}", title=f"{drawing.title} ({same + 1})")


def ratio_facts(scope: Scope) -> tuple[str, ...]:
    """What one group of ratios is about: data set, method, source of boxes."""
    first = next(iter(scope.settings))
    return first.data, first.model, first.boxes


def ratio_drawing(scope: Scope, protocol: str) -> Drawing:
    """`scope`: settings that differ in the ratio alone."""
    actions = (*scope.actions, AVERAGE) if len(scope.actions) > 1 else scope.actions
    curves: dict[tuple[str, str], Curves] = {
        (split, metric.name): {
            action: {
                setting.ratio or 0.0: scope.estimate(setting, protocol, Column("", metric, split, action))
                for setting in scope.settings
            }
            for action in actions
        }
        for split in scope.splits
        for metric in STANDARD
    }
    return ratio_curves(curves, protocol_words(protocol)).about(protocol, *ratio_facts(scope))


def average_estimates(scope: Scope, setting: Setting, protocol: str) -> Reached:
    """Averages over the actions of the scope."""
    return {
        (split, metric.name): scope.estimate(setting, protocol, Column("", metric, split))
        for split in scope.splits
        for metric in STANDARD
    }


def box_source_drawing(scope: Scope, protocol: str) -> Drawing:
    """`scope`: the sources of one data set and method, beside no swap."""
    first = next(iter(scope.settings))
    sources = [
        BoxSource(
            _source_name(setting, list(scope.settings)),
            average_estimates(scope, setting, protocol),
            _table3(setting, scope.actions),
        )
        for setting in scope.settings
    ]
    words = protocol_words(protocol) + _averaged(scope.actions)
    return box_source_bars(sources, scope.splits, words).about(protocol, first.data, first.model)


def plug_and_play_drawing(scope: Scope, protocol: str) -> Drawing:
    """`scope`: the settings of one data set."""
    pairs = pairs_of(scope.settings)
    methods = [
        Method(
            after.model if _one_swap(after, pairs) else "\n".join([after.model, *_lines(after)]),
            average_estimates(scope, before, protocol),
            average_estimates(scope, after, protocol),
            _figure9(after),
        )
        for before, after in pairs
    ]
    words = protocol_words(protocol) + _averaged(scope.actions)
    draw = plug_and_play_bars if len(methods) <= MOST_BARS else plug_and_play_rows
    return draw(methods, scope.splits, words).about(protocol, scope.data)


def scatter_drawing(scope: Scope, pair: tuple[Setting, Setting], protocol: str) -> Drawing:
    """A swap, at its source's own ratio, with the run without a swap of the same method and data."""
    _, after = pair
    systems = {
        split: {label(one): predictions(scope.settings[one], protocol, split) for one in pair} for split in scope.splits
    }
    drawing = truth_scatter(systems, protocol_words(protocol), _figure6(after, scope.actions))
    return drawing.about(protocol, after.data, after.model, after.boxes)


def predictions(runs: Sequence[Run], protocol: str, split: str = "test") -> dict[int, list[Prediction]]:
    """By seed, the pooled test videos of all actions; only seeds for which every planned action is there."""
    pooled: dict[int, dict[str, list[Prediction]]] = {}
    for run in runs:
        action, rows = run.action or "?", run.predictions(protocol, split)
        if rows and run.seed is not None:  # of two runs with one seed the later one counts
            found = [Prediction(video_id, action, *row) for video_id, row in rows.items()]
            pooled.setdefault(run.seed, {})[action] = found
    planned = {run.action or "?" for run in runs}
    return {
        seed: [one for rows in by_action.values() for one in rows]
        for seed, by_action in sorted(pooled.items())
        if set(by_action) >= planned
    }


def _one_swap(setting: Setting, pairs: Sequence[tuple[Setting, Setting]]) -> bool:
    return sum(after.model == setting.model for _, after in pairs) == 1


def _averaged(actions: Sequence[str]) -> str:
    if len(actions) == 1:
        return f" Action: {actions[0]}."
    return f" Averages over {len(actions)} actions, of ρ by Fisher's z; a setting without one of them is missing."


def _source_name(setting: Setting, among: Sequence[Setting]) -> str:
    """The label of a source, with its preset where another setting has the same facts."""
    alike = [other for other in among if other.without_preset == setting.without_preset]
    preset = [value for _, value in setting.extra] if len(alike) > 1 else []
    return "\n".join([*(["no swap"] if setting.boxes == "none" else _lines(setting)), *preset])


def _lines(setting: Setting) -> list[str]:
    """Source, its reading and ratio, a line each: labels of bars stand close."""
    return [*setting.boxes.replace(" (", "\n(").split("\n"), f"ratio {setting.ratio:g}"]


def _as_in_the_paper(setting: Setting, actions: Sequence[str]) -> bool:
    """Whether a setting is of the data set, the method and the actions of Table 3, which are those of Fig. 6 too."""
    paper = paper_numbers()
    table = paper.tables["box_source"]
    columns = next(t.columns for t in paper.tables.values() if t.data == table.data and t.metric == SPEARMAN.name)
    return (setting.data, setting.model) == (table.data, table.model) and set(actions) == set(columns[:-1])


def _table3(setting: Setting, actions: Sequence[str]) -> Printed:
    """The row of the paper with the same source of boxes, for the same method, data set and actions."""
    if not _as_in_the_paper(setting, actions):
        return {}
    table = paper_numbers().tables["box_source"]
    source = "baseline" if setting.boxes == "none" else setting.boxes.partition(" ")[0]
    rows = {row.system.lower(): row.values for row in table.rows}
    return dict(zip(table.columns, rows[source], strict=True)) if source in rows else {}


def _figure9(setting: Setting) -> Printed:
    """The printed changes of a method; its R-l2 decreases. The paper does not name the data set: any of its own."""
    paper = paper_numbers()
    if setting.data not in {table.data for table in paper.tables.values()}:
        return {}
    rows = {
        row.model: {SPEARMAN.name: row.spearman_gain, RELATIVE_L2.name: -row.relative_l2_decrease}
        for row in paper.plug_and_play
    }
    return rows.get(setting.model, {})


def _figure6(setting: Setting, actions: Sequence[str]) -> PublishedShares | None:
    """The shares of Fig. 6, which is of the best source in Table 3."""
    best = max(paper_numbers().tables["box_source"].rows, key=lambda row: row.values[0]).system
    if not _as_in_the_paper(setting, actions) or setting.boxes != best.lower():
        return None
    printed = paper_numbers().scatter
    return PublishedShares(printed.close_baseline / 100, printed.close_ours / 100, printed.better_than_baseline / 100)
