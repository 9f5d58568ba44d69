"""DAE-CoRe: CoRe's tree with DAE's Gaussian on every leaf (Zhang et al., arXiv 2111.11029).

The method has no published code, and the body of the paper was not available: this wiring follows from both parents.
Pairs, groups and the classification of the leaf are CoRe's; the leaf's regressor emits mean and ln(variance) of the
offset, and the likelihood on the owning leaf takes the place of the squared error. Decoding is CoRe's with the mean.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Encoded
from swapaqa.models.core import Arithmetic, CoRe
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.gaussian_score import bounded, calibrated_std, likelihood_terms
from swapaqa.models.regression_tree import GroupAwareRegressionTree, NodeLinear
from swapaqa.models.score_groups import Edge, assign_groups, decode_relative_score
from swapaqa.models.scorer import sum_over_processes
from swapaqa.models.tree_loss import Reduce, in_one_process, sum_of_leaf_means


class GaussianRegressionTree(nn.Module):
    """DAE-CoRe: CoRe's tree with a Gaussian over the offset on every leaf. Arguments as for CoRe's."""

    def __init__(self, in_features: int, hidden_features: int, depth: int) -> None:
        super().__init__()
        self.tree = GroupAwareRegressionTree(in_features, hidden_features, depth)
        leaves = self.tree.leaves
        self.log_variance = NodeLinear(leaves, hidden_features, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, in_features) -> leaf_log_prob, leaf_offset, leaf_log_variance: (N, K) each, float32 up."""
        leaf_log_prob, leaf_features = self.tree.descend(features)
        offset = self.tree.regress(leaf_features).squeeze(-1)
        log_variance = self.log_variance(leaf_features).squeeze(-1)
        wide = leaf_log_prob.dtype
        return leaf_log_prob, offset.to(wide), bounded(log_variance.to(wide))


def gaussian_tree_loss(  # noqa: PLR0913  CoRe's arguments and DAE's
    leaf_log_prob: Tensor,
    leaf_offset: Tensor,
    leaf_log_variance: Tensor,
    delta: Tensor,
    groups: Tensor,
    alpha: float = 0.6,
    beta: float = 0.4,
    edge: Edge = "closed",
    decimals: int | None = 4,
    reduce: Reduce = in_one_process,
) -> dict[str, Tensor]:
    """CoRe's loss with the likelihood of the offset in place of its squared error.

    Args and result as for `contrastive_tree_loss`, with leaf_log_variance (2N, K) and the weights of
    `likelihood_terms`.
    """
    leaf, offset = assign_groups(delta, groups, edge, decimals)
    owned = ~offset.isnan()
    target = offset.nan_to_num().to(leaf_log_prob.dtype)[:, None]
    terms = likelihood_terms(leaf_offset, leaf_log_variance, target, alpha, beta)  # (2N, K)
    classification = 2 * F.nll_loss(leaf_log_prob, leaf)
    return {"classification": classification, "regression": sum_of_leaf_means(terms, leaf, owned, reduce)}


def decode_relative_std(
    leaf_log_prob: Tensor, leaf_log_variance: Tensor, groups: Tensor, alpha: float = 0.6, beta: float = 0.4
) -> Tensor:
    """Calibrated standard deviation of the decoded difference, in the groups' unit.

    Args:
        leaf_log_prob: (B, K).
        leaf_log_variance: (B, K).
        groups: (K, 2) or (B, K, 2).
        alpha, beta: weights of the loss that it was trained with; see `calibrated_std`.

    Returns:
        (B,): width of the most probable leaf (1 where it is empty) times the deviation of its offset.
    """
    leaf = leaf_log_prob.argmax(dim=1, keepdim=True)  # (B, 1)
    start, end = groups.expand(len(leaf), -1, -1).unbind(-1)  # (B, K) each
    width = (end - start).gather(1, leaf)[:, 0]
    std = calibrated_std(leaf_log_variance.gather(1, leaf)[:, 0], alpha, beta)
    return std * torch.where(width > 0, width, torch.ones_like(width))


class DAECoRe(CoRe):
    """DAE-CoRe as a method to train.

    Args:
        alpha, beta: weights of the likelihood; see `likelihood_terms`.
        The rest: see `CoRe`.
    """

    def __init__(  # noqa: PLR0913  one parameter for each key of the yaml
        self,
        encoder: VideoEncoder,
        hidden_features: int,
        depth: int,
        edge: Edge,
        decimals: int | None,
        alpha: float,
        beta: float,
        voters: int | Literal["all"],
        store_exemplars: bool,
        arithmetic: Arithmetic = "float64",
    ) -> None:
        super().__init__(encoder, hidden_features, depth, edge, decimals, voters, store_exemplars, arithmetic)
        self.alpha, self.beta = alpha, beta

    def build_tree(self, in_features: int, hidden_features: int, depth: int) -> nn.Module:
        return GaussianRegressionTree(in_features, hidden_features, depth)

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:
        (log_prob, offset, log_variance), delta, groups = self.compare(videos, exemplars)
        return gaussian_tree_loss(
            log_prob, offset, log_variance, delta, groups,
            self.alpha, self.beta, self.edge, self.decimals, sum_over_processes,
        )  # fmt: skip

    def decode(self, outputs: tuple[Tensor, ...], groups: Tensor) -> tuple[Tensor, Tensor]:
        """Differences by the mean of the most probable leaf, and the variance of that leaf's Gaussian."""
        log_prob, offset, log_variance = outputs
        std = decode_relative_std(log_prob, log_variance, groups, self.alpha, self.beta)
        return decode_relative_score(log_prob, offset, groups), std.square()
