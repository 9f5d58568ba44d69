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
    parts = (draws[start : start + few].T for start in range(0, len(draws), few))
    found = [_few_correlations(sides, np.array(part, dtype=np.float64, order="C")) for part in parts]
    return np.concatenate(found, axis=-1).reshape(len(runs), *counts.shape[:-1])


def _few_correlations(sides: Sequence[tuple["Order", "Order"]], counts: np.ndarray) -> np.ndarray:
    """Of as many draws as a processor's cache holds, between predictions and truths: (N, D) -> (len(sides), D).

    All numbers are whole, so that no order of a sum rounds it.
    """
    middle = counts.sum(0) + 1
    truths = {}
    for true in {true for _, true in sides}:
        drawn = counts[true.order]
        ranks = true.doubled_ranks(drawn) - middle
        weighted = drawn * ranks
        of_video = np.empty_like(weighted)
        of_video[true.order] = weighted
        truths[true] = of_video, (weighted * ranks).sum(0)
    found = np.empty((len(sides), counts.shape[1]))
    for row, (predicted, true) in zip(found, sides, strict=True):
        drawn = counts[predicted.order]
        ranks = predicted.doubled_ranks(drawn) - middle
        of_video, spread_of_true = truths[true]
        spread = np.sqrt((drawn * ranks * ranks).sum(0) * spread_of_true)
        without_order = (spread == 0) | constant(*predicted.extremes(drawn))
        row[:] = (of_video[predicted.order] * ranks).sum(0) / np.where(without_order, np.inf, spread)
    return found


class Order:
    """The order of (N,) values, from which the ranks in any draw of them follow without sorting it.

    Draws are columns and videos rows: a row is moved at once.
    """

    def __init__(self, values: np.ndarray) -> None:
        self.order = np.argsort(values, kind="stable")
        self.ordered = values[self.order]
        first = np.searchsorted(self.ordered, self.ordered, side="left")
        last = np.searchsorted(self.ordered, self.ordered, side="right") - 1
        self.ties = None if (first == last).all() else (first, last)

    def doubled_ranks(self, drawn: np.ndarray) -> np.ndarray:
        """Twice the mean rank, from 1, of each value in a draw. `drawn`: (N, D), how often, in this order."""
        at_most = np.cumsum(drawn, axis=0)
        below = at_most - drawn
        if self.ties is not None:
            first, last = self.ties
            below, at_most = below[first], at_most[last]
        ranks: np.ndarray = below + at_most + 1
        return ranks

    def extremes(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest value in each draw: (N, D), in this order, -> (D,) twice."""
        there = drawn > 0
        lowest, highest = there.argmax(0), len(there) - 1 - there[::-1].argmax(0)
        return self.ordered[lowest], self.ordered[highest]
