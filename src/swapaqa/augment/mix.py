"""Video Mixup and video CutMix: the two mixing augmentations the swap is compared with.

Zhang et al., "mixup", ICLR 2018 (arXiv 1710.09412) and Yun et al., "CutMix", ICCV 2019 (arXiv 1905.04899),
carried to videos: all frames of a video share one weight or one box. Letters as in `swapaqa.batch`.

Targets are scores, so they are mixed as numbers: every floating target becomes
share * own + (1 - share) * donor's, with the share of the own video that is really in the result (for CutMix
after its box is rounded to pixels and cut at the frame). Integer targets (an index, an action) stay. That has
a meaning where the target is a number on one scale; where it is not (CoRe's groups by difficulty) the caller
refuses, by `mixes_targets`.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from swapaqa.augment.donors import DonorRule, Pool, check_donor_rule, draw_donors, zero_if_own_donor
from swapaqa.errors import InputError


class MixupPlan(NamedTuple):
    """All that is random about one Mixup, on the CPU."""

    donors: Tensor  # (B,) int64
    share: Tensor  # (B,) float64, weight of the own video


class CutMixPlan(NamedTuple):
    """All that is random about one CutMix, on the CPU."""

    donors: Tensor  # (B,) int64
    share: Tensor  # (B,) float64, share of the frame to keep, before the box is rounded and cut
    centre: Tensor  # (B, 2) float64, x and y of the donor's box as fractions of the frame


def draw_shares(batch_size: int, alpha: float, generator: torch.Generator) -> Tensor:
    """(B,) float64 from Beta(alpha, alpha), one per video."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))  # torch's Beta takes no generator, NumPy's does
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, batch_size))


def mix_targets(targets: dict[str, Tensor], donors: Tensor, share: Tensor) -> dict[str, Tensor]:
    """Each floating target (B, ...) moved towards the donor's by 1 - share (B,); integer targets stay."""
    mixed = dict(targets)
    for name, own in targets.items():
        if own.dtype.is_floating_point:
            other = own[donors.to(own.device)]
            weight = (1 - share).to(own.device, own.dtype).view(-1, *[1] * (own.ndim - 1))
            mixed[name] = own + weight * (other - own)
    return mixed


def cut_boxes(plan: CutMixPlan, size: tuple[int, int]) -> Tensor:
    """size (H, W) -> (B, 4) int64 left top right bottom as slices: the part of each video its donor gives.

    Sides sqrt(1 - share) of the frame's, rounded down, about the drawn centre, cut at the frame.
    """
    extent = torch.tensor([size[1], size[0]], dtype=torch.float64)  # W H
    side = (extent * (1 - plan.share).sqrt().unsqueeze(1)).long()  # (B, 2)
    low = (plan.centre * extent).long() - side // 2
    high = low + side
    limit = extent.long()
    return torch.cat([low.clamp(min=0), torch.minimum(high, limit)], dim=1)


def kept_share(bounds: Tensor, size: tuple[int, int]) -> Tensor:
    """bounds (B, 4) as from `cut_boxes`, size (H, W) -> (B,) float64, the share of the frame outside."""
    area = (bounds[:, 2:] - bounds[:, :2]).prod(dim=1)
    return 1 - area.double() / (size[0] * size[1])


def _check_alpha(alpha: float) -> None:
    if not (math.isfinite(alpha) and alpha > 0):
        raise InputError(f"aug.alpha={alpha} is no parameter of a Beta distribution: give a number above 0")


@dataclass(frozen=True)
class VideoMixup:
    """Each video becomes share * own + (1 - share) * donor, share from Beta(alpha, alpha); bytes round."""

    mixes_targets: ClassVar[bool] = True
    replaces_pixels: ClassVar[bool] = True

    alpha: float = 1.0
    donors: DonorRule = "derangement"
    pool: Pool = "local"

    def __post_init__(self) -> None:
        _check_alpha(self.alpha)
        check_donor_rule(self.donors)

    def draw(self, batch_size: int, generator: torch.Generator) -> MixupPlan:
        """All the randomness of one call."""
        donors = draw_donors(batch_size, self.donors, generator)
        return MixupPlan(donors, draw_shares(batch_size, self.alpha, generator))

    @torch.no_grad()
    def apply(
        self,
        video: Tensor,
        boxes: Tensor,  # noqa: ARG002
        targets: dict[str, Tensor],
        plan: MixupPlan,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """video (B, C, T, H, W) -> a new video of the same dtype and stride order, mixed targets."""
        mixed = torch.empty_like(video)
        for sample, (donor, share) in enumerate(zip(plan.donors.tolist(), plan.share.tolist(), strict=True)):
            mixed[sample] = _blend(video[sample], video[donor], share)
        return mixed, mix_targets(targets, plan.donors, plan.share)

    def __call__(
        self, video: Tensor, boxes: Tensor, targets: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return self.apply(video, boxes, targets, self.draw(video.shape[0], generator))

    def replaced_share(self, boxes: Tensor, size: tuple[int, int], plan: MixupPlan) -> Tensor:  # noqa: ARG002
        """(B,) float32 on the boxes' device: the donor's weight, 0 for a video's own donor."""
        return zero_if_own_donor(1 - plan.share, plan.donors).float().to(boxes.device)


def _blend(own: Tensor, other: Tensor, share: float) -> Tensor:
    if own.dtype.is_floating_point:
        return torch.lerp(own, other, 1 - share)
    return torch.lerp(own.float(), other.float(), 1 - share).round_()  # assigning it brings it back to bytes


@dataclass(frozen=True)
class VideoCutMix:
    """Each video gets one rectangle, the same in all frames, from its donor: 1 - share of the frame.

    The share is drawn from Beta(alpha, alpha), the rectangle's centre is uniform.
    """

    mixes_targets: ClassVar[bool] = True
    replaces_pixels: ClassVar[bool] = True

    alpha: float = 1.0
    donors: DonorRule = "derangement"
    pool: Pool = "local"

    def __post_init__(self) -> None:
        _check_alpha(self.alpha)
        check_donor_rule(self.donors)

    def draw(self, batch_size: int, generator: torch.Generator) -> CutMixPlan:
        """All the randomness of one call."""
        donors = draw_donors(batch_size, self.donors, generator)
        share = draw_shares(batch_size, self.alpha, generator)
        centre = torch.rand(batch_size, 2, dtype=torch.float64, generator=generator)
        return CutMixPlan(donors, share, centre)

    @torch.no_grad()
    def apply(
        self,
        video: Tensor,
        boxes: Tensor,  # noqa: ARG002
        targets: dict[str, Tensor],
        plan: CutMixPlan,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """video (B, C, T, H, W) -> a new video of the same dtype and stride order, mixed targets."""
        size = (video.shape[3], video.shape[4])
        bounds = cut_boxes(plan, size)
        mixed = torch.empty_like(video).copy_(video)
        for sample, donor in enumerate(plan.donors.tolist()):
            left, top, right, bottom = bounds[sample].tolist()
            mixed[sample, ..., top:bottom, left:right] = video[donor, ..., top:bottom, left:right]
        return mixed, mix_targets(targets, plan.donors, kept_share(bounds, size))

    def __call__(
        self, video: Tensor, boxes: Tensor, targets: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return self.apply(video, boxes, targets, self.draw(video.shape[0], generator))

    def replaced_share(self, boxes: Tensor, size: tuple[int, int], plan: CutMixPlan) -> Tensor:
        """(B,) float32 on the boxes' device: the rectangle's area over the frame's, 0 for an own donor."""
        share = 1 - kept_share(cut_boxes(plan, size), size)
        return zero_if_own_donor(share, plan.donors).float().to(boxes.device)
