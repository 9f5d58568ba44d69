"""Boxes of frames that the video has: the one check of the loader, the doctor, `boxes check` and `boxes import`.

Boxes count the frames of the video file or image folder, also where a window of a longer one is read.
"""

from collections.abc import Sequence
from pathlib import Path

from swapaqa.boxes.source import BoxRequest, BoxRow
from swapaqa.errors import InputError

_passed: set[tuple[object, ...]] = set()  # files of this process that need not be looked at again


def check_in_video(rows: Sequence[BoxRow], start: int, total: int, remedy: str = "") -> None:
    """InputError for a box of a frame that a video of `total` frames has not.

    Args:
        rows: as the file counts.
        start: the number that the file gives to the first frame.
        remedy: the way out; a loader's if empty.
    """
    for row in (min(rows, key=_frame), max(rows, key=_frame)):
        if not start <= row.frame < start + total:
            one_on = f"{start + 1} if the file counts from {start + 1}" if row.frame == start + total else ""
            raise InputError(
                f"{row.place}: frame {row.frame} is not in the video's {total} frames, if the first one is number "
                f"{start}; {remedy or f'say boxes.frame_start={one_on}, or take the box file of this video'}"
            )


def check_request(rows: Sequence[BoxRow], start: int, request: BoxRequest, path: Path) -> None:
    """`check_in_video` for a loader, and that the boxes are not all of frames before or after the window.

    A video is counted where a box lies behind the frames that are read, and once in a process.
    """
    entry = path.stat()
    key = (str(path), entry.st_mtime_ns, entry.st_size, str(request.media), start)
    if request.total is None or key in _passed:
        return
    if max(row.frame for row in rows) - start > max(request.frames):
        check_in_video(rows, start, request.total())
    _check_window(rows, start, request)
    _passed.add(key)


def _check_window(rows: Sequence[BoxRow], start: int, request: BoxRequest) -> None:
    """One box alone may be for a whole video; two were drawn where the athlete moves."""
    first, last = min(rows, key=_frame), max(rows, key=_frame)
    window = request.span or request.frames
    if first.frame < last.frame and not (first.frame - start <= max(window) and last.frame - start >= min(window)):
        raise InputError(
            f"{first.place}: its boxes are of frames {first.frame} to {last.frame}, and the window of {request.media} "
            f"is frames {min(window) + start} to {max(window) + start}; boxes count the frames of that file or folder: "
            "number them so, or correct boxes.frame_start="
        )


def _frame(row: BoxRow) -> int:
    return row.frame
