"""Boxes without a file: the paper's fixed rectangle, and the whole frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from swapaqa.boxes.source import BoxRequest
from swapaqa.errors import InputError


def fixed_boxes(size: tuple[int, int], frames: int, share: float = 0.8) -> np.ndarray:
    """The centred rectangle with `share` of the width and of the height, for every frame: (T, 4).

    `size` is (H, W). On 224x224 with 0.8: 22.4 to 201.6 in continuous coordinates, as the paper's "Fixed" row.
    """
    height, width = size
    margin_x, margin_y = (1 - share) / 2 * width, (1 - share) / 2 * height
    return np.tile([margin_x, margin_y, width - margin_x, height - margin_y], (frames, 1))


@dataclass(frozen=True)
class FixedBoxes:
    """The paper's "Fixed" row: a centred rectangle of `share` of width and height, the same in every frame.

    `frame`: `source` takes the paper's words, the original video's dimensions, of which resize and crop leave only 9
    to 13 % of the pixels outside; `input` takes the frame that the network sees, 36 % outside.
    """

    ratio: float
    share: float
    frame: Literal["source", "input"]
    root: None = None

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InputError(f"boxes.share={self.share}: a share above 0 and at most 1 is needed")

    def find(self, files: Sequence[Path]) -> None:  # noqa: ARG002  needs no file
        return None

    def read(self, request: BoxRequest) -> np.ndarray:
        return fixed_boxes(request.size, len(request.frames), self.share)


@dataclass(frozen=True)
class NoBoxes:
    """The whole frame is the athlete: for training without an augmentation that needs boxes."""

    ratio: float
    frame: Literal["input"] = "input"
    root: None = None

    def find(self, files: Sequence[Path]) -> None:  # noqa: ARG002  needs no file
        return None

    def read(self, request: BoxRequest) -> np.ndarray:
        return fixed_boxes(request.size, len(request.frames), share=1.0)
