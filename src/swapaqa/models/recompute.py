"""Features of many inputs in the memory of a few: computed without a graph, then a few at a time once more."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from swapaqa.errors import InputError
from swapaqa.models.batch_norm import has_live_batch_norm

Part = Callable[[], Tensor]  # a part of the inputs, made when it is needed: (n, ...)


def refuse_to_recompute(network: nn.Module) -> None:
    """Raise InputError for a network that would not compute the same feature again, or not from one clip alone."""
    if has_live_batch_norm(network) or getattr(network, "mixes_clips", False):
        raise InputError(
            "backbone.clips_per_pass computes every clip twice and apart from the others, and BatchNorm with live "
            "statistics does not allow it: say backbone.freeze_bn=true or backbone.clips_per_pass=null"
        )


def by_parts(function: Callable[[Tensor], Tensor], parts: Sequence[Part]) -> Tensor:
    """TODO of helper optim."""

    def one(part: Part) -> Tensor:
        return function(part())

    return torch.cat([checkpoint(one, part, use_reentrant=False) for part in parts])
