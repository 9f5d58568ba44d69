"""Coverage: the share of the truths inside the interval that the method's own standard deviation gives."""

from collections.abc import Callable

import numpy as np
import torch

from swapaqa.errors import InputError
from swapaqa.measures.record import Measure, Scores
from swapaqa.metrics import interval_coverage


def coverage(nominal: float) -> Measure:
    """Of the central Gaussian interval of `nominal` probability: calibrated where it is equal to that.

    Raises:
        InputError: `nominal` is no whole per cent between 0 and 1.
    """
    percent = round(100 * nominal)
    if not 0 < percent < 100 or abs(percent - 100 * nominal) > 1e-9:
        raise InputError(f"measures: nominal={nominal}: a whole per cent between 0 and 1 is needed, such as 0.9")
    return Measure(
        name=f"coverage_{percent}",
        title=f"coverage of {percent} %",
        decimals=3,
        higher_is_better=None,
        value=lambda predicted, true, deviation: _of_tensors(predicted, true, deviation, nominal),
        draws=_draws(nominal),
        needs_deviation=True,
    )


def _of_tensors(predicted: np.ndarray, true: np.ndarray, deviation: np.ndarray, nominal: float) -> float:
    return float(interval_coverage(torch.tensor(predicted), torch.tensor(true), torch.tensor(deviation), nominal))


def _draws(nominal: float) -> Callable[[Scores, Scores], np.ndarray]:
    half = float(torch.special.ndtri(torch.tensor((1 + nominal) / 2, dtype=torch.float64)))

    def covered(drawn: Scores, whole: Scores) -> np.ndarray:  # noqa: ARG001
        assert drawn.deviation is not None
        inside = np.abs(drawn.predicted - drawn.true) <= half * drawn.deviation  # False where there is none
        known = ~np.isnan(drawn.deviation)
        shares: np.ndarray = inside.sum(-1) / np.where(known.any(-1), known.sum(-1), np.nan)
        return shares

    return covered
