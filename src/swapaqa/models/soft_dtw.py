"""Soft-DTW (Cuturi and Blondel, ICML 2017): how far two sequences are apart along the best ways through both."""

import torch
from torch import Tensor
from torch.nn import functional as F


def soft_dtw(one: Tensor, other: Tensor, gamma: float) -> Tensor:
    """Cost of aligning sequences: R_ij = d_ij + softmin(R_i-1,j-1, R_i-1,j, R_i,j-1), d the squared distance.

    softmin(a) = -gamma log(sum exp(-a / gamma)). Cells of an anti-diagonal do not depend on each other and are computed
    together.

    Args:
        one: (N, n, D).
        other: (N, m, D).
        gamma: above 0; the smaller, the nearer to the single best way.

    Returns:
        (N,) R_nm, which may be negative, and for equal sequences is not 0.
    """
    rows, columns = one.shape[1], other.shape[1]
    distance = (one[:, :, None] - other[:, None]).square().sum(dim=-1)  # (N, n, m)
    mirrored = distance.flip(2)  # whose diagonals are the anti-diagonals
    border = distance.new_full((len(one), rows + 1), torch.inf)
    before, last = F.pad(border[:, 1:], (1, 0), value=0.0), border  # R of rows 0 to n, where row + column = 0 and = 1
    for total in range(2, rows + columns + 1):
        first, end = max(1, total - columns), min(rows, total - 1) + 1  # of the rows with a cell here
        ways = torch.stack([before[:, first - 1 : end - 1], last[:, first - 1 : end - 1], last[:, first:end]])
        cost = mirrored.diagonal(columns + 1 - total, 1, 2) - gamma * (-ways / gamma).logsumexp(dim=0)
        before, last = last, F.pad(cost, (first, rows + 1 - end), value=torch.inf)
    return last[:, rows]
