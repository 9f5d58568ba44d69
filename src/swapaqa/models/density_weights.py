"""A squared error weighted by how many training labels lie near a label (PW-MSE, as SSPR's abstract words it).

SSPR (Huang and Li, Applied Intelligence 2024) stresses the densely populated range of scores; how is in no text at
hand, so that the density is Scott's Gaussian kernel estimate and its power an argument: 1 stresses what is frequent,
-0.5 what is rare (a paper of the same journal, s10489-023-05166-3), 0 nothing.
"""

import torch
from torch import Tensor


def kernel_density(at: Tensor, known: Tensor) -> Tensor:
    """Gaussian kernel density estimate with Scott's bandwidth, that of `scipy.stats.gaussian_kde`.

    Args:
        at: (N,) where.
        known: (M,) what is known; at least two, not all alike.

    Returns:
        (N,), its integral over all is 1.
    """
    width = known.std() * len(known) ** -0.2
    kernels = (-((at[:, None] - known) / width).square() / 2).exp()
    density: Tensor = kernels.mean(dim=1) / (width * (2 * torch.pi) ** 0.5)
    return density


def mean_power(known: Tensor, power: float) -> Tensor:
    """() the mean over labels `known` (M,) of their density to a power; 1 where it tells nothing of them."""
    if power == 0 or len(known) < 2 or bool((known == known[0]).all()):
        return torch.ones((), dtype=known.dtype)
    return (kernel_density(known, known) ** power).mean()


def density_weights(label: Tensor, known: Tensor, power: float, mean: Tensor) -> Tensor:
    """(N,) weights of labels, 1 in the mean over the training labels.

    Args:
        known: (M,) the training labels.
        power: of the density.
        mean: their `mean_power`.
    """
    if power == 0 or len(known) < 2:
        return torch.ones_like(label)
    weight: Tensor = kernel_density(label, known) ** power / mean
    return weight.where(known.std() > 0, 1)


def weighted_squared_error(found: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """(N,) each -> (): the mean of the weighted squares."""
    return (weight.to(found.dtype) * (found - truth).square()).mean()
