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

from typing import Literal

import torch
from torch import Tensor, nn

from swapaqa.batch import Encoded, TrainingLabels
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.regression_tree import GroupAwareRegressionTree
from swapaqa.models.score_groups import Edge, build_groups_of_videos, decode_relative_score
from swapaqa.models.scorer import sum_over_processes
from swapaqa.models.tree_loss import contrastive_tree_loss
from swapaqa.models.voting import VotingScorer

Arithmetic = Literal["float64", "float32"]


class CoRe(VotingScorer):
    """CoRe as a method to train: pairs of a video and an exemplar, both directions, votes at evaluation.

    Args:
        encoder: see `Scorer`.
        hidden_features, depth: of the tree.
        edge, decimals: see `assign_groups`.
        arithmetic: in which labels are subtracted; `float32` with decimals=None as published.
        voters, store_exemplars: see `VotingScorer`.
    """

    groups: Tensor

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
        super().__init__(encoder, voters, store_exemplars)
        self.depth, self.edge, self.decimals, self.arithmetic = depth, edge, decimals, arithmetic
        self.tree = self.build_tree(2 * encoder.feature_size + 1, hidden_features, depth)
        self.register_buffer("groups", torch.empty(0, dtype=torch.float64))  # (A, K, 2), as learned or loaded

    def build_tree(self, in_features: int, hidden_features: int, depth: int) -> nn.Module:
        return GroupAwareRegressionTree(in_features, hidden_features, depth)

    def learn_scale(self, labels: TrainingLabels) -> None:
        """Group borders (A, K, 2), one set per action, from the differences within exemplar groups."""
        super().learn_scale(labels)
        borders = []
        for action in range(int(labels.action.max()) + 1):
            chosen = labels.action == action
            label, group = labels.label[chosen], labels.group[chosen]
            borders.append(build_groups_of_videos(label, group, self.depth, labels.max_label, self.decimals))
        self.groups = torch.stack(borders)

    def represent(self, videos: Encoded) -> Tensor:
        """(N, D): the mean of their clips."""
        return videos.mean_feature

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:
        (log_prob, offset), delta, groups = self.compare(videos, exemplars)
        return contrastive_tree_loss(log_prob, offset, delta, groups, self.edge, self.decimals, sum_over_processes)

    def compare(self, videos: Encoded, exemplars: Encoded | None) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Both directions of every pair, stacked: first the exemplar explains the video, then the other way.

        Returns:
            The tree's outputs (2N, K) each, the label differences (2N,), the group borders (2N, K, 2).
        """
        assert exemplars is not None
        return self.compare_represented(self.represent(videos), self.represent(exemplars), videos, exemplars)

    def compare_represented(
        self, feature: Tensor, of_exemplar: Tensor, videos: Encoded, exemplars: Encoded
    ) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """As `compare`, of what `represent` gave."""
        inputs = [
            self.pair_input(of_exemplar, feature, exemplars.labels.label),
            self.pair_input(feature, of_exemplar, videos.labels.label),
        ]
        delta = self.difference(videos.labels.label, exemplars.labels.label)
        groups = self.groups[torch.cat([videos.labels.action, exemplars.labels.action])]
        return self.tree(torch.cat(inputs)), torch.cat([delta, -delta]), groups

    def difference(self, label: Tensor, exemplar_label: Tensor) -> Tensor:
        """(B,) how far labels (B,) lie above those of their exemplars (B,), in the arithmetic of the method."""
        dtype = torch.float32 if self.arithmetic == "float32" else torch.float64
        return label.to(dtype) - exemplar_label.to(dtype)

    def decode(self, outputs: tuple[Tensor, ...], groups: Tensor) -> tuple[Tensor, Tensor | None]:
        """The tree's outputs (V, K) each -> decoded differences (V,), and their variances (V,) where it has some."""
        return decode_relative_score(outputs[0], outputs[1], groups), None

    def vote(
        self, feature: Tensor, of_exemplar: Tensor, exemplar_label: Tensor, action: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        inputs = self.pair_input(of_exemplar, feature, exemplar_label)
        delta, variance = self.decode(self.tree(inputs), self.groups[action])
        return exemplar_label + delta, variance

    def pair_input(self, exemplar: Tensor, video: Tensor, exemplar_label: Tensor) -> Tensor:
        """(N, 2D + 1): feature of the exemplar, feature of the video, label of the exemplar in [0, 1]."""
        share = (exemplar_label / self.max_label).to(video.dtype)
        return torch.cat([exemplar, video, share[:, None]], dim=1)
