"""Runs as one tidy table, and what it says over seeds and actions: every number of a report is aggregated here.

`runs_table` is what `python -m src.report runs` writes: a row a run, split, action, protocol and metric.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from swapaqa import statistics
from swapaqa.measures.ours import OURS
from swapaqa.measures.record import Description, Measure, Scores
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.settings import actions_of, find_settings, label, measures_of, seeds_of

AVERAGE = "average"  # over the actions, in the column of actions
FACTS = ("data", "model", "aug", "boxes", "ratio")
COLUMNS = (
    "sweep", "job", "state", *FACTS, "seed", "setting", "overrides", "protocol", "epoch", "split", "action", "metric",
    "value", "low", "high", "videos", "folder",
)  # fmt: skip


def runs_table(sweeps: Sequence[Sweep]) -> pd.DataFrame:
    """All runs under `COLUMNS`.

    `value`: NaN where undefined. `low`, `high`: the 95 % interval over the test videos. A run without a result is one
    row without a metric; without facts it has no setting, but its overrides.
    """
    settings = find_settings(sweeps)
    names = {id(run): label(setting, list(settings)) for setting, runs in settings.items() for run in runs}
    rows = [
        {"sweep": sweep.name, **_columns_of_run(run), "setting": names.get(id(run)), **numbers}
        for sweep in sweeps
        for run in sweep.runs
        for numbers in [*_numbers(run)] or [{}]
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(dict.fromkeys(("seed", "epoch", "videos"), "Int64"))


def _columns_of_run(run: Run) -> dict[str, Any]:
    known = {name: getattr(run.facts, name) for name in FACTS} if run.facts else {}
    words = {"seed": run.seed, "overrides": " ".join(run.overrides), "folder": str(run.folder)}
    return {"job": run.job, "state": run.state.value, **known, **words}


def _numbers(run: Run) -> Iterator[dict[str, Any]]:
    """The numbers of one run: of every action, and averaged over them as the run itself did."""
    for protocol in run.protocols:
        for split in run.splits(protocol):
            for action in (*run.actions(protocol, split), None):
                for metric in run.metrics(protocol, split, action):
                    low, high = run.confidence(metric, protocol, split, action) or (math.nan, math.nan)
                    yield {
                        "protocol": protocol, "epoch": run.epoch(protocol), "split": split,
                        "action": AVERAGE if action is None else action, "metric": metric,
                        "value": run.metric(metric, protocol, split, action), "low": low, "high": high,
                        "videos": run.videos(protocol, split, action),
                    }  # fmt: skip


class Estimate(NamedTuple):
    """A mean over seeds, with the sample standard deviation (None for one seed).

    `interval`: over the test videos, of one seed whose result has one.
    """

    mean: float
    deviation: float | None
    seeds: int
    interval: statistics.Interval | None = None

    @property
    def ends(self) -> statistics.Interval:
        """Where an error bar begins and ends: a deviation to both sides, else the interval; the mean without either."""
        if self.deviation is not None:
            return self.mean - self.deviation, self.mean + self.deviation
        return self.interval or (self.mean, self.mean)


class Place(NamedTuple):
    """Where a number stands. `key`: of a group of runs, which is hashable."""

    key: Any
    protocol: str
    split: str
    metric: str
    action: str


class Estimates:
    """What groups of runs reached over their seeds.

    Args:
        groups: runs by any key, as by setting.
        actions: over which averages are taken; None: each group's own.
    """

    def __init__(self, groups: Mapping[Any, Sequence[Run]], actions: Sequence[str] | None = None) -> None:
        self.groups = dict(groups)
        self.actions = {key: tuple(actions or actions_of(runs)) for key, runs in groups.items()}

    @cached_property
    def by_seed(self) -> dict[Place, dict[int, float]]:
        """Values by seed; those of AVERAGE where every action is there."""
        found: dict[Place, dict[int, float]] = {}
        for key, runs in self.groups.items():
            for run in runs:
                if run.seed is not None:
                    for one in _numbers(run):
                        if one["action"] != AVERAGE:  # of two runs with one seed the later one counts
                            place = Place(key, one["protocol"], one["split"], one["metric"], one["action"])
                            found.setdefault(place, {})[run.seed] = one["value"]
        return found | self._averages(found)

    def _averages(self, own: Mapping[Place, Mapping[int, float]]) -> dict[Place, dict[int, float]]:
        asked = measures_of(run for runs in self.groups.values() for run in runs)
        measures: dict[str, Description] = {**OURS, **{measure.name: measure for measure in asked}}
        found: dict[Place, dict[int, float]] = {}
        for place in dict.fromkeys(one._replace(action=AVERAGE) for one in own):
            by_action = [own.get(place._replace(action=action), {}) for action in self.actions[place.key]]
            if place.metric in measures and by_action:
                over_actions = measures[place.metric].over_actions
                seeds = sorted(set(by_action[0]).intersection(*by_action[1:]))
                found[place] = {seed: over_actions([values[seed] for values in by_action]) for seed in seeds}
        return found

    @cached_property
    def over_seeds(self) -> dict[Place, tuple[float, float, int]]:
        """Mean, sample standard deviation and number of seeds; NaN where one value is."""
        return {
            place: (float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan, len(values))
            for place, by_seed in self.by_seed.items()
            if (values := [*by_seed.values()])
        }

    def seeds(
        self, key: Any, metric: Description, protocol: str, split: str, action: str = AVERAGE
    ) -> dict[int, float]:
        """The values by seed; none where no run is complete."""
        return dict(sorted(self.by_seed.get(Place(key, protocol, split, metric.name, action), {}).items()))

    def of(
        self, key: Any, metric: Description, protocol: str, split: str = "test", action: str = AVERAGE
    ) -> Estimate | None:
        """The estimate of one group; None without any complete run."""
        found = self.over_seeds.get(Place(key, protocol, split, metric.name, action))
        if found is None:
            return None
        mean, deviation, seeds = found
        if seeds > 1:
            return Estimate(mean, None if math.isnan(mean) else deviation, seeds)
        actions = self.actions[key] if action == AVERAGE else (action,)
        return Estimate(mean, None, seeds, interval(self.groups[key], metric, protocol, actions, split))

    def is_partial(self, key: Any, found: Estimate) -> bool:
        """Whether an estimate is over fewer seeds than were planned."""
        return found.seeds < len(seeds_of(self.groups[key]))


def interval(
    runs: Sequence[Run], metric: Description, protocol: str, actions: Sequence[str], split: str = "test"
) -> statistics.Interval | None:
    """Over the test videos, of the metric averaged over `actions`: as a run wrote it, or from runs of one action each.

    None of several seeds, of results without intervals, and where a number is undefined or an action missing.
    """
    done = [run for run in runs if run.result is not None]
    if len({run.seed for run in done}) != 1:
        return None
    for run in reversed(done):  # of two runs with one seed the later one counts
        if len(actions) == 1 and actions[0] in run.actions(protocol, split):
            return run.confidence(metric.name, protocol, split, actions[0])
        if len(actions) > 1 and set(run.actions(protocol, split)) == set(actions):
            return run.confidence(metric.name, protocol, split)
    return _together(done, metric, protocol, actions, split)


def _together(
    runs: Sequence[Run], metric: Description, protocol: str, actions: Sequence[str], split: str
) -> statistics.Interval | None:
    """Of runs of one action each, from their predictions; their results have no predicted deviations."""
    if not isinstance(metric, Measure) or metric.needs_deviation:
        return None
    found = {}
    for run in runs:
        own = run.actions(protocol, split)
        if len(own) == 1 and run.confidence(metric.name, protocol, split, own[0]) is not None:
            found[own[0]] = scores(run.predictions(protocol, split))
    if not actions or not set(actions) <= found.keys():
        return None
    return statistics.interval(metric, [found[action] for action in actions])


def scores(predictions: Mapping[str, tuple[float, ...]]) -> Scores:
    """The (true, predicted[, deviation]) of a run by video id as arrays, in the order of the ids."""
    rows = [predictions[video] for video in sorted(predictions)] or [(0.0, 0.0)]
    true, predicted, *deviation = np.array(rows, dtype=np.float64)[: len(predictions)].T
    return Scores(predicted, true, *deviation)
