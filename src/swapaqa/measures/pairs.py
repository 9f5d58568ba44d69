"""Which pairs of videos two rankings put in the same order: Kendall's tau and the pairwise accuracy are made of it."""

from typing import NamedTuple

import numpy as np

from swapaqa.metrics import constant

BLOCK = 2**22  # signs at a time: 32 MiB


class PairSums(NamedTuple):
    """Sums over the pairs of N videos, (...,) each.

    `agreement`: of the products of both signs, so right pairs minus wrong ones. `predicted`, `true`: of the signs'
    squares, so the pairs that the predictions and the truths tell apart.
    """

    agreement: np.ndarray
    predicted: np.ndarray
    true: np.ndarray


def pair_sums(predicted: np.ndarray, true: np.ndarray) -> PairSums:
    """The sums over the last axis of (..., N) arrays. Predictions that differ by rounding only are tied.

    Takes N^2 / 2 signs a row: 2000 draws of 353 videos are a second.
    """
    predicted = np.where(constant(predicted.min(-1), predicted.max(-1))[..., None], 0.0, predicted)
    predicted, true = np.broadcast_arrays(predicted, true)
    rows, videos = predicted.shape[:-1], predicted.shape[-1]
    first, second = np.triu_indices(videos, k=1)
    flat = [side.reshape(-1, videos) for side in (predicted, true)]
    size = max(1, BLOCK // max(1, len(first)))
    blocks = [
        _sums(*(np.sign(side[start : start + size, first] - side[start : start + size, second]) for side in flat))
        for start in range(0, len(flat[0]), size)
    ]
    return PairSums(*(np.concatenate(part).reshape(rows) for part in zip(*blocks, strict=True)))


def _sums(predicted: np.ndarray, true: np.ndarray) -> PairSums:
    """Of signs, (rows, pairs) each."""
    return PairSums((predicted * true).sum(-1), np.square(predicted).sum(-1), np.square(true).sum(-1))
