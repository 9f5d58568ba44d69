"""The interval over test videos of a number in a report: as its run wrote it, or from runs of one action each."""

from collections.abc import Sequence

import numpy as np

from swapaqa import statistics
from swapaqa.report.arms import Member
from swapaqa.report.runs import Run


def interval(
    members: Sequence[Member], metric: str, protocol: str, actions: Sequence[str], split: str = "test"
) -> statistics.Interval | None:
    """Of the metric averaged over `actions`, of an arm with one seed.

    None of several seeds, of results without intervals, and where a number is undefined or an action missing.
    """
    runs = [member.run for member in members if member.run.result is not None]
    if len({member.facts.seed for member in members if member.run.result is not None}) != 1:
        return None
    for run in reversed(runs):  # of two runs with one seed the later one counts
        if len(actions) == 1 and actions[0] in run.actions(protocol, split):
            return run.confidence(metric, protocol, split, actions[0])
        if len(actions) > 1 and set(run.actions(protocol, split)) == set(actions):
            return run.confidence(metric, protocol, split)
    return _together(runs, metric, protocol, actions, split)


def _together(
    runs: Sequence[Run], metric: str, protocol: str, actions: Sequence[str], split: str
) -> statistics.Interval | None:
    """Of runs of one action each, from their predictions."""
    found = {}
    for run in runs:
        own = run.actions(protocol, split)
        if len(own) == 1 and run.confidence(metric, protocol, split, own[0]) is not None:
            found[own[0]] = scores(run.predictions(protocol, split))
    if metric not in statistics.METRICS or not actions or not set(actions) <= found.keys():
        return None
    return statistics.interval(metric, [found[action] for action in actions])


def scores(predictions: dict[str, tuple[float, float]]) -> statistics.Scores:
    """The (true, predicted) of a run by video id as arrays, in the order of the ids."""
    true, predicted = np.array([predictions[video] for video in sorted(predictions)], dtype=np.float64).reshape(-1, 2).T
    return statistics.Scores(predicted, true)
