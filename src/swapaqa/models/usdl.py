"""USDL and MUSDL: Uncertainty-aware Score Distribution Learning (Tang et al., CVPR 2020).

A score becomes a discretised Gaussian over bins, which the network learns to predict. USDL has one
distribution for the final score; MUSDL has one per judge and combines them by the rule of the sport.

Deviations from the published code, each with the way back to it:
- log-softmax instead of the logarithm of a softmax, which is infinite on underflow;
- the reduction of the Kullback-Leibler divergence is written out: PyTorch will change the meaning of
  its "mean" (`reduction="elements"`: as published; `batchmean` is larger by the number of bins);
- labels are float64 throughout (published: float64, rounded to float32 before they are normalised).
As published: the most probable bin is the score, not the expectation, which truncation at the ends biases.
"""

from typing import ClassVar

import torch
from torch import Tensor

from swapaqa.batch import Encoded, Sample
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.label_scale import ScaledScorer
from swapaqa.models.score_distribution import (
    JudgeDistributionHeads,
    Reduction,
    ScoreDistributionHead,
    aggregate_judges,
    aggregate_std,
    decode_score,
    distribution_loss,
    expected_score,
    middle_three,
    score_distribution,
    score_std,
)
from swapaqa.models.scorer import Predicted, Scorer, Target, from_points


class USDL(ScaledScorer):
    """USDL as a method to train: one distribution over the label's scale.

    Args:
        encoder: see `Scorer`.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        num_bins, std, reduction: see `score_distribution` and `distribution_loss`.
    """

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        num_bins: int,
        std: float,
        reduction: Reduction,
    ) -> None:
        super().__init__(encoder)
        self.target = target
        self.num_bins, self.std, self.reduction = num_bins, std, reduction
        self.head = ScoreDistributionHead(encoder.feature_size, num_bins)

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        label = score_distribution(videos.labels.label, self.num_bins, self.max_label, self.std)  # (N, K)
        return {"divergence": distribution_loss(self.head(videos.mean_feature), label, self.reduction)}

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """The most probable bin. The deviation is the distribution's, the label's own width of `std` bins included."""
        probs, max_label = self.head(videos.mean_feature).exp(), float(self.max_label)
        return Predicted(decode_score(probs, max_label), score_std(probs, max_label))

    def differentiable_label(self, videos: Encoded, exemplars: Encoded | None) -> Tensor:  # noqa: ARG002
        """The expectation over the bins, as the most probable bin has no gradient."""
        return expected_score(self.head(videos.mean_feature).exp(), float(self.max_label))


class MUSDL(Scorer):
    """MUSDL as a method to train: one distribution per judge, combined by the rule of diving.

    Args:
        encoder: see `Scorer`.
        num_judges: J, odd and at least 3.
        num_bins, std, reduction: see `score_distribution` and `distribution_loss`.
        max_judge_score: what a judge can give.
    """

    needs_difficulty: ClassVar[bool] = True

    def __init__(
        self,
        encoder: VideoEncoder,
        num_judges: int,
        num_bins: int,
        max_judge_score: float,
        std: float,
        reduction: Reduction,
    ) -> None:
        super().__init__(encoder)
        middle_three(torch.empty(0, num_judges))  # refuses a number of judges without them
        self.num_judges, self.num_bins, self.max_judge_score = num_judges, num_bins, max_judge_score
        self.std, self.reduction = std, reduction
        self.heads = JudgeDistributionHeads(encoder.feature_size, num_judges, num_bins)

    def check_sample(self, sample: Sample) -> None:
        judges = sample.labels.judges.shape[1]
        if judges == 0:
            raise InputError(
                "MUSDL learns one distribution per judge, and this data set has no judges' scores: take model=usdl, "
                "or a data set with judges"
            )
        if judges != self.num_judges:
            raise InputError(f"model.num_judges={self.num_judges}, but the videos have the scores of {judges} judges")

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        label = score_distribution(videos.labels.judges, self.num_bins, self.max_judge_score, self.std)  # (N, J, K)
        return {"divergence": distribution_loss(self.heads(videos.mean_feature), label, self.reduction)}

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """Each judge's most probable score, the middle three summed and multiplied by the video's difficulty."""
        probs = self.heads(videos.mean_feature).exp()  # (N, J, K)
        judges = decode_score(probs, self.max_judge_score)  # (N, J)
        std = aggregate_std(judges, score_std(probs, self.max_judge_score), videos.labels.difficulty)
        return from_points(aggregate_judges(judges, videos.labels.difficulty), std, videos)

    def differentiable_label(self, videos: Encoded, exemplars: Encoded | None) -> Tensor:  # noqa: ARG002
        """As `score`, of the same three judges, with each judge's expectation instead of the most probable score."""
        probs = self.heads(videos.mean_feature).exp()  # (N, J, K)
        middle = middle_three(decode_score(probs, self.max_judge_score))
        expected = expected_score(probs, self.max_judge_score).gather(1, middle).sum(dim=1) * videos.labels.difficulty
        return (expected - videos.labels.offset) / videos.labels.factor
