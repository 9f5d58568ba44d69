"""What a probe shows to the network: the same video under conditions that take away the athlete or the background.

All work on bytes, before normalisation: videos (C, T, H, W) uint8 in any stride order, boxes (T, 4) on their grid, and
return a new video. The athlete is what the box scaled by `ratio` holds, Eq. (2) of the swap, and the background the
rest. Where an athlete is taken away, the scaled box is filled from its surroundings, as the swap's variant `clean` does
with the unscaled one: limbs that a tight box cuts would show beside the other athlete.
"""

from typing import Literal

import torch
from torch import Tensor

from swapaqa.augment.background import fill_box, inside_bounds
from swapaqa.augment.swap import pixel_bounds, swap_background
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
    bounds = pixel_bounds(boxes, ratio, (video.shape[2], video.shape[3]), truncate=False)
    for frame, own in zip(removed.unbind(1), bounds.tolist(), strict=True):
        fill_box(frame, own, _grey(video))
    return removed


def isolate_athlete(video: Tensor, boxes: Tensor, ratio: float) -> Tensor:
    """The pixels inside the scaled box, everything else one grey."""
    size = (video.shape[2], video.shape[3])
    inside = inside_bounds(pixel_bounds(boxes, ratio, size, truncate=False)[None], size)[0]  # (1, T, H, W)
    return torch.where(inside, video, _grey(video).view(-1, 1, 1, 1))


def covered_share(boxes: Tensor, ratio: float, size: tuple[int, int]) -> float:
    """Share of a video's pixels inside its scaled boxes: 0 leaves no athlete to keep, 1 no background to exchange."""
    left, top, right, bottom = pixel_bounds(boxes, ratio, size, truncate=False).unbind(-1)
    inside = (right - left).clamp(min=0) * (bottom - top).clamp(min=0)
    return float(inside.sum()) / (len(boxes) * size[0] * size[1])


def _grey(video: Tensor) -> Tensor:
    return torch.tensor([round(value) for value in GREY], dtype=video.dtype)
