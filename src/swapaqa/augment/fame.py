"""FAME: the moving half of the frame is the foreground, one mask for the whole video.

Ding et al., "Motion-aware Contrastive Video Representation Learning via Foreground-background Merging", CVPR
2022. The SBS paper compares with it (Fig. 4): needs no boxes, but one mask for all frames cannot follow an
athlete. Letters as in `swapaqa.batch`. Works on RGB before normalisation: bytes, or floats in [0, 1].

The mask, in the order of `foreground_mask`: where the picture moves is likely foreground and where it does
not is likely background; colours that are frequent in the one and rare in the other refine the guess.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from swapaqa.augment.donors import DonorRule, Pool, check_donor_rule, draw_donors, zero_if_own_donor
from swapaqa.augment.swap import swap_background
from swapaqa.errors import InputError

Hue = Literal["official", "corrected"]

_BINS = 1000  # 10 hues x 10 saturations x 10 values
_FOREGROUND_SEEDS = 0.5  # a constant of the method, whatever beta is
_BACKGROUND_SEEDS = 0.1
_TINY = 1e-8


def blur_size(crop_size: int) -> tuple[int, float]:
    """Width of the Gaussian in pixels (odd) and its sigma, by the crop it is set up for: 112 -> 11, 3.67."""
    width = crop_size // 10 // 2 * 2 + 1
    return width, width / 3


def motion(video: Tensor) -> Tensor:
    """Mean over successive frames of the absolute difference, summed over channels.

    video (B, C, T, H, W) uint8 or float in [0, 1], T at least 2 -> (B, H, W) float32, 0 to C.
    """
    return torch.stack([_motion_of_one(clip) for clip in video])  # one by one: differences of a batch are large


def _motion_of_one(clip: Tensor) -> Tensor:
    later, earlier = clip[:, 1:], clip[:, :-1]
    if clip.dtype == torch.uint8:  # in whole numbers: a quarter of the memory, and no rounding
        difference = torch.maximum(later, earlier) - torch.minimum(later, earlier)
        over_channels = difference.sum(dim=0, dtype=torch.int16)  # (T - 1, H, W), at most 765
        return over_channels.sum(dim=0, dtype=torch.int32) / (255.0 * later.shape[1])
    return (later.float() - earlier.float()).abs_().sum(dim=0).mean(dim=0)


def mean_frame(video: Tensor) -> Tensor:
    """video (B, C, T, H, W) uint8 or float in [0, 1] -> (B, C, H, W) float32 in [0, 1]."""
    if video.dtype == torch.uint8:
        return video.sum(dim=2, dtype=torch.int32) / (255.0 * video.shape[2])
    return video.mean(dim=2, dtype=torch.float32)


def gaussian_blur(maps: Tensor, width: int, sigma: float) -> Tensor:
    """maps (B, H, W) -> blurred in both directions, edges reflected; `width` (odd) and `sigma` in pixels."""
    steps = torch.arange(width, device=maps.device, dtype=maps.dtype) - width // 2
    kernel = torch.exp(-steps.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(maps.unsqueeze(1), [width // 2] * 4, mode="reflect")  # (B, 1, H + width - 1, W + width - 1)
    rows = F.conv2d(padded, kernel.view(1, 1, 1, -1))
    return F.conv2d(rows, kernel.view(1, 1, -1, 1)).squeeze(1)


def stretch(maps: Tensor) -> Tensor:
    """maps (B, H, W) -> the same, each brought to 0 ... 1 by its own minimum and maximum."""
    maps = maps - maps.amin(dim=(1, 2), keepdim=True)
    return maps / (maps.amax(dim=(1, 2), keepdim=True) + _TINY)


def largest(maps: Tensor, count: int) -> Tensor:
    """maps (B, H, W) -> (B, H, W) bool, `count` of each True: the largest, and of equal ones the first."""
    flat = maps.flatten(1)
    order = flat.argsort(dim=1, descending=True, stable=True)
    chosen = torch.zeros_like(flat, dtype=torch.bool).scatter_(1, order[:, :count], True)
    return chosen.view_as(maps)


def hue_saturation_value(frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """frame (B, 3, H, W) RGB in [0, 1] -> hue [0, 2 pi), saturation and value [0, 1], (B, H, W) each."""
    value, sector = frame.max(dim=1)
    chroma = value - frame.amin(dim=1)
    red, green, blue = frame.unbind(dim=1)
    by_sector = torch.stack([green - blue, blue - red, red - green], dim=1)  # distance from red, green, blue
    offset = by_sector.gather(1, sector.unsqueeze(1)).squeeze(1)
    turns = (offset / torch.where(chroma == 0, 1.0, chroma) + 2 * sector) / 6
    return turns.remainder(1.0) * (2 * math.pi), chroma / (value + _TINY), value


def colour_index(frame: Tensor, hue: Hue) -> Tensor:
    """frame (B, 3, H, W) RGB in [0, 1] -> (B, H, W) int64, one of 1000 colour bins.

    `official` multiplies the hue, already in radians, by 2 pi once more, as the published code does: the bins
    are still a function of the colour, but run 6.28 times round the wheel and jump at red. `corrected` does
    not.
    """
    angle, saturation, value = hue_saturation_value(frame)
    if hue == "official":
        angle = angle * (2 * math.pi)
    across = (saturation * angle.cos() + 1) / 2
    along = (saturation * angle.sin() + 1) / 2
    tenths = [(9 * part + 1).round().long() for part in (across, along, value)]  # 1 to 10; halves go to even
    return tenths[0] + 10 * (tenths[1] - 1) + 100 * (tenths[2] - 1)


def refine_by_colour(index: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
    """How far each pixel's colour belongs to the foreground: f / (f + g) of the two seeds' histograms.

    index (B, H, W) int64 colour bins, the seeds (B, H, W) bool -> (B, H, W) float32 in [0, 1]. The
    background's histogram starts at 1 in every bin, so a colour that neither seed has counts as background.
    """
    flat = index.flatten(1)
    empty = torch.zeros(len(index), _BINS, device=index.device)
    fore = empty.scatter_add(1, flat, foreground.flatten(1).float())
    back = (empty + 1).scatter_add(1, flat, background.flatten(1).float())
    fore = fore / (fore.sum(dim=1, keepdim=True) + _TINY)
    back = back / (back.sum(dim=1, keepdim=True) + _TINY)
    return (fore / (fore + back)).gather(1, flat).view_as(index)


def foreground_mask(video: Tensor, *, beta: float, crop_size: int, hue: Hue = "official") -> Tensor:
    """video (B, 3, T, H, W) uint8 or float in [0, 1] -> (B, H, W) bool, floor(beta * H * W) of each True.

    InputError for fewer than two frames and for frames too small for the blur; on the CPU also for floats
    outside [0, 1] (a device is not read back: there, values far outside fail in the histogram).
    """
    width, sigma = blur_size(crop_size)
    _check_video(video, width)
    pixels = video.shape[3] * video.shape[4]
    moving = stretch(gaussian_blur(motion(video), width, sigma))
    foreground = largest(moving, int(_FOREGROUND_SEEDS * pixels))
    background = largest(-moving, int(_BACKGROUND_SEEDS * pixels))
    refined = refine_by_colour(colour_index(mean_frame(video), hue), foreground, background)
    return largest(stretch(gaussian_blur(refined, width, sigma)), int(beta * pixels))


def _check_video(video: Tensor, width: int) -> None:
    channels, frames, height, columns = video.shape[1:]
    if channels != 3 or frames < 2:
        raise InputError(f"FAME needs RGB and at least two frames, not {channels} channels and {frames} frames")
    if min(height, columns) <= width // 2:
        raise InputError(
            f"frames of {height}x{columns} are too small for FAME's blur of {width} pixels: set "
            "aug.crop_size, which it follows, to the size of the frames"
        )
    if video.dtype.is_floating_point and video.device.type == "cpu":
        low, high = torch.aminmax(video)
        if not (low >= 0 and high <= 1):  # said so that NaN is refused too
            raise InputError(
                f"FAME works on RGB in [0, 1] before normalisation, not {low:.3g} to {high:.3g}: "
                "give bytes, or divide by 255"
            )


class FamePlan(NamedTuple):
    """All that is random; the mask follows from the video."""

    donors: Tensor  # (B,) int64 on the CPU


@dataclass(frozen=True)
class FAME:
    """Foreground-background merging as an augmentation of a batch; the donor's athlete is not removed.

    `beta`: share of the frame that is foreground. `crop_size`: in pixels, sets the blur (not the size of the
    video).
    `donors`: the published code draws `randperm`. Targets pass untouched.
    """

    mixes_targets: ClassVar[bool] = False
    replaces_pixels: ClassVar[bool] = True

    beta: float = 0.5
    crop_size: int = 224
    hue: Hue = "official"
    donors: DonorRule = "derangement"
    pool: Pool = "local"

    def __post_init__(self) -> None:
        if not 0 < self.beta < 1:
            raise InputError(
                f"aug.beta={self.beta} must lie between 0 and 1: it is the foreground's share of the frame"
            )
        if self.crop_size < 1:
            raise InputError(f"aug.crop_size={self.crop_size} must be a number of pixels, such as 224")
        if self.hue not in get_args(Hue):
            raise InputError(f"aug.hue={self.hue!r} is unknown: say one of {', '.join(get_args(Hue))}")
        check_donor_rule(self.donors)

    def draw(self, batch_size: int, generator: torch.Generator) -> FamePlan:
        """All the randomness of one call; see `draw_donors`."""
        return FamePlan(draw_donors(batch_size, self.donors, generator))

    @torch.no_grad()
    def apply(
        self,
        video: Tensor,
        boxes: Tensor,  # noqa: ARG002
        targets: dict[str, Tensor],
        plan: FamePlan,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """video (B, 3, T, H, W) -> a new video of the same dtype and stride order, the same targets."""
        mask = foreground_mask(video, beta=self.beta, crop_size=self.crop_size, hue=self.hue)
        in_every_frame = mask.unsqueeze(1).expand(-1, video.shape[2], -1, -1)
        return swap_background(video, in_every_frame, plan.donors, ratio=1.0), targets

    def __call__(
        self, video: Tensor, boxes: Tensor, targets: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return self.apply(video, boxes, targets, self.draw(video.shape[0], generator))

    def replaced_share(self, boxes: Tensor, size: tuple[int, int], plan: FamePlan) -> Tensor:
        """(B,) float32 on the boxes' device: the share outside the mask, 0 for its own donor."""
        pixels = size[0] * size[1]
        share = torch.full((boxes.shape[0],), 1 - int(self.beta * pixels) / pixels, device=boxes.device)
        return zero_if_own_donor(share, plan.donors)
