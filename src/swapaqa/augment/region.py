"""Where a video's athlete is: boxes or a mask, and Eq. (1) to (3) of the swap for either.

A region is one tensor, and its dtype says which it is: boxes (..., T, 4) of numbers, x1 y1 x2 y2 as inclusive pixel
indices, or a mask (..., T, H, W) of bool on the video's own grid, True on the athlete. Letters as in `swapaqa.batch`.

Boxes are grown about their centre, Eq. (2). A mask is grown by the steps that the box around it takes: each of its
pixels becomes a rectangle. So the box around a grown mask is the grown box, and a mask that is a full rectangle has the
pixels of that box at every ratio. The other reading, the outline scaled about its centre, loses pixels of the athlete
wherever a line from the centre leaves the mask, as between two legs.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

try:
    import cv2
except ImportError:  # who takes only the swap may have none: the device's way gives the same
    cv2 = None  # type: ignore[assignment]


def is_mask(region: Tensor) -> bool:
    """Whether a region is a mask, and not boxes."""
    return region.dtype == torch.bool


def scale_boxes(boxes: Tensor, ratio: float, size: tuple[int, int]) -> Tensor:
    """Eq. (2): boxes grown about their centre by `ratio` and limited to the frame.

    boxes (..., 4) in pixels, size (H, W) -> (..., 4), real-valued, of the same dtype (float32 if that was not
    float32 or float64); lower ends at least 0, upper ends at most W and H. A result with min > max holds no
    pixel. Such is (1, 1, 0, 0), the result for a box wholly outside the frame before scaling (it ends before
    pixel 0, or starts after the last one): to grow it could reach into the frame, where its athlete is not.

    Computed in float64 and rounded once, so that in float32 a box of 20 pixels at ratio 1.1 has 22, not
    21.999998.
    """
    height, width = size
    x1, y1, x2, y2 = boxes.to(torch.float64).unbind(dim=-1)
    outside = (x2 < 0) | (x1 > width - 1) | (y2 < 0) | (y1 > height - 1)
    # the paper's centre -+ ratio * width / 2, rearranged so that ratio 1 changes no bit
    grow_x, grow_y = (x2 - x1) * ((ratio - 1) / 2), (y2 - y1) * ((ratio - 1) / 2)
    low = torch.stack([x1 - grow_x, y1 - grow_y], dim=-1).clamp(min=0)
    high = torch.stack([(x2 + grow_x).clamp(max=width), (y2 + grow_y).clamp(max=height)], dim=-1)
    outside = outside.unsqueeze(-1)
    scaled = torch.cat([low.masked_fill(outside, 1.0), high.masked_fill(outside, 0.0)], dim=-1)
    return scaled.to(boxes.dtype if boxes.dtype in (torch.float32, torch.float64) else torch.float32)


def scale_mask(mask: Tensor, ratio: float) -> Tensor:
    """Eq. (2) for masks (..., H, W) bool: grown (`ratio` above 1) or shrunk (below 1) as the box around each would be.

    `mask` itself at ratio 1. The box is that of what the frame shows of the athlete. What lies outside of the frame is
    no athlete, and an empty mask stays empty.
    """
    if ratio == 1:
        return mask
    return _scaled_by_opencv(mask, ratio) if _for_opencv(mask) else _scaled_by_sums(mask, ratio)


def _for_opencv(mask: Tensor) -> bool:
    return cv2 is not None and mask.device.type == "cpu"


def _scaled_by_sums(mask: Tensor, ratio: float) -> Tensor:
    """The device's way: no value is read back."""
    left, top, right, bottom = mask_bounds(mask).unbind(-1)
    height, width = mask.shape[-2:]
    across = _grown(mask, _steps(right - 1 - left, ratio, width), ratio)
    return _grown(across.mT.contiguous(), _steps(bottom - 1 - top, ratio, height), ratio).mT


def _steps(extent: Tensor, ratio: float, length: int) -> Tensor:
    """By how many pixels each end moves: (...) int64 of extents (...), the last pixel's index less the first's."""
    reach = (extent.double() * (abs(ratio - 1) / 2)).round(decimals=4).clamp(0, length)  # rounded as `pixel_bounds`
    return (reach.floor() if ratio > 1 else reach.ceil()).long()


def _scaled_by_opencv(mask: Tensor, ratio: float) -> Tensor:
    """The CPU's way: dilation or erosion by a rectangle, each in the part of its frame that it concerns."""
    frames = mask.reshape(-1, *mask.shape[-2:]).contiguous().view(torch.uint8).numpy()
    scaled, (height, width) = np.zeros_like(frames), mask.shape[-2:]
    around = np.array([cv2.boundingRect(frame) for frame in frames], np.int64).reshape(-1, 4)
    extents = torch.from_numpy((around[:, 2:] - 1).clip(min=0))
    across, down = (_steps(extents[:, axis], ratio, (width, height)[axis]).tolist() for axis in (0, 1))
    change, beside = (cv2.dilate, 1) if ratio > 1 else (cv2.erode, 0)
    for frame, onto, (x, y, w, h), dx, dy in zip(frames, scaled, around.tolist(), across, down, strict=True):
        rows = slice(max(0, y - beside * dy), y + h + beside * dy)
        columns = slice(max(0, x - beside * dx), x + w + beside * dx)
        if w and h:
            rectangle = np.ones((2 * dy + 1, 2 * dx + 1), np.uint8)
            onto[rows, columns] = change(frame[rows, columns], rectangle, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return torch.from_numpy(scaled).view(torch.bool).view(mask.shape)


def _grown(mask: Tensor, steps: Tensor, ratio: float) -> Tensor:
    """Along the last dimension, by `steps` (...) pixels on either side."""
    length, steps = mask.shape[-1], steps[..., None, None]
    at = torch.arange(length, device=mask.device)
    before = F.pad(mask.cumsum(-1, dtype=torch.int16), (1, 0))  # how many are True before each pixel
    first, last = (at - steps).clamp(min=0), (at + steps + 1).clamp(max=length)
    around = before.gather(-1, last.expand(mask.shape)) - before.gather(-1, first.expand(mask.shape))
    return around > 0 if ratio > 1 else around == 2 * steps + 1


def scale_region(region: Tensor, ratio: float, size: tuple[int, int]) -> Tensor:
    """Eq. (2): `scale_boxes` or `scale_mask`; `size` (H, W) of the frame."""
    return scale_mask(region, ratio) if is_mask(region) else scale_boxes(region, ratio, size)


def pixel_bounds(boxes: Tensor, ratio: float, size: tuple[int, int], *, truncate: bool) -> Tensor:
    """Eq. (3): the pixels inside the scaled boxes, as slices.

    boxes (..., 4), size (H, W) -> (..., 4) int64 left, top, right, bottom: columns left to right - 1 and rows
    top to bottom - 1, all within the frame; none where left >= right or top >= bottom. `truncate` is the
    published code's reading of a fractional lower edge, floor instead of ceil.

    Bounds are rounded to 1e-4 pixel first, about what float32 coordinates carry: an 80 % box at ratio 1.25 covers the
    whole frame and not all but its first column.
    """
    height, width = size
    scaled = scale_boxes(boxes.double(), ratio, size).round(decimals=4)
    low, high = scaled[..., :2], scaled[..., 2:].floor() + 1
    low = low.floor() if truncate else low.ceil()
    left, top = low[..., 0].clamp(0, width), low[..., 1].clamp(0, height)
    right, bottom = high[..., 0].clamp(0, width), high[..., 1].clamp(0, height)
    return torch.stack([left, top, right, bottom], dim=-1).to(torch.int64)


def region_pixels(region: Tensor, ratio: float, size: tuple[int, int], *, truncate: bool = False) -> Tensor:
    """Eq. (3) for either: the `pixel_bounds` of boxes, or the scaled mask, whose edges are whole pixels anyway."""
    return scale_mask(region, ratio) if is_mask(region) else pixel_bounds(region, ratio, size, truncate=truncate)


def mask_bounds(mask: Tensor) -> Tensor:
    """The box around each mask (..., H, W) bool, as slices: (..., 4) int64 left top right bottom; 0 0 0 0 of none."""
    sides = []
    for along in (mask.any(-2), mask.any(-1)):  # (..., W) and (..., H)
        some, whole = along.any(-1), along.shape[-1]
        first = along.int().argmax(-1)  # the first of the largest
        behind = whole - along.flip(-1).int().argmax(-1)
        sides.append((first, behind.where(some, 0)))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], dim=-1)


def inside_bounds(bounds: Tensor, size: tuple[int, int]) -> Tensor:
    """bounds (B, T, 4) int64, size (H, W) -> (B, 1, T, H, W) bool: True where the slices select the pixel."""
    columns = torch.arange(size[1], device=bounds.device)
    rows = torch.arange(size[0], device=bounds.device)
    left, top, right, bottom = (side[..., None] for side in bounds.unbind(-1))  # (B, T, 1)
    across = (columns >= left) & (columns < right)  # (B, T, W)
    down = (rows >= top) & (rows < bottom)  # (B, T, H)
    return (down[..., :, None] & across[..., None, :]).unsqueeze(1)


def inside(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """`region_pixels` of a batch, frames of size (H, W) -> (B, 1, T, H, W) bool."""
    return pixels.unsqueeze(1) if is_mask(pixels) else inside_bounds(pixels, size)


def near_counts(kept: Tensor, edge: int) -> Tensor:
    """Of the square of 2 edge + 1 pixels a side around each pixel, how many are True: (..., H, W) bool -> int32.

    What lies beyond the frame is as the frame's nearest pixel.
    """
    return _counted_by_opencv(kept, edge) if _for_opencv(kept) else _counted_by_sums(kept, edge)


def _counted_by_opencv(kept: Tensor, edge: int) -> Tensor:
    """The CPU's way."""
    frames = kept.reshape(-1, *kept.shape[-2:]).contiguous().view(torch.uint8).numpy()
    counts, square = np.empty(frames.shape, np.int32), (2 * edge + 1, 2 * edge + 1)
    for frame, onto in zip(frames, counts, strict=True):
        cv2.boxFilter(frame, cv2.CV_32S, square, onto, normalize=False, borderType=cv2.BORDER_REPLICATE)
    return torch.from_numpy(counts).view(kept.shape)


def _counted_by_sums(kept: Tensor, edge: int) -> Tensor:
    """The device's way."""
    height, width = kept.shape[-2:]
    rows = torch.arange(-edge, height + edge, device=kept.device).clamp(0, height - 1)
    columns = torch.arange(-edge, width + edge, device=kept.device).clamp(0, width - 1)
    wide = kept.to(torch.int32)[..., rows, :][..., columns]
    for along in (-1, -2):
        before = F.pad(wide.mT if along == -2 else wide, (1, 0)).cumsum(-1, dtype=torch.int32)
        wide = before[..., 2 * edge + 1 :] - before[..., : -2 * edge - 1]
    return wide.mT


def count_inside(pixels: Tensor) -> Tensor:
    """`region_pixels` of videos (..., T, 4) or (..., T, H, W) -> (...) int64, the number of pixels in all frames."""
    if is_mask(pixels):
        return pixels.sum(dim=(-3, -2, -1))
    left, top, right, bottom = pixels.unbind(dim=-1)
    return ((right - left).clamp(min=0) * (bottom - top).clamp(min=0)).sum(dim=-1)
