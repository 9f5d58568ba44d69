"""Activation checkpointing over groups of inputs: each group is computed once more in the backward pass.

A video's clips pass the backbone apart and meet again as features, which are small. `torch.utils.checkpoint` keeps of
each group's forward pass nothing but the inputs and the state of the random numbers; when the backward pass comes to
the group, it is computed again from both, with its graph, which is gone before the next one comes. So Dropout and
stochastic depth draw the same twice. It costs one more forward pass, a third of a training step.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from swapaqa.errors import InputError
from swapaqa.models.batch_norm import has_live_batch_norm

Item = TypeVar("Item")


def refuse_to_recompute(network: nn.Module) -> None:
    """Raise InputError for a network whose feature of a clip depends on the other clips of the pass."""
    if getattr(network, "mixes_clips", False):
        raise InputError(
            f"backbone.clips_per_pass computes clips apart from each other, and a feature of {type(network).__name__} "
            "depends on the other clips of a pass: say backbone.clips_per_pass=null"
        )
    if has_live_batch_norm(network):
        raise InputError(
            "backbone.clips_per_pass computes every clip twice and apart from the others, and BatchNorm with live "
            "statistics does not allow it: say backbone.freeze_bn=true or backbone.clips_per_pass=null"
        )


def recomputed_in_groups(function: Callable[[Sequence[Item]], Tensor], items: Sequence[Item], size: int) -> Tensor:
    """`function` of all items, with the graph of `size` of them in memory at a time.

    Where no gradient is asked for this is a loop over the groups and nothing more. Weights must not change between the
    forward and the backward pass.

    Args:
        function: n items -> (n, D), each row from its own item. What it makes of the items, as floats of bytes, is made
            in both passes and not kept.
        items: N in all; what they refer to is kept, and must stay as it is until the backward pass.
        size: of a group, at least 1.

    Returns:
        (N, D). A parameter's gradient is the sum over the groups, and its hooks see it once.
    """
    groups = (items[first : first + size] for first in range(0, len(items), size))
    return torch.cat([checkpoint(function, group, use_reentrant=False) for group in groups])
