"""A score as a Gaussian: its losses, its samples, the head that predicts mean and logarithm of the variance.

Pure functions and a plain module, which import nothing but PyTorch; the methods are in `dae.py`, and what deviates
from the published code is named there.
"""

import torch
from torch import Tensor, nn

LOG_VARIANCE_BOUND = 10.0


def gaussian_likelihood_loss(
    mean: Tensor, log_variance: Tensor, target: Tensor, alpha: float = 0.6, beta: float = 0.4
) -> Tensor:
    """Weighted negative log-likelihood of a Gaussian: mean over the batch of `likelihood_terms`.

    Args:
        mean, log_variance, target: (B,); the target in the unit of the mean.
        alpha, beta: weights; 1/2 and 1/2 are the exact likelihood without its constant.

    Returns:
        () scalar.
    """
    return likelihood_terms(mean, log_variance, target, alpha, beta).mean()


def likelihood_terms(
    mean: Tensor, log_variance: Tensor, target: Tensor, alpha: float = 0.6, beta: float = 0.4
) -> Tensor:
    """alpha * (target - mean)^2 / variance + beta * ln(variance), elementwise over shapes that broadcast.

    Its minimum over the variance is at alpha / beta times the squared error; see `calibrated_std`.
    """
    return alpha * (target - mean).square() * (-log_variance).exp() + beta * log_variance


def squared_error_pair_loss(mean: Tensor, sample: Tensor, target: Tensor) -> Tensor:
    """The loss of the authors' later code: sum over the batch of the squared errors of sample and mean.

    Its expectation, 2 (mean - target)^2 + variance per sample, drives the variance to 0.
    """
    return (sample - target).square().sum() + (mean - target).square().sum()


def sample_score(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Reparameterised sample, mean + standard deviation * noise: (B,) each, the noise standard normal."""
    return mean + (log_variance / 2).exp() * noise


def calibrated_std(log_variance: Tensor, alpha: float = 0.6, beta: float = 0.4) -> Tensor:
    """Standard deviation of the residuals: the learned one times sqrt(beta / alpha)."""
    factor: float = (beta / alpha) ** 0.5
    return (log_variance / 2).exp() * factor


def scale_by_difficulty(mean: Tensor, log_variance: Tensor, difficulty: Tensor) -> tuple[Tensor, Tensor]:
    """DAE-MT: the Gaussian of difficulty * completeness, (mean * d, ln variance + 2 ln d); (B,) each."""
    return mean * difficulty, log_variance + 2 * difficulty.log()


class GaussianHead(nn.Module):
    """Three linear layers to a Gaussian over the score (295,554 parameters at 1024).

    Args:
        in_features: length of the video's feature.
        initial_mean: see `start_at`.
    """

    def __init__(self, in_features: int, initial_mean: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_features, 256), nn.ReLU(inplace=True), nn.Linear(256, 128), nn.ReLU(inplace=True)
        )
        self.mean = nn.Linear(128, 1)
        self.log_variance = nn.Linear(128, 1)
        self.start_at(initial_mean)

    def start_at(self, mean: float) -> None:
        """Predict about `mean` at first: the likelihood divides a squared error of 80 points by a variance near 1."""
        with torch.no_grad():
            self.mean.bias.add_(mean)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, in_features) -> mean, log_variance: (B,) each, float32 at least."""
        hidden = self.layers(features)  # (B, 128)
        mean, log_variance = self.mean(hidden).squeeze(-1), self.log_variance(hidden).squeeze(-1)
        wide = torch.promote_types(mean.dtype, torch.float32)
        return mean.to(wide), bounded(log_variance.to(wide))


def bounded(log_variance: Tensor) -> Tensor:
    """The logarithm of a variance, of any shape, in [-10, 10]."""
    return log_variance.clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)
