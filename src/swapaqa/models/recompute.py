"""Features of many inputs in the memory of a few: computed without a graph, then a few at a time once more.

A video's clips pass the backbone apart and meet again as features, which are small. So all features are computed first,
without what a backward pass would need; head and loss follow; and with the gradient of every feature known, a few clips
at a time pass the backbone again, with their graph, which is gone before the next ones come. The gradients are those of
one pass over all (a sum in another order) wherever a clip's feature depends on this clip alone and on no random number.
It costs one more forward pass, a third of a training step.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from swapaqa.errors import InputError

Part = Callable[[], Tensor]  # a part of the inputs, made when it is needed: (n, ...)


def refuse_to_recompute(network: nn.Module) -> None:
    """Raise InputError for a network that would not compute the same feature again, or not from one clip alone."""
    if any(isinstance(layer, _BatchNorm) and layer.training for layer in network.modules()):
        raise InputError(
            "backbone.clips_per_pass computes every clip twice and apart from the others, and BatchNorm with live "
            "statistics does not allow it: say backbone.freeze_bn=true or backbone.clips_per_pass=null"
        )
    if any(isinstance(layer, _DropoutNd) and layer.p > 0 for layer in network.modules()):
        raise InputError(
            "backbone.clips_per_pass computes every clip twice, and Dropout would draw anew: "
            "say backbone.clips_per_pass=null, or take a network without it"
        )


def features_by_parts(network: nn.Module, parts: Sequence[Part]) -> Tensor:
    """`network` of all parts, concatenated, with a graph that holds none of them.

    Where no gradient is asked for this is a loop over the parts and nothing more.

    Args:
        network: (n, ...) -> (n, D); computes the same for the same input, each row from its own input.
        parts: N rows of input in all. Each is made once in the forward and once in the backward pass.

    Returns:
        (N, D). The parameters receive their gradients in the backward pass at once, as from any layer: hooks, and the
        exchange between processes, see them once.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    device = next(network.parameters()).device.type
    autocast = _Autocast(device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device))
    return _ByParts.apply(_Work(network, parts, autocast), *parameters)


@dataclass(frozen=True)
class _Autocast:
    """The state of autocast, to be had again in the backward pass, which runs outside of it."""

    device: str
    dtype: torch.dtype
    enabled: bool

    def again(self) -> AbstractContextManager[None]:
        """Without its cache, which would hand the narrow weights of the pass without a graph to the one with it."""
        return torch.autocast(self.device, self.dtype, self.enabled, cache_enabled=False)


@dataclass(frozen=True)
class _Work:
    network: nn.Module
    parts: Sequence[Part]
    autocast: _Autocast


class _ByParts(torch.autograd.Function):
    """See `features_by_parts`. The parameters are inputs, so that autograd itself hands them their gradients."""

    @staticmethod
    def forward(ctx: Any, work: _Work, *parameters: Tensor) -> Tensor:
        ctx.work, ctx.sizes = work, []
        ctx.save_for_backward(*parameters)  # refuses, in the backward pass, weights that have changed since
        features = []
        with work.autocast.again():
            for part in work.parts:
                features.append(work.network(part()))
                ctx.sizes.append(len(features[-1]))
        return torch.cat(features)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        work, parameters = ctx.work, ctx.saved_tensors
        total: list[Tensor | None] = [None] * len(parameters)
        for part, of_part in zip(work.parts, gradient.split(ctx.sizes), strict=True):
            with torch.enable_grad(), work.autocast.again():
                features = work.network(part())
            found = torch.autograd.grad(features, parameters, of_part, allow_unused=True)
            total = [_sum(before, new) for before, new in zip(total, found, strict=True)]
        return None, *total


def _sum(before: Tensor | None, new: Tensor | None) -> Tensor | None:
    if before is None or new is None:
        return new if before is None else before
    return before.add_(new)
