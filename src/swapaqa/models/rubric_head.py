"""RICA2's head: embeddings of steps, as points or as Gaussians, pooled along the rubric into a score."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from swapaqa.models.step_decoder import ClipEncoder, StepDecoder, StepEmbeddings


class RubricHead(nn.Module):
    """Clips to the steps of a dive, and their embeddings to a score (15,226,882 parameters as published on MTL-AQA).

    Of these 98,304 are the texts, which do not train, and 131,585 are in no formula of the published code: they are
    kept, without a gradient, so that its files fit.

    Args:
        in_features: length of a clip's feature.
        width, heads, dropout: see `StepDecoder`; embeddings are half as wide.
        texts: see `StepDecoder`.
        groups: how many of the K steps stand in each group, one group after the other.
        stochastic: embeddings are Gaussians.
        dropout_at_test: see `ClipEncoder`.
    """

    def __init__(
        self, in_features: int, width: int, heads: int, dropout: float, texts: Tensor, groups: Sequence[int],
        stochastic: bool, dropout_at_test: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        half = width // 2
        self.groups = list(groups)
        self.encoder = ClipEncoder(in_features, width, heads, dropout, dropout_at_test)
        self.decoder = StepDecoder(texts, width, heads, dropout)
        self.base = nn.Sequential(nn.Linear(width, half), nn.ReLU())
        self.read = nn.Sequential(nn.Linear(half, half), nn.ReLU(), nn.Linear(half, 1))
        self.of_group, unused = (
            nn.Sequential(nn.Linear(half, half), nn.ReLU(), nn.Linear(half, half)) for _ in range(2)
        )
        self.gaussian = nn.Sequential(nn.Linear(half, half), nn.ReLU(), nn.Linear(half, width)) if stochastic else None
        for part in filter(None, (self.base, self.read, self.of_group, self.gaussian, unused)):
            for weight in part.parameters():
                if weight.dim() > 1:
                    nn.init.xavier_uniform_(weight)
        self.unused = unused.requires_grad_(False)
        self.unused_temperature = nn.Parameter(torch.full((1,), 2.0), requires_grad=False)

    def forward(self, clips: Tensor, present: Tensor) -> StepEmbeddings:
        """Clips (N, n, in_features), which steps there are (N, K) bool -> what they find, float32 at least."""
        steps, attention = self.decoder(self.encoder(clips), present)
        embedding = self.base(steps)
        embedding = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
        if self.gaussian is None:
            return StepEmbeddings(embedding, None, attention)
        mean, log_variance = self.gaussian(embedding).chunk(2, dim=-1)
        return StepEmbeddings(mean, log_variance, attention)

    def score(self, embedding: Tensor, present: Tensor) -> Tensor:
        """Embeddings (..., N, K, width / 2), (N, K) -> (..., N): every group's mean, a layer, and the groups' mean.

        Where the published code divides 0 by 0, a group of which a dive has no step, its mean is 0.
        """
        there = present[..., None].to(embedding.dtype)
        sums = zip((embedding * there).split(self.groups, dim=-2), there.split(self.groups, dim=-2), strict=True)
        means = torch.stack([found.sum(-2) / count.sum(-2).clamp_min(1) for found, count in sums])
        score: Tensor = self.read(self.of_group(means).mean(0)).squeeze(-1)
        return score
