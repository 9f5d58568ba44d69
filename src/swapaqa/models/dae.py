"""DAE: distribution auto-encoder for action quality assessment (Zhang et al., arXiv 2111.11029).

The network predicts a Gaussian over the score, mean and logarithm of the variance, and learns both from a
likelihood. DAE-MT predicts the score before the difficulty is multiplied in; DAE-CoRe puts the Gaussian on
the leaves of CoRe's tree.

The body of the paper was not available when this was written, and neither published code can train with its
likelihood loss as written (it squares ln(variance) in place of the deviation, and reads it from detached
numbers). So, with the way back to the code that ran:
- the loss is the weighted Gaussian likelihood that the abstract and the constants 0.6 and 0.4 describe;
  `squared_error_pair_loss` is what the authors' later code trains with;
- the prediction is the mean; the published code draws a sample, at test time too (`sample_score`);
- the logarithm of the variance is bounded to [-10, 10];
- DAE-CoRe has no published code: its wiring here follows from both parents.
As published: the head's second output is ln(variance); hidden layers 256 and 128 (a figure in the repository
has a further one of 512); a sample is mean + deviation * noise (the figure multiplies by the variance).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.models.core import GroupAwareRegressionTree, assign_groups, sum_of_leaf_means

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
    return (log_variance / 2).exp() * (beta / alpha) ** 0.5


def scale_by_difficulty(mean: Tensor, log_variance: Tensor, difficulty: Tensor) -> tuple[Tensor, Tensor]:
    """DAE-MT: the Gaussian of difficulty * completeness, (mean * d, ln variance + 2 ln d); (B,) each."""
    return mean * difficulty, log_variance + 2 * difficulty.log()


class GaussianHead(nn.Module):
    """Three linear layers to a Gaussian over the score (295,554 parameters at 1024).

    Args:
        in_features: length of the video's feature.
        initial_mean: what is predicted at the start, about; the training labels' mean is a good choice,
            as the likelihood divides the square of an initial error of 80 points by a variance near 1.
    """

    def __init__(self, in_features: int, initial_mean: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_features, 256), nn.ReLU(inplace=True), nn.Linear(256, 128), nn.ReLU(inplace=True)
        )
        self.mean = nn.Linear(128, 1)
        self.log_variance = nn.Linear(128, 1)
        with torch.no_grad():
            self.mean.bias.add_(initial_mean)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, in_features) -> mean, log_variance: (B,) each, float32 at least."""
        hidden = self.layers(features)  # (B, 128)
        mean, log_variance = self.mean(hidden).squeeze(-1), self.log_variance(hidden).squeeze(-1)
        wide = torch.promote_types(mean.dtype, torch.float32)
        return mean.to(wide), _bounded(log_variance.to(wide))


class GaussianRegressionTree(nn.Module):
    """DAE-CoRe: CoRe's tree with a Gaussian over the offset on every leaf. Arguments as for CoRe's."""

    def __init__(self, in_features: int, hidden_features: int, depth: int) -> None:
        super().__init__()
        self.tree = GroupAwareRegressionTree(in_features, hidden_features, depth)
        leaves = self.tree.leaves
        self.log_variance = nn.Conv1d(leaves * hidden_features, leaves, 1, groups=leaves)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, in_features) -> leaf_log_prob, leaf_offset, leaf_log_variance: (N, K) each, float32 up."""
        leaf_log_prob, leaf_features = self.tree.descend(features)
        offset = self.tree.regress(leaf_features).squeeze(-1)
        log_variance = self.log_variance(leaf_features).squeeze(-1)
        wide = leaf_log_prob.dtype
        return leaf_log_prob, offset.to(wide), _bounded(log_variance.to(wide))


def gaussian_tree_loss(
    leaf_log_prob: Tensor,
    leaf_offset: Tensor,
    leaf_log_variance: Tensor,
    delta: Tensor,
    groups: Tensor,
) -> dict[str, Tensor]:
    """CoRe's loss with the likelihood of the offset in place of its squared error.

    Args and result as for `contrastive_tree_loss`, with leaf_log_variance (2N, K).
    """
    leaf, offset = assign_groups(delta, groups)
    owned = ~offset.isnan()
    target = offset.nan_to_num().to(leaf_log_prob.dtype)[:, None]
    terms = likelihood_terms(leaf_offset, leaf_log_variance, target)  # (2N, K)
    classification = 2 * F.nll_loss(leaf_log_prob, leaf)
    return {"classification": classification, "regression": sum_of_leaf_means(terms, leaf, owned)}


def decode_relative_std(leaf_log_prob: Tensor, leaf_log_variance: Tensor, groups: Tensor) -> Tensor:
    """Calibrated standard deviation of the decoded difference, in the groups' unit.

    Args:
        leaf_log_prob: (B, K).
        leaf_log_variance: (B, K).
        groups: (K, 2) or (B, K, 2).

    Returns:
        (B,): width of the most probable leaf (1 where it is empty) times the deviation of its offset.
    """
    leaf = leaf_log_prob.argmax(dim=1, keepdim=True)  # (B, 1)
    start, end = groups.expand(len(leaf), -1, -1).unbind(-1)  # (B, K) each
    width = (end - start).gather(1, leaf)[:, 0]
    std = calibrated_std(leaf_log_variance.gather(1, leaf)[:, 0])
    return std * torch.where(width > 0, width, torch.ones_like(width))


def _bounded(log_variance: Tensor) -> Tensor:
    return log_variance.clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)
