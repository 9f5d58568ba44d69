"""The Scaled Background Swap (SBS): a video keeps its athlete and takes the background of another video.

Zhang et al., "Scaled Background Swap", ACM TOMM 2025, doi 10.1145/3737461, Eq. (1) to (4). Letters as in
`swapaqa.batch`: B videos, C channels, T frames, H rows, W columns. Boxes are x1 y1 x2 y2, inclusive pixel
indices. A mask may stand in the place of the boxes, see `swapaqa.augment.region`.

The three variants keep the same thing, the pixels inside a video's own scaled box, and differ in what they do
about the donor's athlete, who would otherwise stay in the new background:

- `paper`: nothing, as Eq. (4) says. Eq. (3) is taken literally: columns ceil(xmin) to floor(xmax).
- `official`: the donor's own, unscaled box is painted with one colour, and edges are truncated: columns
  floor(xmin) to floor(xmax), one more on the left and the top when they are fractional. The published code's
  faults are left out: negative indices that wrap, a fixed length of 103 frames, masks that only a CUDA device
  can hold.
- `clean`: goes beyond the paper. The donor's own box is filled from the donor's background
  (`swapaqa.augment.background`); edges as in `paper`.

On the CPU rectangles are pasted into a copy of the donor, bytes to bytes, at about the cost of two plain
copies; a mask is pasted pixel by pixel, which costs more. On another device the same integer bounds are compared
with index ranges: no value is read back, no frame is looped over.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from swapaqa.augment.background import fill_pixels, fill_region
from swapaqa.augment.donors import DonorRule, Pool, check_donor_rule, draw_donors, zero_if_own_donor
from swapaqa.augment.region import (
    count_inside,
    inside,
    inside_bounds,
    is_mask,
    near_counts,
    pixel_bounds,
    region_pixels,
    scale_boxes,
)
from swapaqa.errors import InputError

__all__ = ["ScaledBackgroundSwap", "SwapPlan", "inside_bounds", "pixel_bounds", "scale_boxes", "swap_background"]

Variant = Literal["paper", "official", "clean"]
Fill = float | Sequence[float]

WIDEST_EDGE = 64  # pixels: counts of a square that wide, times a byte, fit into 32 bits

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by the bytes of an element


def swap_background(
    video: Tensor,
    boxes: Tensor,
    donors: Tensor,
    *,
    ratio: float,
    variant: Variant = "paper",
    fill: Fill = 0,
    edge: int = 0,
    out: Tensor | None = None,
) -> Tensor:
    """Eq. (4): every pixel inside a video's own scaled box is kept, every other one comes from its donor.

    video (B, C, T, H, W) uint8 or floating, in any stride order; boxes (B, T, 4) on its pixel grid, or in their
    place a mask (B, T, H, W) bool of the athlete, grown as `scale_mask` says; donors (B,) int64 positions in the
    batch. Frame t takes its background from the donor's frame t. Returns (B, C, T, H, W) of the same dtype and
    stride order: `out` where given, which must not overlap `video`. Nothing else is allocated on the CPU.

    `fill` (one number or C of them, in the units of `video`) is what `official` paints the donor's box with,
    and what `clean` falls back to where a donor's box leaves no background in its frame.

    `edge` above 0 is no part of the paper: the region's edge is soft. A pixel is mixed by the share of kept ones among
    those at most `edge` rows and columns away (`near_counts`), whole numbers rounded to the nearest.

    InputError, if `boxes` is on the CPU, for a reversed box or one that is not finite; boxes on a device are
    never read back, so they have to be checked where they are read.
    """
    _check(video, boxes, donors, ratio, variant, edge)
    size = (video.shape[3], video.shape[4])
    truncate = variant == "official"
    own = region_pixels(boxes, ratio, size, truncate=truncate)
    athlete = None if variant == "paper" else region_pixels(boxes, 1.0, size, truncate=truncate)
    colour = _colour(fill, video)
    out = torch.empty_like(video) if out is None else out
    if out.shape != video.shape or out.dtype != video.dtype or out.data_ptr() == video.data_ptr() != 0:
        raise ValueError("out must have the shape and dtype of video, and its own memory")
    swap = _paste if video.device.type == "cpu" else _select
    with torch.no_grad():
        if not edge:
            return swap(video, own, athlete, donors, variant, colour, out)
        swap(video, torch.zeros_like(own), athlete, donors, variant, colour, out)
        for sample in range(len(video)):  # one by one: the counts have four times the bytes of a video
            _mix(video[sample], out[sample], near_counts(inside(own[sample : sample + 1], size)[0, 0], edge), edge)
        return out


def _mix(video: Tensor, onto: Tensor, counts: Tensor, edge: int) -> None:
    """Both (C, T, H, W); `onto`, the donor, takes as much of `video` as `counts` (T, H, W) of `near_counts` say."""
    whole = (2 * edge + 1) ** 2
    if video.device.type != "cpu":
        onto.copy_(_mixed(video, onto, counts, whole))
        return
    if video.dtype == torch.uint8:
        frames = (one.permute(1, 2, 3, 0).numpy() for one in (video, onto))
        for own, donor, kept in zip(*frames, counts.numpy(), strict=True):
            _mix_bytes(own, donor, kept, whole)
        return
    _paste_pixels(_bits(onto), _bits(video), counts == whole)
    between = (counts > 0) & (counts < whole)  # few pixels
    for channel, own in zip(onto, video, strict=True):
        channel[between] = _mixed(own[between], channel[between], counts[between], whole)


def _mix_bytes(own: np.ndarray, onto: np.ndarray, counts: np.ndarray, whole: int) -> None:
    """`_mixed` of a frame (H, W, C) where anything is kept: the same integers, without a list of pixels."""
    rows, columns = (np.flatnonzero(counts.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    weights = np.repeat(counts[part].astype(np.uint32)[..., None], own.shape[2], axis=2)
    mixed = own[part] * weights + onto[part] * (whole - weights) + np.uint32(whole // 2)
    onto[part] = mixed // np.uint32(whole)


def _mixed(own: Tensor, donor: Tensor, counts: Tensor, whole: int) -> Tensor:
    """`counts` of `whole` parts of `own`; whole numbers to the nearest: `whole` is odd, so none lies in the middle."""
    if own.dtype.is_floating_point:
        return torch.lerp(donor.float(), own.float(), counts / whole).to(own.dtype)
    return ((own.int() * counts + donor.int() * (whole - counts) + whole // 2) // whole).to(own.dtype)


def _check(video: Tensor, boxes: Tensor, donors: Tensor, ratio: float, variant: str, edge: int) -> None:
    _check_settings(ratio, variant, edge)
    if video.ndim != 5:
        raise ValueError(f"video must be (B, C, T, H, W), not {tuple(video.shape)}")
    batch, _, frames, height, width = video.shape
    needed = (batch, frames, height, width) if is_mask(boxes) else (batch, frames, 4)
    if boxes.shape != needed or donors.shape != (batch,):
        raise ValueError(
            f"a video of {tuple(video.shape)} needs boxes ({batch}, {frames}, 4), or a mask of its frames, and donors "
            f"({batch},), not {boxes.dtype} {tuple(boxes.shape)} and {tuple(donors.shape)}"
        )
    if boxes.device.type == "cpu" and not is_mask(boxes):
        _check_boxes(boxes)
    if donors.device.type == "cpu" and ((donors < 0) | (donors >= batch)).any():
        raise ValueError(f"donors must be positions in a batch of {batch}, not {donors.tolist()}")


def _check_boxes(boxes: Tensor) -> None:
    wrong = ~torch.isfinite(boxes).all(dim=-1) | (boxes[..., :2] > boxes[..., 2:]).any(dim=-1)
    if wrong.any():
        sample, frame = wrong.nonzero()[0].tolist()
        raise InputError(
            f"the box of video {sample} of the batch, frame {frame}, is reversed or not finite: "
            f"x1 y1 x2 y2 = {boxes[sample, frame].tolist()}; correct it in the box file it was read from"
        )


def _check_settings(ratio: float, variant: str, edge: int) -> None:
    if not (math.isfinite(ratio) and ratio > 0):
        raise InputError(f"aug.ratio={ratio} cannot scale a box: give a number above 0, such as 2.0")
    if variant not in get_args(Variant):
        raise InputError(f"aug.variant={variant!r} is not a variant: say one of {', '.join(get_args(Variant))}")
    if not 0 <= edge <= WIDEST_EDGE:
        raise InputError(f"aug.edge={edge}: pixels of a soft edge, from 0, none, to {WIDEST_EDGE}")


def _colour(fill: Fill, video: Tensor) -> Tensor:
    """`fill` as (C,) in the dtype and on the device of `video`, rounded for whole numbers."""
    channels = video.shape[1]
    values = [float(fill)] * channels if isinstance(fill, int | float) else [float(value) for value in fill]
    if len(values) != channels:
        raise InputError(f"aug.fill has {len(values)} numbers for {channels} channels: give one, or one per channel")
    if not video.dtype.is_floating_point:
        limits = torch.iinfo(video.dtype)
        if not all(limits.min <= value <= limits.max for value in values):
            raise InputError(f"aug.fill={values} does not fit {video.dtype}: give {limits.min} to {limits.max}")
        values = [round(value) for value in values]
    return torch.tensor(values, dtype=video.dtype).to(video.device, non_blocking=True)  # the host must not wait


def _paste(
    video: Tensor,
    own: Tensor,
    athlete: Tensor | None,
    donors: Tensor,
    variant: Variant,
    colour: Tensor,
    out: Tensor,
) -> Tensor:
    """The CPU's way: copy the donor, cover its athlete, paste the own foreground.

    NumPy copies on one thread. The threads of torch's copy wait for each other, which made this five times as
    slow where loader workers kept the processor busy, and saved nothing on two idle cores.
    """
    swapped, bits = _bits(out), _bits(video)
    for sample, donor in enumerate(donors.tolist()):
        clip = swapped[sample]  # (C, T, H, W)
        clip[...] = bits[donor]
        if athlete is not None and variant == "official":
            row = np.empty_like(clip[:, :1, :1])  # laid out as the clip is
            row[...] = _bits(colour)[:, None, None, None]
            _paste_pixels(clip, np.broadcast_to(row, clip.shape), athlete[donor])
        elif athlete is not None:
            for frame, pixels in zip(out[sample].unbind(1), athlete[donor], strict=True):
                fill_pixels(frame, pixels, colour)
        _paste_pixels(clip, bits[sample], own[sample])
    return out


def _bits(tensor: Tensor) -> np.ndarray:
    """The same memory as integers: NumPy has no bfloat16, and nothing is computed."""
    return tensor.view(_BITS[tensor.element_size()]).numpy()


def _paste_pixels(clip: np.ndarray, source: np.ndarray, pixels: Tensor) -> None:
    """Both (C, T, H, W); pixels (T, 4), left top right bottom as slices, or (T, H, W) bool."""
    if is_mask(pixels):
        for onto, taken in zip(clip, source, strict=True):  # channels last, all at once would take six times as long
            np.copyto(onto, taken, where=pixels.numpy())
        return
    frames = zip(clip.swapaxes(0, 1), source.swapaxes(0, 1), pixels.tolist(), strict=True)  # (C, H, W)
    for onto, taken, (left, top, right, bottom) in frames:
        onto[:, top:bottom, left:right] = taken[:, top:bottom, left:right]


def _select(
    video: Tensor,
    own: Tensor,
    athlete: Tensor | None,
    donors: Tensor,
    variant: Variant,
    colour: Tensor,
    out: Tensor,
) -> Tensor:
    """The device's way: the same as `_paste`, with bounds compared instead of sliced."""
    size = (video.shape[3], video.shape[4])
    background = video
    if athlete is not None and variant == "official":
        background = torch.where(inside(athlete, size), colour.view(-1, 1, 1, 1), video)
    elif athlete is not None:
        background = fill_region(video, athlete, colour)
    torch.index_select(background, 0, donors.to(video.device, non_blocking=True), out=out)
    return torch.where(inside(own, size), video, out, out=out)


class SwapPlan(NamedTuple):
    """All that is random about one swap."""

    donors: Tensor  # (B,) int64 on the CPU


@dataclass(frozen=True)
class ScaledBackgroundSwap:
    """The swap as an augmentation of a batch.

    `ratio`: how much a box is grown; the paper's best are 2 and 2.5 for tracked boxes, and 1 for the fixed 80
    % box.
    `fill`: what `official` paints a donor's box with, in the units of the video, one number or one per
    channel. 0 is black on bytes. The published code writes 0 after ImageNet normalisation, which is the mean
    colour: on bytes that is [123.675, 116.28, 103.53].

    Targets always pass untouched: the athlete, whose score it is, stays. InputError for a ratio that is not
    above 0 and finite, and for an unknown variant or rule for donors.
    """

    mixes_targets: ClassVar[bool] = False
    replaces_pixels: ClassVar[bool] = True

    ratio: float = 2.0
    variant: Variant = "paper"
    donors: DonorRule = "derangement"
    fill: Fill = 0.0
    pool: Pool = "local"
    edge: int = 0

    def __post_init__(self) -> None:
        _check_settings(self.ratio, self.variant, self.edge)
        check_donor_rule(self.donors)

    def draw(self, batch_size: int, generator: torch.Generator) -> SwapPlan:
        """All the randomness of one call; see `draw_donors`. InputError for `partner` and an odd batch."""
        return SwapPlan(draw_donors(batch_size, self.donors, generator))

    def apply(
        self, video: Tensor, boxes: Tensor, targets: dict[str, Tensor], plan: SwapPlan
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """`swap_background` by `plan`: video (B, C, T, H, W), boxes (B, T, 4) or a mask -> new video, same targets."""
        ratio, variant, fill, edge = self.ratio, self.variant, self.fill, self.edge
        return swap_background(video, boxes, plan.donors, ratio=ratio, variant=variant, fill=fill, edge=edge), targets

    def __call__(
        self, video: Tensor, boxes: Tensor, targets: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return self.apply(video, boxes, targets, self.draw(video.shape[0], generator))

    def replaced_share(self, boxes: Tensor, size: tuple[int, int], plan: SwapPlan) -> Tensor:
        """(B,) float32 on the boxes' device: the share of each video's pixels that is not its own any more.

        boxes (B, T, 4) or a mask (B, T, H, W), size (H, W). Counted without a look at a pixel of the video. What
        `official` paints and `clean` fills counts as replaced, a mixed pixel by its share. A video that is its own
        donor has 0.
        """
        own = region_pixels(boxes, self.ratio, size, truncate=self.variant == "official")
        if self.edge:
            near = torch.stack([near_counts(inside(one[None], size)[0], self.edge).sum() for one in own])
            kept = near.double() / (2 * self.edge + 1) ** 2
        else:
            kept = count_inside(own).double()
        share = 1 - kept / (boxes.shape[1] * size[0] * size[1])
        return zero_if_own_donor(share, plan.donors).float()
