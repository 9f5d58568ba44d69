"""Uncertainty of a metric: intervals over test videos, and tests of a difference. Pure functions; SciPy resamples.

Two sources of noise, never mixed here: which videos are in the test set (`interval`, `difference_interval`,
`paired_test`), and the seed (`seeds_test`, `seeds_needed`). A model is given as `Scores` by action; an average over
actions is the papers': correlations by Fisher's z, R-l2 plainly. Videos are drawn within their action. What a metric
is, of a test set and of draws from it, is in its record (`swapaqa.measures`).

Rules:
- A resample in which the predictions or the truths are constant says nothing about the order: its correlation is 0.
  Predictions are constant where they differ by rounding only, see `swapaqa.metrics.constant`.
  The same in the original is undefined, as in `swapaqa.metrics.spearman`, and so are interval and test.
- R-l2 is relative to the range of all truths of the test set, in every resample. The range of a resample is never
  wider, and the bootstrap is not valid for extremes; so the interval is that of the mean squared error.
- The paired test exchanges what the record says, with the predicted deviations: ranks for Spearman and predictions for
  R-l2: like rho itself, its p does not change when one of the runs is rescaled.
- Of over `MOST_JACKKNIFED` videos an interval is the percentile interval: what BCa corrects vanishes as 1/N, and its
  jackknife costs N squared. Draws are made so many at a time that memory does not grow with N.
- Draws are keyed by their purpose, not by the run: the same predictions always have the same interval.
"""

import bisect
import math
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from swapaqa.measures.record import Measure, Scores
from swapaqa.seeds import keyed_generator

LEVEL = 0.95
RESAMPLES = 2000  # of an interval; its ends vary by about 2 % of its width with the draws
PERMUTATIONS = 9999  # at most; all of them where there are no more
MOST_SEEDS = 1000  # of a plan
MOST_JACKKNIFED = 5000  # videos
AT_A_TIME = 4_000_000  # drawn videos: 32 MB
BATCH = 1000  # permutations at a time: 1000 x 353 videos are 3 MB

Interval = tuple[float, float]


class Drawn:
    """Videos of a test set of `videos`, drawn into many: their `positions`, (..., N), and how often each is drawn."""

    def __init__(self, positions: np.ndarray, videos: int) -> None:
        self.videos = videos
        # In order: BCa counts resamples below the estimate, and those of every video once equal it. Summed in another
        # order they would lie below or above it by rounding alone, of six videos one resample in 65.
        self.positions = np.sort(positions, axis=-1)

    @cached_property
    def counts(self) -> np.ndarray:
        """(..., videos)."""
        rows = self.positions.reshape(-1, self.positions.shape[-1])
        apart = rows + self.videos * np.arange(len(rows))[:, None]
        counts = np.bincount(apart.ravel(), minlength=self.videos * len(rows))
        return counts.reshape(*self.positions.shape[:-1], self.videos)


class SeedsTest(NamedTuple):
    """Welch's t-test. `p`: two-sided; `interval`: of the difference of the means. NaN where no seed differs."""

    p: float
    interval: Interval


def value(measure: Measure, actions: Sequence[Scores]) -> float:
    """The metric averaged over actions, as `result.json` has it; NaN where it is undefined."""
    return float(_average(measure, [measure.of_draws(scores, scores) for scores in actions]))


def interval(measure: Measure, actions: Sequence[Scores]) -> Interval | None:
    """BCa bootstrap interval (Efron 1987) of 95 % over the test videos of a metric that is averaged over `actions`.

    None where the metric is undefined, of fewer than two videos, and where all resamples agree (rho = 1).
    """
    return mean_interval(measure, [actions])


def mean_interval(measure: Measure, runs: Sequence[Sequence[Scores]]) -> Interval | None:
    """`interval` of the mean over `runs`, lists of actions that are on the same videos in the same order."""
    return _bootstrap(runs[0], lambda drawn: _measured(measure, runs, drawn).mean(axis=0))


def interval_of_mean(values: np.ndarray) -> Interval | None:
    """BCa interval of 95 % over the videos of the mean of one number a video, (N,); None as in `interval`."""

    def mean(drawn: Sequence[Drawn]) -> np.ndarray:  # longer sums: three times 0.4 has the mean 0.4, and no more
        means: np.ndarray = values[drawn[0].positions].mean(-1, dtype=np.longdouble).astype(np.float64)
        return means

    return _bootstrap([Scores(values, values)], mean)


def difference_interval(
    measure: Measure, ours: Sequence[Sequence[Scores]], others: Sequence[Sequence[Scores]]
) -> Interval | None:
    """BCa interval of 95 % over the test videos of (mean over the runs of `ours`) - (the same of `others`).

    Runs are lists of actions; all must be on the same videos in the same order, which is not checked.
    """

    def gap(drawn: Sequence[Drawn]) -> np.ndarray:
        found = _measured(measure, [*ours, *others], drawn)
        difference: np.ndarray = found[: len(ours)].mean(axis=0) - found[len(ours) :].mean(axis=0)
        return difference

    return _bootstrap(ours[0], gap)


def paired_test(measure: Measure, ours: Sequence[Scores], others: Sequence[Scores]) -> float:
    """Two-sided p of the metric's difference between two runs on the same videos, by a paired permutation test.

    Under the null hypothesis it does not matter which run a video's prediction is of; all 2^N exchanges where they are
    no more than `PERMUTATIONS`, else that many random ones. NaN where the metric is undefined.
    """
    if np.isnan(value(measure, ours)) or np.isnan(value(measure, others)):
        return np.nan
    ends = np.cumsum([len(scores.true) for scores in ours])[:-1]
    both = [_beside(measure, *pair) for pair in zip(ours, others, strict=True)]
    one = np.concatenate([np.arange(len(scores.true)) for scores in ours])
    other = np.concatenate([len(scores.true) + np.arange(len(scores.true)) for scores in ours])

    def of_run(positions: np.ndarray) -> np.ndarray:
        parts = zip(np.split(positions, ends, axis=-1), both, ours, strict=True)
        return _average(measure, [measure.of_draws(pair.at(part), whole) for part, pair, whole in parts])

    def difference(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:  # noqa: ARG001  always the last
        gap: np.ndarray = of_run(one) - of_run(other)
        return gap

    found = stats.permutation_test(
        (one, other), difference, permutation_type="samples", vectorized=True, n_resamples=PERMUTATIONS,
        batch=max(1, min(BATCH, AT_A_TIME // len(one))), rng=_generator("permutation"),
    )  # fmt: skip
    return float(found.pvalue)


def seeds_test(ours: Sequence[float], others: Sequence[float]) -> SeedsTest:
    """Welch's t-test between a metric's values over two sets of seeds, of at least two each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of no spread at all
        found = stats.ttest_ind(ours, others, equal_var=False)
        low, high = found.confidence_interval(LEVEL)
    return SeedsTest(float(found.pvalue), (float(low), float(high)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values of a family of tests, corrected by Holm's method (1979), in the order given.

    Rejecting those of at most alpha leaves the probability of any false one at most alpha. SciPy corrects for the rate
    of false discoveries only.
    """
    order = sorted(range(len(p_values)), key=lambda position: p_values[position])
    corrected, highest = [0.0] * len(p_values), 0.0
    for done, position in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - done) * p_values[position]))
        corrected[position] = highest
    return corrected


def seeds_needed(difference: float, deviation: float, level: float, power: float) -> int | None:
    """Seeds a side for which a two-sided t-test at `level` finds a true difference with probability `power`.

    Args:
        difference: of the means, from what the test asks about.
        deviation: the standard deviation over the seeds of either side, in the same unit.

    Returns:
        At least 2; None for more than `MOST_SEEDS`, and where there is no difference.
    """
    if difference == 0 or math.isnan(difference + deviation):
        return None
    if deviation == 0:
        return 2

    def finds(seeds: int) -> bool:
        freedom, shift = 2 * seeds - 2, abs(difference) / deviation * math.sqrt(seeds / 2)
        return bool(stats.nct.sf(stats.t.isf(level / 2, freedom), freedom, shift) >= power)

    if not finds(MOST_SEEDS):
        return None
    return bisect.bisect_left(range(2, MOST_SEEDS), True, key=finds) + 2


def _beside(measure: Measure, ours: Scores, others: Scores) -> Scores:
    """What the test exchanges, of 2 N videos: those of `ours`, then the same of `others`."""
    ranked = measure.exchanged == "ranks"
    predicted = [stats.rankdata(run.predicted) if ranked else run.predicted for run in (ours, others)]
    deviations = [run.deviation for run in (ours, others) if run.deviation is not None]
    deviation = np.concatenate(deviations) if len(deviations) == 2 else None
    return Scores(np.concatenate(predicted), np.concatenate([ours.true, others.true]), deviation)


def _measured(measure: Measure, runs: Sequence[Sequence[Scores]], drawn: Sequence[Drawn]) -> np.ndarray:
    """(runs, ...): the metric of every run, averaged over actions, of the videos in `drawn`."""
    by_action = zip(*runs, strict=True)
    return _average(measure, [_of_runs(measure, found, one) for found, one in zip(by_action, drawn, strict=True)])


def _of_runs(measure: Measure, runs: Sequence[Scores], drawn: Drawn) -> np.ndarray:
    """(runs, ...): the metric of one action."""
    if measure.counted is not None:
        return measure.of_counts(runs, drawn.counts)
    return np.stack([measure.of_draws(scores.at(drawn.positions), scores) for scores in runs])


def _average(measure: Measure, by_action: Sequence[np.ndarray]) -> np.ndarray:
    if len(by_action) == 1:
        return by_action[0]
    if measure.average == "mean":
        average: np.ndarray = np.mean(by_action, axis=0)
        return average
    with np.errstate(divide="ignore", invalid="ignore"):  # 1 and -1 average to NaN: infinity of both signs
        average = np.tanh(np.mean(np.arctanh(np.clip(by_action, -1, 1)), axis=0))
    return average


def _bootstrap(actions: Sequence[Scores], statistic: Callable[[Sequence[Drawn]], np.ndarray]) -> Interval | None:
    """`statistic` takes what is drawn of each action."""
    videos = [np.arange(len(scores.true)) for scores in actions]
    counts = [len(all_of_one) for all_of_one in videos]

    def of_resample(*drawn: np.ndarray, axis: int = -1) -> np.ndarray:  # noqa: ARG001  always the last
        return statistic([Drawn(positions, count) for positions, count in zip(drawn, counts, strict=True)])

    if min(counts, default=0) < 2 or np.isnan(of_resample(*videos)):
        return None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of degenerate resamples, for which we answer None
        found = stats.bootstrap(
            videos, of_resample, confidence_level=LEVEL, n_resamples=RESAMPLES, method=method_of(max(counts)),
            vectorized=True, batch=max(1, min(RESAMPLES, AT_A_TIME // max(counts))), rng=_generator("bootstrap"),
        ).confidence_interval  # fmt: skip
    low, high = float(found.low), float(found.high)
    return None if np.isnan(low) or np.isnan(high) else (low, high)


def method_of(videos: int) -> Literal["BCa", "percentile"]:
    """How the interval over so many test videos of an action is had."""
    return "BCa" if videos <= MOST_JACKKNIFED else "percentile"


def _generator(purpose: str) -> np.random.Generator:
    return np.random.default_rng(keyed_generator(0, purpose).initial_seed())
