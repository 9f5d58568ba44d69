"""The index of a video file, frame by frame: made once by decoding it from the start, and kept in the cache folder.

The index is what every count and every read is checked against (`swapaqa.video.pyav_reader`). It also says how many
frames the file announces beside those that can be decoded: a file that was cut off or has a hole in it opens and plays.

A file's name in the cache is a digest of the media file's path, size and time of change and of the versions of PyAV and
FFmpeg. A file that cannot be written is made again by the next process, a damaged one too.
"""

import hashlib
import io
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import av
import numpy as np
from rich.progress import Progress

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import check_regular, read_bytes
from swapaqa.files.whole_file import with_digest, without_digest, write_whole
from swapaqa.video.cache import cache_root
from swapaqa.video.gif_file import is_whole
from swapaqa.video.pyav_reader import CONVERT, DamagedError, OpenVideo, checksum, displayed_size, is_mirrored

log = logging.getLogger(__name__)

VERSION = 2  # raised whenever the same file gives another index
NO_STAMP = np.iinfo(np.int64).min
TIMED = ("matroska,webm", "flv", "asf", "mxf")  # containers whose header has the duration; elsewhere it is an estimate
FACTS = ("announced", "fault", "codec", "container", "interlaced", "mirrored", "streams", "size")
SLOW = 1.0  # seconds of work from which on it is said


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """The visible frames of a video file, up to the first one that cannot be decoded.

    Attributes:
        pts: (N,) int64, time stamps in the order shown; `NO_STAMP` where the file has none.
        checksums: (N,) uint32 of the decoded samples.
        keys: (N,) bool, frames that can be decoded without others.
        announced: frames that the container says are there; 0 where it says nothing.
        fault: what the decoder said where it stopped before the end, else empty.
        codec, container: FFmpeg's names of the decoder and of the format.
        interlaced, mirrored: whether any frame is.
        streams: video streams in the file, of which one is read.
        size: (H, W) as displayed.
    """

    pts: np.ndarray
    checksums: np.ndarray
    keys: np.ndarray
    announced: int
    fault: str
    codec: str
    container: str
    interlaced: bool
    mirrored: bool
    streams: int
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def incomplete(self) -> bool:
        """Whether there should be more frames than can be decoded."""
        return bool(self.fault) or self.announced > len(self)

    def key_before(self, number: int) -> int:
        """The last key frame at or before frame `number`; -1 where there is none."""
        keys = self._key_numbers
        position = int(np.searchsorted(keys, number, side="right"))
        return int(keys[position - 1]) if position else -1

    def stamp(self, frame: av.VideoFrame) -> int:
        return NO_STAMP if frame.pts is None else frame.pts

    def find(self, frame: av.VideoFrame) -> int | None:
        """The number of a key frame by its time stamp and its content; None where that is not one frame's alone."""
        return self._anchors.get((self.stamp(frame), checksum(frame)))

    @cached_property
    def _key_numbers(self) -> np.ndarray:
        return np.flatnonzero(self.keys)

    @cached_property
    def _anchors(self) -> dict[tuple[int, int], int]:
        rows = list(zip(self.pts.tolist(), self.checksums.tolist(), strict=True))
        count = Counter(rows)
        return {rows[i]: i for i in self._key_numbers.tolist() if count[rows[i]] == 1 and rows[i][0] != NO_STAMP}


def make_index(media: Path, report: Callable[[int], None] = lambda _: None) -> VideoIndex:
    """Decode a whole file and note its frames. `report` is told the position in the file, in bytes, as it goes.

    Raises:
        InputError: no frame of it can be decoded.
    """
    stamps: list[int | None] = []
    checksums, keys = list[int](), list[bool]()
    interlaced, mirrored, fault, size = False, False, "", (0, 0)
    with OpenVideo(media) as video:
        try:
            for frame in video.frames():
                size = size if stamps else displayed_size(frame)
                stamps.append(frame.pts)
                checksums.append(checksum(frame))
                keys.append(frame.key_frame)
                interlaced = interlaced or frame.interlaced_frame
                mirrored = mirrored or is_mirrored(frame)
                report(video.position)
        except DamagedError as error:
            fault = str(error)
        if not stamps:
            raise InputError(
                f"{media}: no frame can be decoded (codec {video.codec}{f': {fault}' if fault else ''}); download it "
                f"again or convert it: {CONVERT}"
            )
        if video.container.format.name == "gif" and not is_whole(media):
            fault = "it has no end"
        pts = np.array([NO_STAMP if stamp is None else stamp for stamp in stamps], np.int64)
        streams = len(video.container.streams.video)
        announced = announced_frames(video, pts, bool(fault))
        return VideoIndex(
            pts=pts,
            checksums=np.array(checksums, np.uint32),
            keys=np.array(keys),
            announced=announced,
            fault=fault,
            codec=video.codec,
            container=video.container.format.name,
            interlaced=interlaced,
            mirrored=mirrored,
            streams=streams,
            size=size,
        )


def announced_frames(video: OpenVideo, pts: np.ndarray, damaged: bool) -> int:
    """How many visible frames a file says it has; 0 where it says nothing. `damaged`: it was not read to its end.

    AVI and MP4 count their frames. Others name a duration, and where their rate is constant a jump of the time stamps
    is a hole.
    """
    kind, rate, duration = video.container.format.name, video.stream.average_rate, video.container.duration
    if kind in LISTED and video.stream.frames:
        listed, read = LISTED[kind](video)
        return listed if damaged else len(pts) + max(0, listed - read)
    seconds = duration / av.time_base if kind in TIMED and duration else 0.0
    if damaged:
        return round(seconds * float(rate or 0))
    left = (seconds - float(video.ends)) * float(rate or 0)
    jumps = 0 if kind == "gif" else jumped_over(pts)  # a GIF says how long each frame is shown
    missing = jumps + (round(left) if left > 2 else 0)  # less is how containers round
    return len(pts) + missing if missing else 0


def in_avi(video: OpenVideo) -> tuple[int, int]:
    """Frames that an AVI file lists, and how many of these came.

    Its index at the end lists the frames with content. Without one (FFmpeg then shortens the duration, or finds entries
    only as it reads) the header counts, whose number includes the empty frames that hold the one before.
    """
    stream = video.stream
    if video.listed >= video.packets and (stream.duration or 0) >= stream.frames:
        return video.listed, video.packets
    return stream.frames, max(video.packets, video.latest)


def in_mp4(video: OpenVideo) -> tuple[int, int]:
    """Frames that an MP4 file lists but for those that its edit list hides, and how many of these came."""
    return sum(not entry.is_discard for entry in video.stream.index_entries) or video.stream.frames, video.packets


LISTED = {"avi": in_avi, "mov,mp4,m4a,3gp,3g2,mj2": in_mp4}  # containers that have a list of all frames


def jumped_over(pts: np.ndarray) -> int:
    """Frames that are missing between others, by jumps of the time stamps (N,); 0 where the rate is not constant."""
    if (pts == NO_STAMP).any() or len(pts) < 8:
        return 0
    steps = np.diff(np.sort(pts)).astype(np.float64)
    usual = np.median(steps)
    jumps = steps[steps > 1.5 * usual]
    constant = np.abs(steps - usual) <= max(1.0, 0.02 * usual)  # one tick is how time stamps round
    if usual <= 0 or len(jumps) > max(2, 0.02 * len(steps)) or constant.sum() + len(jumps) < len(steps):
        return 0
    return int((jumps / usual).round().sum()) - len(jumps)


def index_of(media: Path) -> VideoIndex:
    """The index of a video file: of this process, else of the cache folder, else made now and kept there.

    Raises:
        InputError: the file is not there, or no frame of it can be decoded.
    """
    return _index(*identity(media))


def index_files(files: Iterable[Path]) -> None:
    """Make the indices of video files that have none, with a progress bar. Faults are said where a file is read."""
    missing = [media for media in dict.fromkeys(files) if not cached_path(*identity(media)).is_file()]
    if not missing:
        return
    sizes = [media.stat().st_size for media in missing]
    log.info("%d video files (%.2f GB) are decoded once, for their index", len(missing), sum(sizes) / 1e9)
    with Progress(transient=True) as progress, ThreadPoolExecutor() as pool:  # decoding releases the interpreter's lock
        bar = progress.add_task("indexing videos", total=sum(sizes))

        def work(media: Path, size: int) -> None:
            done = 0

            def advance(position: int) -> None:
                nonlocal done
                progress.advance(bar, position - done)
                done = position

            try:
                make_and_keep(media, cached_path(*identity(media)), advance)
            except InputError as error:
                log.debug("%s", error)
            advance(size)

        list(pool.map(work, missing, sizes))


def identity(media: Path) -> tuple[Path, int, int]:
    """A file, its size and its time of change. InputError where there is none."""
    check_regular(media)
    found = media.stat()
    return media, found.st_size, found.st_mtime_ns


def make_and_keep(media: Path, path: Path, report: Callable[[int], None] = lambda _: None) -> VideoIndex:
    """`make_index`, kept as `path`; the log says so where it took long."""
    began = time.perf_counter()
    index = make_index(media, report)
    seconds = time.perf_counter() - began
    if seconds > SLOW:
        log.info("%s: %d frames indexed in %.0f s, once; kept in %s", media, len(index), seconds, path.parent)
    save_index(path, index)
    return index


@lru_cache(maxsize=2048)
def _index(media: Path, size: int, changed: int) -> VideoIndex:
    path = cached_path(media, size, changed)
    known = load_index(path)
    return make_and_keep(media, path) if known is None else known


def cached_path(media: Path, size: int, changed: int) -> Path:
    """Where the index of a file of this size and time of change is kept."""
    made_from = (VERSION, str(media.resolve()), size, changed, av.__version__, sorted(av.library_versions.items()))
    return cache_root() / "index" / hashlib.sha256(repr(made_from).encode()).hexdigest()[:24]


def save_index(path: Path, index: VideoIndex) -> None:
    """Keep an index; a folder that cannot be written costs the next process the same work, and nothing else."""
    facts = {name: getattr(index, name) for name in FACTS}
    content = io.BytesIO()
    np.savez(content, pts=index.pts, checksums=index.checksums, keys=index.keys, facts=np.array(json.dumps(facts)))
    try:
        write_whole(path, with_digest(content.getvalue()))
    except OSError as error:
        log.debug("%s: not kept (%s)", path, error)


def load_index(path: Path) -> VideoIndex | None:
    """A kept index; None where there is none or it is not as it was written."""
    if not path.is_file():  # nothing to wait for
        return None
    try:
        with np.load(io.BytesIO(without_digest(read_bytes(path))), allow_pickle=False) as kept:
            facts = json.loads(str(kept["facts"]))
            return VideoIndex(kept["pts"], kept["checksums"], kept["keys"], **facts | {"size": tuple(facts["size"])})
    except (InputError, ValueError) as error:
        log.debug("%s: damaged, made again (%s)", path, error)
        return None
