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
GROUP = ["group", "protocol", "split", "metric"]


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


class Estimates:
    """What groups of runs reached, as a table over their seeds.

    Args:
        groups: runs by any key, as by setting.
        actions: over which averages are taken; None: each group's own.
    """

    def __init__(self, groups: Mapping[Any, Sequence[Run]], actions: Sequence[str] | None = None) -> None:
        self.groups = dict(groups)
        self.actions = {key: tuple(actions or actions_of(runs)) for key, runs in groups.items()}
        self.numbers = {key: number for number, key in enumerate(self.groups)}

    @cached_property
    def by_seed(self) -> pd.DataFrame:
        """`value` by group, protocol, split, metric, action and seed; AVERAGE where every action is there."""
        rows = [
            {"group": self.numbers[key], "seed": run.seed, **found}
            for key, runs in self.groups.items()
            for run in runs
            if run.seed is not None
            for found in _numbers(run)
            if found["action"] != AVERAGE
        ]
        columns = [*GROUP, "action", "seed"]
        table = pd.DataFrame(rows, columns=[*columns, "value"])
        own = table.drop_duplicates(columns, keep="last")  # of two runs with one seed the later one counts
        return pd.concat([own, self._averages(own)]).set_index(columns)["value"].sort_index()

    def _averages(self, own: pd.DataFrame) -> pd.DataFrame:
        asked = measures_of(run for runs in self.groups.values() for run in runs)
        measures: dict[str, Description] = {**OURS, **{measure.name: measure for measure in asked}}
        wanted = {number: set(self.actions[key]) for key, number in self.numbers.items()}
        rows = []
        for (group, protocol, split, metric, seed), part in own.groupby([*GROUP, "seed"], sort=False):
            values = part[part["action"].isin(wanted[group])]["value"]
            if metric in measures and 0 < len(values) == len(wanted[group]):
                rows.append((group, protocol, split, metric, AVERAGE, seed, measures[metric].over_actions([*values])))
        return pd.DataFrame(rows, columns=[*GROUP, "action", "seed", "value"])

    @cached_property
    def over_seeds(self) -> dict[tuple[Any, ...], tuple[float, float, int]]:
        """Mean, sample standard deviation and number of seeds; NaN where one value is."""
        grouped = self.by_seed.groupby(level=[*GROUP, "action"])
        table = grouped.agg(
            mean=lambda values: values.mean(skipna=False),
            deviation=lambda values: values.std(skipna=False),
            seeds="size",
        )
        return dict(zip(table.index, table.itertuples(index=False, name=None), strict=True))

    def seeds(
        self, key: Any, metric: Description, protocol: str, split: str, action: str = AVERAGE
    ) -> dict[int, float]:
        """The values by seed; none where no run is complete."""
        place = (self.numbers[key], protocol, split, metric.name, action)
        return self.by_seed.loc[place].to_dict() if place in self.over_seeds else {}

    def of(
        self, key: Any, metric: Description, protocol: str, split: str = "test", action: str = AVERAGE
    ) -> Estimate | None:
        """The estimate of one group; None without any complete run."""
        found = self.over_seeds.get((self.numbers[key], protocol, split, metric.name, action))
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


def _mean(values: pd.Series) -> float:
    mean: float = values.mean(skipna=False)
    return mean


def _deviation(values: pd.Series) -> float:
    deviation: float = values.std(skipna=False)
    return deviation


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
