"""No augmentation, behind the interface of every augmentation."""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from swapaqa.augment.donors import Pool


class NoPlan(NamedTuple):
    """Nothing is random."""


class NoAugmentation:
    """Leaves video and targets as they are: the baseline of every comparison."""

    mixes_targets: ClassVar[bool] = False
    replaces_pixels: ClassVar[bool] = False
    pool: ClassVar[Pool] = "local"

    def draw(self, batch_size: int, generator: torch.Generator) -> NoPlan:  # noqa: ARG002
        """Draws nothing."""
        return NoPlan()

    def apply(
        self,
        video: Tensor,
        boxes: Tensor,  # noqa: ARG002
        targets: dict[str, Tensor],
        plan: NoPlan,  # noqa: ARG002
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The same two objects."""
        return video, targets

    def __call__(
        self, video: Tensor, boxes: Tensor, targets: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return self.apply(video, boxes, targets, self.draw(video.shape[0], generator))

    def replaced_share(self, boxes: Tensor, size: tuple[int, int], plan: NoPlan) -> Tensor:  # noqa: ARG002
        """(B,) float32 zeros on the boxes' device."""
        return torch.zeros(boxes.shape[0], device=boxes.device)
