"""R-l2 of CoRe (ICCV 2021), times 100 as the papers' tables print it."""

from collections.abc import Sequence

import numpy as np
import torch

from swapaqa.measures.record import Measure, Scores
from swapaqa.metrics import relative_l2_x100 as of_tensors


def relative_l2_x100() -> Measure:
    """R-l2 of CoRe times 100; lower is better."""
    return Measure(
        name="relative_l2_x100",
        title="R-l2 x100",
        label="R-ℓ2 ×100",
        decimals=2,
        higher_is_better=False,
        value=lambda predicted, true: float(of_tensors(torch.tensor(predicted), torch.tensor(true))),
        draws=lambda drawn, whole: relative_squared_error(drawn.predicted, drawn.true, float(np.ptp(whole.true))),
        counted=counted_relative_squared_errors,
        reason=without_range,
    )


def without_range(scores: Scores) -> str | None:
    """Why there is no range that errors are relative to; None if there is one."""
    return f"the {len(scores.true)} truths are constant" if np.ptp(scores.true) == 0 else None


def relative_squared_error(predicted: np.ndarray, true: np.ndarray, span: float) -> np.ndarray:
    """R-l2 times 100 over the last axis of (..., N) arrays, relative to `span`, the range of the whole test set."""
    error: np.ndarray = 100 * np.square((predicted - true) / span).mean(-1)
    return error


def counted_relative_squared_errors(runs: Sequence[Scores], counts: np.ndarray) -> np.ndarray:
    """`relative_squared_error` of draws from runs, each (N,), with video i `counts[..., i]` times: (runs, ...)."""
    errors = [np.square((run.predicted - run.true) / np.ptp(run.true)) for run in runs]
    return np.stack([100 * (counts * error).sum(-1) / counts.sum(-1) for error in errors])
