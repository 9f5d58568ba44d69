"""Normalisation of bytes to a network's input."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor


class Normalisation(NamedTuple):
    """(p / 255 - mean) / std per channel, RGB."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # as every AQA method feeds its backbone
PLUS_MINUS_ONE = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # what I3D's Kinetics weights were trained on
KINETICS = Normalisation((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))  # torchvision's R(2+1)D and S3D
SLOWFAST = Normalisation((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))  # PySlowFast: MViT, TimeSformer
Named = Literal["imagenet", "pm1", "kinetics", "slowfast"]
BY_NAME: dict[Named, Normalisation] = {
    "imagenet": IMAGENET,
    "pm1": PLUS_MINUS_ONE,
    "kinetics": KINETICS,
    "slowfast": SLOWFAST,
}


def normalise(video: Tensor, convention: Normalisation, dtype: torch.dtype = torch.float32) -> Tensor:
    """Bytes to the numbers a network expects.

    Args:
        video: (..., 3, T, H, W) uint8, RGB.
        convention: mean and deviation of each channel.
        dtype: floating type of the result; the arithmetic is float32 at least.

    Returns:
        Same shape and stride order.
    """
    if video.dtype != torch.uint8:
        raise TypeError(f"normalise takes bytes (uint8), not {video.dtype}")
    working = torch.promote_types(dtype, torch.float32)
    shift, scale = (
        torch.tensor(values, dtype=working).mul(255).to(video.device, non_blocking=True) for values in convention
    )
    rows = video.movedim(-4, -1)  # (..., T, H, W, 3)
    if not rows.is_contiguous():
        return video.to(working).sub_(shift.view(3, 1, 1, 1)).div_(scale.view(3, 1, 1, 1)).to(dtype)
    # Whole rows of pixels: on a CPU an operation along an axis of three takes twice the time.
    width = rows.shape[-2]
    wide = rows.flatten(-2).to(working).sub_(shift.repeat(width)).div_(scale.repeat(width)).to(dtype)
    pixels: Tensor = wide.unflatten(-1, (width, 3))
    return pixels.movedim(-1, -4)
