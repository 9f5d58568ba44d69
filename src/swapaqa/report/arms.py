"""Runs that differ in the seed and the action alone are one arm of an experiment: how they are found and averaged."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from swapaqa.errors import InputError
from swapaqa.measures.ours import OURS
from swapaqa.measures.record import Description
from swapaqa.report.runs import Run, Sweep

UNKNOWN = "?"
FACTS = (
    "data",
    "data.split",
    "data.fold",
    "data.action",
    "model",
    "aug",
    "aug.ratio",
    "boxes",
    "boxes.ratio",
    "boxes.frame",
    "seed",
)
ALL_ACTIONS = "all"  # the action of a run with one model for all of them


class Facts(NamedTuple):
    """What a report says of every run; UNKNOWN or None where a job that was not started leaves it open.

    `data`: with its split, where that is not the published one: its numbers are not those of the published one.
    `boxes`: the source of the boxes that the swap used, none without the swap. `ratio`: None without the swap.
    """

    data: str
    model: str
    aug: str
    boxes: str
    ratio: float | None
    action: str | None
    seed: int | None


class Arm(NamedTuple):
    """Facts but for action and seed, and the other swept values that set runs apart."""

    data: str
    model: str
    aug: str
    boxes: str
    ratio: float | None
    extra: tuple[tuple[str, str], ...] = ()


class Estimate(NamedTuple):
    """A mean over seeds, with the sample standard deviation (None for one seed)."""

    mean: float
    deviation: float | None
    seeds: int


@dataclass(frozen=True, eq=False)
class Member:
    """A run as a part of its arm."""

    run: Run
    facts: Facts


Arms = Mapping[Arm, tuple[Member, ...]]


def find_facts(run: Run, sweep: Sweep) -> Facts:
    """The facts of a run; without its configuration, as its overrides and the nearest job that has one tell."""
    if run.config is not None:
        return _own_facts(run)
    near = _nearest(run, sweep)
    known = Facts(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, None, None, None) if near is None else _own_facts(near)
    given = {**run.choices, **run.given}
    aug, frame = given.get("aug", known.aug), given.get("boxes.frame")
    boxes = given["boxes"] + (f" ({frame})" if frame else "") if "boxes" in given else known.boxes
    return Facts(
        data=_planned_data(given, near, sweep),
        model=given.get("model", known.model),
        aug=aug,
        boxes="none" if aug == "none" else boxes,
        ratio=None if aug == "none" else _number(given.get("aug.ratio", known.ratio)),
        action=given.get("data.action", known.action),
        seed=int(given["seed"]) if "seed" in given else known.seed,
    )


def _planned_data(given: Mapping[str, str], near: Run | None, sweep: Sweep) -> str:
    option = given.get("data", _common_data(sweep) if near is None else _option(near, "data"))
    split, fold = (given.get(key, near and near.setting(key)) for key in ("data.split", "data.fold"))
    return option + _split_words(split, fold)


def _split_words(split: Any, fold: Any) -> str:
    return "" if split in (None, "published") else f", {split}, fold {0 if fold is None else fold}"


def _own_facts(run: Run) -> Facts:
    ratio = run.setting("aug.ratio")  # only the swap has one, and only the swap needs boxes
    frame = run.setting("boxes.frame")
    return Facts(
        data=_option(run, "data") + _split_words(run.setting("data.split"), run.setting("data.fold")),
        model=_option(run, "model"),
        aug=UNKNOWN if _is_evaluation(run) else _option(run, "aug"),
        boxes="none" if ratio is None else _option(run, "boxes") + (f" ({frame})" if frame else ""),
        ratio=_number(ratio),
        action=run.setting("data.action"),
        seed=run.setting("seed"),
    )


def _is_evaluation(run: Run) -> bool:
    """Of a checkpoint: Hydra knows the options of the evaluation's defaults, not those that the checkpoint brought."""
    return run.setting("checkpoint") is not None


def _option(run: Run, group: str) -> str:
    """The option of a group; where Hydra did not keep it, the module of a data set, the class of anything else."""
    words = str(run.setting(f"{group}._target_") or UNKNOWN).split(".")
    target = words[-2] if group == "data" and len(words) > 1 else words[-1].lower()
    return target if _is_evaluation(run) else run.choices.get(group, target)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _nearest(run: Run, sweep: Sweep) -> Run | None:
    """A job with a configuration that differs in as little as possible, and never in the augmentation or experiment.

    The other differences are in what the run's own overrides say.
    """
    free = {"seed", "data.action", "data.fold", "aug.ratio"}
    for allowed in (free, free | {"model"}, free | {"model", "boxes", "boxes.frame"}):
        for other in sweep.runs:
            different = {key for key in sweep.swept if run.given.get(key) != other.given.get(key)}
            if other.config is not None and different <= allowed:
                return other
    return None


def _common_data(sweep: Sweep) -> str:
    """The data set of all jobs that have a configuration, if it is one."""
    found = {_option(run, "data") for run in sweep.runs if run.config is not None}
    return found.pop() if len(found) == 1 else UNKNOWN


def find_arms(sweeps: Sequence[Sweep]) -> dict[Arm, tuple[Member, ...]]:
    """All runs by arm, in the order of the jobs. A swept value is part of an arm where the facts do not tell it."""
    found: dict[Arm, list[Member]] = {}
    for sweep in sweeps:
        for run in sweep.runs:
            facts = find_facts(run, sweep)
            rest = tuple((key, value) for key, value in sweep.values(run).items() if key not in FACTS)
            rest += (("data.action", ALL_ACTIONS),) if facts.action == ALL_ACTIONS else ()
            rest += (("checkpoint", str(run.setting("checkpoint"))),) if _is_evaluation(run) else ()
            arm = Arm(facts.data, facts.model, facts.aug, facts.boxes, facts.ratio, rest)
            found.setdefault(arm, []).append(Member(run, facts))
    return {arm: tuple(members) for arm, members in found.items()}


def grouped(arms: Arms, *fields: str) -> dict[tuple, dict[Arm, tuple[Member, ...]]]:
    """Arms by the named facts and by the swept values that no fact tells; a preset's name alone sets nothing apart."""
    groups: dict[tuple, dict[Arm, tuple[Member, ...]]] = {}
    for arm, members in arms.items():
        extra = tuple(pair for pair in arm.extra if pair[0] != "experiment")
        key = (*(getattr(arm, field) for field in fields), extra)
        groups.setdefault(key, {})[arm] = members
    return groups


def at_own_ratio(arms: Arms) -> list[Arm]:
    """No augmentation, and of every source of boxes the arms at the ratio that its configuration names as its own."""
    kept = [arm for arm in arms if arm.aug == "none"]
    for boxes in dict.fromkeys(arm.boxes for arm in arms if arm.boxes != "none"):
        own = [arm for arm in arms if arm.boxes == boxes]
        ratios = {member.run.setting("boxes.ratio") for arm in own for member in arms[arm]}
        kept += [arm for arm in own if arm.ratio in ratios] or own
    return kept


def pairs_of(arms: Arms) -> list[tuple[Arm, Arm]]:
    """(without, with the swap) for every swap at its source's own ratio; of several baselines that of its sweep."""
    chosen = at_own_ratio(arms)
    plain = [arm for arm in chosen if arm.aug == "none"]
    pairs = []
    for arm in chosen:
        if arm.boxes != "none" and plain:
            folders = {member.run.folder.parent for member in arms[arm]}
            near = [one for one in plain if folders & {member.run.folder.parent for member in arms[one]}]
            pairs.append(((near or plain)[0], arm))
    return pairs


def label(arm: Arm, among: Sequence[Arm] = ()) -> str:
    """`core + swap, darklabel, ratio 2`; with the other swept values where an arm of `among` has the same facts."""
    words = [arm.model if arm.aug == "none" else f"{arm.model} + {arm.aug}"]
    words += [] if arm.boxes == "none" else [arm.boxes]
    words += [] if arm.ratio is None else [f"ratio {arm.ratio:g}"]
    alike = [other for other in among if other._replace(extra=()) == arm._replace(extra=())]
    told = len(alike) < 2 and UNKNOWN not in (arm.model, arm.aug)
    return ", ".join(words + ([] if told else [f"{key}={value}" for key, value in arm.extra]))


def actions_of(members: Sequence[Member]) -> tuple[str, ...]:
    """The actions of an arm: those planned, and those that its finished runs have metrics of."""
    planned = (member.facts.action for member in members if member.facts.action not in (None, ALL_ACTIONS))
    finished = (a for m in members for protocol in m.run.protocols for a in m.run.actions(protocol))
    return tuple(dict.fromkeys([*(str(action) for action in planned), *finished]))


def seeds_of(members: Sequence[Member]) -> tuple[int, ...]:
    """The planned seeds; a job of an unknown seed counts as none."""
    return tuple(sorted({member.facts.seed for member in members if member.facts.seed is not None}))


def seed_words(members: Sequence[Member]) -> str:
    """`3`, or `2 of 3` where of a planned seed no run is finished."""
    planned = seeds_of(members)
    finished = {member.facts.seed for member in members if member.run.result is not None} & set(planned)
    return str(len(planned)) if len(finished) == len(planned) else f"{len(finished)} of {len(planned)}"


def measures_of(runs: Iterable[Run]) -> tuple[Description, ...]:
    """The metrics that any of the runs was asked for, in the order of the first that was.

    Raises:
        InputError: two runs mean different metrics by one name.
    """
    found: dict[str, tuple[Description, Run]] = {}
    for run in runs:
        for name, measure in run.measures.items():
            known, first = found.setdefault(name, (measure, run))
            if name not in OURS and (known.described(), first.setting(f"measures.{name}")) != (
                measure.described(), run.setting(f"measures.{name}"),
            ):  # fmt: skip
                both = f"{first.folder} and {run.folder}"
                raise InputError(f"{both}: mean different metrics by {name}; report them apart, or give one a new name")
    return tuple(measure for measure, _ in found.values())


def by_seed(
    members: Sequence[Member], metric: Description, protocol: str, action: str, split: str = "test"
) -> dict[int, float]:
    """A metric of one action by seed, of the finished runs; of two runs with one seed the later one counts."""
    found = {}
    for member in members:
        value = member.run.metric(metric.name, protocol, split, action)
        if value is not None and member.facts.seed is not None:
            found[member.facts.seed] = value
    return found


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean and sample standard deviation; None of no value, NaN where one is NaN."""
    if not values:
        return None
    if any(math.isnan(value) for value in values):
        return Estimate(math.nan, None, len(values))
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Estimate(statistics.fmean(values), deviation, len(values))


def over_seeds(
    members: Sequence[Member], metric: Description, protocol: str, action: str, split: str = "test"
) -> Estimate | None:
    """One action's metric over the seeds that are there; None without any."""
    return estimate(list(by_seed(members, metric, protocol, action, split).values()))


def averages_by_seed(
    members: Sequence[Member], metric: Description, protocol: str, actions: Sequence[str], split: str = "test"
) -> dict[int, float]:
    """The average over `actions` by seed, of the seeds for which every action is there."""
    columns = [by_seed(members, metric, protocol, action, split) for action in actions]
    complete = [seed for seed in seeds_of(members) if columns and all(seed in column for column in columns)]
    return {seed: metric.over_actions([column[seed] for column in columns]) for seed in complete}


def average_over_actions(
    members: Sequence[Member], metric: Description, protocol: str, actions: Sequence[str], split: str = "test"
) -> Estimate | None:
    """`averages_by_seed`, averaged; None without any."""
    return estimate(list(averages_by_seed(members, metric, protocol, actions, split).values()))
