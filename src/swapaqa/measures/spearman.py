"""Spearman's rank correlation, the metric of the field. It chooses the best epoch."""

import numpy as np
import torch
from scipy import stats

from swapaqa.measures.record import Measure, Scores
from swapaqa.metrics import constant, why_undefined
from swapaqa.metrics import spearman as of_tensors

IN_CACHE = 40_000  # numbers: two and a half times as fast as all of 2,000 draws of 353 videos at once


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
        counted=counted_rank_correlation,
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


def counted_rank_correlation(whole: Scores, counts: np.ndarray) -> np.ndarray:
    """`rank_correlation` of draws from `whole`, (N,), in which video i is `counts[..., i]` times: (...,)."""
    draws = counts.reshape(-1, counts.shape[-1])
    few = max(1, IN_CACHE // draws.shape[1])
    found = [_few_correlations(whole, draws[start : start + few]) for start in range(0, len(draws), few)]
    return np.concatenate(found).reshape(counts.shape[:-1])


def _few_correlations(whole: Scores, counts: np.ndarray) -> np.ndarray:
    """Of as many draws as a processor's cache holds: (D, N) -> (D,)."""
    middle = (counts.sum(-1, keepdims=True) + 1) / 2
    one, other = (counted_ranks(side, counts) - middle for side in (whole.predicted, whole.true))
    weighted = counts * one
    spread = np.sqrt((weighted * one).sum(-1) * (counts * other * other).sum(-1))
    order = np.argsort(whole.predicted)
    drawn = counts[:, order] > 0
    lowest = whole.predicted[order[drawn.argmax(-1)]]
    highest = whole.predicted[order[len(order) - 1 - drawn[:, ::-1].argmax(-1)]]
    without_order = (spread == 0) | constant(lowest, highest)
    rho: np.ndarray = (weighted * other).sum(-1) / np.where(without_order, np.inf, spread)
    return rho


def counted_ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean rank, from 1, of `values[i]`, (N,), in a draw that holds it `counts[d, i]` times, (D, N): (D, N)."""
    distinct, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    last = np.searchsorted(place[order], np.arange(len(distinct)), side="right") - 1
    at_most = np.cumsum(counts[:, order], axis=-1, dtype=np.float64)[:, last]  # how many of the draw are at most it
    below = np.concatenate([np.zeros((len(counts), 1)), at_most[:, :-1]], axis=-1)
    ranks: np.ndarray = ((below + at_most + 1) / 2)[:, place]
    return ranks
