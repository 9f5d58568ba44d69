"""GART, CoRe's regressor: a binary tree of linear layers."""

import torch
from torch import Tensor, nn

from swapaqa.errors import InputError

MAX_DEPTH = 10  # 512 leaves, more than any data set has differences to fill; every level doubles the layers


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
            logits = classify(nodes).squeeze(-1).unflatten(1, (-1, 2))  # (N, n, 2)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            log_prob = (log_prob.unsqueeze(-1) + logits.log_softmax(dim=-1)).flatten(1)  # (N, 2n)
            nodes = expand(nodes).relu()  # (N, 2n * hidden, 1)
        return log_prob, nodes
