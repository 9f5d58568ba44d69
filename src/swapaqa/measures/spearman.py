"""Spearman's rank correlation, the metric of the field. It chooses the best epoch."""

from collections.abc import Sequence

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
        counted=counted_rank_correlations,
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


def counted_rank_correlations(runs: Sequence[Scores], counts: np.ndarray) -> np.ndarray:
    """`rank_correlation` of draws from runs, each (N,), in which video i is `counts[..., i]` times: (runs, ...).

    Truths that runs share, as those of the same test set do, are ranked once.
    """
    draws = counts.reshape(-1, counts.shape[-1])
    few = max(1, IN_CACHE // draws.shape[1])
    truths = {run.true.tobytes(): Order(run.true) for run in runs}
    sides = [(Order(run.predicted), truths[run.true.tobytes()]) for run in runs]
    found = [_few_correlations(sides, draws[start : start + few]) for start in range(0, len(draws), few)]
    return np.concatenate(found, axis=-1).reshape(len(runs), *counts.shape[:-1])


def _few_correlations(sides: Sequence[tuple["Order", "Order"]], counts: np.ndarray) -> np.ndarray:
    """Of as many draws as a processor's cache holds, between predictions and truths: (D, N) -> (len(sides), D)."""
    middle = (counts.sum(-1, keepdims=True) + 1) / 2
    truths = {true: true.ranks(counts) - middle for true in {true for _, true in sides}}
    spreads = {true: (counts * ranks * ranks).sum(-1) for true, ranks in truths.items()}
    found = np.empty((len(sides), len(counts)))
    for row, (predicted, true) in zip(found, sides, strict=True):
        ranks = predicted.ranks(counts) - middle
        weighted = counts * ranks
        spread = np.sqrt((weighted * ranks).sum(-1) * spreads[true])
        without_order = (spread == 0) | constant(*predicted.extremes(counts))
        row[:] = (weighted * truths[true]).sum(-1) / np.where(without_order, np.inf, spread)
    return found


class Order:
    """The order of (N,) values, from which the ranks in any draw of them follow without sorting it."""

    def __init__(self, values: np.ndarray) -> None:
        self.distinct, self.place = np.unique(values, return_inverse=True)  # `place`: of each among the distinct
        self.order = np.argsort(self.place, kind="stable")
        self.last = np.searchsorted(self.place[self.order], np.arange(len(self.distinct)), side="right") - 1

    def ranks(self, counts: np.ndarray) -> np.ndarray:
        """The mean rank, from 1, of each value in a draw that holds it `counts[d, i]` times: (D, N) -> (D, N)."""
        at_most = np.cumsum(counts[:, self.order], axis=-1, dtype=np.float64)[:, self.last]  # of the draw
        below = np.concatenate([np.zeros((len(counts), 1)), at_most[:, :-1]], axis=-1)
        ranks: np.ndarray = ((below + at_most + 1) / 2)[:, self.place]
        return ranks

    def extremes(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest value in each draw: (D, N) -> (D,) twice."""
        drawn = counts[:, self.order] > 0
        lowest, highest = drawn.argmax(-1), drawn.shape[1] - 1 - drawn[:, ::-1].argmax(-1)
        ordered = self.distinct[self.place[self.order]]
        return ordered[lowest], ordered[highest]
