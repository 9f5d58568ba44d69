"""A sweep that is a list of settings, each of which differs from a reference in one factor: found, and lined up.

Its jobs name different keys, so the forms of the paper's tables have no columns for them: a row is a setting by its own
overrides. The same in several folders, of other seeds or from other machines, are one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from swapaqa.measures.ours import SPEARMAN
from swapaqa.measures.record import Description
from swapaqa.running.facts import TIME_ONLY
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.runs_table import Estimate, Estimates
from swapaqa.runs.settings import protocols_of, splits_of

NOT_A_FACTOR = ("seed", "sweeps", "logger", "save_every", "plan", "resume", "measures")
LEAST_POINTS = 3  # of a line

Overrides = frozenset[str]


def is_list_of_settings(sweep: Sweep) -> bool:
    """Whether the jobs of a planned sweep name different keys."""
    return sweep.command is not None and len({frozenset(factors(run)) for run in sweep.runs}) > 1


def parted(sweeps: Sequence[Sweep]) -> tuple[dict[str, list[Sweep]], list[Sweep]]:
    """The sweeps that are lists of settings, by name, and the others."""
    listed: dict[str, list[Sweep]] = {}
    for sweep in sweeps:
        if is_list_of_settings(sweep):
            listed.setdefault(sweep.name, []).append(sweep)
    return listed, [sweep for sweep in sweeps if not is_list_of_settings(sweep)]


def factors(run: Run) -> dict[str, str]:
    """What sets a run apart, by key: its overrides but for the seed and what decides nothing, as where the data lie."""
    return {key: value for key, value in run.given.items() if key not in (*NOT_A_FACTOR, *TIME_ONLY)}


@dataclass(frozen=True)
class Factors:
    """The settings of one experiment in the order of its jobs, each with its runs over the seeds."""

    runs: dict[Overrides, tuple[Run, ...]]

    @cached_property
    def all_runs(self) -> list[Run]:
        return [run for runs in self.runs.values() for run in runs]

    @cached_property
    def estimates(self) -> Estimates:
        return Estimates(self.runs)

    def estimate(self, own: Overrides, split: str, protocol: str, metric: Description = SPEARMAN) -> Estimate | None:
        return self.estimates.of(own, metric, protocol, split)

    @cached_property
    def splits(self) -> tuple[str, ...]:
        return splits_of(self.all_runs)

    @cached_property
    def protocols(self) -> tuple[str, ...]:
        return protocols_of(self.all_runs)

    @property
    def missing(self) -> list[str]:
        """Settings without any finished run."""
        return [factor_name(own) for own, runs in self.runs.items() if not any(run.result for run in runs)]

    def replaced(self, own: Overrides) -> float | None:
        """Mean share of pixels that the augmentation replaced, in %; None where no run is finished."""
        shares = [run.result["replaced_share"]["mean"] for run in self.runs[own] if run.result]
        return 100 * sum(shares) / len(shares) if shares else None


def find_factors(sweeps: Sequence[Sweep]) -> Factors:
    """The settings of all `sweeps`, those of equal overrides as one."""
    found: dict[Overrides, list[Run]] = {}
    for sweep in sweeps:
        for run in sweep.runs:
            found.setdefault(frozenset(f"{key}={value}" for key, value in factors(run).items()), []).append(run)
    return Factors({own: tuple(runs) for own, runs in found.items()})


def factor_name(own: Overrides) -> str:
    """`aug=swap ratio=3`: keys without the groups they are in, where that names one key; the augmentation first."""
    keys = {word: word.partition("=")[0] for word in own}
    last = Counter(key.rsplit(".", 1)[-1] for key in keys.values())
    short = (word if last[key.rsplit(".", 1)[-1]] > 1 else word[key.rfind(".") + 1 :] for word, key in keys.items())
    return " ".join(sorted(short, key=lambda word: (not word.startswith("aug="), word)))


class Pair(NamedTuple):
    """Settings that differ in the swap alone."""

    name: str
    without: Overrides
    swapped: Overrides


def swap_pairs(found: Factors) -> list[Pair]:
    """All of them, in the order of the settings. A method of one pair alone names it, whatever its training needs."""
    plain, swap = "aug=none", "aug=swap"
    common = [own - {plain} for own in found.runs if plain in own and own - {plain} | {swap} in found.runs]
    pairs_of = Counter(_method(rest) for rest in common)
    names = (method if (method := _method(rest)) and pairs_of[method] == 1 else factor_name(rest) for rest in common)
    return [Pair(name or "reference", rest | {plain}, rest | {swap}) for name, rest in zip(names, common, strict=True)]


def _method(own: Overrides) -> str | None:
    """The one that a setting names."""
    return next((word.partition("=")[2] for word in own if word.startswith("model=")), None)


class Line(NamedTuple):
    """Settings that differ in one numeric factor alone: `points` by its value."""

    name: str
    points: dict[float, Overrides]


def all_lines(found: Factors) -> dict[str, list[Line]]:
    """The lines over every numeric factor with enough values, by key."""
    keys = dict.fromkeys(word.partition("=")[0] for own in found.runs for word in sorted(own))
    return {key: lines for key in keys if (lines := factor_lines(found, key))}


def factor_lines(found: Factors, key: str) -> list[Line]:
    """The lines over `key`: settings that name it and are otherwise equal, with the one that leaves it out."""
    lines: dict[Overrides, dict[float, Overrides]] = {}
    for own in found.runs:
        word = next((word for word in own if word.startswith(f"{key}=")), None)
        value = _number(word.partition("=")[2]) if word else None
        if word is not None and value is not None:
            lines.setdefault(own - {word}, {})[value] = own
    for rest, points in lines.items():
        reference = _as_named(found, rest)
        default = _default(found.runs.get(reference, ()), key)
        if default is not None:
            points.setdefault(default, reference)
    return [
        Line(factor_name(rest), dict(sorted(points.items())))
        for rest, points in lines.items()
        if len(points) >= LEAST_POINTS
    ]


def _as_named(found: Factors, own: Overrides) -> Overrides:
    """The setting of `own`; it may leave out an override that says what holds without it, as `aug.ratio=2` does."""
    if own in found.runs:
        return own
    for word in sorted(own):
        key, _, value = word.partition("=")
        shorter = own - {word}
        if shorter in found.runs and _default(found.runs[shorter], key) == _number(value) is not None:
            return shorter
    return own


def _default(runs: Sequence[Run], key: str) -> float | None:
    values = (_number(run.configured(key)) for run in runs if run.config is not None)
    return next((value for value in values if value is not None), None)


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
