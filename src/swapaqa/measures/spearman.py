"""Spearman's rank correlation, the metric of the field. It chooses the best epoch."""

import numpy as np
import torch
from scipy import stats

from swapaqa.measures.record import Measure, Scores
from swapaqa.metrics import constant, why_undefined
from swapaqa.metrics import spearman as of_tensors


def spearman() -> Measure:
    """Rank correlation, from -1 to 1; averaged over actions by Fisher's z."""
    return Measure(
        name="spearman",
        title="Spearman's rho",
        short="rho",
        label="Spearman's ρ",
        decimals=4,
        higher_is_better=True,
        average="fisher",
        value=lambda predicted, true: float(of_tensors(torch.tensor(predicted), torch.tensor(true))),
        draws=lambda drawn, whole: rank_correlation(drawn.predicted, drawn.true),  # noqa: ARG005
        exchanged="ranks",
        reason=orderless,
    )


def orderless(scores: Scores) -> str | None:
    """Why predictions and truths have no rank correlation; None if they have one."""
    return why_undefined(torch.tensor(scores.predicted), torch.tensor(scores.true))


def rank_correlation(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """`swapaqa.metrics.spearman` over the last axis of (..., N) arrays; 0 where a side is constant."""
    one, other = (stats.rankdata(side, axis=-1) for side in (predicted, true))
    middle = (predicted.shape[-1] + 1) / 2
    one, other = one - middle, other - middle
    spread = np.sqrt(np.square(one).sum(-1) * np.square(other).sum(-1))
    without_order = (spread == 0) | constant(predicted.min(-1), predicted.max(-1))
    rho: np.ndarray = (one * other).sum(-1) / np.where(without_order, np.inf, spread)
    return rho
