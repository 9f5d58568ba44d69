"""What two settings differ by over their seeds and over the test videos: the numbers that a claim is judged by."""

import math
from statistics import fmean, stdev
from typing import NamedTuple

from swapaqa import statistics
from swapaqa.errors import InputError
from swapaqa.measures.record import Measure
from swapaqa.runs.compare import Chosen, Protocol, Side, check_videos, read_side
from swapaqa.runs.run import Run
from swapaqa.verdict.cases import Pair, Setting

Numbers = tuple[tuple[float, ...], tuple[float, ...], float]

Known = dict[tuple[Protocol, tuple[int, ...], tuple[int, ...]], statistics.Interval | None]  # by the ids of the runs


class Reached(NamedTuple):
    """What a setting reached: the metric by seed, averaged over the actions that both settings have."""

    name: str
    values: tuple[float, ...]
    left_out: tuple[int, ...] = ()  # seeds without one of the actions

    @property
    def mean(self) -> float:
        return fmean(self.values) if self.values else math.nan

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation over the seeds; None of one seed."""
        return stdev(self.values) if len(self.values) > 1 else None


class Comparison(NamedTuple):
    """`first` against `second`. Everything is for the better: `gain` is above 0 where `first` is better.

    Attributes:
        bound: above which the gain is claimed to be.
        p: of the gain being `bound`, two-sided, by Welch's t-test over the seeds; None where a side has one seed, or
            no seed differs.
        interval: 95 % over the seeds; None as `p`.
        over_videos: 95 % over the test videos, of the gain of the means.
        videos: how many test videos.
        missing: why nothing can be compared; empty where something was.
    """

    first: Reached
    second: Reached
    bound: float
    gain: float = math.nan
    p: float | None = None
    interval: statistics.Interval | None = None
    over_videos: statistics.Interval | None = None
    videos: int = 0
    missing: str = ""

    @property
    def numbers(self) -> Numbers:
        """What its test is of: two comparisons of the same numbers are one test."""
        return self.first.values, self.second.values, self.bound

    @property
    def seeds(self) -> int:
        """Of the side that has fewer."""
        return min(len(self.first.values), len(self.second.values))

    @property
    def deviation(self) -> float | None:
        """Over the seeds, pooled over the sides that have several."""
        known = [side.deviation for side in (self.first, self.second) if side.deviation is not None]
        return math.sqrt(fmean(value**2 for value in known)) if known else None

    @property
    def distance(self) -> float:
        """How far the gain is from its bound."""
        return abs(self.gain - self.bound)


def compare_pair(pair: Pair, measure: Measure, protocol: Protocol, known: Known) -> Comparison:
    """The numbers of one pair; where there are none, why. `known`: intervals over videos, which claims share."""
    first, second = pair.first, pair.second
    if first is None or second is None:
        return _without(pair, pair.missing)
    actions = _actions(first, protocol) & _actions(second, protocol)
    if not actions:
        return _without(pair, f"no {protocol.split} of an action of both")
    try:
        ours, left = _side(first, actions, protocol, measure.needs_deviation)
        others, also_left = _side(second, actions, protocol, measure.needs_deviation)
        if ours.videos and others.videos:
            check_videos(ours, others)
    except InputError as error:
        return _without(pair, str(error))
    one = Reached(first.name, tuple(statistics.value(measure, run) for run in ours.runs), left)
    other = Reached(second.name, tuple(statistics.value(measure, run) for run in others.runs), also_left)
    if not one.values or not other.values:
        return Comparison(one, other, pair.bound, missing="no seed has every action")
    if any(math.isnan(value) for value in (*one.values, *other.values)):
        return Comparison(one, other, pair.bound, missing="undefined, as of constant predictions")
    key = (protocol, tuple(map(id, first.runs)), tuple(map(id, second.runs)))
    if key not in known:
        known[key] = statistics.difference_interval(measure, ours.runs, others.runs)
    sign = -1 if measure.higher_is_better is False else 1
    found = Comparison(one, other, pair.bound, sign * (one.mean - other.mean), videos=_count(ours))
    return _with_test(found._replace(over_videos=_turned(known[key], sign)), sign)


def _with_test(found: Comparison, sign: int) -> Comparison:
    """With p and interval over the seeds, where both sides have several and these differ."""
    if found.seeds < 2 or not found.deviation:
        return found
    first, second = ([sign * value for value in side.values] for side in (found.first, found.second))
    p = statistics.seeds_test([value - found.bound for value in first], second).p
    return found._replace(p=p, interval=statistics.seeds_test(first, second).interval)


def _without(pair: Pair, why: str) -> Comparison:
    """A comparison of nothing: `why`."""
    names = [setting.name if setting else "-" for setting in (pair.first, pair.second)]
    return Comparison(Reached(names[0], ()), Reached(names[1], ()), pair.bound, missing=why)


def _turned(ends: statistics.Interval | None, sign: int) -> statistics.Interval | None:
    """The interval of the gain from that of the difference."""
    return ends if ends is None or sign > 0 else (-ends[1], -ends[0])


def _count(side: Side) -> int:
    return sum(len(rows) for rows in next(iter(side.videos.values())).values())


def _actions(setting: Setting, protocol: Protocol) -> set[str]:
    """The actions that its runs have predictions of, in this split."""
    return {run.action or "" for run in setting.runs if run.predictions(protocol.name, protocol.split)}


def _side(
    setting: Setting, actions: set[str], protocol: Protocol, with_deviation: bool
) -> tuple[Side, tuple[int, ...]]:
    """The predictions of the seeds that have all of the actions, and the other seeds."""
    by_seed: dict[int, list[Run]] = {}
    for run in setting.runs:
        if (run.action or "") in actions and run.predictions(protocol.name, protocol.split):
            by_seed.setdefault(run.seed or 0, []).append(run)
    whole = {seed: runs for seed, runs in by_seed.items() if {run.action or "" for run in runs} == actions}
    chosen = Chosen(setting.name, setting.name, [run for seed in sorted(whole) for run in whole[seed]])
    left = tuple(sorted({run.seed or 0 for run in setting.runs} - whole.keys()))
    return read_side(chosen, protocol, with_deviation), left
