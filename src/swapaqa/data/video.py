"""Decoding: a video file or a folder of images to the bytes of the frames asked for.

decord reads video files, OpenCV reads images and what decord cannot open (GIF). A reader is opened in the process
that uses it and closed before the function returns: decord's readers cannot be shared between processes. A file can
open, announce its frames and fail at a later one, so what was read is compared with what was asked for.
"""

import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Literal, Protocol

import cv2
import decord
import numpy as np

from swapaqa.errors import InputError
from swapaqa.foreign_file import check_regular

VIDEO_SUFFIXES = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".gif")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")

Reader = Literal["decord", "opencv"]

cv2.setNumThreads(0)  # loader workers are the parallelism; threads inside them fight for the same cores
decord.logging.set_level(decord.logging.FATAL)


def find_media(folder: Path, names: Sequence[str]) -> Path:
    """The image folder or video file in `folder` that is called by one of `names` (without a suffix).

    Raises:
        InputError: there is none.
    """
    for name in names:
        if (folder / name).is_dir():
            return folder / name
        for suffix in VIDEO_SUFFIXES:
            for candidate in (folder / f"{name}{suffix}", folder / f"{name}{suffix.upper()}"):
                if candidate.is_file():
                    return candidate
    raise InputError(
        f"{folder / names[0]}: no such folder of images and no video file of that name "
        f"({', '.join(VIDEO_SUFFIXES)}); complete the data set or take the video out of its split list"
    )


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
    if not media.is_dir():
        check_regular(media)
    if media.is_dir():
        frames = _read_images(media, indices)
    elif reader == "opencv" or media.suffix.lower() == ".gif":
        frames = _read_opencv(media, indices)
    else:
        frames = iter(_read_decord(media, indices))
    return LazyFrames(len(indices), frames)


def frame_count(media: Path) -> int:
    """The number of frames that `media` announces; for GIF files they are counted."""
    if media.is_dir():
        return len(_images(media))
    check_regular(media)
    if media.suffix.lower() == ".gif":
        return _count_opencv(media)
    return len(_open_decord(media))


def _images(folder: Path) -> list[Path]:
    """The images in the order of the numbers in their names: 2.jpg before 10.jpg."""
    return [folder / name for name in _image_names(folder, folder.stat().st_mtime_ns)]


@lru_cache(maxsize=32)
def _image_names(folder: Path, changed: int) -> list[str]:  # noqa: ARG001  a folder that changed is listed again
    """Listed once: a competition of MTL-AQA is one folder of up to 290,000 images, asked for by every dive."""
    entries = [entry for entry in os.scandir(folder) if entry.name.lower().endswith(IMAGE_SUFFIXES)]
    for entry in entries:
        if not entry.is_file():  # known from the listing: no further look at the disk
            check_regular(folder / entry.name)
    names = [entry.name for entry in entries]
    return sorted(names, key=lambda name: [int(w) if w.isdecimal() else w for w in re.split(r"(\d+)", name)])


def _read_images(folder: Path, indices: Sequence[int]) -> Iterator[np.ndarray]:
    files = _images(folder)
    _check_length(folder, len(files), indices)
    size = None
    for index in indices:
        frame = cv2.imread(str(files[index]), cv2.IMREAD_COLOR_RGB)
        if frame is None:
            raise InputError(f"{files[index]}: not a readable image; extract or download it again")
        size = size or frame.shape
        if frame.shape != size:
            raise InputError(
                f"{files[index]}: {frame.shape[1]}x{frame.shape[0]} pixels, but {files[indices[0]].name} beside it "
                f"has {size[1]}x{size[0]}; all images of a video need one size"
            )
        yield frame


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
