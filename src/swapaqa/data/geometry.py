"""One drawn resize, flip and crop, applied to the frames and to the boxes of a video alike.

Order as CoRe has it: flip, resize, crop. Boxes are inclusive pixel indices: a flip takes x to W - 1 - x, a resize by
s takes x to (x + 0.5) s - 0.5 (pixel centres), a crop subtracts its corner. Nothing is clamped here: a box may lie
partly or wholly outside the crop, and Eq. (2) of the swap clamps it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch

from swapaqa.data.video import Frames
from swapaqa.errors import InputError


class Placement(NamedTuple):
    """What was drawn for one video: the crop's corner on the resized frame, and whether to mirror."""

    top: int
    left: int
    flip: bool


class Window(NamedTuple):
    """Which frames of a video file or image folder a sample is made of, by zero-based indices."""

    start: int
    stop: int | None = None  # None: consecutive frames from `start` on; else spread evenly over start ... stop - 1

    def indices(self, frames: int, shift: int) -> Sequence[int]:
        """The `frames` indices of the window, moved by `shift`, in ascending order.

        Spread windows hold their first and their last frame and repeat frames where they are shorter than `frames`.
        """
        if self.stop is None:
            return range(self.start + shift, self.start + shift + frames)
        spread = np.linspace(self.start, self.stop - 1, frames).round().astype(int) + shift
        return spread.tolist()


def draw_shift(generator: torch.Generator, shift: tuple[int, int]) -> int:
    """A shift of the window in frames, uniform from the lowest to the highest, both included."""
    lowest, highest = shift
    return int(torch.randint(lowest, highest + 1, (), generator=generator))


@dataclass(frozen=True)
class Geometry:
    """Every frame becomes `height` x `width` pixels, of which a `crop` x `crop` square is kept.

    Training: the square lies anywhere if `random_crop`, and the video is mirrored with probability `flip`.
    Evaluation: the centre, never mirrored.
    """

    height: int
    width: int
    crop: int
    random_crop: bool
    flip: float

    def __post_init__(self) -> None:
        if not 0 < self.crop <= min(self.height, self.width):
            raise InputError(
                f"data.geometry.crop={self.crop} does not fit into the resized frame "
                f"of {self.width}x{self.height} (data.geometry.width, .height)"
            )
        if not 0 <= self.flip <= 1:
            raise InputError(f"data.geometry.flip={self.flip}: a probability between 0 and 1 is needed")

    def centre(self) -> Placement:
        """The placement of evaluation."""
        return Placement((self.height - self.crop) // 2, (self.width - self.crop) // 2, False)

    def draw(self, generator: torch.Generator) -> Placement:
        """A placement for training."""
        flip = bool(torch.rand((), generator=generator) < self.flip)
        if not self.random_crop:
            return self.centre()._replace(flip=flip)
        top = torch.randint(self.height - self.crop + 1, (), generator=generator)
        left = torch.randint(self.width - self.crop + 1, (), generator=generator)
        return Placement(int(top), int(left), flip)

    def place_frames(self, frames: Frames, placement: Placement) -> np.ndarray:
        """T frames (H, W, 3) uint8 of any size, or one array of them -> (T, crop, crop, 3), contiguous. Bilinear."""
        rows = slice(placement.top, placement.top + self.crop)
        columns = slice(placement.left, placement.left + self.crop)
        out = np.empty((len(frames), self.crop, self.crop, 3), np.uint8)
        for t, frame in enumerate(frames):
            resized = frame
            if frame.shape[:2] != (self.height, self.width):
                resized = cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
            # mirroring after an even resize is mirroring before it
            out[t] = (resized[:, ::-1] if placement.flip else resized)[rows, columns]
        return out

    def place_boxes(self, boxes: np.ndarray, size: tuple[int, int], placement: Placement) -> np.ndarray:
        """(T, 4) boxes on source frames of `size` (H, W) -> (T, 4) on the crop. Not clamped."""
        scale = np.array([self.width / size[1], self.height / size[0]] * 2)
        placed = (np.asarray(boxes, np.float64) + 0.5) * scale - 0.5
        if placement.flip:
            placed = placed[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [self.width - 1, 0, self.width - 1, 0]
        return placed - [placement.left, placement.top] * 2
