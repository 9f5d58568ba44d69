"""Noise of sampled scores, drawn for the epoch of the weights and each video."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swapaqa.seeds import keyed_generator


def keyed_noise(epoch: int, videos: Sequence[str | int], like: Tensor) -> Tensor:
    """(N, ...) standard normal, as many for each of N videos as `like` has.

    A resumed run, any process and an evaluation of a checkpoint draw the same: the run's seed is that of PyTorch.
    """
    seed = torch.initial_seed()
    keys = (keyed_generator(seed, "score", epoch, video) for video in videos)
    drawn = torch.stack([torch.randn(like.shape[1:], generator=generator) for generator in keys])
    return drawn.to(like, non_blocking=True)
