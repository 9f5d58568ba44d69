"""Decoding: a video file or a folder of images to the bytes of the frames asked for.

decord reads video files, OpenCV reads images and what decord cannot open (GIF). A reader is opened in the process
that uses it and closed before the function returns: decord's readers cannot be shared between processes. A file can
open, announce its frames and fail at a later one, so what was read is compared with what was asked for.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import decord
import numpy as np

from swapaqa.errors import InputError

VIDEO_SUFFIXES = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".gif")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")

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


def read_frames(media: Path, indices: Sequence[int]) -> np.ndarray:
    """Decode frames `indices` (zero-based, ascending) of `media`: (T, H, W, 3) uint8, RGB.

    Raises:
        InputError: the video is shorter than asked for, cannot be opened or fails while decoding.
    """
    if media.is_dir():
        return _read_images(media, indices)
    if media.suffix.lower() == ".gif":
        return _read_opencv(media, indices)
    return _read_decord(media, indices)


def frame_count(media: Path) -> int:
    """The number of frames that `media` announces; for GIF files they are counted."""
    if media.is_dir():
        return len(_images(media))
    if media.suffix.lower() == ".gif":
        return len(_decode_all(media))
    return len(_open_decord(media))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def _read_images(folder: Path, indices: Sequence[int]) -> np.ndarray:
    files = _images(folder)
    _check_length(folder, len(files), indices)
    frames: list[np.ndarray] = []
    for index in indices:
        frame = cv2.imread(str(files[index]), cv2.IMREAD_COLOR)
        if frame is None:
            raise InputError(f"{files[index]}: not a readable image; extract or download it again")
        if frames and frame.shape != frames[0].shape:
            raise InputError(
                f"{files[index]}: {frame.shape[1]}x{frame.shape[0]} pixels, but {files[indices[0]].name} beside it "
                f"has {frames[0].shape[1]}x{frames[0].shape[0]}; all images of a video need one size"
            )
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    return np.stack(frames)


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


def _read_opencv(media: Path, indices: Sequence[int]) -> np.ndarray:
    frames = _decode_all(media)
    _check_length(media, len(frames), indices)
    return np.stack([frames[index] for index in indices])


def _decode_all(media: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(media))
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
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
