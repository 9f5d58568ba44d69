"""decord and OpenCV: the readers that `data.video_reader` may name beside PyAV, each where it is right.

Both go wrong in silence: decord gives other frames than asked for after a seek, and in transport streams from the first
one on; both count frames that an edit list hides; OpenCV gives black or what was in memory where a frame is interlaced.
So they are asked only for files whose index says that they can be right, decode from the start, never seek, and what
they say of each frame is looked at. Other files are read by PyAV, and the log says so once.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import cv2
import numpy as np

from swapaqa.errors import InputError
from swapaqa.video.index import VideoIndex, identity, index_of

log = logging.getLogger(__name__)

OtherReader = Literal["decord", "opencv"]
INDEXED = ("asf", "avi", "flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")  # containers in which decord finds a start


def suits(media: Path, reader: OtherReader) -> bool:
    """Whether a reader gives the frames of this file that the index has; where not, the log says why, once."""
    return _suits(*identity(media), reader)


@lru_cache(maxsize=4096)
def _suits(media: Path, size: int, changed: int, reader: OtherReader) -> bool:  # noqa: ARG001  a changed file is another
    index = index_of(media)
    problem = _problem(index) or PROBLEMS[reader](media, index)
    if problem:
        log.warning("%s: read with pyav and not data.video_reader=%s: %s", media, reader, problem)
    return not problem


def _problem(index: VideoIndex) -> str:
    if index.streams > 1:
        return f"the file has {index.streams} video streams"
    if index.mirrored:
        return "it does not mirror pictures, as the file says"
    return "the file is incomplete" if index.incomplete else ""


def _decord_problem(media: Path, index: VideoIndex) -> str:
    import_decord()
    if index.container not in INDEXED:
        return f"decord starts elsewhere than at the first frame of {index.container}"
    try:
        count = len(_open_decord(media))
    except InputError:
        return "decord cannot open it"
    return "" if count == len(index) else f"decord counts {count} frames of {len(index)}"


def _opencv_problem(media: Path, index: VideoIndex) -> str:
    if index.interlaced:
        return "OpenCV cannot convert interlaced frames"
    try:
        capture = _open_opencv(media)
    except InputError:
        return "OpenCV cannot open it"
    count, starts = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.grab()
    capture.release()
    if not starts:
        return "OpenCV decodes no frame of it"
    return "" if count == len(index) else f"OpenCV counts {count} frames of {len(index)}"


PROBLEMS: dict[OtherReader, Callable[[Path, VideoIndex], str]] = {"decord": _decord_problem, "opencv": _opencv_problem}


def read_in_order(media: Path, indices: Sequence[int], reader: OtherReader) -> Iterator[np.ndarray]:
    """Frames `indices` (ascending) as (H, W, 3) uint8 RGB, decoded from the start of a file that `suits`.

    Raises:
        InputError: the reader stops before the last of them.
    """
    wanted = list(indices)
    for number, frame in enumerate(READERS[reader](media, set(wanted), wanted[-1] + 1)):
        while wanted and wanted[0] == number:
            yield frame
            del wanted[0]
    if wanted:
        raise InputError(
            f"{media}: data.video_reader={reader} stops before frame {wanted[0]}, which PyAV decodes; "
            "say data.video_reader=pyav"
        )


def import_decord() -> ModuleType:
    """decord has wheels for some platforms only. InputError where it is missing."""
    try:
        import decord
    except ImportError as error:
        raise InputError(
            f"data.video_reader=decord: decord is not installed here ({error}); say data.video_reader=pyav, or "
            "`pip install decord` where it has a wheel"
        ) from error
    decord.logging.set_level(decord.logging.FATAL)
    module: ModuleType = decord
    return module


def _open_decord(media: Path) -> Any:
    decord = import_decord()
    try:
        return decord.VideoReader(str(media), num_threads=1)
    except (decord.DECORDError, RuntimeError) as error:
        raise InputError(f"{media}: decord cannot open it") from error


def _all_of_decord(media: Path, wanted: set[int], count: int) -> Iterator[np.ndarray]:
    decord, video = import_decord(), _open_decord(media)
    try:
        for number in range(count):
            frame = video.next()
            yield frame.asnumpy() if number in wanted else np.empty(0)
    except (decord.DECORDError, RuntimeError, StopIteration):
        return


def _open_opencv(media: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(media), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened():
        raise InputError(f"{media}: OpenCV cannot open it")
    return capture


def _all_of_opencv(media: Path, wanted: set[int], count: int) -> Iterator[np.ndarray]:
    capture = _open_opencv(media)
    try:
        for number in range(count):
            if not capture.grab():
                return
            done, frame = capture.retrieve() if number in wanted else (True, np.empty(0))
            if not done:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if number in wanted else frame
    finally:
        capture.release()


READERS: dict[OtherReader, Callable[[Path, set[int], int], Iterator[np.ndarray]]] = {
    "decord": _all_of_decord,
    "opencv": _all_of_opencv,
}
