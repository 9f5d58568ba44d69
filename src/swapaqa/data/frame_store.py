"""Frames decoded and resized once: `data.cache=packed` (JPEG) and `data.cache=bytes` (memory-mapped).

Decoding and resizing cost nearly all of a sample's loading, and every epoch repeats them. A store keeps the resized
frames of a video's window in the cache folder, never in the data set's: `packed` as a zip of JPEGs, smaller than its
source, `bytes` as one array that is mapped into memory, so that only the crop is ever copied.

A file's name is a digest of what it was made from (the media file's path, size and time of change, the frames, the
size they have, how they were resized, the kind), so another source or another size is another file and never served.
Files are written beside their name and moved there in one step: ranks and jobs that want the same one at once write it
twice and find it whole.
"""

import hashlib
import logging
import shutil
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal, NamedTuple

import cv2
import numpy as np
from rich.progress import track

from swapaqa.data.geometry import Resize, resize_frame
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import check_regular, reason
from swapaqa.video.cache import cache_root, in_home, make_folder
from swapaqa.video.frames import Decoding, Frames, LazyFrames, Reader, decode, read_frames
from swapaqa.video.image_folder import open_folder

log = logging.getLogger(__name__)

Kind = Literal["none", "packed", "bytes"]
VERSION = 2  # raised whenever the same source gives other frames, so that no old file is served
JPEG_QUALITY = 95
SUFFIX = {"packed": ".zip", "bytes": ".npy"}
SHAPE_NAME = "source_shape"  # entry of a packed file: height and width of the source frames


class Stored(NamedTuple):
    """T frames (H, W, 3) uint8 RGB, and the size (H, W) that the source frames had: boxes are on that grid."""

    frames: Frames  # decoded while they are looked at, once
    source_size: tuple[int, int]


class WantedFrames(NamedTuple):
    """Every frame that any draw may ask of a video: what its file in the store holds."""

    media: Path
    indices: tuple[int, ...]  # ascending, each once


@dataclass(frozen=True)
class FrameStore:
    """Reads frames through the cache folder. `size` (H, W), `resize`: how frames are resized before they are kept.

    `reader` and `accept_incomplete` as in `swapaqa.video.frames`.
    """

    kind: Kind
    size: tuple[int, int]
    reader: Reader = "pyav"
    accept_incomplete: bool = False
    resize: Resize = "antialias"

    @property
    def decoding(self) -> Decoding:
        """How video files are read."""
        return Decoding(self.reader, self.accept_incomplete)

    @cached_property
    def folder(self) -> Path:
        return cache_root() / "frames"

    def read(self, want: WantedFrames, indices: Sequence[int]) -> Stored:
        """Frames `indices` (ascending, all of them in `want`). Written into the store where they are not yet.

        Without a cache the frames come as they are in the source, not resized.

        Raises:
            InputError: as `read_frames`; the file in the store is damaged.
        """
        if self.kind == "none":
            lazy = decode(want.media, indices, *self.decoding)
            return Stored(lazy, lazy.size)
        path = self.path(want)
        if not path.exists():
            self.write(want)
        check_regular(path)
        positions = np.searchsorted(want.indices, indices)
        try:
            return self._read_packed(path, positions) if self.kind == "packed" else self._read_bytes(path, positions)
        except Exception as error:  # damaged bytes raise whatever they happen to spell
            raise InputError(f"{path}: damaged ({reason(error)}); delete it, and it is made again") from error

    def path(self, want: WantedFrames) -> Path:
        """The file of a video in the store, looked up once: loader processes inherit what `fill` found."""
        if want not in self._paths:
            source = (VERSION, str(want.media.resolve()), _state(want), want.indices)
            made_from = (*source, self.size, self.resize, self.kind, *self.decoding)
            digest = hashlib.sha256(repr(made_from).encode()).hexdigest()[:24]
            self._paths[want] = self.folder / f"{digest}{SUFFIX[self.kind]}"
        return self._paths[want]

    @cached_property
    def _paths(self) -> dict[WantedFrames, Path]:
        return {}

    def write(self, want: WantedFrames) -> None:
        """Decode and resize the wanted frames of one video and keep them."""
        frames = read_frames(want.media, want.indices, *self.decoding)
        resized = [resize_frame(frame, self.size, self.resize) for frame in frames]
        self.folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self.folder, prefix="unfinished-", delete=False) as file:
            unfinished = Path(file.name)
        try:
            (_write_packed if self.kind == "packed" else _write_bytes)(unfinished, resized, frames.shape[1:3])
            unfinished.rename(self.path(want))
        except OSError as error:
            raise InputError(
                f"{self.folder}: cannot be written ({error}); free some disk, or name another folder with SWAPAQA_CACHE"
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def fill(self, wants: Sequence[WantedFrames]) -> None:
        """Write what is not there yet, with a progress bar, having said how much disk it takes.

        `packed` says it by its first video.

        Raises:
            InputError: the disk has no room for it, or a video cannot be read.
        """
        if self.kind == "none":
            return
        missing = [want for want in dict.fromkeys(wants) if not self.path(want).exists()]
        if not missing:
            return
        make_folder(self.folder)
        if self.kind == "packed":
            self.write(missing[0])
        self._announce(missing)
        with ThreadPoolExecutor() as pool:  # decoding and JPEG release the interpreter's lock
            rest = [want for want in missing if not self.path(want).exists()]
            written = pool.map(self.write, rest)
            for _ in track(written, description=f"data.cache={self.kind}", total=len(rest), transient=True):
                pass

    def size_of(self, wants: Iterable[WantedFrames]) -> int:
        """Bytes of what is kept of these."""
        return 0 if self.kind == "none" else sum(self.path(want).stat().st_size for want in wants)

    def _announce(self, missing: Sequence[WantedFrames]) -> None:
        needed, free = self._needed(missing), shutil.disk_usage(self.folder).free
        about = "about " if self.kind == "packed" else ""
        size, room = f"{about}{needed / 1e9:.1f} GB", f"{free / 1e9:.1f} GB"
        home = "; it is in your home folder: name another with SWAPAQA_CACHE" if in_home(self.folder) else ""
        said = f"{len(missing)} videos take {size} in {self.folder}, where {room} are free{home}"
        log.info("data.cache=%s: %s", self.kind, said)
        if needed > free:
            other = "or say data.cache=packed" if self.kind == "bytes" else "or say data.cache=none"
            raise InputError(
                f"data.cache={self.kind} needs {size} in {self.folder} and {room} are free: name another folder with "
                f"SWAPAQA_CACHE, {other}"
            )

    def _needed(self, missing: Sequence[WantedFrames]) -> float:
        """The bytes that these take; of `packed` as many a frame as the first of them, which is there, takes."""
        frames = sum(len(want.indices) for want in missing)
        if self.kind == "bytes":
            return frames * self.size[0] * self.size[1] * 3
        first = missing[0]
        return frames * self.path(first).stat().st_size / len(first.indices)

    def _read_bytes(self, path: Path, positions: np.ndarray) -> Stored:
        store = np.load(path, mmap_mode="r")  # one record of (source_size, frames)
        frames = store["frames"][0].view(np.ndarray)  # a memmap would be made of every frame that is taken out
        first, last = int(positions[0]), int(positions[-1])
        consecutive = last - first + 1 == len(positions)
        height, width = store["source_size"][0].tolist()
        return Stored(frames[first : last + 1] if consecutive else frames[positions], (height, width))

    def _read_packed(self, path: Path, positions: np.ndarray) -> Stored:
        with zipfile.ZipFile(path) as packed:
            height, width = np.frombuffer(packed.read(SHAPE_NAME), np.int64).tolist()
            coded = [np.frombuffer(packed.read(f"{at:06d}.jpg"), np.uint8) for at in positions.tolist()]
        return Stored(LazyFrames(len(coded), map(_decode_jpeg, coded)), (height, width))


NOT_STORED = FrameStore("none", (0, 0))  # every frame is decoded each time


def _decode_jpeg(coded: np.ndarray) -> np.ndarray:
    frame = cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB)
    if frame is None:
        raise InputError("a packed frame of data.cache=packed cannot be read: delete the folder frames of the cache")
    return frame


def _write_packed(path: Path, frames: Sequence[np.ndarray], source_size: tuple[int, int]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:  # JPEG does not shrink any further
        packed.writestr(SHAPE_NAME, np.array(source_size, np.int64).tobytes())
        for position, frame in enumerate(frames):
            done, coded = cv2.imencode(
                ".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            )
            if not done:
                raise OSError("JPEG encoding failed")
            packed.writestr(f"{position:06d}.jpg", coded.tobytes())


def _write_bytes(path: Path, frames: Sequence[np.ndarray], source_size: tuple[int, int]) -> None:
    record = np.empty(1, dtype=[("source_size", np.int64, (2,)), ("frames", np.uint8, (len(frames), *frames[0].shape))])
    record["source_size"], record["frames"][0] = source_size, frames
    with open(path, "wb") as file:
        np.save(file, record)


def _state(want: WantedFrames) -> tuple[tuple[str, int, int], ...]:
    """Changes whenever what is wanted changes: name, size and time of the file, or of the images that are wanted."""
    if want.media.is_dir():
        images = open_folder(want.media)
        files = [images[index] for index in want.indices if index < len(images)]  # reading says what is too short
    else:
        files = [want.media]
    found = [(file.name, file.stat()) for file in files]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)
