"""Which pairs of videos two rankings put in the same order: Kendall's tau and the pairwise accuracy are made of it."""

from typing import NamedTuple

import numpy as np

from swapaqa import metrics
from swapaqa.metrics import constant


class PairSums(NamedTuple):
    """Sums over the pairs of N videos, (...,) each.

    `agreement`: of the products of both signs, so right pairs minus wrong ones. `predicted`, `true`: of the signs'
    squares, so the pairs that the predictions and the truths tell apart.
    """

    agreement: np.ndarray
    predicted: np.ndarray
    true: np.ndarray


def pair_sums(predicted: np.ndarray, true: np.ndarray) -> PairSums:
    """The sums over the last axis of (..., N) arrays. Predictions that differ by rounding only are tied."""
    predicted = np.where(constant(predicted.min(-1), predicted.max(-1))[..., None], 0.0, predicted)
    predicted, true = np.broadcast_arrays(predicted, true)
    rows, videos = predicted.shape[:-1], predicted.shape[-1]
    found = [
        metrics.pair_sums(*row) for row in zip(predicted.reshape(-1, videos), true.reshape(-1, videos), strict=True)
    ]
    return PairSums(*(np.array(sums, dtype=np.float64).reshape(rows) for sums in zip(*found, strict=True)))
