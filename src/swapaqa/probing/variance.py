"""Variance components of the predictions by athlete and background: pure functions on a table of predictions.

p(i, j) is the prediction for the athlete of video i in front of the background of video j, for i != j. The model is
p(i, j) = m + a_i + b_j + e_ij with athletes a, backgrounds b and the rest e, which is their interaction: a network
without dropout has no other noise. Only some pairs are observed, and a_i and b_i of one video may be correlated (a
scoreboard that tells the score).

The estimator is Henderson's method 3, "fitting constants" (Biometrics 9, 1953; Searle, Casella, McCulloch: Variance
Components, 1992, section 5.5): the sum of squares that the backgrounds explain beyond the athletes (type II), less what
the rest is expected to put there, over its expectation for unit variance. So

- a model that ignores the background has background 0, exactly, whatever the athletes are correlated with, and one
  that ignores the athlete has athlete 0;
- the components are unbiased for any number of backgrounds a video: a random model has 0 on average, where the plain
  share of the sum of squares would say about one over that number. An estimate may therefore be negative; shares count
  it as 0.

All components are of the population of the N videos, with N - 1 in the denominator.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from swapaqa.statistics import LEVEL, Interval


class Cells(NamedTuple):
    """M observed predictions. `athlete` and `background` are positions among the N videos, (M,) int64 each."""

    athlete: np.ndarray
    background: np.ndarray
    predicted: np.ndarray  # (M,) float64


class Components(NamedTuple):
    """Variances in the predictions' unit squared, or their shares of the sum."""

    background: float
    athlete: float
    rest: float


class Share(NamedTuple):
    """One share, 0 to 1, NaN where nothing varies. `interval`: jackknife over videos of 95 %, None where unknown."""

    value: float
    interval: Interval | None


def variance_components(cells: Cells) -> Components:
    """Unbiased estimates of the three variances, see above; NaN with too few cells to tell them apart.

    Every pair (athlete, background) may be there once at most, which is not checked.
    """
    _, athlete = np.unique(cells.athlete, return_inverse=True)
    _, background = np.unique(cells.background, return_inverse=True)
    predicted = cells.predicted - cells.predicted.mean()
    count, rows, columns = len(predicted), athlete.max() + 1, background.max() + 1
    edges = coo_array((np.ones(count), (athlete, rows + background)), shape=(rows + columns,) * 2)
    parts = connected_components(edges, directed=False)[0]
    free = count - rows - columns + parts
    if free < 1:
        return Components(*[np.nan] * 3)
    beyond_athletes = _explained(athlete, background, predicted, parts)
    residual = max(_within(predicted, athlete) - beyond_athletes, 0.0)
    beyond_backgrounds = _within(predicted, background) - residual
    rest = residual / free
    return Components(
        background=(beyond_athletes - (columns - parts) * rest) / (count - rows),
        athlete=(beyond_backgrounds - (rows - parts) * rest) / (count - columns),
        rest=rest,
    )


def _within(predicted: np.ndarray, group: np.ndarray) -> float:
    """Sum of squares about the means of the groups."""
    means = np.bincount(group, predicted) / np.bincount(group)
    return float(np.square(predicted - means[group]).sum())


def _explained(athlete: np.ndarray, background: np.ndarray, predicted: np.ndarray, parts: int) -> float:
    """Type II sum of squares of the backgrounds, from the normal equations with the athletes swept out.

    `parts`: connected parts of the design; in each the effects are known up to a constant.
    """
    met = np.zeros((athlete.max() + 1, background.max() + 1))
    met[athlete, background] = 1
    share = met / met.sum(1, keepdims=True)
    laplacian = np.diag(met.sum(0)) - met.T @ share  # (backgrounds, backgrounds), singular
    right = np.bincount(background, predicted) - share.T @ np.bincount(athlete, predicted)
    if parts == 1:  # ten times as fast: effects that sum to 0
        return float(np.linalg.solve(laplacian + 1 / len(laplacian), right) @ right)
    return float(np.linalg.lstsq(laplacian, right, rcond=None)[0] @ right)


def shares(components: Components) -> Components:
    """The components over their sum, negative estimates as 0; NaN where the predictions do not vary."""
    kept = np.clip(components, 0, None)
    return Components(*(kept / kept.sum() if kept.sum() > 0 else np.full(3, np.nan)).tolist())


def average_shares(actions: Sequence[Cells]) -> dict[str, Share]:
    """`shares` by the fields of `Components`, averaged over actions plainly, with intervals.

    The interval is value +- t x standard error, within 0 to 1, by the jackknife that leaves out one video at a time,
    as athlete and as background. None where that leaves too few cells.
    """
    values = np.array([shares(variance_components(cells)) for cells in actions]).mean(0)  # (3,)
    variance = np.sum([_jackknife_variance(cells) for cells in actions], axis=0) / len(actions) ** 2
    videos = sum(len(np.unique(cells.athlete)) for cells in actions)
    half = stats.t.ppf((1 + LEVEL) / 2, videos - len(actions)) * np.sqrt(variance)
    found = zip(Components._fields, values.tolist(), half.tolist(), strict=True)
    return {
        name: Share(value, None if np.isnan(value + reach) else (max(0.0, value - reach), min(1.0, value + reach)))
        for name, value, reach in found
    }


def _jackknife_variance(cells: Cells) -> np.ndarray:
    """(3,) variances of the shares."""
    videos = np.unique(cells.athlete)
    left = []
    for video in videos:
        kept = (cells.athlete != video) & (cells.background != video)
        few = Components(*[np.nan] * 3)
        left.append(shares(variance_components(Cells(*(part[kept] for part in cells)))) if kept.any() else few)
    spread = np.square(np.array(left) - np.mean(left, axis=0)).sum(0)
    jackknife: np.ndarray = (len(videos) - 1) / len(videos) * spread
    return jackknife
