"""Conditions of a probe: the same video without its athlete, without its background, or with another one.

All work on bytes, before normalisation: videos (C, T, H, W) uint8 in any stride order, boxes (T, 4) on their grid or
a mask (T, H, W) bool in their place, and return a new video. The athlete is what the box scaled by `ratio` holds,
Eq. (2) of the swap, and the background the rest. Where an athlete is taken away, the scaled box is filled from its
surroundings, as the swap's variant `clean` does with the unscaled one: limbs that a tight box cuts would show beside
the other athlete.
"""

from typing import Literal

import torch
from torch import Tensor

from swapaqa.augment.background import fill_pixels
from swapaqa.augment.region import count_inside, inside, region_pixels
from swapaqa.augment.swap import swap_background
from swapaqa.models.normalisation import IMAGENET

Condition = Literal["as_is", "removed", "alone", "exchanged"]
WORDS: dict[Condition, str] = {
    "as_is": "as it is",
    "exchanged": "other background",
    "removed": "athlete removed",
    "alone": "athlete alone",
}
GREY = [255 * mean for mean in IMAGENET.mean]  # 0 for a network that normalises with ImageNet's mean


def exchange_background(
    video: Tensor, boxes: Tensor, background: Tensor, background_boxes: Tensor, ratio: float
) -> Tensor:
    """The athlete in front of another video, from which `remove_athlete` has taken its own."""
    pool = torch.stack([one.movedim(0, -1) for one in (video, remove_athlete(background, background_boxes, ratio))])
    both, donors = torch.stack([boxes, background_boxes]), torch.tensor([1, 1])
    return swap_background(pool.movedim(-1, 1), both, donors, ratio=ratio)[0]


def remove_athlete(video: Tensor, boxes: Tensor, ratio: float) -> Tensor:
    """The scaled box filled from the pixels around it; grey where it covers the whole frame."""
    removed = video.clone(memory_format=torch.preserve_format)
    pixels = region_pixels(boxes, ratio, (video.shape[2], video.shape[3]))
    for frame, own in zip(removed.unbind(1), pixels, strict=True):
        fill_pixels(frame, own, _grey(video))
    return removed


def isolate_athlete(video: Tensor, boxes: Tensor, ratio: float) -> Tensor:
    """The pixels inside the scaled box, everything else one grey."""
    size = (video.shape[2], video.shape[3])
    athlete = inside(region_pixels(boxes, ratio, size)[None], size)[0]  # (1, T, H, W)
    return torch.where(athlete, video, _grey(video).view(-1, 1, 1, 1))


def covered_share(boxes: Tensor, ratio: float, size: tuple[int, int]) -> float:
    """Share of a video's pixels inside its scaled boxes: 0 leaves no athlete to keep, 1 no background to exchange."""
    return float(count_inside(region_pixels(boxes, ratio, size))) / (len(boxes) * size[0] * size[1])


def _grey(video: Tensor) -> Tensor:
    return torch.tensor([round(value) for value in GREY], dtype=video.dtype)
