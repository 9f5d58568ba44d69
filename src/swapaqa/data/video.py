"""Decoding: a video file or a folder of images to the bytes of the frames asked for.

decord reads video files, OpenCV reads images and what decord cannot open (GIF). A reader is opened in the process
that uses it and closed before the function returns: decord's readers cannot be shared between processes. A file can
open, announce its frames and fail at a later one, so what was read is compared with what was asked for.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import Literal, Protocol

import cv2
import decord
import numpy as np

from swapaqa.data.image_folder import open_folder as _images
from swapaqa.data.image_folder import read_images
from swapaqa.errors import InputError

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".gif")

Reader = Literal["decord", "opencv"]

cv2.setNumThreads(0)  # loader workers are the parallelism; threads inside them fight for the same cores
decord.logging.set_level(decord.logging.FATAL)


def find_media(folder: Path, names: Sequence[str]) -> Path:
    """The image folder or video file in `folder` that is called by one of `names` (without a suffix).

    A folder wins over a file, which is said once.

    Raises:
        InputError: there is none, or it is neither a folder nor a regular file.
    """
    there = entries(folder) if folder.is_dir() else frozenset()
    endings = ("", *(ending for suffix in VIDEO_SUFFIXES for ending in (suffix, suffix.upper())))
    found = [folder / f"{name}{ending}" for name in names for ending in endings if f"{name}{ending}" in there]
    usable = [path for path in found if path.is_dir() or (path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())]
    if not usable:
        problem = f"{found[0]}: neither a folder of images nor a video file (a broken link?)" if found else (
            f"{folder / names[0]}: no such folder of images and no video file of that name "
            f"({', '.join(VIDEO_SUFFIXES)})"
        )  # fmt: skip
        raise InputError(f"{problem}; complete the data set or take the video out of its split list")
    if len(usable) > 1 and usable[0].is_dir():
        say_which_is_read(usable[0], usable[1])
    return usable[0]


def entries(folder: Path) -> frozenset[str]:
    """The names in a folder, listed once as long as it does not change."""
    return _entries(folder, folder.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _entries(folder: Path, changed: int) -> frozenset[str]:  # noqa: ARG001  a folder that changed is listed again
    return frozenset(os.listdir(folder))


@cache
def say_which_is_read(chosen: Path, other: Path) -> None:
    """Warn, once in a process, that of two that hold one video only the first is read."""
    log.warning("%s is read, and not %s: both are called by the name of one video; remove one of them", chosen, other)


class Frames(Protocol):
    """Frames (H, W, 3) uint8 of one size: an array of them, or decoded while they are looked at."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...


class LazyFrames:
    """Frames (H, W, 3) that are decoded one by one while they are looked at, so that no whole window is kept."""

    def __init__(self, count: int, frames: Iterator[np.ndarray]) -> None:
        self.count = count
        self.first = next(frames)
        self.rest = frames

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[np.ndarray]:
        return chain([self.first], self.rest)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of every frame."""
        return self.first.shape[0], self.first.shape[1]


def read_frames(media: Path, indices: Sequence[int], reader: Reader = "decord") -> np.ndarray:
    """Decode frames `indices` (zero-based, ascending) of `media`: (T, H, W, 3) uint8, RGB.

    Raises:
        InputError: the video is shorter than asked for, cannot be opened or fails while decoding.
    """
    return np.stack(list(decode(media, indices, reader)))


def decode(media: Path, indices: Sequence[int], reader: Reader = "decord") -> LazyFrames:
    """As `read_frames`, one frame after the other and to be looked at once.

    `reader` is for video files. OpenCV decodes from the start of the file, so a window late in a long one costs more.
    """
    if media.is_dir():
        images = _images(media)
        _check_length(media, len(images), indices)
        frames = read_images(images, indices)
    elif reader == "opencv" or media.suffix.lower() == ".gif":
        frames = _read_opencv(media, indices)
    else:
        frames = iter(_read_decord(media, indices))
    return LazyFrames(len(indices), frames)


def frame_count(media: Path) -> int:
    """The number of frames that `media` announces, a folder by the numbers of its images; GIF files are counted."""
    if media.is_dir():
        return len(_images(media))
    if media.suffix.lower() == ".gif":
        return _count_opencv(media)
    return len(_open_decord(media))


def _open_decord(media: Path) -> decord.VideoReader:
    try:
        return decord.VideoReader(str(media), num_threads=1)
    except (decord.DECORDError, RuntimeError) as error:
        raise InputError(f"{media}: cannot be opened as a video; download or convert it again") from error


def _read_decord(media: Path, indices: Sequence[int]) -> np.ndarray:
    reader = _open_decord(media)
    _check_length(media, len(reader), indices)
    try:
        return reader.get_batch(list(indices)).asnumpy()
    except (decord.DECORDError, RuntimeError) as error:
        raise InputError(
            f"{media}: opens and announces {len(reader)} frames, but fails while decoding frames "
            f"{indices[0]} to {indices[-1]}: the file is damaged; download or convert it again, "
            "or set data.skip_unreadable=true to train without it"
        ) from error


def _read_opencv(media: Path, indices: Sequence[int]) -> Iterator[np.ndarray]:
    """OpenCV stops in silence where a file is damaged or ends: every frame that was asked for must have come."""
    capture, wanted = cv2.VideoCapture(str(media)), list(indices)
    if not capture.isOpened():
        raise InputError(f"{media}: cannot be opened as a video; download or convert it again")
    try:
        for index in range(wanted[-1] + 1):
            if not capture.grab():
                _check_length(media, index, indices)
            while wanted and wanted[0] == index:
                yield cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
                del wanted[0]
    finally:
        capture.release()


def _count_opencv(media: Path) -> int:
    capture, frames = cv2.VideoCapture(str(media)), 0
    while capture.grab():
        frames += 1
    capture.release()
    if not frames:
        raise InputError(f"{media}: cannot be opened as a video; download or convert it again")
    return frames


def _check_length(media: Path, frames: int, indices: Sequence[int]) -> None:
    if frames <= max(indices):
        raise InputError(
            f"{media}: has {frames} frames, and the window needs {max(indices) + 1}; "
            f"set data.frames to what your videos have, or take the video out of its split list"
        )
