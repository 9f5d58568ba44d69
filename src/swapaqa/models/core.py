"""CoRe: Group-aware Contrastive Regression for Action Quality Assessment (Yu et al., ICCV 2021).

A video is scored by its difference to an exemplar with a known label: a tree classifies the difference into
one of K intervals ("groups", the leaves) and regresses where in that interval it lies.

Deviations from the published code, each with the way back to it:
- group borders and differences are rounded to 4 decimals: many differences lie exactly on a border, where
  float32, float64 and NumPy's version disagree on 6 to 11 % of the MTL-AQA pairs (`arithmetic="float32"`,
  `decimals=None`: labels are subtracted in float32 and compared with the borders as NumPy 2 does it, which makes a
  Python float the float32 beside it; NumPy 1 compared in float64);
- a difference at or beyond the scale's extent belongs to the outermost interval (`edge="official"`: to none;
  it has no offset and is trained toward leaf 0, the most negative);
- the likelihood and the squared error are returned apart, to be logged: their plain sum is the loss.
As published: an interval contains its border nearer to zero and not the other one (a later
re-implementation has [l, r) for negative differences too); an empty interval (l = r) owns nothing and
decodes to l + offset; learning rates 1e-4 (backbone) and 1e-3 (regressor), which the paper of the Scaled
Background Swap lists the other way round.
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Pair, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.clips import VideoEncoder
from swapaqa.models.pair_differences import PairDifferences
from swapaqa.models.scorer import EXEMPLARS_KEY, Encoded, Predicted, Scorer, sum_over_processes

MAX_DEPTH = 10  # 512 leaves, more than any data set has differences to fill; every level doubles the layers
Edge = Literal["closed", "official"]
Arithmetic = Literal["float64", "float32"]
Reduce = Callable[[Tensor], Tensor]  # the sum of a tensor over all processes


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
    return (means * processes).sum()


class NodeLinear(nn.Conv1d):
    """A linear layer with weights of its own for each of `nodes` nodes, (N, nodes * in, 1) -> (N, nodes * out, 1).

    Parameters and their initialisation are those of the grouped convolution of kernel 1 that CoRe's code has. One
    product per node, all at once, is the same arithmetic, and its backward takes a quarter of the time on a CPU.
    """

    def __init__(self, nodes: int, in_features: int, out_features: int) -> None:
        super().__init__(nodes * in_features, nodes * out_features, 1, groups=nodes)

    def forward(self, features: Tensor) -> Tensor:
        assert self.bias is not None
        weight = self.weight.unflatten(0, (self.groups, -1)).squeeze(-1)  # (nodes, out, in)
        rows = features.unflatten(1, (self.groups, -1)).squeeze(-1).transpose(0, 1)  # (nodes, N, in)
        bias = self.bias.view(self.groups, 1, -1)
        return torch.baddbmm(bias, rows, weight.mT).transpose(0, 1).flatten(1).unsqueeze(-1)


class GroupAwareRegressionTree(nn.Module):
    """GART, CoRe's regressor: a binary tree of linear layers over one feature vector.

    Every node has weights of its own; a `NodeLinear` computes a level's nodes at once.
    Node n of a level has the children 2n and 2n + 1 on the next. No normalisation, no dropout.

    Args:
        in_features: 2049 for CoRe: feature of the exemplar, feature of the video, label of the exemplar.
        hidden_features: length of a node's feature, 256.
        depth: levels of nodes, 5; the last has 2 ** (depth - 1) leaves.
    """

    def __init__(self, in_features: int, hidden_features: int, depth: int) -> None:
        super().__init__()
        if not 2 <= depth <= MAX_DEPTH:
            raise InputError(f"model.depth={depth}: a tree has a depth of 2 to {MAX_DEPTH}")
        self.leaves = 2 ** (depth - 1)
        self.root = nn.Linear(in_features, hidden_features)
        widths = [2**level for level in range(depth - 1)]  # nodes per level, leaves excluded
        self.classify = nn.ModuleList(NodeLinear(n, hidden_features, 2) for n in widths)
        self.expand = nn.ModuleList(NodeLinear(n, hidden_features, 2 * hidden_features) for n in widths)
        self.regress = NodeLinear(self.leaves, hidden_features, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, in_features) -> leaf_log_prob, leaf_offset: (N, K) each; the offset is unbounded."""
        leaf_log_prob, leaf_features = self.descend(features)
        return leaf_log_prob, self.regress(leaf_features).squeeze(-1)

    def descend(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, in_features) -> leaf_log_prob (N, K), float32 at least; leaf features (N, K * hidden, 1)."""
        nodes = self.root(features).relu().unsqueeze(-1)  # (N, hidden, 1)
        log_prob = torch.zeros(len(features), 1, device=features.device)  # (N, 1): the root is certain
        for classify, expand in zip(self.classify, self.expand, strict=True):
            logits = classify(nodes).view(len(features), -1, 2)  # (N, n, 2)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            log_prob = (log_prob.unsqueeze(-1) + logits.log_softmax(dim=-1)).flatten(1)  # (N, 2n)
            nodes = expand(nodes).relu()  # (N, 2n * hidden, 1)
        return log_prob, nodes


def _borders(groups: Tensor, leaf: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right border, (B,) each, of one leaf per sample; groups (K, 2) or (B, K, 2)."""
    rows = torch.arange(len(leaf), device=leaf.device)
    own = groups[leaf] if groups.dim() == 2 else groups[rows, leaf]  # (B, 2)
    return own[:, 0], own[:, 1]


def _rounded(values: Tensor, decimals: int | None) -> Tensor:
    return values if decimals is None else values.double().round(decimals=decimals)


class CoRe(Scorer):
    """CoRe as a method to train: pairs of a video and an exemplar, both directions, votes at evaluation.

    Args:
        encoder: see `Scorer`.
        hidden_features, depth: of the tree.
        edge, decimals: see `assign_groups`.
        arithmetic: in which labels are subtracted; `float32` with decimals=None as published.
        voters: exemplars that vote on a video at evaluation, `all` for every one of its group; the loader draws them.
        store_exemplars: put the training videos' features into checkpoints, which then score without these videos.
    """

    groups: Tensor
    max_label: Tensor

    def __init__(
        self,
        encoder: VideoEncoder,
        hidden_features: int,
        depth: int,
        edge: Edge,
        decimals: int | None,
        voters: int | Literal["all"],
        store_exemplars: bool,
        arithmetic: Arithmetic = "float64",
    ) -> None:
        super().__init__(encoder)
        if voters != "all" and voters < 1:
            raise InputError(f"model.voters={voters}: CoRe scores a video by at least one exemplar, or by all")
        self.depth, self.edge, self.decimals, self.arithmetic = depth, edge, decimals, arithmetic
        self.voters, self.store_exemplars = voters, store_exemplars
        self.tree = self.build_tree(2 * encoder.feature_size + 1, hidden_features, depth)
        self.register_buffer("groups", torch.empty(0, 2 ** (depth - 1), 2, dtype=torch.float64))  # (A, K, 2)
        self.register_buffer("max_label", torch.ones((), dtype=torch.float64))

    def build_tree(self, in_features: int, hidden_features: int, depth: int) -> nn.Module:
        return GroupAwareRegressionTree(in_features, hidden_features, depth)

    def learn_scale(self, labels: TrainingLabels) -> None:
        """Group borders (A, K, 2), one set per action, from the differences within exemplar groups."""
        self.max_label = torch.tensor(labels.max_label, dtype=torch.float64)
        borders = []
        for action in range(int(labels.action.max()) + 1):
            chosen = labels.action == action
            label, group = labels.label[chosen], labels.group[chosen]
            borders.append(build_groups_of_videos(label, group, self.depth, labels.max_label, self.decimals))
        self.groups = torch.stack(borders)

    def losses(self, batch: Pair) -> dict[str, Tensor]:
        (log_prob, offset), delta, groups = self.compare(batch)
        return contrastive_tree_loss(log_prob, offset, delta, groups, self.edge, self.decimals, sum_over_processes)

    def compare(self, pair: Pair) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Both directions of every pair, stacked: first the exemplar explains the query, then the other way.

        Returns:
            The tree's outputs (2N, K) each, the label differences (2N,), the group borders (2N, K, 2).
        """
        query, exemplar = pair
        features = self.encoder(torch.cat([query.video, exemplar.video]))  # (2N, D): one pass over all clips
        of_query, of_exemplar = features.chunk(2)
        inputs = [
            self._tree_input(of_exemplar, of_query, exemplar.label),
            self._tree_input(of_query, of_exemplar, query.label),
        ]
        delta = self.difference(query.label, exemplar.label)
        groups = self.groups[torch.cat([query.action, exemplar.action])]
        return self.tree(torch.cat(inputs)), torch.cat([delta, -delta]), groups

    def difference(self, label: Tensor, exemplar_label: Tensor) -> Tensor:
        """(B,) how far labels (B,) lie above those of their exemplars (B,), in the arithmetic of the method."""
        dtype = torch.float32 if self.arithmetic == "float32" else torch.float64
        return label.to(dtype) - exemplar_label.to(dtype)

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:
        """The mean over a video's voters of exemplar label + decoded difference, on stored features.

        The deviation is that of the votes: see `vote_variance`.
        """
        if exemplars is None:
            raise InputError("CoRe scores a video by its difference to training videos, and none was encoded")
        votes = [self._votes(videos, row, exemplars) for row in range(len(videos.feature))]
        label = torch.stack([mean.mean() for mean, _ in votes])
        variance = torch.stack([vote_variance(mean, own) for mean, own in votes])
        return Predicted(label, variance.sqrt())

    def decode(self, outputs: tuple[Tensor, ...], groups: Tensor) -> tuple[Tensor, Tensor | None]:
        """The tree's outputs (V, K) each -> decoded differences (V,), and their variances (V,) where it has some."""
        return decode_relative_score(outputs[0], outputs[1], groups), None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if self.store_exemplars and self.exemplars is not None:
            checkpoint[EXEMPLARS_KEY] = self.exemplars._asdict()

    def _votes(self, videos: Encoded, row: int, exemplars: Encoded) -> tuple[Tensor, Tensor | None]:
        """(V,) labels of video `row` as its voters predict them, and the variances (V,) of these predictions."""
        chosen = videos.voters[row]
        chosen = chosen[chosen >= 0]  # padded where a group is small
        own = videos.feature[row].expand(len(chosen), -1)  # (V, D)
        inputs = self._tree_input(exemplars.feature[chosen], own, exemplars.label[chosen])
        delta, variance = self.decode(self.tree(inputs), self.groups[videos.action[row]])
        return exemplars.label[chosen] + delta, variance

    def _tree_input(self, exemplar: Tensor, video: Tensor, exemplar_label: Tensor) -> Tensor:
        """(N, 2D + 1): feature of the exemplar, feature of the video, label of the exemplar in [0, 1]."""
        share = (exemplar_label / self.max_label).to(video.dtype)
        return torch.cat([exemplar, video, share[:, None]], dim=1)


def vote_variance(votes: Tensor, own: Tensor | None) -> Tensor:
    """Variance of a video's label given its votes (V,), and the variances (V,) that come with them or None.

    Without variances of their own: the unbiased variance of the votes, NaN for a single one. With them: that of the
    mixture of V Gaussians, mean of the variances plus variance of the means.
    """
    if own is not None:
        return own.mean() + votes.var(correction=0)
    return votes.var() if len(votes) > 1 else votes.new_tensor(torch.nan)
