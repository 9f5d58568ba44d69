"""Kendall's tau-b (Biometrika 33, 1945), which corrects for ties on either side: SciPy's; of draws by pair sums."""

import numpy as np
from scipy import stats

from swapaqa.measures.pairs import pair_sums
from swapaqa.measures.record import Measure
from swapaqa.measures.spearman import orderless


def kendall_tau() -> Measure:
    """Tau-b, from -1 to 1; averaged over actions by Fisher's z."""
    return Measure(
        name="kendall_tau",
        title="Kendall's tau-b",
        short="tau-b",
        label="Kendall's τ-b",
        decimals=4,
        higher_is_better=True,
        average="fisher",
        value=lambda predicted, true: float(stats.kendalltau(predicted, true).statistic),
        draws=lambda drawn, whole: tau_b(drawn.predicted, drawn.true),  # noqa: ARG005
        exchanged="ranks",
        reason=orderless,
    )


def tau_b(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Over the last axis of (..., N) arrays; 0 where a side is constant."""
    sums = pair_sums(predicted, true)
    spread = np.sqrt(sums.predicted * sums.true)
    return sums.agreement / np.where(spread == 0, np.inf, spread)
