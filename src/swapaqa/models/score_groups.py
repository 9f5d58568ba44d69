"""CoRe's groups: intervals of the difference between two labels, of which each leaf of its tree has one."""

from bisect import bisect_right
from typing import Literal

import torch
from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.models.pair_differences import PairDifferences

Edge = Literal["closed", "official"]


def build_groups(deltas: Tensor | PairDifferences, depth: int, max_delta: float, decimals: int | None = 4) -> Tensor:
    """Borders of the leaves, so that each holds about the same number of training pairs (CoRe).

    Args:
        deltas: absolute label differences of the training pairs: (P,) in any order, or never written down.
        depth: depth of the tree, at least 2; it has K = 2 ** (depth - 1) leaves.
        max_delta: outer border, the extent of the label's scale. Single differences may exceed it.
        decimals: rounding of the borders; None for the exact values, as published.

    Returns:
        (K, 2) float64, [left, right] of each leaf, from the most negative to the most positive one.

    Raises:
        InputError: no pair, or so many differences above `max_delta` that a border exceeds it.
    """
    pairs = len(deltas)
    if not pairs:
        raise InputError("no pair of training videos to build CoRe's groups from: use a larger training split")
    if depth < 2:
        raise InputError(f"depth={depth}: a regression tree needs a depth of at least 2")
    ordered = deltas if isinstance(deltas, PairDifferences) else deltas.double().sort().values
    half = 2 ** (depth - 2)
    quantiles = [float(ordered[i * (pairs - 1) // half]) for i in range(1, half)]
    inner = _rounded(torch.tensor(quantiles, dtype=torch.float64), decimals)  # (half - 1,)
    border = torch.cat([inner.new_zeros(1), inner, inner.new_full((1,), max_delta)])
    if border[-2] > max_delta:
        within = bisect_right(range(pairs), max_delta, key=lambda rank: float(ordered[rank]))
        share = 1 - within / pairs
        raise InputError(f"{share:.0%} of the label differences exceed {max_delta}: check the labels' scale")
    positive = torch.stack([border[:-1], border[1:]], dim=1)  # (half, 2)
    return torch.cat([0 - positive.flip(0, 1), positive])  # (K, 2); 0 - x has no negative zero


def build_groups_of_videos(
    label: Tensor, group: Tensor, depth: int, max_delta: float, decimals: int | None = 4
) -> Tensor:
    """`build_groups` of all pairs of videos, labels (N,), of one group (N,): O(N log N), no pair is written down."""
    return build_groups(PairDifferences(label, group), depth, max_delta, decimals)


def assign_groups(
    delta: Tensor, groups: Tensor, edge: Edge = "closed", decimals: int | None = 4
) -> tuple[Tensor, Tensor]:
    """The leaf that owns each difference, and where in it the difference lies.

    Leaf [l, r] owns x >= 0 if l <= x < r and x < 0 if l < x <= r, all three in the dtype of the differences, or in
    float64 where these are rounded.

    Args:
        delta: (B,) label differences; float32 as published.
        groups: (K, 2), or (B, K, 2) with borders per sample.
        edge: `closed`: a difference at or beyond the outer borders is clamped into the outermost leaf that is
            not empty; `official`: it is owned by none.
        decimals: rounding of the differences; None as published.

    Returns:
        leaf: (B,) int64; 0 where none owns the difference, as published.
        offset: (B,) (x - l) / (r - l), in [0, 1]; NaN where none owns the difference.
    """
    x = _rounded(delta, decimals)[:, None]  # (B, 1)
    left, right = groups.to(x.dtype).unbind(-1)  # (K,) or (B, K)
    owner = torch.where(x >= 0, (left <= x) & (x < right), (left < x) & (x <= right))  # (B, K)
    if edge == "closed":
        bottom, top = left[..., :1], right[..., -1:]
        x = x.clamp(bottom, top)  # (B, 1)
        outermost = ((x == top) & (right == top)) | ((x == bottom) & (left == bottom))
        owner = owner | (outermost & (left < right))
    leaf = owner.int().argmax(dim=1)  # (B,), the first of equals
    start, end = _borders(groups, leaf)
    offset = (x[:, 0] - start.to(x.dtype)) / (end - start).to(x.dtype)
    return leaf, offset.where(owner.any(dim=1), torch.nan)


def decode_relative_score(leaf_log_prob: Tensor, leaf_offset: Tensor, groups: Tensor) -> Tensor:
    """The difference that the tree predicts: l + (r - l) * offset of the most probable leaf, not clamped.

    Args:
        leaf_log_prob: (B, K).
        leaf_offset: (B, K).
        groups: (K, 2) or (B, K, 2).

    Returns:
        (B,) in the groups' dtype and unit; l + offset where the leaf is empty (l = r).
    """
    leaf = leaf_log_prob.argmax(dim=1)  # (B,)
    offset = leaf_offset.gather(1, leaf[:, None])[:, 0]
    start, end = _borders(groups, leaf)
    width = torch.where(end > start, end - start, torch.ones_like(start))
    return start + width * offset


def _borders(groups: Tensor, leaf: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right border, (B,) each, of one leaf per sample; groups (K, 2) or (B, K, 2)."""
    rows = torch.arange(len(leaf), device=leaf.device)
    own = groups[leaf] if groups.dim() == 2 else groups[rows, leaf]  # (B, 2)
    return own[:, 0], own[:, 1]


def _rounded(values: Tensor, decimals: int | None) -> Tensor:
    return values if decimals is None else values.double().round(decimals=decimals)
