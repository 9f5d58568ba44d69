"""CoRe's loss: which leaf owns a difference, and where in the leaf's interval it lies."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from swapaqa.models.score_groups import Edge, assign_groups

Reduce = Callable[[Tensor], Tensor]  # the sum of a tensor over all processes


def in_one_process(values: Tensor) -> Tensor:
    """The sum of a tensor over a single process."""
    return values


def contrastive_tree_loss(
    leaf_log_prob: Tensor,
    leaf_offset: Tensor,
    delta: Tensor,
    groups: Tensor,
    edge: Edge = "closed",
    decimals: int | None = 4,
    reduce: Reduce = in_one_process,
) -> dict[str, Tensor]:
    """Training loss of CoRe: negative log-likelihood of the owning leaf plus squared error of its offset.

    The two directions of a pair are stacked: rows 0..N-1 take video 1 as exemplar, rows N..2N-1 video 2.
    Per direction, the likelihood is averaged over the N rows, the squared error over the rows of each leaf
    and then summed over leaves; the directions are summed.

    Args:
        leaf_log_prob: (2N, K).
        leaf_offset: (2N, K).
        delta: (2N,) label of the scored video minus the exemplar's.
        groups: (K, 2), or (2N, K, 2).
        edge, decimals: see `assign_groups`.
        reduce: where several processes share the batch, see `sum_of_leaf_means`.

    Returns:
        The scalar terms `classification` and `regression`; the loss is their sum.
    """
    leaf, offset = assign_groups(delta, groups, edge, decimals)
    classification = 2 * F.nll_loss(leaf_log_prob, leaf)  # the sum of two means over halves of equal size
    owned = ~offset.isnan()
    target = offset.nan_to_num().to(leaf_log_prob.dtype)
    squared = (leaf_offset.to(target.dtype) - target[:, None]).square()  # (2N, K)
    return {"classification": classification, "regression": sum_of_leaf_means(squared, leaf, owned, reduce)}


def sum_of_leaf_means(terms: Tensor, leaf: Tensor, owned: Tensor, reduce: Reduce = in_one_process) -> Tensor:
    """Regression part of the loss: a term's mean over the rows of a leaf, summed over leaves and directions.

    A leaf's mean is over its rows in the whole batch. Of processes that share it, each returns its part times their
    number, so that the mean over processes, which is what averaged gradients are those of, is the whole batch's value.

    Args:
        terms: (2N, K), one direction after the other.
        leaf: (2N,) the leaf of each row.
        owned: (2N,) False for rows that belong to no leaf.
        reduce: sums a tensor over the processes, which hold equally many rows; called once. The default: one process.

    Returns:
        () in the dtype of `terms`.
    """
    owner = F.one_hot(leaf, terms.shape[1]) * owned[:, None]  # (2N, K)
    owner, terms = owner.unflatten(0, (2, -1)), terms.unflatten(0, (2, -1))  # (2, N, K)
    here = F.pad(owner.sum(dim=1), (0, 1), value=1)  # (2, K + 1): rows per leaf, and in the last column one process
    count, processes = reduce(here).split([here.shape[1] - 1, 1], dim=1)
    means = (terms * owner).sum(dim=1) / count.clamp_min(1)  # (2, K), 0 where a leaf owns nothing
    loss: Tensor = (means * processes).sum()
    return loss
