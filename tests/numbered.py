"""Videos whose every frame shows its own number, written with PyAV's encoders: which frame was read can be read."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (96, 128)  # (H, W)
FIELD = SIZE[1] // 8
INTERLACED = 0x40000 | 0x20000000  # FFmpeg's AV_CODEC_FLAG_INTERLACED_DCT and _INTERLACED_ME


def drawn(number: int) -> np.ndarray:
    """A picture (H, W, 3) uint8: eight fields, black or white, are the bits of `number`, the lowest leftmost."""
    height, width = SIZE
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[:, (number * 5) % width :][:, :10] = (200, 60, 60)  # something that moves
    for bit in range(8):
        picture[height // 4 : height // 2, bit * FIELD : (bit + 1) * FIELD] = 255 * (number >> bit & 1)
    return picture


def number_of(frame: np.ndarray) -> int:
    """The number that a frame (H, W, 3) shows."""
    height, width = frame.shape[:2]
    rows, field = slice(height * 5 // 16, height * 7 // 16), width // 8
    shown = [frame[rows, bit * field + field // 4 : (bit + 1) * field - field // 4].mean() > 125 for bit in range(8)]
    return sum(int(white) << bit for bit, white in enumerate(shown))


def numbers_of(frames: Sequence[np.ndarray] | np.ndarray) -> list[int]:
    return [number_of(frame) for frame in frames]


def write(  # noqa: PLR0913  an encoder has many settings
    path: Path,
    codec: str,
    numbers: Sequence[int] = range(60),
    pixels: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    container: Mapping[str, str] | None = None,
    stamps: Sequence[int] | None = None,
    b_frames: int = 0,
    interlaced: bool = False,
    turned: int = 0,
) -> Path:
    """Encode the pictures of `numbers` into `path`, with a key frame every 12 frames.

    Args:
        stamps: time stamps in milliseconds instead of 25 frames a second.
        turned: degrees by which the file says its pictures are to be turned.
    """
    base = Fraction(1, 25) if stamps is None else Fraction(1, 1000)
    with av.open(str(path), "w", options=dict(container or {})) as out:
        stream = out.add_stream(codec, rate=25, options=dict(options or {}))
        context = stream.codec_context
        stream.height, stream.width, stream.pix_fmt = *SIZE, pixels
        stream.bit_rate, context.gop_size, context.max_b_frames, context.time_base = 2_000_000, 12, b_frames, base
        if interlaced:
            context.flags |= INTERLACED
        if turned:
            stream.set_display_rotation(turned)
        for position, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(drawn(number), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = (position if stamps is None else stamps[position]), base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
