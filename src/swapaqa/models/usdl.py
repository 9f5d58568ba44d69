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

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from swapaqa.batch import Encoded, Sample, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.scorer import Predicted, Scorer, Target, from_points

Reduction = Literal["batchmean", "elements"]


def score_distribution(scores: Tensor, num_bins: int, max_score: float | Tensor, std: float) -> Tensor:
    """The label of a score: a Gaussian around its bin, evaluated at every bin and normalised.

    Args:
        scores: (...) scores in [0, max_score].
        num_bins: K; bin 0 is score 0 and bin K - 1 is `max_score` (USDL 101, MUSDL 21).
        max_score: highest score (MTL-AQA 104.5, a judge 10); as a tensor () it is not read back from a device.
        std: standard deviation, in bins (5 in both).

    Returns:
        (..., K) float64, sums to 1 over the bins.
    """
    bins = torch.arange(num_bins, dtype=torch.float64, device=scores.device)
    centre = scores.double() * ((num_bins - 1) / max_score)
    return (-((bins - centre[..., None]) / std).square() / 2).softmax(dim=-1)


def decode_score(probs: Tensor, max_score: float) -> Tensor:
    """The score of the most probable bin: (..., K) probabilities or their logarithms -> (...) float64."""
    return probs.argmax(dim=-1).double() * (max_score / (probs.shape[-1] - 1))


def expected_score(probs: Tensor, max_score: float) -> Tensor:
    """The mean of the distribution, in points: (..., K) probabilities -> (...) float64. Unlike the maximum's score it
    has a gradient.
    """
    points = torch.linspace(0, max_score, probs.shape[-1], dtype=torch.float64, device=probs.device)
    return (probs * points).sum(dim=-1)


def score_std(probs: Tensor, max_score: float) -> Tensor:
    """Standard deviation of the distribution, in points: (..., K) probabilities -> (...) float64."""
    points = torch.linspace(0, max_score, probs.shape[-1], dtype=torch.float64, device=probs.device)
    mean = expected_score(probs, max_score).unsqueeze(-1)
    return (probs * (points - mean).square()).sum(dim=-1).sqrt()


def distribution_loss(log_prob: Tensor, label: Tensor, reduction: Reduction) -> Tensor:
    """Kullback-Leibler divergence of the predicted distributions from their labels, KL(label || prediction).

    Args:
        log_prob: (B, K), or (B, J, K) with a distribution per judge.
        label: same shape, probabilities.
        reduction: `batchmean`: mean over all distributions. `elements`, as published: mean over the B * K
            elements, summed over the judges, which is smaller by K (USDL) or K / J (MUSDL).

    Returns:
        () in the dtype of `log_prob`.
    """
    label = label.to(log_prob.dtype)
    divergence = (torch.xlogy(label, label) - label * log_prob).sum(dim=-1)  # (B,) or (B, J); 0 log 0 = 0
    if reduction == "batchmean":
        return divergence.mean()
    return divergence.mean(dim=0).sum() / log_prob.shape[-1]


def aggregate_judges(judge_scores: Tensor, difficulty: Tensor) -> Tensor:
    """The rule of diving: sum of the middle three judges' scores times the difficulty.

    Args:
        judge_scores: (B, J), J odd and at least 3; of seven, the two lowest and the two highest are dropped.
        difficulty: (B,).

    Returns:
        (B,) final scores.

    Raises:
        InputError: a number of judges without a middle three.
    """
    middle = middle_three(judge_scores)
    return judge_scores.gather(1, middle).sum(dim=1) * difficulty


def aggregate_std(judge_scores: Tensor, judge_std: Tensor, difficulty: Tensor) -> Tensor:
    """Standard deviation (B,) of `aggregate_judges`, as if the judges' errors were independent.

    They are not, as judges see the same dive: an underestimate, by up to the square root of 3. `judge_std` (B, J).
    """
    variance = judge_std.square().gather(1, middle_three(judge_scores))  # (B, 3)
    return variance.sum(dim=1).sqrt() * difficulty


def middle_three(judge_scores: Tensor) -> Tensor:
    """(B, J) -> (B, 3) int64: the judges in the middle of the order of their scores. InputError as above."""
    judges = judge_scores.shape[1]
    if judges < 3 or judges % 2 == 0:
        raise InputError(f"{judges} judges have no middle three: MUSDL needs an odd number of at least 3")
    drop = (judges - 3) // 2
    return judge_scores.argsort(dim=1)[:, drop : drop + 3]


class ScoreDistributionHead(nn.Module):
    """USDL's head: three linear layers to a distribution over bins (308,325 parameters at 1024 and 101).

    Args:
        in_features: length of the video's feature.
        num_bins: K.
    """

    def __init__(self, in_features: int, num_bins: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_features, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, 128),
            nn.ReLU(inplace=True),
            nn.Linear(128, num_bins),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_features) -> (B, K) log-probabilities, float32 at least."""
        logits = self.layers(features)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=-1)


class JudgeDistributionHeads(nn.Module):
    """MUSDL's heads: one of USDL's per judge, nothing shared (2,086,035 parameters at 1024, 7 and 21).

    Args:
        in_features: length of the video's feature.
        num_judges: J.
        num_bins: K.
    """

    def __init__(self, in_features: int, num_judges: int, num_bins: int) -> None:
        super().__init__()
        self.judges = nn.ModuleList(ScoreDistributionHead(in_features, num_bins) for _ in range(num_judges))

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_features) -> (B, J, K) log-probabilities."""
        return torch.stack([judge(features) for judge in self.judges], dim=1)


class USDL(Scorer):
    """USDL as a method to train: one distribution over the label's scale.

    Args:
        encoder: see `Scorer`.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        num_bins, std, reduction: see `score_distribution` and `distribution_loss`.
    """

    max_label: Tensor

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
        self.register_buffer("max_label", torch.ones((), dtype=torch.float64))

    def learn_scale(self, labels: TrainingLabels) -> None:
        """The last bin is the upper end of the label's scale."""
        self.max_label = torch.tensor(labels.max_label, dtype=torch.float64)

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
