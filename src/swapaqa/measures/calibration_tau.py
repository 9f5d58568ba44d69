"""Calibration of RICA2 (ECCV 2024): whether videos that the method is less sure of have the larger errors.

Kendall's tau between the number of a bin and the mean absolute error in it, of ten bins at the deciles of the predicted
deviations. This is what the authors' program prints as "Calibration Kendall Tau (MAE)" (abrarmajeedi/rica2_aqa at
6dd2031, libs/utils/metrics.py): tau over ten bins, not over the videos. A bin holds its lower end, the last one both;
equal deviations share a bin. The unit of the deviations does not matter, so that any measure of uncertainty serves.

An empty bin leaves the published number undefined, and this one; in a draw, where videos repeat, it is left out.
"""

import numpy as np
from scipy import stats

from swapaqa.measures.record import Measure, Scores

BINS = 10


def calibration_tau() -> Measure:
    """RICA2's, from -1 to 1; higher is better."""
    return Measure(
        name="calibration_tau",
        title="calibration tau (RICA2)",
        label="calibration τ (RICA2)",
        decimals=2,
        higher_is_better=True,
        value=_value,
        draws=lambda drawn, whole: tau_of_bins(drawn),  # noqa: ARG005
        needs_deviation=True,
        reason=_no_ten_bins,
    )


def decile(deviation: np.ndarray) -> np.ndarray:
    """The bin of every video, 0 to 9, over the last axis of (..., N) arrays without NaN."""
    last = stats.rankdata(deviation, method="max", axis=-1).astype(int) - 1  # place of the last equal one
    bins: np.ndarray = np.minimum(BINS * last // max(1, deviation.shape[-1] - 1), BINS - 1)
    return bins


def mean_errors(scores: Scores) -> np.ndarray:
    """(..., 10): the mean absolute error in every bin; NaN in an empty one."""
    assert scores.deviation is not None
    errors = np.abs(scores.predicted - scores.true)
    inside = decile(scores.deviation)[..., None] == np.arange(BINS)  # (..., N, 10)
    count = inside.sum(-2)
    means: np.ndarray = (errors[..., None] * inside).sum(-2) / np.where(count == 0, np.nan, count)
    return means


def tau_of_bins(scores: Scores) -> np.ndarray:
    """Tau-b between bins and their mean errors, (...,); bins that are empty left out, 0 where all errors are equal."""
    means = mean_errors(scores)
    first, second = np.triu_indices(BINS, k=1)
    signs = np.sign(means[..., second] - means[..., first])  # NaN: one of the two is empty
    pairs, differing = (~np.isnan(signs)).sum(-1), np.nansum(np.abs(signs), axis=-1)
    spread = np.sqrt(pairs * differing)
    tau: np.ndarray = np.nansum(signs, axis=-1) / np.where(spread == 0, np.inf, spread)
    return tau


def _value(predicted: np.ndarray, true: np.ndarray, deviation: np.ndarray) -> float:
    return float(stats.kendalltau(mean_errors(Scores(predicted, true, deviation)), np.arange(BINS)).statistic)


def _no_ten_bins(scores: Scores) -> str | None:
    assert scores.deviation is not None
    unknown = int(np.isnan(scores.deviation).sum())
    if unknown:
        return f"{unknown} of the {len(scores.deviation)} videos have no predicted deviation"
    empty = BINS - len(np.unique(decile(scores.deviation)))
    if empty:
        return f"{empty} of the {BINS} bins of the {len(scores.deviation)} predicted deviations are empty"
    return "the errors in all bins are equal" if np.ptp(mean_errors(scores)) == 0 else None
