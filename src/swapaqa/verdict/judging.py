"""Whether claims hold, of all comparisons that they need: what is told from noise, what is not, what would tell.

All tests of all claims are one family, corrected by Holm's method; claims that ask the same of the same numbers share a
test. A comparison is told where both of these are so:

- the corrected p of Welch's t-test over the seeds is at most the level;
- the 95 % interval over the test videos of the gain of the means lies on the same side of the bound (not corrected).

With one seed on a side nothing is told: how far two seeds differ is not known then.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from swapaqa import statistics
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import shown
from swapaqa.measures.record import Measure
from swapaqa.runs.compare import Protocol, find_measure
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.settings import splits_of
from swapaqa.verdict.cases import Case, Runs, find_cases, find_runs
from swapaqa.verdict.claims import AnyClaim, ClaimsFile, Top
from swapaqa.verdict.comparison import Comparison, Known, Numbers, compare_pair
from swapaqa.verdict.needs import is_beyond, seeds_words, videos_words, would_tell
from swapaqa.verdict.outcome import Judged, JudgedCase, JudgedClaim, Judgement, Verdict

FOLD = ", fold "  # in the name of a data set: its folds are cases of one


Alike = tuple[str, str, str, int]  # data set, split, metric and number of test videos: where deviations are alike


class _Asked(NamedTuple):
    """A claim on one data set and split, before the tests of all are corrected together."""

    name: str
    claim: AnyClaim
    measure: Measure
    data: str
    split: str
    cases: list[Case]
    comparisons: list[list[Comparison]]


def judge(file: ClaimsFile, sweeps: Sequence[Sweep], protocol: str) -> Judgement:
    """Every claim of a file over the finished runs of sweeps.

    Raises:
        InputError: a claim's metric is not known, or has no better side.
    """
    runs = find_runs(sweeps)
    intervals: Known = {}
    asked = [one for name, claim in file.claims.items() for one in _asked(name, claim, runs, protocol, intervals)]
    tested = {
        found.numbers: found.p
        for one in asked
        for case in one.comparisons
        for found in case
        if found.p is not None and not math.isnan(found.p)
    }
    corrected = dict(zip(tested, statistics.holm([*tested.values()]), strict=True))
    told = sum(p <= file.level for p in corrected.values())
    family = _Family(file, corrected, file.level / max(1, len(tested) - told), _spread(asked))
    claims = [_judged(one, family) for one in asked]
    known = {one.name for one in asked}
    claims += [_nothing(name, claim) for name, claim in file.claims.items() if name not in known]
    order = list(file.claims)
    return Judgement(file, tuple(sorted(claims, key=lambda one: order.index(one.name))), len(tested), protocol, runs)


def _asked(name: str, claim: AnyClaim, runs: Runs, protocol: str, intervals: Known) -> list[_Asked]:
    by_data: dict[str, list[Case]] = {}
    for case in find_cases(claim, runs):
        by_data.setdefault(case.data.partition(FOLD)[0], []).append(case)
    asked = []
    for data, cases in by_data.items():
        members = [run for case in cases for pair in case.pairs for one in pair[:2] if one for run in one.runs]
        measure = _measure(name, claim, members)
        for split in splits_of(members):
            told = Protocol(measure.name, protocol, split)
            found = [[compare_pair(pair, measure, told, intervals) for pair in case.pairs] for case in cases]
            asked.append(_Asked(name, claim, measure, data, split, [_named(case) for case in cases], found))
    return asked


def _named(case: Case) -> Case:
    """With its fold in its name, where its data set has some."""
    fold = case.data.partition(FOLD)[2]
    return case._replace(name=f"fold {fold}, {case.name}") if fold else case


def _measure(name: str, claim: AnyClaim, runs: Sequence[Run]) -> Measure:
    try:
        measure = find_measure(claim.metric, runs)
    except InputError as error:
        raise InputError(f"claim {name}: {error}") from error
    if measure.higher_is_better is None:
        raise InputError(f"claim {name}: {shown(claim.metric)} has no better side, so nothing gains by it")
    return measure


class _Family(NamedTuple):
    """What all tests share. `level`: of the next test that is not told yet; `spread`: see `_spread`."""

    file: ClaimsFile
    corrected: Mapping[Numbers, float]
    level: float
    spread: Mapping[Alike, float]


def _spread(asked: Sequence[_Asked]) -> dict[Alike, float]:
    """The deviation over the seeds, pooled over the settings that have several seeds."""
    squares: dict[Alike, dict[tuple[float, ...], float]] = {}
    for one in asked:
        for found in (found for case in one.comparisons for found in case):
            for side in (found.first, found.second):
                if side.deviation is not None:
                    squares.setdefault(_alike(one, found), {})[side.values] = side.deviation**2
    return {key: math.sqrt(sum(of.values()) / len(of)) for key, of in squares.items()}


def _alike(one: _Asked, found: Comparison) -> Alike:
    return one.data, one.split, one.measure.name, found.videos


def _judged(one: _Asked, family: _Family) -> JudgedClaim:
    cases = [
        _judged_case(
            one.claim, case, [_told(found, family, family.spread.get(_alike(one, found))) for found in comparisons]
        )
        for case, comparisons in zip(one.cases, one.comparisons, strict=True)
    ]
    missing = _missing(one.claim, one.cases)
    verdicts = [case.verdict for case in cases]
    if Verdict.FAILS in verdicts:
        verdict = Verdict.FAILS
    else:
        verdict = Verdict.OPEN if missing or Verdict.OPEN in verdicts else Verdict.HOLDS
    counts = [f"{verdicts.count(v)} {v.value}" for v in Verdict if v in verdicts]
    words = [f"{len(cases)} cases: {', '.join(counts)}"] if len(cases) > 1 else [cases[0].why] if cases[0].why else []
    words += [f"no run of {', '.join(map(str, missing))}"] if missing else []
    more = would_tell(one.claim, cases) if verdict is Verdict.OPEN else ""
    return JudgedClaim(
        one.name, one.claim, one.measure, one.data, one.split, verdict, tuple(cases), "; ".join(words), more
    )


def _missing(claim: AnyClaim, cases: Sequence[Case]) -> tuple[Any, ...]:
    return tuple(word for word in claim.over.values if word not in {case.value for case in cases}) if claim.over else ()


def _nothing(name: str, claim: AnyClaim) -> JudgedClaim:
    """A claim of which no two arms meet."""
    where = f" on {' or '.join(claim.data)}" if claim.data else ""
    why = f"no runs{where} that differ in what it names and in nothing else"
    return JudgedClaim(name, claim, None, "", "", Verdict.OPEN, (), why)


def _judged_case(claim: AnyClaim, case: Case, judged: Sequence[Judged]) -> JudgedCase:
    verdict = _of_top(case, judged) if isinstance(claim, Top) else _of_all(judged)
    why = ""
    if isinstance(claim, Top) and not judged:
        why = f"no run at {' or '.join(f'{value:g}' for value in claim.values)}"
    elif isinstance(claim, Top) and verdict is Verdict.OPEN and not case.brackets:
        why = f"needs values below {min(claim.values):g} and above {max(claim.values):g}"
    elif verdict is Verdict.OPEN:
        why = "; ".join(dict.fromkeys(one.why for one in judged if one.verdict is Verdict.OPEN and one.why))
    return JudgedCase(case, verdict, tuple(judged), why)


def _of_all(judged: Sequence[Judged]) -> Verdict:
    verdicts = [one.verdict for one in judged]
    if Verdict.FAILS in verdicts:
        return Verdict.FAILS
    return Verdict.OPEN if Verdict.OPEN in verdicts or not verdicts else Verdict.HOLDS


def _of_top(case: Case, judged: Sequence[Judged]) -> Verdict:
    """Holds where an inner value is above all outer ones, on both sides of it; fails where an outer is above all."""
    by_inner: dict[str, list[Verdict]] = {}
    by_outer: dict[str, list[Verdict]] = {}
    for one in judged:
        by_inner.setdefault(one.found.first.name, []).append(one.verdict)
        by_outer.setdefault(one.found.second.name, []).append(one.verdict)
    if any(set(verdicts) == {Verdict.FAILS} for verdicts in by_outer.values()):
        return Verdict.FAILS
    best = any(set(verdicts) == {Verdict.HOLDS} for verdicts in by_inner.values())
    return Verdict.HOLDS if best and case.brackets else Verdict.OPEN


def _told(found: Comparison, family: _Family, spread: float | None) -> Judged:
    """The verdict on one comparison, why it is open, and what would tell it."""
    if found.missing:
        return Judged(found, Verdict.OPEN, None, found.missing, "", None)
    corrected = family.corrected.get(found.numbers)
    deviation = spread if found.deviation is None or found.seeds < 2 else found.deviation
    needed = None
    if deviation is not None and found.distance:
        needed = statistics.seeds_needed(found.distance, deviation, family.level, family.file.power)
    if found.seeds < 2:
        more = seeds_words(found, needed, borrowed=True) if deviation is not None else "a second seed first"
        return Judged(found, Verdict.OPEN, None, "one seed", more, needed)
    if corrected is None:
        return Judged(found, Verdict.OPEN, None, "no spread over the seeds", "", None)
    if corrected > family.file.level:
        return Judged(
            found, Verdict.OPEN, corrected, "within the noise of the seeds", seeds_words(found, needed), needed
        )
    if not is_beyond(found):
        more = f"{videos_words(found)}; no number of seeds"
        return Judged(found, Verdict.OPEN, corrected, "within the noise of the test videos", more, None)
    return Judged(found, Verdict.HOLDS if found.gain > found.bound else Verdict.FAILS, corrected, "", "", None)
