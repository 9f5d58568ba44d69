"""The frames and masks of a video that is open in the page, as pictures that a browser shows."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from swapaqa.boxes.shots import shot_starts
from swapaqa.data.frame_store import WantedFrames
from swapaqa.video.frames import Decoding, decode

JPEG_QUALITY = 90
MASKED, TINT = (64, 64, 255), 70  # BGR of a mask over its frame, and how opaque it is inside


class Opened(NamedTuple):
    """The frames of one video."""

    want: WantedFrames
    size: tuple[int, int]  # (H, W)
    pictures: list[bytes]  # JPEG, one a frame of `want.indices`
    masks: list[bytes]  # PNG of 0 and 255, one a frame; none before somebody asks for one
    cuts: list[int]  # positions in `want.indices` before which a cut lies


def look_through(want: WantedFrames, decoding: Decoding) -> Opened:
    """The frames of a video, decoded once."""
    frames, pictures = decode(want.media, want.indices, *decoding), list[bytes]()

    def seen() -> Iterator[np.ndarray]:
        for frame in frames:
            pictures.append(jpeg(frame))
            yield frame

    cuts = shot_starts(seen())[1:]
    return Opened(want, frames.size, pictures, [], cuts)


def jpeg(frame: np.ndarray) -> bytes:
    """A frame (H, W, 3) uint8 RGB as JPEG."""
    return cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def decoded(picture: bytes) -> np.ndarray:
    """The frame (H, W, 3) uint8 RGB of a `jpeg`."""
    frame = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert frame is not None  # we wrote it
    return frame


def packed(mask: np.ndarray) -> bytes:
    """A mask (H, W) bool as PNG."""
    return cv2.imencode(".png", np.where(mask, np.uint8(255), np.uint8(0)))[1].tobytes()


def unpacked(picture: bytes) -> np.ndarray:
    """The mask of `packed`."""
    mask = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert mask is not None  # we wrote it
    return mask > 0


def overlay(mask: np.ndarray) -> bytes:
    """A mask (H, W) bool to be laid over its frame: PNG with transparency, the outline opaque."""
    inside = mask.astype(np.uint8)
    edge = inside - cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=0)
    opacity = np.where(edge, 255, inside * TINT)[..., None]
    colour = np.broadcast_to(np.array(MASKED, np.uint8), (*mask.shape, 3))
    return cv2.imencode(".png", np.concatenate([colour, opacity.astype(np.uint8)], axis=2))[1].tobytes()
