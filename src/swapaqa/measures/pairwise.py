"""Pairwise accuracy: the share of the pairs with different truths that are ordered right, ties counting half."""

import numpy as np
import torch

from swapaqa.measures.pairs import pair_sums
from swapaqa.measures.record import Measure
from swapaqa.measures.relative_l2 import without_range
from swapaqa.metrics import pairwise_accuracy as of_tensors


def pairwise_accuracy() -> Measure:
    """Share of pairs in the right order, from 0 to 1."""
    return Measure(
        name="pairwise_accuracy",
        title="pairwise accuracy",
        decimals=4,
        higher_is_better=True,
        value=lambda predicted, true: float(of_tensors(torch.tensor(predicted), torch.tensor(true))),
        draws=lambda drawn, whole: share_of_pairs(drawn.predicted, drawn.true),  # noqa: ARG005
        exchanged="ranks",
        reason=without_range,
    )


def share_of_pairs(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Over the last axis of (..., N) arrays; one half where all truths are equal, as of a guess."""
    sums = pair_sums(predicted, true)
    return (1 + sums.agreement / np.where(sums.true == 0, np.inf, sums.true)) / 2
