"""T2CR (Ke et al., Information Sciences 2024): two samplings of a video's clips, which agree, are compared with others.

A vote is half the exemplar's label plus the difference to it, and half the video's own label. Voters and exemplars are
those of CoRe.

Deviations from the published code, each with the way back to it:
- labels are brought to a range of 30, that of MTL-AQA's completeness, for which the terms are balanced, and their mean
  to 0, as one regressor has to give them and differences (`label_range=null`, `centred=false`: as they are);
- soft-DTW, a kernel of the code, has a gradient for its first argument only; here for both
  (`alignment_gradient=first`);
- of tokens that are all 0 the code's cosine is 0 / 0, and here 0.
Dives are told apart where the data have `dive_class` (MTL-AQA); elsewhere this term is 0, and on AQA-7 the published
code, which asks for it, cannot run. BatchNorm of the thin sampling has the statistics of the whole batch.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.batch import Encoded, TrainingLabels
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.soft_dtw import soft_dtw
from swapaqa.models.target_attention import FULL, THIN, Paths, TwoPathHead
from swapaqa.models.voting import VotingScorer

TEMPERATURE, GAMMA, SELF_WEIGHT = 0.1, 0.1, 10.0


def contrastive_loss(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al., ICML 2020): two views (N, D) of a video lie closer than all else of the batch.

    Returns:
        (): mean over the 2 N views; 0 of a single video.
    """
    views = F.normalize(torch.cat([one, other]), dim=1)
    likeness = views @ views.T / temperature
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    match = likeness.diagonal(len(one))  # as many rows of `one` as of `other`
    return likeness.masked_fill(itself, -torch.inf).logsumexp(dim=1).mean() - match.mean()


def one_against_rest(logits: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy of a softmax's every probability, as if K classes were K questions.

    Args:
        logits: (N, P, K), P readings of a video.
        known: (N,) int64, the right class; any other number where it is not known.

    Returns:
        (): mean over readings and classes of the videos whose class is known; 0 if there is none.
    """
    classes = torch.arange(logits.shape[2], device=logits.device)
    right = known[:, None] == classes  # (N, K)
    itself = torch.eye(len(classes), dtype=torch.bool, device=logits.device)
    whole = logits.logsumexp(dim=2, keepdim=True)
    rest = logits[:, :, None].masked_fill(itself, -torch.inf).logsumexp(dim=3)  # log(1 - p) + whole
    entropy = whole - logits.where(right[:, None], rest)  # (N, P, K)
    some = right.any(dim=1)
    return entropy.mean(dim=(1, 2)).where(some, 0).sum() / some.sum().clamp_min(1)


def two_path_losses(paths: Paths, label: Tensor, dive: Tensor, gradient: Literal["both", "first"]) -> dict[str, Tensor]:
    """The terms that need no comparison of tokens, of N videos and then their N exemplars.

    Args:
        paths: of all 2 N.
        label: (2 N,).
        dive: (2 N,) int64, see `one_against_rest`.
        gradient: whether the alignment moves both videos, or, as published, the first only.

    Returns:
        Sums of means over N, as published: each term of one video, and of one sampling, once.
    """
    full, thin = paths.full.mean(dim=1).chunk(2), paths.thin.mean(dim=1).chunk(2)
    aligned = []
    for tokens in (paths.full, paths.thin):
        one, other = tokens.chunk(2)
        aligned.append(soft_dtw(one, other.detach() if gradient == "first" else other, GAMMA).mean())
    contrast = [contrastive_loss(*views, TEMPERATURE) for views in zip(full, thin, strict=True)]
    return {
        "agreement": 2 * F.mse_loss(paths.full, paths.thin),
        "contrast": torch.stack(contrast).sum(),
        "score": 4 * F.mse_loss(paths.score, label[:, None].expand_as(paths.score)),
        "dive": 4 * one_against_rest(paths.dive, dive),
        "alignment": torch.stack(aligned).sum(),
    }


class T2CR(VotingScorer):
    """T2CR as a method to train.

    Args:
        encoder: see `Scorer`; its plans have ten clips and eight.
        dives: see `TargetAttention`.
        label_range: length of the scale that labels are brought to; None: its length stays as it is.
        centred: bring the mean of the training labels to 0.
        alignment_gradient: see `two_path_losses`.
        voters, store_exemplars: see `VotingScorer`.
    """

    centre: Tensor
    factor: Tensor
    clip_count: ClassVar[int | None] = FULL + THIN
    couples_batch: ClassVar[bool] = True  # the contrast compares the videos of a batch
    votes_per_pass: ClassVar[int] = 2048  # 42 MB of the decoder's widest layer

    def __init__(
        self,
        encoder: VideoEncoder,
        dives: int,
        label_range: float | None,
        centred: bool,
        alignment_gradient: Literal["both", "first"],
        voters: int | Literal["all"],
        store_exemplars: bool,
    ) -> None:
        super().__init__(encoder, voters, store_exemplars)
        self.label_range, self.centred, self.alignment_gradient = label_range, centred, alignment_gradient
        self.head = TwoPathHead(encoder.feature_size, dives)
        self.register_buffer("centre", torch.zeros((), dtype=torch.float64))
        self.register_buffer("factor", torch.ones((), dtype=torch.float64))

    def learn_scale(self, labels: TrainingLabels) -> None:
        super().learn_scale(labels)
        if self.centred:
            self.centre = labels.label.mean()
        if self.label_range is not None:
            self.factor = self.label_range / self.max_label

    def adopt_published(self) -> None:
        self.centre, self.factor = torch.zeros_like(self.centre), torch.ones_like(self.factor)

    def represent(self, videos: Encoded) -> Tensor:
        """(N, 2 FULL, WIDTH) tokens of both samplings."""
        tokens: Tensor = self.head.attention(videos.feature).tokens
        return tokens

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:
        assert exemplars is not None
        paths = self.head.attention(torch.cat([videos.feature, exemplars.feature]))
        label = self.brought(torch.cat([videos.labels.label, exemplars.labels.label])).to(paths.score.dtype)
        one, other = label.chunk(2)
        exchanged = torch.cat(paths.tokens.chunk(2)[::-1])
        delta = self.head.difference(paths.tokens, exchanged)
        own = torch.stack([self.head.regress(paths.full), self.head.regress(paths.thin)], dim=1)  # (2 N, 2)
        within = self.head.regress(self.head.decoder.within(paths.tokens))
        dive = torch.cat([self._dive(videos), self._dive(exemplars)])
        return two_path_losses(paths, label, dive, self.alignment_gradient) | {
            "relative": 2 * F.mse_loss(delta, torch.cat([one - other, other - one])),
            "absolute": 4 * F.mse_loss(own, label[:, None].expand_as(own)),
            "itself": 2 * SELF_WEIGHT * within.square().mean(),
        }

    def vote(
        self,
        feature: Tensor,
        of_exemplar: Tensor,
        exemplar_label: Tensor,
        action: Tensor,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor | None]:
        delta, own = self.head.difference(feature, of_exemplar), self.head.regress(feature[:, :FULL])
        return (exemplar_label + (delta + own).double() / self.factor + self.centre) / 2, None

    def brought(self, label: Tensor) -> Tensor:
        """Labels (N,) on the scale on which they are learnt."""
        return (label - self.centre) * self.factor

    @staticmethod
    def _dive(videos: Encoded) -> Tensor:
        """(N,) int64, -1 where the data tell no dives apart."""
        return videos.side.get("dive_class", torch.full_like(videos.labels.position, -1))
