"""The `clean` background: a donor's athlete replaced by the donor's background. It goes beyond the paper.

Eq. (4) leaves the donor's athlete in the new background, and the published code paints a hole there: either
way the network can find the donor's athlete, or where he was. Here his box is filled from the pixels around
it in the same frame, so that it holds for a camera that stands still and for one that pans with the athlete
(where a median over time shows a smear, and a frame nearby another place).

Each of the four sides of the box is mirrored into it, and the four mirror images are averaged with the
inverse square of the distance to their side as weight. So the fill has the background's texture, meets the
frame around it without a step, needs no iterations, and a mirrored frame gets the mirrored fill. A side that
touches the frame's edge has nothing to mirror and takes no part.

Of a mask the box around it is filled, and then only the pixels of the mask are taken from that: what lies between
it and its box is background, and stays.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from swapaqa.augment.region import inside_bounds, is_mask, mask_bounds


class _Mirrors(NamedTuple):
    """Along one axis, for n positions: which pixel each side of the box shows there, and its weight."""

    before: Tensor  # (..., n) int64 index of a pixel in front of the box
    after: Tensor  # (..., n) int64 index of a pixel behind the box
    before_weight: Tensor  # (..., n) float32, 0 where the box touches the frame's edge
    after_weight: Tensor  # (..., n) float32


def _fold(steps: Tensor, count: Tensor) -> Tensor:
    """The pixel `steps` pixels into a strip of `count`, reflected at either end: 0 1 2 2 1 0 0 1 ..."""
    phase = steps.remainder(2 * count)
    return torch.minimum(phase, 2 * count - 1 - phase)


def _mirrors(positions: Tensor, start: Tensor, stop: Tensor, length: int) -> _Mirrors:
    """positions (n,) on an axis of `length` pixels; the box runs from start to stop - 1, (...,) each."""
    start, stop = start.unsqueeze(-1), stop.unsqueeze(-1)
    from_start = (positions - start).clamp(min=0)  # outside the box any valid index will do
    from_stop = (stop - 1 - positions).clamp(min=0)
    behind = length - stop
    return _Mirrors(
        before=(start - 1 - _fold(from_start, start.clamp(min=1))).clamp(min=0),
        after=(stop + _fold(from_stop, behind.clamp(min=1))).clamp(max=length - 1),
        before_weight=(start > 0) / (from_start + 1).float().square(),
        after_weight=(behind > 0) / (from_stop + 1).float().square(),
    )


def _blend(rows: Tensor, columns: Tensor, x: _Mirrors, y: _Mirrors, colour: Tensor) -> Tensor:
    """The fill of h x w positions: rows (..., h, W) and columns (..., H, w) of the frame -> (..., h, w).

    The mirrors broadcast: of `x` (..., 1, w), of `y` (..., h, 1). `colour` (C, 1, 1) or (C, 1, 1, 1) is taken
    where no side has anything to show.
    """
    shape = (*rows.shape[:-1], columns.shape[-1])  # (..., h, w)
    exact = torch.promote_types(rows.dtype, torch.float32)
    left = rows.gather(-1, x.before.expand(shape)).to(exact).mul_(x.before_weight)
    right = rows.gather(-1, x.after.expand(shape)).to(exact).mul_(x.after_weight)
    above = columns.gather(-2, y.before.expand(shape)).to(exact).mul_(y.before_weight)
    below = columns.gather(-2, y.after.expand(shape)).to(exact).mul_(y.after_weight)
    weight = (x.before_weight + x.after_weight) + (y.before_weight + y.after_weight)
    # in pairs: floating addition commutes, so a flip of the frame flips the sum bit for bit
    total = left.add_(right).add_(above.add_(below)).div_(weight)
    total = torch.where(weight > 0, total, colour.to(exact))
    if rows.dtype.is_floating_point:
        return total
    return total.add_(0.5)  # the caller's cast truncates; round() starts threads for a few pixels, and waits for them


def fill_box(frame: Tensor, bounds: Sequence[int], colour: Tensor) -> None:
    """Fill one box of one frame in place: frame (C, H, W), left top right bottom as slices, colour (C,)."""
    left, top, right, bottom = bounds
    if left >= right or top >= bottom:
        return
    height, width = frame.shape[-2:]
    x = _mirrors(torch.arange(left, right), torch.tensor(left), torch.tensor(right), width)
    y = _mirrors(torch.arange(top, bottom), torch.tensor(top), torch.tensor(bottom), height)
    x, y = _Mirrors(*(part.view(1, 1, -1) for part in x)), _Mirrors(*(part.view(1, -1, 1) for part in y))
    filled = _blend(frame[:, top:bottom], frame[:, :, left:right], x, y, colour.view(-1, 1, 1))
    frame[:, top:bottom, left:right] = filled.to(frame.dtype)


def fill_boxes(video: Tensor, bounds: Tensor, colour: Tensor) -> Tensor:
    """`fill_box` on every frame without a loop: video (B, C, T, H, W), bounds (B, T, 4) int64 -> a new video.

    Every pixel of the frame is computed and only the boxes are taken: for devices where that is cheap and a
    loop is not.
    """
    height, width = video.shape[-2:]
    columns, rows = torch.arange(width, device=video.device), torch.arange(height, device=video.device)
    left, top, right, bottom = bounds.unbind(-1)  # (B, T)
    x = _Mirrors(*(part[:, None, :, None, :] for part in _mirrors(columns, left, right, width)))
    y = _Mirrors(*(part[:, None, :, :, None] for part in _mirrors(rows, top, bottom, height)))
    filled = _blend(video, video, x, y, colour.view(-1, 1, 1, 1)).to(video.dtype)
    return torch.where(inside_bounds(bounds, (height, width)), filled, video)


def fill_pixels(frame: Tensor, pixels: Tensor, colour: Tensor) -> None:
    """Fill what is the athlete in one frame in place: `fill_box`, of a mask without what is background in its box.

    frame (C, H, W); pixels (4,) as slices or (H, W) bool; colour (C,).
    """
    if not is_mask(pixels):
        fill_box(frame, pixels.tolist(), colour)
        return
    before = frame.clone()
    fill_box(frame, mask_bounds(pixels).tolist(), colour)
    torch.where(pixels, frame, before, out=frame)


def fill_region(video: Tensor, pixels: Tensor, colour: Tensor) -> Tensor:
    """`fill_pixels` on every frame without a loop, as `fill_boxes`; pixels (B, T, 4) or (B, T, H, W) bool."""
    if not is_mask(pixels):
        return fill_boxes(video, pixels, colour)
    return torch.where(pixels.unsqueeze(1), fill_boxes(video, mask_bounds(pixels), colour), video)
