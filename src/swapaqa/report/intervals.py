"""The interval over test videos of a number in a report: as its run wrote it, or from runs of one action each."""

from collections.abc import Mapping, Sequence

import numpy as np

from swapaqa import statistics
from swapaqa.measures.record import Description, Measure, Scores
from swapaqa.report.arms import Member
from swapaqa.report.runs import Run


def interval(
    members: Sequence[Member], metric: Description, protocol: str, actions: Sequence[str], split: str = "test"
) -> statistics.Interval | None:
    """Of the metric averaged over `actions`, of an arm with one seed.

    None of several seeds, of results without intervals, and where a number is undefined or an action missing.
    """
    runs = [member.run for member in members if member.run.result is not None]
    if len({member.facts.seed for member in members if member.run.result is not None}) != 1:
        return None
    for run in reversed(runs):  # of two runs with one seed the later one counts
        if len(actions) == 1 and actions[0] in run.actions(protocol, split):
            return run.confidence(metric.name, protocol, split, actions[0])
        if len(actions) > 1 and set(run.actions(protocol, split)) == set(actions):
            return run.confidence(metric.name, protocol, split)
    return _together(runs, metric, protocol, actions, split)


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
