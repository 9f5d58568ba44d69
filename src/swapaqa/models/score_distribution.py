"""A score as a distribution over bins: its label, its loss, the heads that predict it, the rule that judges follow.

Pure functions and plain modules, which import nothing but PyTorch; the methods USDL and MUSDL are in `usdl.py`, and
what deviates from their published code is named there.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from swapaqa.errors import InputError

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
        logits: Tensor = self.layers(features)
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
