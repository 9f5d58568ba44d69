"""Which figures a set of runs supports, and the numbers that go into them: from arms to drawings.

A figure is drawn where its question is asked: two ratios for Fig. 7, two sources of boxes for Table 3, two methods with
and without the swap for Fig. 9, a baseline and a swap for Fig. 6. Jobs without a result are drawn as missing. The
paper's numbers stand beside ours only on its own data sets, and averages of Table 3 only beside the same actions.
"""

import re
from collections.abc import Sequence

from swapaqa.measures.ours import SPEARMAN, STANDARD
from swapaqa.measures.record import Description
from swapaqa.report.arms import (
    Arm,
    Arms,
    Member,
    actions_of,
    at_own_ratio,
    by_seed,
    find_arms,
    grouped,
    label,
    pairs_of,
)
from swapaqa.report.bars import (
    NOT_PRINTED,
    BoxSource,
    Method,
    Printed,
    Scores,
    box_source_bars,
    plug_and_play_bars,
)
from swapaqa.report.captions import PROTOCOLS
from swapaqa.report.curves import Curve, ratio_curves
from swapaqa.report.drawing import Drawing, average_over
from swapaqa.report.duplicates import facts_of, merged, split_by_settings
from swapaqa.report.factors import factor_drawings, find_cells, parted
from swapaqa.report.paper import PaperNumbers, paper_numbers
from swapaqa.report.runs import Sweep
from swapaqa.report.truth import Prediction, PrintedShares, truth_scatter


def protocol_words(protocol: str) -> str:
    """The sentence that goes into a caption; a checkpoint's own name where it was evaluated by itself."""
    return f"Protocol: {PROTOCOLS.get(protocol, protocol)}."


def drawings(sweeps: Sequence[Sweep], protocol: str) -> list[Drawing]:
    """The figures of one protocol but for Fig. 8, which needs the videos."""
    listed, sweeps = parted(sweeps)
    arms, paper = merged(find_arms(sweeps)), paper_numbers()
    found = [
        *(one for name, same in listed.items() for one in factor_drawings(name, find_cells(same), protocol)),
        *ratio_drawings(arms, protocol),
        *box_source_drawings(arms, protocol, paper),
        *plug_and_play_drawings(arms, protocol, paper),
        *scatter_drawings(arms, protocol, paper),
    ]
    return [numbered(drawing, found[:position]) for position, drawing in enumerate(found)]


def numbered(drawing: Drawing, before: Sequence[Drawing]) -> Drawing:
    """The drawing with a number where `before` has others of its name: the same facts under other settings."""
    same = sum(other.name == drawing.name for other in before)
    if not same:
        return drawing
    return drawing._replace(name=f"{drawing.name}_{same + 1}", title=f"{drawing.title} ({same + 1})")


def ratio_drawings(arms: Arms, protocol: str) -> list[Drawing]:
    """One for every data set, method and source of boxes that was run at two ratios or more."""
    found = []
    for facts, group in ratio_groups(arms):
        spearman, relative_l2 = (_curves(group, metric, protocol) for metric in STANDARD)
        found.append(about(ratio_curves(spearman, relative_l2, protocol_words(protocol)), protocol, *facts))
    return found


def ratio_groups(arms: Arms) -> list[tuple[tuple[str, ...], dict[Arm, tuple[Member, ...]]]]:
    """(data, method, boxes) and arms that differ in the ratio alone, for two ratios or more."""
    found = []
    for (data, model, _, boxes, _), alike in grouped(arms, "data", "model", "aug", "boxes").items():
        parts = [part for part in split_by_settings(alike) if len({arm.ratio for arm in part}) > 1]
        for number, part in enumerate(parts, 1):
            found.append(((data, model, boxes, *([f"settings {number}"] if len(parts) > 1 else [])), part))
    return found


def box_source_drawings(arms: Arms, protocol: str, paper: PaperNumbers) -> list[Drawing]:
    """One for every data set and method with two sources of boxes or more, beside no swap."""
    found = []
    for (data, model, _), group in grouped(arms, "data", "model").items():
        chosen = at_own_ratio(group)
        if len({arm.boxes for arm in chosen} - {"none"}) > 1:
            actions = _actions(group)
            sources = [
                BoxSource(
                    _source_name(arm, chosen), _scores(group[arm], protocol, actions), _table3(arm, actions, paper)
                )
                for arm in chosen
            ]
            words = protocol_words(protocol) + _averaged(actions)
            found.append(about(box_source_bars(sources, words), protocol, data, model))
    return found


def plug_and_play_drawings(arms: Arms, protocol: str, paper: PaperNumbers) -> list[Drawing]:
    """One for every data set with two methods or more that were planned both without and with the swap."""
    found = []
    for (data, _), group in grouped(arms, "data").items():
        by_model = {model: own for (_, model, _), own in grouped(group, "data", "model").items()}
        pairs = [pair for own in by_model.values() for pair in pairs_of(own)]
        if len({before.model for before, _ in pairs}) > 1:
            actions = _actions(group)
            methods = [
                Method(
                    after.model if _one_swap(after, pairs) else "\n".join([after.model, *_lines(after)]),
                    _scores(group[before], protocol, actions),
                    _scores(group[after], protocol, actions),
                    _figure9(after, paper),
                )
                for before, after in pairs
            ]
            words = protocol_words(protocol) + _averaged(actions)
            found.append(about(plug_and_play_bars(methods, words), protocol, data))
    return found


def scatter_drawings(arms: Arms, protocol: str, paper: PaperNumbers) -> list[Drawing]:
    """One for every swap, at its source's own ratio, with the run without a swap of the same method and data."""
    found = []
    for (data, model, _), group in grouped(arms, "data", "model").items():
        for before, after in pairs_of(group):
            printed = _figure6(after, _actions(group), paper)
            names = label(before), label(after)
            systems = {
                name: predictions(group[arm], protocol) for name, arm in zip(names, (before, after), strict=True)
            }
            drawing = truth_scatter(systems, protocol_words(protocol), printed)
            found.append(about(drawing, protocol, data, model, after.boxes))
    return found


def predictions(members: Sequence[Member], protocol: str, split: str = "test") -> dict[int, list[Prediction]]:
    """By seed, the pooled test videos of all actions; only seeds for which every planned action is there."""
    pooled: dict[int, dict[str, list[Prediction]]] = {}
    for member in members:
        action, rows = member.facts.action or "?", member.run.predictions(protocol, split)
        if rows and member.facts.seed is not None:  # of two runs with one seed the later one counts
            found = [Prediction(video_id, action, *row) for video_id, row in rows.items()]
            pooled.setdefault(member.facts.seed, {})[action] = found
    planned = {member.facts.action for member in members}
    return {
        seed: [one for rows in by_action.values() for one in rows]
        for seed, by_action in sorted(pooled.items())
        if set(by_action) >= planned
    }


def _one_swap(arm: Arm, pairs: Sequence[tuple[Arm, Arm]]) -> bool:
    return sum(after.model == arm.model for _, after in pairs) == 1


def _actions(group: Arms) -> list[str]:
    return list(dict.fromkeys(action for members in group.values() for action in actions_of(members)))


def _curves(group: Arms, metric: Description, protocol: str) -> dict[str, Curve]:
    by_ratio = {arm.ratio: members for arm, members in group.items() if arm.ratio is not None}
    return {
        action: {ratio: by_seed(by_ratio[ratio], metric, protocol, action) for ratio in sorted(by_ratio)}
        for action in _actions(group)
    }


def _scores(members: Sequence[Member], protocol: str, actions: Sequence[str]) -> Scores:
    columns = {m.name: [by_seed(members, m, protocol, action) for action in actions] for m in STANDARD}
    return Scores(**{metric.name: average_over(columns[metric.name], metric) for metric in STANDARD})


def _averaged(actions: Sequence[str]) -> str:
    if len(actions) == 1:
        return f" Action: {actions[0]}."
    return f" Averages over {len(actions)} actions, of ρ by Fisher's z; an arm without one of them is missing."


def _source_name(arm: Arm, among: Sequence[Arm]) -> str:
    """The label of a source, with its preset where another arm has the same facts and other settings."""
    alike = [other for other in among if facts_of(other) == facts_of(arm)]
    preset = [value for _, value in arm.extra] if len(alike) > 1 else []
    return "\n".join([*(["no swap"] if arm.boxes == "none" else _lines(arm)), *preset])


def _lines(arm: Arm) -> list[str]:
    """Source, its reading and ratio, a line each: labels of bars stand close."""
    return [*arm.boxes.replace(" (", "\n(").split("\n"), f"ratio {arm.ratio:g}"]


def _as_in_the_paper(arm: Arm, actions: Sequence[str], paper: PaperNumbers) -> bool:
    """Whether an arm is of the data set, the method and the actions of Table 3, which are those of Fig. 6 too."""
    table = paper.tables["box_source"]
    columns = next(t.columns for t in paper.tables.values() if t.data == table.data and t.metric == SPEARMAN.name)
    return (arm.data, arm.model) == (table.data, table.model) and set(actions) == set(columns[:-1])  # last: average


def _table3(arm: Arm, actions: Sequence[str], paper: PaperNumbers) -> Printed:
    """The row of the paper with the same source of boxes, for the same method, data set and actions."""
    if not _as_in_the_paper(arm, actions, paper):
        return NOT_PRINTED
    table = paper.tables["box_source"]
    source = "baseline" if arm.boxes == "none" else arm.boxes.partition(" ")[0]
    rows = {row.system.lower(): row.values for row in table.rows}
    return Printed(*rows[source]) if source in rows else NOT_PRINTED


def _figure9(arm: Arm, paper: PaperNumbers) -> Printed:
    """The printed changes of a method; its R-l2 decreases. The paper does not name the data set: any of its own."""
    if arm.data not in {table.data for table in paper.tables.values()}:
        return NOT_PRINTED
    rows = {row.model: Printed(row.spearman_gain, -row.relative_l2_decrease) for row in paper.plug_and_play}
    return rows.get(arm.model, NOT_PRINTED)


def _figure6(arm: Arm, actions: Sequence[str], paper: PaperNumbers) -> PrintedShares | None:
    """The shares of Fig. 6, which is of the best source in Table 3."""
    best = max(paper.tables["box_source"].rows, key=lambda row: row.values[0]).system
    if not _as_in_the_paper(arm, actions, paper) or arm.boxes != best.lower():
        return None
    printed = paper.scatter
    return PrintedShares(printed.close_baseline / 100, printed.close_ours / 100, printed.better_than_baseline / 100)


LONGEST_NAME = 150  # of a file, which every system takes


def about(drawing: Drawing, protocol: str, *facts: str) -> Drawing:
    """The drawing with its facts in the title and in the names of its files."""
    name = re.sub(r"[^\w.]+", "_", "_".join([drawing.name, *facts, protocol])).strip("_")[:LONGEST_NAME]
    return drawing._replace(name=name, title=f"{drawing.title}: {', '.join(facts)}")
