"""One drawn resize, flip and crop, applied to the frames, the boxes and the masks of a video alike.

Order as CoRe has it: flip, resize, crop. Frames are mirrored after their resize, as a store keeps them resized: with
`antialias` that is the same to the bit, with `linear` to within one grey level.

Boxes are inclusive pixel indices: a flip takes x to W - 1 - x, a resize by s takes x to (x + 0.5) s - 0.5 (pixel
centres), a crop subtracts its corner. Nothing is clamped here: a box may lie partly or wholly outside the crop, and
Eq. (2) of the swap clamps it. A mask is moved as a picture of itself, by the frames' own resize.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image

from swapaqa.errors import InputError
from swapaqa.video.frames import Frames

Resize = Literal["antialias", "linear"]
CropRounding = Literal["half_even", "down"]


class Crop(NamedTuple):
    """What was drawn for one video: the crop's corner on the resized frame, and whether to mirror."""

    top: int
    left: int
    flip: bool


class Window(NamedTuple):
    """Which frames of a video file or image folder a sample is made of, by zero-based indices."""

    start: int
    stop: int | None = None  # None: consecutive frames from `start` on; else spread evenly over start ... stop - 1
    down: bool = False  # places between two frames are rounded down, as FineDiving's authors do; else to the nearer one

    def indices(self, frames: int, shift: int) -> Sequence[int]:
        """The `frames` indices of the window, moved by `shift`, in ascending order.

        Spread windows hold their first and their last frame and repeat frames where they are shorter than `frames`.
        """
        if self.stop is None:
            return range(self.start + shift, self.start + shift + frames)
        places = np.linspace(self.start, self.stop - 1, frames)
        spread = (np.floor(places) if self.down else places.round()).astype(int) + shift
        indices: list[int] = spread.tolist()
        return indices


def draw_shift(generator: torch.Generator, shift: tuple[int, int]) -> int:
    """A shift of the window in frames, uniform from the lowest to the highest, both included."""
    lowest, highest = shift
    return int(torch.randint(lowest, highest + 1, (), generator=generator))


def resize_frame(frame: np.ndarray, size: tuple[int, int], kind: Resize) -> np.ndarray:
    """A frame (H, W, 3) or (H, W) uint8 of any size -> (height, width) of it, bilinear; itself if it has that `size`.

    `antialias`: Pillow's BILINEAR to the bit, which the published loaders run. Where it shrinks, a pixel is a mean over
    all source pixels below it. `linear`: OpenCV's INTER_LINEAR, which looks at four of them and leaves others out.
    """
    if frame.shape[:2] == size:
        return frame
    height, width = size
    if kind == "linear":
        return cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))


def centre_corner(whole: int, crop: int, rounding: CropRounding) -> int:
    """Where a centred crop begins, in pixels. Half a pixel goes to the even number, as in torchvision, or down."""
    return round((whole - crop) / 2) if rounding == "half_even" else (whole - crop) // 2


@dataclass(frozen=True)
class Geometry:
    """Every frame becomes `height` x `width` pixels, of which a `crop` x `crop` square is kept.

    Training: the square lies anywhere if `random_crop`, and the video is mirrored with probability `flip`.
    Evaluation: the centre, never mirrored.

    `resize`: see `resize_frame`. `crop_rounding`: see `centre_corner`; `down` is for checkpoints of the first version,
    which were trained with it.
    """

    height: int
    width: int
    crop: int
    random_crop: bool
    flip: float
    resize: Resize = "antialias"
    crop_rounding: CropRounding = "half_even"

    def __post_init__(self) -> None:
        if not 0 < self.crop <= min(self.height, self.width):
            raise InputError(
                f"data.geometry.crop={self.crop} does not fit into the resized frame "
                f"of {self.width}x{self.height} (data.geometry.width, .height)"
            )
        if not 0 <= self.flip <= 1:
            raise InputError(f"data.geometry.flip={self.flip}: a probability between 0 and 1 is needed")

    def centre(self) -> Crop:
        """The crop of evaluation."""
        top, left = (centre_corner(whole, self.crop, self.crop_rounding) for whole in (self.height, self.width))
        return Crop(top, left, False)

    def draw(self, generator: torch.Generator) -> Crop:
        """A crop for training."""
        flip = bool(torch.rand((), generator=generator) < self.flip)
        if not self.random_crop:
            return self.centre()._replace(flip=flip)
        top = torch.randint(self.height - self.crop + 1, (), generator=generator)
        left = torch.randint(self.width - self.crop + 1, (), generator=generator)
        return Crop(int(top), int(left), flip)

    def crop_frames(self, frames: Frames, crop: Crop) -> np.ndarray:
        """T frames (H, W, 3) uint8 of any size, or one array of them -> (T, crop, crop, 3), contiguous."""
        out = np.empty((len(frames), self.crop, self.crop, 3), np.uint8)
        for t, frame in enumerate(frames):
            out[t] = self._cropped(frame, crop)
        return out

    def crop_mask(self, mask: np.ndarray, crop: Crop) -> np.ndarray:
        """(H, W) bool of a source frame -> (crop, crop) bool: the pixels at least half of which show the athlete."""
        return self._cropped(np.where(mask, np.uint8(255), np.uint8(0)), crop) >= 128

    def _cropped(self, frame: np.ndarray, crop: Crop) -> np.ndarray:
        """(H, W, 3) or (H, W) uint8 -> the same with H = W = crop, a view where nothing is resized."""
        resized = resize_frame(frame, (self.height, self.width), self.resize)
        mirrored = resized[:, ::-1] if crop.flip else resized
        return mirrored[crop.top : crop.top + self.crop, crop.left : crop.left + self.crop]

    def crop_boxes(self, boxes: np.ndarray, size: tuple[int, int], crop: Crop) -> np.ndarray:
        """(T, 4) boxes on source frames of `size` (H, W) -> (T, 4) on the crop. Not clamped."""
        scale = np.array([self.width / size[1], self.height / size[0]] * 2)
        placed = (np.asarray(boxes, np.float64) + 0.5) * scale - 0.5
        if crop.flip:
            placed = placed[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [self.width - 1, 0, self.width - 1, 0]
        cropped: np.ndarray = placed - [crop.left, crop.top] * 2
        return cropped
