"""Frames of a video file or of a folder of images: how many there are, and those asked for.

Whatever counts, checks, trains, scores or draws comes through here, with the reader that `data.video_reader` names:

    pyav      FFmpeg, default: seeks, and proves every frame by the file's index (`swapaqa.video.pyav_reader`)
    decord, opencv    decode from the start, where they are right (`swapaqa.video.sequential_readers`); else pyav does

A frame's number is its place among the frames that a player shows: those hidden by an edit list have none, pictures are
turned as the file says. A file's index is made once, by decoding it from the start (`swapaqa.video.index`). A file
is opened in the process that uses it and closed when the last frame is read.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import cv2
import numpy as np

from swapaqa.errors import InputError
from swapaqa.video.image_folder import open_folder as _images
from swapaqa.video.image_folder import read_images
from swapaqa.video.index import VideoIndex, index_of
from swapaqa.video.pyav_reader import read_pyav
from swapaqa.video.sequential_readers import read_in_order, suits

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = (
    ".avi", ".mp4", ".mkv", ".mov", ".webm", ".gif", ".m4v", ".mpg", ".mpeg", ".vob", ".ts", ".m2ts", ".mts", ".wmv",
    ".asf", ".flv", ".3gp", ".ogv", ".mxf", ".dv",
)  # fmt: skip

Reader = Literal["pyav", "decord", "opencv"]


class Decoding(NamedTuple):
    """How a data set's video files are read, to be handed on as `read_frames(media, indices, *decoding)`."""

    reader: Reader = "pyav"
    accept_incomplete: bool = False  # files that were cut off or have a hole, by the frames that can be decoded


BY_DEFAULT = Decoding()

cv2.setNumThreads(0)  # loader workers are the parallelism; threads inside them fight for the same cores


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


def read_frames(
    media: Path, indices: Sequence[int], reader: Reader = "pyav", accept_incomplete: bool = False
) -> np.ndarray:
    """Decode frames `indices` (zero-based, ascending) of `media`: (T, H, W, 3) uint8, RGB.

    Raises:
        InputError: the video is shorter than asked for, cannot be opened, fails while decoding or is incomplete.
    """
    return np.stack(list(decode(media, indices, reader, accept_incomplete)))


def decode(media: Path, indices: Sequence[int], reader: Reader = "pyav", accept_incomplete: bool = False) -> LazyFrames:
    """As `read_frames`, one frame after the other and to be looked at once."""
    if media.is_dir():
        images = _images(media)
        _check_length(media, len(images), indices)
        return LazyFrames(len(indices), read_images(images, indices))
    return LazyFrames(len(indices), _read_video(media, indices, reader, accept_incomplete))


def _read_video(media: Path, indices: Sequence[int], reader: Reader, accept_incomplete: bool) -> Iterator[np.ndarray]:
    index = _complete(media, accept_incomplete)
    _check_length(media, len(index), indices)
    if reader != "pyav" and suits(media, reader):
        return read_in_order(media, indices, reader)
    return read_pyav(media, index, indices)


def frame_count(media: Path, accept_incomplete: bool = False) -> int:
    """The number of frames of `media`, the same whichever reader is asked for them; of a folder by its images' numbers.

    Raises:
        InputError: not a video, or an incomplete one.
    """
    return len(_images(media)) if media.is_dir() else len(_complete(media, accept_incomplete))


def _complete(media: Path, accept_incomplete: bool) -> VideoIndex:
    index = index_of(media)
    problem = "" if accept_incomplete else incomplete(media)
    if problem:
        raise InputError(problem)
    return index


def incomplete(media: Path) -> str:
    """What is missing in a video file, as an error line with both numbers; empty where nothing is known to be."""
    index = None if media.is_dir() else index_of(media)
    if index is None or not index.incomplete:
        return ""
    if index.announced > len(index):
        found = f"announces {index.announced} frames, of which {len(index)} can be decoded"
    else:
        found = f"{len(index)} frames can be decoded, and then no more"
    return (
        f"{media}: {found}{f' ({index.fault})' if index.fault else ''}: it is damaged or was cut off; download or "
        "convert it again, or go on with the frames that are there: data.accept_incomplete=true (or without the video: "
        "data.skip_unreadable=true)"
    )


def _check_length(media: Path, frames: int, indices: Sequence[int]) -> None:
    if frames <= max(indices):
        raise InputError(
            f"{media}: has {frames} frames, and the window needs {max(indices) + 1}; "
            f"set data.frames to what your videos have, or take the video out of its split list"
        )
