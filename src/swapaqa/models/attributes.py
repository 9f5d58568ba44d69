"""Heads that tell what a dive is: five classes of MTL-AQA's annotations (Parmar and Morris, CVPR 2019).

A multi-task method learns them beside the score, from the side `dive` (`swapaqa.data.dive_numbers.dive_attributes`). A
class that the heads have no place for (the published ones know no straight dive) teaches nothing.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = {"position": 3, "armstand": 2, "rotation": 4, "half_somersaults": 10, "half_twists": 8}
ROTATION = (-1, 1, 0, 3, 2)  # by direction, from 1: as MTL-AQA counts forward, back, reverse, inward
UNKNOWN = -100  # what PyTorch's cross-entropy leaves out


class AttributeHeads(nn.Module):
    """A linear readout for each attribute (110,619 parameters on 4096 features, as published)."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.read = nn.ModuleDict({name: nn.Linear(in_features, count) for name, count in CLASSES.items()})

    def forward(self, feature: Tensor) -> dict[str, Tensor]:
        """(N, in_features) -> logits (N, classes) of each attribute."""
        return {name: layer(feature) for name, layer in self.read.items()}


def attribute_targets(dive: Tensor) -> dict[str, Tensor]:
    """The class of each attribute (N,) int64, `UNKNOWN` where the heads have none.

    Args:
        dive: (N, 5) int64: armstand, direction, half somersaults, half twists, position.
    """
    armstand, direction, half_somersaults, half_twists, position = dive.unbind(dim=1)
    known = (direction >= 1) & (direction < len(ROTATION))
    rotation = torch.tensor(ROTATION, device=dive.device)[torch.where(known, direction, 0)]
    found = (position, armstand, rotation, half_somersaults, half_twists)
    return {
        name: torch.where((one >= 0) & (one < count), one, UNKNOWN)
        for (name, count), one in zip(CLASSES.items(), found, strict=True)
    }


def attribute_losses(logits: dict[str, Tensor], dive: Tensor) -> dict[str, Tensor]:
    """Cross-entropy of each attribute, means over the N videos: (N, classes) each, (N, 5) -> () each."""
    targets = attribute_targets(dive)
    return {
        name: F.cross_entropy(of_one, targets[name], ignore_index=UNKNOWN, reduction="sum") / len(dive)
        for name, of_one in logits.items()
    }
