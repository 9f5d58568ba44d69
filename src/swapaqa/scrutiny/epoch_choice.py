"""What it is worth to choose the best of all epochs by the test videos, as published results do. Pure functions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from swapaqa.measures.record import Description


class EpochChoice(NamedTuple):
    """One metric of one log.

    Attributes:
        best, last: the metric at the best and at the last epoch.
        over_last, over_tail: how much better the best is than the last, and than the median of the last third.
        deviation: of the last third around its mean; what a training that has settled still moves by.
    """

    epochs: int
    best: float
    best_epoch: int
    last: float
    over_last: float
    over_tail: float
    deviation: float


def choose_epoch(metric: Description, epochs: Sequence[int], values: Sequence[float]) -> EpochChoice:
    """The choice among `values` at `epochs`, in any order; of equal ones the first. At least one is needed."""
    order = np.argsort(epochs, kind="stable")
    numbers, found = np.asarray(epochs)[order], np.asarray(values, np.float64)[order]
    sign = 1.0 if metric.higher_is_better else -1.0
    position = int(np.argmax(sign * found))
    tail = found[len(found) - max(1, len(found) // 3) :]
    return EpochChoice(
        epochs=len(found),
        best=float(found[position]),
        best_epoch=int(numbers[position]),
        last=float(found[-1]),
        over_last=float(sign * (found[position] - found[-1])),
        over_tail=float(sign * (found[position] - np.median(tail))),
        deviation=float(tail.std(ddof=1)) if len(tail) > 1 else float("nan"),
    )
