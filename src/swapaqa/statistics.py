"""How sure a number is: intervals over test videos, and tests of a difference. Pure functions; SciPy resamples.

Two sources of noise, never mixed here: which videos are in the test set (`interval`, `difference_interval`,
`paired_test`), and the seed (`seeds_test`). A model is given as `Scores` by action; an average over actions is the
papers': correlations by Fisher's z, R-l2 plainly. Videos are drawn within their action.

Rules:
- A resample in which the predictions or the truths are constant says nothing about the order: its correlation is 0.
  Predictions are constant where they differ by rounding only, see `swapaqa.metrics.constant`.
  The same in the original is undefined, as in `swapaqa.metrics.spearman`, and so are interval and test.
- R-l2 is relative to the range of all truths of the test set, in every resample. The range of a resample is never
  wider, and the bootstrap is not valid for extremes; so the interval is that of the mean squared error.
- The paired test exchanges ranks for Spearman and predictions for R-l2: like rho itself, its p does not change when
  one of the runs is rescaled.
- Draws are keyed by their purpose, not by the run: the same predictions always have the same interval.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from swapaqa.metrics import constant
from swapaqa.seeds import keyed_generator

LEVEL = 0.95
RESAMPLES = 2000  # of an interval; its ends vary by about 2 % of its width with the draws
PERMUTATIONS = 9999  # at most; all of them where there are no more
BATCH = 1000  # permutations at a time: 1000 x 353 videos are 3 MB

Metric = Literal["spearman", "relative_l2_x100"]
METRICS: tuple[Metric, ...] = ("spearman", "relative_l2_x100")
Interval = tuple[float, float]


class Scores(NamedTuple):
    """Predictions of one run on the test videos of one action, and their truths, (N,) float64 each, in one unit."""

    predicted: np.ndarray
    true: np.ndarray


class SeedsTest(NamedTuple):
    """Welch's t-test. `p`: two-sided; `interval`: of the difference of the means. NaN where no seed differs."""

    p: float
    interval: Interval


def rank_correlation(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """`swapaqa.metrics.spearman` over the last axis of (..., N) arrays; 0 where a side is constant."""
    one, other = (stats.rankdata(side, axis=-1) for side in (predicted, true))
    middle = (predicted.shape[-1] + 1) / 2
    one, other = one - middle, other - middle
    spread = np.sqrt(np.square(one).sum(-1) * np.square(other).sum(-1))
    orderless = (spread == 0) | constant(predicted.min(-1), predicted.max(-1))
    return (one * other).sum(-1) / np.where(orderless, np.inf, spread)


def relative_squared_error(predicted: np.ndarray, true: np.ndarray, span: float) -> np.ndarray:
    """R-l2 times 100 over the last axis of (..., N) arrays, relative to `span`, the range of the whole test set."""
    return 100 * np.square((predicted - true) / span).mean(-1)


def value(metric: Metric, actions: Sequence[Scores]) -> float:
    """The metric averaged over actions, as `result.json` has it; NaN where it is undefined."""
    return float(_average(metric, [_measure(metric, scores, scores) for scores in actions]))


def interval(metric: Metric, actions: Sequence[Scores]) -> Interval | None:
    """BCa bootstrap interval (Efron 1987) of 95 % over the test videos of a metric that is averaged over `actions`.

    None where the metric is undefined, of fewer than two videos, and where all resamples agree (rho = 1).
    """
    return _bootstrap(actions, lambda drawn: _average(metric, _measured(metric, actions, drawn)))


def mean_interval(metric: Metric, runs: Sequence[Sequence[Scores]]) -> Interval | None:
    """`interval` of the mean over `runs`, lists of actions that are on the same videos in the same order."""
    return _bootstrap(runs[0], lambda drawn: _mean(metric, runs, drawn))


def interval_of_mean(values: np.ndarray) -> Interval | None:
    """BCa interval of 95 % over the videos of the mean of one number a video, (N,); None as in `interval`."""

    def mean(drawn: Sequence[np.ndarray]) -> np.ndarray:  # longer sums: three times 0.4 has the mean 0.4, and no more
        return values[drawn[0]].mean(-1, dtype=np.longdouble).astype(np.float64)

    return _bootstrap([Scores(values, values)], mean)


def difference_interval(
    metric: Metric, ours: Sequence[Sequence[Scores]], others: Sequence[Sequence[Scores]]
) -> Interval | None:
    """BCa interval of 95 % over the test videos of (mean over the runs of `ours`) - (the same of `others`).

    Runs are lists of actions; all must be on the same videos in the same order, which is not checked.
    """
    return _bootstrap(ours[0], lambda drawn: _mean(metric, ours, drawn) - _mean(metric, others, drawn))


def paired_test(metric: Metric, ours: Sequence[Scores], others: Sequence[Scores]) -> float:
    """Two-sided p of the metric's difference between two runs on the same videos, by a paired permutation test.

    Under the null hypothesis it does not matter which run a video's prediction is of; all 2^N exchanges where they are
    no more than `PERMUTATIONS`, else that many random ones. NaN where the metric is undefined.
    """
    if np.isnan(value(metric, ours)) or np.isnan(value(metric, others)):
        return np.nan
    ends = np.cumsum([len(scores.true) for scores in ours])[:-1]
    one, other = (np.concatenate([_exchangeable(metric, s) for s in run]) for run in (ours, others))

    def of_run(predicted: np.ndarray) -> np.ndarray:
        parts = zip(np.split(predicted, ends, axis=-1), ours, strict=True)
        return _average(metric, [_measure(metric, Scores(part, scores.true), scores) for part, scores in parts])

    def difference(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:  # noqa: ARG001  always the last
        return of_run(one) - of_run(other)

    found = stats.permutation_test(
        (one, other), difference, permutation_type="samples", vectorized=True, n_resamples=PERMUTATIONS, batch=BATCH,
        rng=_generator("permutation"),
    )  # fmt: skip
    return float(found.pvalue)


def seeds_test(ours: Sequence[float], others: Sequence[float]) -> SeedsTest:
    """Welch's t-test between a metric's values over two sets of seeds, of at least two each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of no spread at all
        found = stats.ttest_ind(ours, others, equal_var=False)
        low, high = found.confidence_interval(LEVEL)
    return SeedsTest(float(found.pvalue), (float(low), float(high)))


def _exchangeable(metric: Metric, scores: Scores) -> np.ndarray:
    return stats.rankdata(scores.predicted) if metric == "spearman" else scores.predicted


def _measure(metric: Metric, drawn: Scores, whole: Scores) -> np.ndarray:
    """The metric of (..., N) draws; NaN where it is undefined of the `whole`."""
    undefined = len(whole.true) == 0 or np.ptp(whole.true) == 0
    if metric == "spearman":
        undefined = undefined or constant(whole.predicted.min(), whole.predicted.max())
    if undefined:
        return np.full(drawn.predicted.shape[:-1], np.nan)
    if metric == "spearman":
        return rank_correlation(drawn.predicted, drawn.true)
    return relative_squared_error(drawn.predicted, drawn.true, float(np.ptp(whole.true)))


def _measured(metric: Metric, actions: Sequence[Scores], drawn: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The metric of every action, of its videos at the positions (..., N) in `drawn`."""
    pairs = zip(actions, drawn, strict=True)
    return [_measure(metric, Scores(s.predicted[chosen], s.true[chosen]), s) for s, chosen in pairs]


def _mean(metric: Metric, runs: Sequence[Sequence[Scores]], drawn: Sequence[np.ndarray]) -> np.ndarray:
    """The metric averaged over actions, then over `runs`."""
    return np.mean([_average(metric, _measured(metric, run, drawn)) for run in runs], axis=0)


def _average(metric: Metric, by_action: Sequence[np.ndarray]) -> np.ndarray:
    if len(by_action) == 1:
        return by_action[0]
    if metric == "relative_l2_x100":
        return np.mean(by_action, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # 1 and -1 average to NaN: infinity of both signs
        return np.tanh(np.mean(np.arctanh(np.clip(by_action, -1, 1)), axis=0))


def _bootstrap(actions: Sequence[Scores], statistic: Callable[[Sequence[np.ndarray]], np.ndarray]) -> Interval | None:
    """`statistic` takes positions (..., N) by action."""
    videos = [np.arange(len(scores.true)) for scores in actions]
    if min(map(len, videos), default=0) < 2 or np.isnan(statistic(videos)):
        return None

    def of_resample(*drawn: np.ndarray, axis: int) -> np.ndarray:  # noqa: ARG001  always the last
        # In order: BCa counts resamples below the estimate, and those of every video once equal it. Summed in another
        # order they would lie below or above it by rounding alone, of six videos one resample in 65.
        return statistic([np.sort(chosen, axis=-1) for chosen in drawn])

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of degenerate resamples, for which we answer None
        found = stats.bootstrap(
            videos, of_resample, confidence_level=LEVEL, n_resamples=RESAMPLES, method="BCa", vectorized=True,
            rng=_generator("bootstrap"),
        ).confidence_interval  # fmt: skip
    low, high = float(found.low), float(found.high)
    return None if np.isnan(low) or np.isnan(high) else (low, high)


def _generator(purpose: str) -> np.random.Generator:
    return np.random.default_rng(keyed_generator(0, purpose).initial_seed())
