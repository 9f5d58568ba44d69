"""The swap and the normalisation in one pass: bytes in, a network's numbers out.

On a CUDA device with Triton one kernel reads each byte once and writes each number once
(`swapaqa.augment.fused_triton`). Everywhere else torch says the same in two steps: `swap_background`, then
(p / 255 - mean) / std. That form is also what the kernel is tested against. Letters as in `swapaqa.batch`.
"""

import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from swapaqa.augment.swap import Fill, Variant, swap_background

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
CPU_FRAMES = 4  # normalised together: their float32 stays in the cache, a whole video's is eight times as slow

HAS_TRITON = importlib.util.find_spec("triton") is not None


class Clips(NamedTuple):
    """Which frames a network sees together: n clips of `length` frames, which may overlap."""

    starts: Sequence[int]  # n first frames
    length: int


class Form(NamedTuple):
    """What is to be done to a batch; `swap_and_normalise` explains each."""

    ratio: float
    mean: Sequence[float]
    std: Sequence[float]
    dtype: torch.dtype
    variant: Variant
    fill: Fill
    clips: Clips | None


@torch.no_grad()
def swap_and_normalise(  # noqa: PLR0913
    video: Tensor,
    boxes: Tensor,
    donors: Tensor,
    *,
    ratio: float,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype,
    variant: Variant = "paper",
    fill: Fill = 0,
    clips: Clips | None = None,
) -> Tensor:
    """Eq. (4) on bytes, then (p / 255 - mean) / std per channel.

    Args:
        video: (B, C, T, H, W) uint8 in any stride order. The kernel wants each frame to lie in memory as (H, W, C), as
            the loader's batches do; on other orders torch does the work.
        boxes: (B, T, 4), x1 y1 x2 y2, inclusive pixels of `video`.
        donors: (B,) int64, positions in the batch.
        ratio: how much a box is grown.
        mean: C numbers, of values in [0, 1].
        std: C numbers above 0.
        dtype: bfloat16, float16 or float32. The arithmetic is float32. The kernel multiplies by 1 / std, which in
            float32 may change the last bit.
        variant: `paper`, `official` or `clean`, see `swapaqa.augment.swap`.
        fill: in bytes, see `swap_background`.
        clips: where given, the video is returned as these clips.

    Returns:
        (B, C, T, H, W) of `dtype` in the stride order of `video`; with `clips` (B * n, C, length, H, W), the n clips of
        the first video, then of the second, channels last in memory.

    Raises:
        InputError: as `swap_background`.
        ValueError: shapes, `mean`, `std`, `dtype` or clips that do not fit.
    """
    form = Form(ratio, mean, std, dtype, variant, fill, clips)
    _check(video, form)
    if HAS_TRITON and video.is_cuda and interleaved(video):
        from swapaqa.augment.fused_triton import swap_by_kernel  # here: it cannot be imported without Triton

        return swap_by_kernel(video, boxes, donors, form)
    return swap_by_torch(video, boxes, donors, form)


def interleaved(video: Tensor) -> bool:
    """Whether each frame of `video` (B, C, T, H, W) lies in memory as (H, W, C), without gaps."""
    _, channels, _, _, width = video.shape
    return (video.stride(1), video.stride(4), video.stride(3)) == (1, channels, channels * width)


def _check(video: Tensor, form: Form) -> None:
    if video.ndim != 5 or video.dtype != torch.uint8:
        raise ValueError(f"video must be (B, C, T, H, W) bytes (uint8), not {tuple(video.shape)} {video.dtype}")
    channels, frames = video.shape[1:3]
    if not len(form.mean) == len(form.std) == channels or min(form.std) <= 0:
        raise ValueError(f"{channels} channels need as many mean and std, std above 0, not {form.mean} and {form.std}")
    if form.dtype not in DTYPES:
        raise ValueError(f"dtype must be bfloat16, float16 or float32, not {form.dtype}")
    if form.clips is not None:
        starts, length = form.clips
        if length < 1 or not starts or min(starts) < 0 or max(starts) > frames - length:
            raise ValueError(f"clips of {length} frames that start at {list(starts)} are not within {frames} frames")


def swap_by_torch(video: Tensor, boxes: Tensor, donors: Tensor, form: Form) -> Tensor:
    """`swap_and_normalise` with torch, on any device."""
    swapped = swap_background(video, boxes, donors, ratio=form.ratio, variant=form.variant, fill=form.fill)
    out = _normalise(swapped, form)
    return out if form.clips is None else _cut(out, form.clips)


def _normalise(video: Tensor, form: Form) -> Tensor:
    shift, scale = (_as_a_row(values, video) for values in (form.mean, form.std))
    out = torch.empty_like(video, dtype=form.dtype)
    frames = CPU_FRAMES if video.device.type == "cpu" else video.shape[2]
    for normalised, taken in zip(out, video, strict=True):  # (C, T, H, W)
        for numbers, some in zip(normalised.split(frames, dim=1), taken.split(frames, dim=1), strict=True):
            numbers.copy_(some.float().sub_(shift).div_(scale))
    return out


def _as_a_row(values: Sequence[float], video: Tensor) -> Tensor:
    """255 times C values, as (C, 1, 1, W) float32 in the stride order of `video`.

    A whole row, because torch takes long steps along the innermost dimension in memory, and that may be only C long.
    """
    row = torch.empty_like(video[0, :, :1, :1], dtype=torch.float32)
    return row.copy_(times_255(values), non_blocking=True)


def times_255(values: Sequence[float]) -> Tensor:
    """C values as (C, 1, 1, 1) float32, in units of bytes."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1) * 255


def _cut(video: Tensor, clips: Clips) -> Tensor:
    """(B, C, T, H, W) -> (B * n, C, length, H, W), channels last in memory."""
    frames = video.movedim(1, -1)  # (B, T, H, W, C)
    cut = torch.stack([frames[:, start : start + clips.length] for start in clips.starts], dim=1)
    return cut.contiguous().flatten(0, 1).movedim(-1, 1)  # from (B, n, length, H, W, C)
