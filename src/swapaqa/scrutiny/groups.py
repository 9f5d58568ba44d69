"""A correlation over videos that come in groups: competitions, venues, sessions. Pure functions on (N,) arrays."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from swapaqa.measures.record import Measure, Scores
from swapaqa.measures.spearman import rank_correlation
from swapaqa.seeds import keyed_generator
from swapaqa.statistics import LEVEL, RESAMPLES, Interval

FEWEST = 5  # videos of a group that has a correlation of its own


class Within(NamedTuple):
    """Spearman's correlation within groups. The first two are over the `counted` groups of FEWEST videos and more.

    Attributes:
        groups, counted, videos: all groups, those that count, and the videos in these.
        weighted: the mean of the groups' correlations, each as often as the group has videos.
        mean: every group once.
        centred: over all videos, of what is left of predictions and truths without the mean of their group.
    """

    groups: int
    counted: int
    videos: int
    weighted: float
    mean: float
    centred: float


def positions_by_group(groups: Sequence[Hashable]) -> list[np.ndarray]:
    """The positions of the videos of every group, in the order in which groups first appear."""
    found: dict[Hashable, list[int]] = {}
    for position, group in enumerate(groups):
        found.setdefault(group, []).append(position)
    return [np.array(positions) for positions in found.values()]


def within_groups(scores: Scores, groups: Sequence[Hashable]) -> Within:
    """See `Within`. NaN where no group counts."""
    found = positions_by_group(groups)
    counted = [positions for positions in found if len(positions) >= FEWEST]
    rhos = [float(rank_correlation(scores.predicted[p], scores.true[p])) for p in counted]
    sizes = [len(positions) for positions in counted]
    return Within(
        groups=len(found),
        counted=len(counted),
        videos=sum(sizes),
        weighted=float(np.average(rhos, weights=sizes)) if counted else float("nan"),
        mean=float(np.mean(rhos)) if counted else float("nan"),
        centred=float(rank_correlation(_centred(scores.predicted, found), _centred(scores.true, found))),
    )


def interval_over_groups(measure: Measure, scores: Scores, groups: Sequence[Hashable]) -> Interval | None:
    """Percentile bootstrap interval of 95 %, whole groups drawn: how the number would vary with other groups.

    None of fewer than two groups.
    """
    found = positions_by_group(groups)
    if len(found) < 2:
        return None
    draw = np.random.default_rng(keyed_generator(0, "groups").initial_seed())
    values = []
    for chosen in draw.integers(len(found), size=(RESAMPLES, len(found))):
        positions = np.concatenate([found[group] for group in chosen])
        values.append(float(measure.of_draws(scores.at(positions), scores)))
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def partial_correlation(scores: Scores, known: np.ndarray) -> float:
    """Spearman's correlation of predictions and truths without what `known` says of both (Kendall 1942, of ranks)."""
    both = float(rank_correlation(scores.predicted, scores.true))
    one, other = (float(rank_correlation(side, known)) for side in (scores.predicted, scores.true))
    spread = np.sqrt((1 - one**2) * (1 - other**2))
    return float((both - one * other) / spread) if spread > 0 else float("nan")


def _centred(values: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    left = values.astype(np.float64)
    for positions in groups:
        left[positions] -= left[positions].mean()
    return left
