"""Runs lined up for a claim: which are an arm's, which are alike but for what the arms name, and who meets whom."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from swapaqa.running.facts import RATIO, Facts, is_evaluation, settings_digest
from swapaqa.runs.factors import factors
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.settings import label, setting_of
from swapaqa.verdict.claims import OWN, AnyClaim, Arm, First, NoWorse, Order, Over, Top
from swapaqa.verdict.evaluated import TRAINED_ON, as_trained

OF_FACTS = ("data", "model", "aug", "boxes", "ratio", "action")
DECIDED_BY = {  # the keys of a configuration that a fact is read from, or that follow it
    "aug": ("aug", "data.augment"),
    "boxes": ("boxes", "data.boxes", *RATIO),
    "ratio": RATIO,
}
COPIED = {"aug.": "data.augment.", "boxes.": "data.boxes."}  # where a resolved configuration has a key again


@dataclass(frozen=True, eq=False)
class Found:
    """A finished run of a sweep."""

    run: Run
    facts: Facts
    name: str
    own: Mapping[str, str]  # its overrides but for the seed

    @property
    def place(self) -> tuple[int, str]:
        """Seed and action: of two runs of one setting at one place the later counts."""
        return self.run.seed or 0, self.run.action or ""


class Setting(NamedTuple):
    """The runs of one arm in one case that differ in seed and action alone. `arm`: its number in the claim."""

    arm: int
    name: str
    runs: tuple[Run, ...]


class Pair(NamedTuple):
    """`first` has to be above `second` by more than `bound`, in units of the metric, for the better.

    A setting is None where no run is of its arm; `missing` says of which.
    """

    first: Setting | None
    second: Setting | None
    bound: float
    missing: str = ""


class Case(NamedTuple):
    """Runs alike in everything that the arms do not name.

    `name`: what sets it apart; `value`: of `over`; `brackets`: of a top, whether there are values below and above it.
    """

    data: str
    name: str
    value: Any
    pairs: tuple[Pair, ...]
    brackets: bool = True


@dataclass
class Runs:
    """The finished runs of sweeps, and digests of their configurations, computed once.

    `lost`: evaluations of checkpoints whose run is not there, so that nobody knows what they are of.
    """

    all: list[Found]
    lost: int = 0
    digests: dict[tuple[int, tuple[str, ...]], str] = field(default_factory=dict)

    def digest(self, found: Found, without: tuple[str, ...]) -> str:
        """Of everything that decides but seed, action and the keys `without`."""
        key = (id(found), without)
        if key not in self.digests:
            assert found.run.config is not None
            self.digests[key] = settings_digest(found.run.config, without)
        return self.digests[key]


def find_runs(sweeps: Iterable[Sweep]) -> Runs:
    """Every finished run once, an evaluation by the run whose checkpoint it is of."""
    found: dict[Path, Found] = {}
    lost = 0
    for sweep, run in ((one, run) for one in sweeps for run in one.runs if run.result is not None):
        one = as_trained(run) if is_evaluation(run.config) else run
        if one is None or one.facts is None:
            lost += 1
        else:
            name = label(setting_of(one, one.facts, sweep))
            found[run.folder.resolve()] = Found(one, one.facts, name, factors(one))
    return Runs(list(found.values()), lost)


def find_cases(claim: AnyClaim, runs: Runs) -> list[Case]:
    """The cases of a claim in which two arms meet, in the order of the runs."""
    within = [one for one in runs.all if _is_of(one, claim.within) and _is_on(one, claim.data)]
    arms = _top_arms(claim, within) if isinstance(claim, Top) else _arms(claim)
    named = _excluded(claim, arms)
    groups: dict[tuple[Any, ...], list[Found]] = {}
    for one in within:
        value = _over(one, claim.over)
        if claim.over is None or value is not None:
            alike = {"everything": runs.digest(one, named), "model": one.facts.model, "data": ""}[claim.alike]
            action = one.run.action if claim.actions == "each" else None
            groups.setdefault((one.facts.data, alike, action, value), []).append(one)
    cases = []
    for (data, _, action, value), group in groups.items():
        settings = [_settings(number, arm, [one for one in group if _is_of(one, arm.where)], runs)
                    for number, arm in enumerate(arms)]  # fmt: skip
        if sum(map(bool, settings)) > 1:
            members = [one for one in group if any(_is_of(one, arm.where) for arm in arms)]
            name = _case_name(members, action, {word for arm in arms for word in arm.where} | set(named))
            cases.append(_case(claim, arms, settings, (data, name, value)))
    return cases


def _case(claim: AnyClaim, arms: Sequence[Arm], settings: Sequence[list[Setting]], about: tuple[str, str, Any]) -> Case:
    """The pairs that a form asks for."""
    if isinstance(claim, Top):
        inside = [number for number, arm in enumerate(arms) if _top_value(arm) in claim.values]
        outside = [number for number in range(len(arms)) if number not in inside]
        pairs = [pair for i in inside for o in outside for pair in _product(settings[i], settings[o], arms, (i, o), 0)]
        there = [_top_value(arm) for number, arm in enumerate(arms) if settings[number]]
        brackets = min(there) < min(claim.values) and max(there) > max(claim.values)
        return Case(*about, tuple(pair for pair in pairs if not pair.missing), brackets)
    meetings, bound = _meetings(claim)
    pairs = [
        pair for i, o in meetings for pair in _product(settings[i], settings[o], arms, (i, o), bound)
    ]  # fmt: skip
    return Case(*about, tuple(pairs))


def _meetings(claim: Order | First | NoWorse) -> tuple[list[tuple[int, int]], float]:
    """Which arms meet, by number, and the bound of the first one's gain."""
    if isinstance(claim, Order):
        return [(number, number + 1) for number in range(len(claim.arms) - 1)], claim.at_least
    if isinstance(claim, First):
        return [(0, number) for number in range(1, len(claim.others) + 1)], claim.at_least
    return [(0, 1)], -claim.margin


def _product(
    first: Sequence[Setting], second: Sequence[Setting], arms: Sequence[Arm], meeting: tuple[int, int], bound: float
) -> list[Pair]:
    if first and second:
        return [Pair(one, other, bound) for one in first for other in second]
    missing = [arms[number].name for number, there in zip(meeting, (first, second), strict=True) if not there]
    known = (first[0] if first else None, second[0] if second else None)
    return [Pair(*known, bound, f"no run of {' nor of '.join(missing)}")]


def _arms(claim: Order | First | NoWorse) -> tuple[Arm, ...]:
    if isinstance(claim, Order):
        return claim.arms
    return (claim.arm, *claim.others) if isinstance(claim, First) else (claim.arm, claim.than)


def _top_arms(claim: Top, within: Sequence[Found]) -> tuple[Arm, ...]:
    """An arm for every number that the key has in these runs, from the lowest on."""
    values = {number for one in within if (number := _number(_value(one, claim.key))) is not None}
    short = claim.key.rpartition(".")[2].replace("_", " ")
    return tuple(Arm(f"{short} {value:g}", {claim.key: value}) for value in sorted(values))


def _top_value(arm: Arm) -> float:
    (value,) = arm.where.values()
    assert isinstance(value, float)
    return value


def _settings(number: int, arm: Arm, members: Sequence[Found], runs: Runs) -> list[Setting]:
    """The settings of an arm; where there are several, each is called by what sets it apart from the others."""
    found: dict[str, dict[tuple[int, str], Found]] = {}
    for one in members:
        found.setdefault(runs.digest(one, ()), {})[one.place] = one
    groups = [list(by_place.values()) for by_place in found.values()]
    common = set.intersection(*(set(group[0].own.items()) for group in groups)) if groups else set()
    named = []
    for group in groups:
        apart = [
            f"{key.rpartition('.')[2]}={value}" for key, value in group[0].own.items() if (key, value) not in common
        ]
        words = ", ".join(apart) or group[0].name
        name = arm.name if len(groups) == 1 else f"{arm.name} ({words})"
        named.append(Setting(number, name, tuple(one.run for one in group)))
    return named


def _case_name(members: Sequence[Found], action: str | None, named: set[str]) -> str:
    """`core, diving, cue_strength=0`: the model, the action of its own, and the overrides that all share."""
    shared = set.intersection(*(set(one.own.items()) for one in members))
    told = (*OF_FACTS, "data.action", "experiment")
    words = [
        f"{key.rpartition('.')[2]}={value}"
        for key, value in sorted(shared)
        if key not in told and not any(key == name or key.startswith(f"{name}.") for name in named)
    ]
    models = list(dict.fromkeys(one.facts.model for one in members))
    head = models if len(models) == 1 else []
    return ", ".join([*head, *([action] if action else []), *words]) or "all"


def _excluded(claim: AnyClaim, arms: Sequence[Arm]) -> tuple[str, ...]:
    """The keys of a configuration in which arms may differ: those that they name, and what follows from these."""
    names = {name for arm in arms for name in arm.where} | ({claim.key} if isinstance(claim, Top) else set())
    keys: set[str] = set()
    for name in names:
        keys |= set(DECIDED_BY.get(name, (name,)))
        keys |= {copy + name.removeprefix(head) for head, copy in COPIED.items() if name.startswith(head)}
    return tuple(sorted(keys))


def _is_on(one: Found, data: Sequence[str]) -> bool:
    """Whether a run is of one of these data sets, whatever its split, and trained on it; of any where none is named."""
    name = one.facts.data
    return not data or (name.partition(",")[0] in data and TRAINED_ON not in name)


def _is_of(one: Found, where: Mapping[str, Any]) -> bool:
    return all(
        any(_says(one, key, word) for word in (wanted if isinstance(wanted, tuple) else (wanted,)))
        for key, wanted in where.items()
    )


def _says(one: Found, key: str, word: Any) -> bool:
    """Whether a fact or a key of the configuration has a value; numbers as numbers, `own` as that of the boxes."""
    if key == "ratio" and word == OWN:
        return one.facts.ratio is not None and one.facts.ratio == one.facts.own_ratio
    there = _value(one, key)
    if there is None:
        return str(word) in ("none", "null")
    if key == "boxes":
        there = str(there).partition(" ")[0]  # without the reading of a rectangle
    if isinstance(word, bool) or isinstance(there, bool):
        return str(there).lower() == str(word).lower()
    number, wanted = _number(there), _number(word)
    if number is not None and wanted is not None:
        return number == wanted
    return str(there).strip("'\"") == str(word)


def _value(one: Found, key: str) -> Any:
    if key in OF_FACTS:
        return dict(vars(one.facts))[key]
    configured = one.run.configured(key)
    return (
        one.run.choices.get(key, one.own.get(key))
        if configured is None or isinstance(configured, Mapping)
        else configured
    )


def _over(one: Found, over: Over | None) -> Any:
    """The value of `over` that a run has; None where it is of none, or none is asked for."""
    return next((word for word in over.values if _says(one, over.key, word)), None) if over else None


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
