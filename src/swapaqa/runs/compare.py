"""Whether two runs, or two sets of seeds, differ by more than noise, in one sentence.

A side is a folder of a run, of runs or of a sweep; where it holds several settings, values after a colon choose one:
`outputs/plug_and_play:aug=none,model=core`. In a list of settings the overrides of one choose it and no other:
`outputs/evidence:aug=none` is the reference without a swap. One seed against one: a paired permutation test over the
videos. Several seeds against several: Welch's t-test over the seeds, beside an interval over the videos of the
difference of the means.

The metric is any of this project's, whether the runs were asked for it or not, or one of theirs from a package that the
user trusts.
"""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from swapaqa import statistics
from swapaqa.command import spelled
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_bytes, shown
from swapaqa.files.spreadsheet import unguarded
from swapaqa.measures.ours import OURS
from swapaqa.measures.record import Measure, Scores
from swapaqa.running.jobs import State
from swapaqa.running.measures import package_of
from swapaqa.runs.factors import factors, is_list_of_settings
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.run_folders import read_sweep
from swapaqa.runs.runs_table import scores
from swapaqa.runs.settings import find_settings, label, measures_of

SIGNIFICANT = 0.05
DISTINGUISHABLE = "distinguishable from noise, of the seeds and of the choice of test videos"
Row = tuple[float, ...]  # (true, predicted) or (true, predicted, predicted deviation), in points
Videos = dict[str, dict[str, Row]]  # by action and video id


class Protocol(NamedTuple):
    """Which numbers are compared."""

    metric: str
    name: str
    split: str


class Chosen(NamedTuple):
    """One setting as it was asked for, and its finished runs."""

    text: str
    name: str
    runs: list[Run]


class Difference(NamedTuple):
    """What two sides differ by. `interval`: over the seeds where there are several, else over the videos.

    `words`: the numbers, the difference and how sure it is, asked for where they are shown, as they cost an interval;
    `verdict`: whether it is more than noise.
    """

    difference: float
    interval: statistics.Interval | None
    is_more_than_noise: bool
    words: Callable[[], str]
    verdict: str


@dataclass(frozen=True)
class Side:
    """One setting. `videos`: by seed."""

    text: str
    name: str
    videos: Mapping[int, Videos]

    @property
    def runs(self) -> list[list[Scores]]:
        """Of every seed the actions, in the order of their names."""
        return [[scores(found[action]) for action in sorted(found)] for found in self.videos.values()]


def compare(ours: str, others: str, protocol: Protocol, trust: Sequence[str] = ()) -> str:
    """The sentence. `trust`: packages whose metrics may be computed.

    Raises:
        InputError: no such runs or several settings, other videos or truths, one seed against several, a metric that is
            not known or undefined.
    """
    chosen = [choose(text, trust) for text in (ours, others)]
    measure = find_measure(protocol.metric, [run for one in chosen for run in one.runs])
    sides = [read_side(one, protocol, measure.needs_deviation) for one in chosen]
    found = difference(measure, sides[0], sides[1])
    videos = sum(len(rows) for rows in next(iter(sides[0].videos.values())).values())
    what = f"{protocol.name}, {protocol.split}, {videos} videos"
    words = " against ".join(f"{side.name} ({side.text})" for side in sides)
    return f"{words}, {what}: {measure.title} {found.words()}: {found.verdict}."


def difference(measure: Measure, ours: Side, others: Side) -> Difference:
    """What `ours` has beyond `others`; errors as `compare`."""
    sides = (ours, others)
    check_videos(*sides)
    values = [[statistics.value(measure, run) for run in side.runs] for side in sides]
    for side, numbers in zip(sides, values, strict=True):
        if any(math.isnan(number) for number in numbers):
            raise InputError(f"{side.text}: {measure.name} is undefined, as of constant predictions or one video")
    counts = [len(numbers) for numbers in values]
    if min(counts) == 1 < max(counts):
        both = f"{ours.text} has {counts[0]} and {others.text} {counts[1]} seeds"
        raise InputError(f"{both}; compare one seed with one, or several with several")
    test = _over_videos if max(counts) == 1 else _over_seeds
    return test(measure, sides, values)


def find_measure(name: str, runs: Sequence[Run]) -> Measure:
    """One of ours, or of those that the runs were asked for.

    Raises:
        InputError: there is none of this name, or it cannot be computed here.
    """
    known = {measure.name: measure for measure in (*measures_of(runs), *OURS.values())}
    if name not in known:
        raise InputError(f"metric {name}: the runs have none of this name; there are {', '.join(known)}")
    found = known[name]
    if isinstance(found, Measure):
        return found
    package = next((word for run in runs if run.result and (word := package_of(run.result, name))), "PACKAGE")
    raise InputError(
        f"metric {name}: the results have its values, and to compare it is computed anew: where you know its package, "
        f"say --trust {shown(package)}"
    )


def choose(text: str, trust: Sequence[str] = ()) -> Chosen:
    """The one setting of the runs at `PATH` or `PATH:key=value,...`."""
    path, wanted = _parsed(text)
    sweep = read_sweep(path, trust)
    runs = _with_values(sweep, wanted)
    settings = find_settings([replace(sweep, runs=runs)])
    if len(settings) != 1:
        listed = is_list_of_settings(sweep)
        names = _listed_names(runs or sweep.runs) if listed else [label(one, list(settings)) for one in settings]
        found = "; ".join(names) or "no run with these values"
        example = names[0] if listed else "aug=none,model=core"
        raise InputError(f"{text}: one setting is needed, and there are {found}; choose like {path}:{example}")
    done = [run for run in runs if run.result is not None]
    damaged = [run.failure for run in runs if run.state is State.DAMAGED]
    if not done:
        if damaged:
            raise InputError(str(damaged[0]))
        raise InputError(f"{text}: no finished run; see {spelled(f'report show {path}')}")
    return Chosen(text, label(next(iter(settings))), done)


def read_side(chosen: Chosen, protocol: Protocol, with_deviation: bool) -> Side:
    """The predictions of the runs of a setting, by seed."""
    videos: dict[int, Videos] = {}
    for run in chosen.runs:
        videos.setdefault(run.seed or 0, {}).update(_videos(run, protocol, with_deviation))
    return Side(chosen.text, chosen.name, videos)


def _with_values(sweep: Sweep, wanted: Mapping[str, str]) -> tuple[Run, ...]:
    """Runs that have the values; in a list of settings, where one says these and no others, its runs alone."""
    if is_list_of_settings(sweep):
        exactly = tuple(run for run in sweep.runs if factors(run) == wanted)
        if exactly:
            return exactly
    return tuple(run for run in sweep.runs if all(run.has(key, value) for key, value in wanted.items()))


def _listed_names(runs: Sequence[Run]) -> list[str]:
    names = (",".join(f"{key}={value}" for key, value in factors(run).items()) for run in runs)
    return list(dict.fromkeys(names))


def _parsed(text: str) -> tuple[Path, dict[str, str]]:
    path, colon, choice = text.rpartition(":")
    if not colon or "=" not in choice:
        return Path(text), {}
    pairs = [pair.partition("=") for pair in choice.split(",")]
    return Path(path), {key: value for key, _, value in pairs}


def _videos(run: Run, protocol: Protocol, with_deviation: bool) -> Videos:
    """The predictions by action.

    The file beside the result says what it does not: which video shows which of several actions, and the deviations.

    Raises:
        InputError: the run has no such protocol or split, or the file is not there.
    """
    found, actions = run.predictions(protocol.name, protocol.split), run.actions(protocol.name, protocol.split)
    if not found:
        there = [f"{name}: {', '.join(run.splits(name))}" for name in run.protocols]
        raise InputError(f"{run.folder}: has no {protocol.name} of {protocol.split}, but {'; '.join(there)}")
    if len(actions) == 1 and not with_deviation:
        return {actions[0]: dict(found)}
    rows = _beside(run, protocol, len(actions), [f"{protocol.name}_std"] * with_deviation)
    return {
        action: {video: (*found[video], *rows[video][1]) for video in found if rows.get(video, ("",))[0] == action}
        for action in actions
    }


def _beside(run: Run, protocol: Protocol, actions: int, columns: Sequence[str]) -> dict[str, tuple[str, list[float]]]:
    """Action and the numbers of `columns` by video id, from the table of predictions beside a result."""
    path = run.folder / f"predictions_{protocol.split}.csv"
    if not path.is_file():
        what = "the predicted deviations" if columns else f"which of the {actions} actions a video shows"
        raise InputError(f"{path}: no such file, and it says {what}")
    text = read_bytes(path).decode(errors="replace")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = [column for column in columns if column not in (rows.fieldnames or ())]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]}: the method of this run predicts no standard deviations")
    try:
        return {
            unguarded(row["video_id"]): (unguarded(row["action"]), [float(row[column]) for column in columns])
            for row in rows
        }
    except (csv.Error, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a table of predictions ({shown(error)}); run again") from error


def check_videos(ours: Side, others: Side) -> None:
    """InputError with the first video that is not in all runs, or has another truth."""
    first = _truths(next(iter(ours.videos.values())))
    for side in (ours, others):
        for seed, found in side.videos.items():
            truths = _truths(found)
            different = sorted(video for video in first.keys() | truths.keys() if first.get(video) != truths.get(video))
            if different:
                video = different[0]
                pair = " and ".join(str(known.get(video, "not there")) for known in (first, truths))
                raise InputError(
                    f"{ours.text} and {side.text} (seed {seed}) are not on the same videos: the true score of {video} "
                    f"is {pair} ({len(different)} videos differ)"
                )


def _truths(found: Videos) -> dict[str, float]:
    return {video: round(row[0], 4) for rows in found.values() for video, row in rows.items()}


def _over_videos(measure: Measure, sides: Sequence[Side], values: Sequence[Sequence[float]]) -> Difference:
    digits = measure.decimals
    ours, others = (side.runs for side in sides)
    p = statistics.paired_test(measure, ours[0], others[0])
    ends = statistics.difference_interval(measure, ours, others)
    numbers = " against ".join(f"{found[0]:.{digits}f}" for found in values)
    verdict = "distinguishable from noise" if p < SIGNIFICANT else "not distinguishable from noise"
    by = values[0][0] - values[1][0]
    words = (
        f"{numbers}, a difference of {by:+.{digits}f} ({measure.direction}), "
        f"95 % interval {_interval_words(ends, digits)} over the videos, p = {p:.2g} (paired permutation test)"
    )
    return Difference(by, ends, p < SIGNIFICANT, lambda: words, verdict)


def _over_seeds(measure: Measure, sides: Sequence[Side], values: Sequence[Sequence[float]]) -> Difference:
    digits = measure.decimals
    test = statistics.seeds_test(*values)
    means = [fmean(numbers) for numbers in values]
    numbers = " against ".join(
        f"{mean:.{digits}f} ± {stdev(found):.{digits}f} ({len(found)} seeds)"
        for mean, found in zip(means, values, strict=True)
    )
    over_videos = cache(lambda: statistics.difference_interval(measure, sides[0].runs, sides[1].runs))
    verdict = _verdict(test, over_videos)

    def words() -> str:
        return (
            f"{numbers}, a difference of {means[0] - means[1]:+.{digits}f} ({measure.direction}), 95 % interval "
            f"{_interval_words(test.interval, digits)} and p = {test.p:.2g} over the seeds (Welch's t-test), interval "
            f"{_interval_words(over_videos(), digits)} over the videos"
        )

    return Difference(means[0] - means[1], test.interval, verdict == DISTINGUISHABLE, words, verdict)


def _verdict(test: statistics.SeedsTest, over_videos: Callable[[], statistics.Interval | None]) -> str:
    """`over_videos` is asked for only where the seeds tell a difference."""
    if math.isnan(test.p):
        return "no spread over the seeds, so nothing to tell a difference from"
    if test.p >= SIGNIFICANT:
        return "not distinguishable from the noise of the seeds"
    ends = over_videos()
    if ends is None or ends[0] <= 0 <= ends[1]:
        return "distinguishable from the noise of the seeds, but not from that of the choice of test videos"
    return DISTINGUISHABLE


def _interval_words(ends: statistics.Interval | None, digits: int) -> str:
    if ends is None or math.isnan(ends[0]):
        return "undefined"
    return f"[{ends[0]:z.{digits}f}, {ends[1]:z.{digits}f}]"
