"""Videos whose every frame shows its own number, written with PyAV's encoders: which frame was read can be read."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (96, 128)  # (H, W)
FIELD = SIZE[1] // 8


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


def write(
    path: Path,
    codec: str,
    numbers: Sequence[int] = range(60),
    pixels: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    container: Mapping[str, str] | None = None,
    rate: int = 25,
    stamps: Sequence[int] | None = None,
    prepare: Callable[[av.VideoStream], None] = lambda stream: None,
) -> Path:
    """Encode the pictures of `numbers` into `path`.

    Args:
        stamps: time stamps in milliseconds instead of a constant rate.
        prepare: sets what else the stream needs.
    """
    with av.open(str(path), "w", options=dict(container or {})) as out:
        stream = out.add_stream(codec, rate=rate, options=dict(options or {}))
        stream.height, stream.width, stream.pix_fmt = *SIZE, pixels
        stream.bit_rate = 2_000_000
        stream.codec_context.gop_size = 12
        if stamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        prepare(stream)
        for position, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(drawn(number), format="rgb24").reformat(format=pixels)
            frame.pts = position if stamps is None else stamps[position]
            frame.time_base = Fraction(1, rate) if stamps is None else Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
