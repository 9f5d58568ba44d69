"""Films that this project writes. OpenCV says nothing of a write that failed, so what it wrote is read again."""

import errno
import os
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np

from swapaqa.errors import InputError
from swapaqa.files.whole_file import names
from swapaqa.video.index import make_index


def write_film(
    path: Path, pictures: Iterable[np.ndarray], codecs: Sequence[str], rate: float, quality: int | None = None
) -> None:
    """Write pictures (H, W, 3) uint8 BGR of one size in the first of `codecs` (FourCC) that this build can write.

    Args:
        path: its suffix names the container.
        pictures: one at least.
        codecs: by their four characters.
        rate: frames per second.
        quality: in percent, of a codec that has one.

    Raises:
        OSError: naming `path`, which cannot be written as a whole.
        InputError: this build of OpenCV has none of `codecs`.
    """
    left = iter(pictures)
    first = next(left)
    writer = _open(path, codecs, rate, (first.shape[1], first.shape[0]))
    if quality is not None:
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, quality)
    count = 0
    for count, picture in enumerate(chain([first], left), 1):  # noqa: B007
        writer.write(picture)
    writer.release()
    if not _holds(path, count):
        raise _refusal(path) or OSError(errno.EIO, os.strerror(errno.EIO), str(path))


def encode_film(
    path: Path, pictures: Iterable[np.ndarray], encoder: str, rate: int, bit_rate: int | None = None
) -> None:
    """Write pictures (H, W, 3) uint8 RGB of one size, one at least, with an encoder of FFmpeg's, as `libx264`.

    OpenCV's builds have none of h264. `bit_rate`: bits a second; None: the encoder's own.
    """
    left = iter(pictures)
    first = next(left)
    with av.open(path, "w") as container:
        stream = container.add_stream(encoder, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        for picture in chain([first], left):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _open(path: Path, codecs: Sequence[str], rate: float, size: tuple[int, int]) -> cv2.VideoWriter:
    """A writer of films of `size` (width, height)."""
    with names(path), open(path, "wb"):  # says why a folder cannot be written, as OpenCV does not
        pass
    for codec in codecs:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, size)
        if writer.isOpened():
            return writer
    raise _refusal(path) or InputError(f"{path}: this build of OpenCV can write none of {', '.join(codecs)}")


def _holds(path: Path, count: int) -> bool:
    try:
        index = make_index(path)
    except InputError:
        return False
    return len(index) == count and not index.incomplete


def _refusal(path: Path) -> OSError | None:
    """What the system says of one more write to a file that was not written as a whole; None if it has no objection."""
    try:
        with names(path), open(path, "ab") as file:
            file.write(bytes(2**20))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None
