"""Dropout that every video draws for itself, whichever videos share its batch and whichever process holds it.

PyTorch's draws follow the order of a batch, so two processes, each with half of it, would draw otherwise than one. Here
a draw is a hash of the video, the epoch, the place in the network and the element: nothing is stored, nothing is
waited for, and a resumed training draws as one that was never interrupted.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.seeds import keyed_generator

# Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014), as signed 64-bit numbers
GAMMA, FIRST, SECOND = (odd - 2**64 for odd in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class _Draws:
    """Keys (N,) of the videos in a pass, and how many places have drawn."""

    def __init__(self, keys: Tensor) -> None:
        self.keys, self.places = keys, 0


_DRAWS: ContextVar[_Draws | None] = ContextVar("draws", default=None)


@contextmanager
def dropout_by_video(position: Tensor, epoch: int) -> Iterator[None]:
    """Inside, every `SampleDropout` draws by the videos' positions in their list (N,) int64 and the epoch.

    The first axis of what it is given must be these videos. The run's seed takes part too.
    """
    base = keyed_generator(torch.initial_seed(), "dropout", epoch).initial_seed()
    token = _DRAWS.set(_Draws(mixed(position * GAMMA + base)))
    try:
        yield
    finally:
        _DRAWS.reset(token)


class SampleDropout(nn.Module):
    """Dropout whose draws are those of `dropout_by_video`, or, outside of it, PyTorch's.

    Args:
        share: of the elements that are set to 0 in training; the others are divided by 1 - share.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """(N, ...) -> the same shape."""
        draws = _DRAWS.get()
        if draws is None or not self.training or self.share == 0:
            return F.dropout(values, self.share, self.training)
        draws.places += 1
        kept = uniform(draws.keys, draws.places, values.shape[1:]) >= self.share
        return values * kept / (1 - self.share)


def uniform(keys: Tensor, place: int, shape: torch.Size) -> Tensor:
    """(N, *shape) float32 in [0, 1), of N keys (N,) int64 and a place in the network."""
    element = torch.arange(math.prod(shape), device=keys.device)
    state = mixed(mixed(keys + place)[:, None] + element * GAMMA)
    drawn: Tensor = ((state >> 40) & 0xFFFFFF).float().div(2**24).view(len(keys), *shape)
    return drawn


def mixed(state: Tensor) -> Tensor:
    """SplitMix64's finaliser of int64 numbers: all bits of the result depend on all bits of the argument."""
    state = (state ^ _shifted(state, 30)) * FIRST
    state = (state ^ _shifted(state, 27)) * SECOND
    return state ^ _shifted(state, 31)


def _shifted(state: Tensor, bits: int) -> Tensor:
    """To the right, with zeros from the left."""
    shifted: Tensor = (state >> bits) & (2 ** (64 - bits) - 1)
    return shifted
