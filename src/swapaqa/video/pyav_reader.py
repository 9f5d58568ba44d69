"""PyAV (FFmpeg): the frames of one open video file as its decoder shows them, and the frame of a given number.

A seek is a guess in most containers: AVI has no display times, MPEG no table of key frames, an open group of pictures
starts with pictures that refer to what lies before it. So nothing that was reached by a seek is believed: `Cursor`
compares it with the file's index (`swapaqa.video.index`, one decoding from the start), tries an earlier key frame
where they differ, and decodes from the start where that differs too.

What the decoder shows counts: frames that an edit list hides are none, a picture is turned and mirrored as the file's
display matrix says. Decoders run on one thread, so that the same file gives the same bytes, and with
`err_detect=explode`, so that what they cannot decode is an error and not a picture made up from its neighbours.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import VideoReformatter

from swapaqa.errors import InputError

if TYPE_CHECKING:
    from swapaqa.video.index import VideoIndex

CONVERT = "`ffmpeg -i in -c:v libx264 out.mp4`"
FORMATS = (  # containers of video; not those that name other files (playlists, concatenations, image patterns)
    "asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,"
    "rm,yuv4mpegpipe"
)
NEAR = 16  # frames: decoding so many costs about as much as a seek
ATTACHED_PICTURE = 0x400  # FFmpeg's disposition of a cover


class DamagedError(Exception):
    """What the decoder says of the place at which a file cannot be decoded any further."""


class OpenVideo:
    """One video file, opened at its start.

    Raises:
        InputError: not a video that FFmpeg can decode, naming its codec.
    """

    def __init__(self, media: Path) -> None:
        self.media = media
        self.ends = Fraction(0)  # seconds: the latest end of a packet of any stream that was read
        self.position = 0  # byte that was read last
        self.packets = 0  # of the video stream that were read, but for those that an edit list hides
        self.latest = 0  # number of the latest packet by its time stamp, where these are numbers
        self.container, self.stream = _open(media)
        self.listed = len(self.stream.index_entries)  # before anything is read: from the container's own list
        self.convert = VideoReformatter()

    def __enter__(self) -> "OpenVideo":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.container.close()

    @property
    def codec(self) -> str:
        return self.stream.codec_context.name

    def seek(self, time_stamp: int) -> None:
        """Go to a key frame at or before a time stamp, as far as the container knows."""
        self.container.seek(time_stamp, stream=self.stream, backward=True)

    def frames(self) -> Iterator[av.VideoFrame]:
        """The visible frames from here on, in the order in which they are shown.

        Raises:
            DamagedError: once frames have come, what follows cannot be read or decoded. Before, it is passed over: a
                recording that starts within a group of pictures is whole.
        """
        started = False
        packets = self.container.demux()
        while True:
            packet = None
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                found = self._decode(packet)
            except (av.FFmpegError, DamagedError) as error:
                if started or packet is None:
                    raise DamagedError(_words(error)) from error
                continue
            started = started or bool(found)
            yield from found

    def _decode(self, packet: "av.Packet[Any]") -> list[av.VideoFrame]:
        self._note(packet)
        empty = not packet.size and packet.dts is not None  # AVI: the frame before is shown once more; it is not stored
        if packet.stream is not self.stream or empty:
            return []
        if packet.is_corrupt:
            raise DamagedError("data is missing")
        found: list[av.VideoFrame] = self.stream.decode(packet)
        if any(frame.is_corrupt for frame in found):
            raise DamagedError("a frame refers to data that is missing")
        return found

    def _note(self, packet: "av.Packet[Any]") -> None:
        if packet.pos is not None:
            self.position = max(self.position, packet.pos)
        if packet.pts is not None and packet.time_base is not None:
            self.ends = max(self.ends, (packet.pts + (packet.duration or 0)) * packet.time_base)
        if packet.stream is self.stream and packet.dts is not None and not packet.is_discard:
            self.packets += 1
            self.latest = max(self.latest, packet.dts + 1)

    def picture(self, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """(H, W, 3) uint8 RGB, as it is displayed. `size`: (H, W) displayed, of every frame of the file."""
        turns = quarter_turns(frame)
        height, width = size[::-1] if turns % 2 else size
        shown = self.convert.reformat(frame, width, height, "rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(np.rot90(shown[:, ::-1] if is_mirrored(frame) else shown, turns))


def _open(media: Path) -> tuple[av.container.InputContainer, av.VideoStream]:
    """The container and the one video stream that is counted and read: FFmpeg's best, never a cover."""
    try:
        container = av.open(f"file:{media}", options={"protocol_whitelist": "file", "format_whitelist": FORMATS})
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"{media}: cannot be opened as a video ({_words(error)}); download it again or convert it: {CONVERT}"
        ) from error
    stream = container.streams.best("video")
    if (
        not isinstance(stream, av.VideoStream)
        or int(stream.disposition) & ATTACHED_PICTURE
        or stream.codec_context is None
    ):
        codec = _codecs_of(container)
        container.close()
        problem = f"FFmpeg has no decoder for its codec, {codec}" if codec else "no video stream is in it"
        raise InputError(f"{media}: cannot be opened as a video ({problem}); convert it: {CONVERT}")
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.options = {"err_detect": "explode"}
    return container, stream


def _codecs_of(container: av.container.InputContainer) -> str:
    """What the container calls the codecs of its video streams; PyAV names those alone that have a decoder."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    described = container.dumps_format()  # type: ignore[attr-defined]  # its stub leaves it out
    av.logging.set_level(level)
    covers = r"(?!.*attached pic)"
    return ", ".join(re.findall(rf"Video: ([^,\n]+){covers}", described))


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def quarter_turns(frame: av.VideoFrame) -> int:
    """How often `np.rot90` turns a stored picture, once it is mirrored, until it is as displayed: 0 to 3."""
    return (round(frame.rotation / 90) + 2 * is_mirrored(frame)) % 4  # FFmpeg takes left to right for half a turn


def is_mirrored(frame: av.VideoFrame) -> bool:
    """Whether left and right change sides before a picture is turned: its display matrix has a negative determinant."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return False
    a, b, _, c, d = np.frombuffer(memoryview(matrix), np.int32)[:5].tolist()
    mirrored: bool = a * d < b * c
    return mirrored


def displayed_size(frame: av.VideoFrame) -> tuple[int, int]:
    """(H, W) as displayed."""
    return (frame.width, frame.height) if quarter_turns(frame) % 2 else (frame.height, frame.width)


def checksum(frame: av.VideoFrame) -> int:
    """CRC-32 of a frame's decoded samples, without the bytes that pad its rows."""
    components = frame.format.components
    if len(components) != len(frame.planes):  # packed or with a palette: as RGB
        return zlib.crc32(np.ascontiguousarray(frame.to_ndarray(format="rgb24", threads=1)).data)
    value = 0
    for component in components:
        plane = frame.planes[component.plane]
        rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size].reshape(
            plane.height, plane.line_size
        )
        value = zlib.crc32(np.ascontiguousarray(rows[:, : component.width * -(-component.bits // 8)]).data, value)
    return value


class Cursor:
    """Goes to frames of one file by their number. Whatever way was taken, the index proves the frame that is given."""

    def __init__(self, media: Path, index: "VideoIndex") -> None:
        self.media, self.index = media, index
        self.seeks = True  # until one has failed: then the file is decoded from its start
        self._rewind()

    def _rewind(self) -> None:
        self.video = OpenVideo(self.media)
        self.coming, self.next = self.video.frames(), 0

    def frame(self, number: int) -> np.ndarray:
        """Frame `number` (zero-based) as (H, W, 3) uint8 RGB.

        Raises:
            InputError: not even decoding from the start gives the frame that the index has.
        """
        found = self._onwards(number) if self._is_near(number) else None
        if found is None and self.seeks:
            found = self._by_seeking(number)
        if found is None:
            self.seeks = False
            self.close()
            self._rewind()
            found = self._onwards(number)
        if found is None:
            raise InputError(
                f"{self.media}: frame {number} is another one each time it is decoded: the file is damaged; download "
                f"it again or convert it: {CONVERT}"
            )
        return self.video.picture(found, self.index.size)

    def _is_near(self, number: int) -> bool:
        """Whether going on to it is what costs least."""
        return self.next <= number and (not self.seeks or self.index.key_before(number) <= self.next + NEAR)

    def _onwards(self, number: int) -> av.VideoFrame | None:
        """The frame by decoding on to it; None where what comes is not what the index has there."""
        try:
            for frame in self.coming:
                position, self.next = self.next, self.next + 1
                if position >= len(self.index) or self.index.stamp(frame) != self.index.pts[position]:
                    return None
                if position == number:
                    return frame if checksum(frame) == self.index.checksums[number] else None
        except DamagedError:
            pass
        return None

    def _by_seeking(self, number: int) -> av.VideoFrame | None:
        """The frame by way of the key frame before it, or of the one before that."""
        key = self.index.key_before(number)
        for target in (key, self.index.key_before(key - 1)):
            if target > 0 and self._seek(target, number):
                found = self._onwards(number)
                if found is not None:
                    return found
        return None

    def _seek(self, target: int, number: int) -> bool:
        """Seek to key frame `target`; whether a key frame that the index knows, not behind `number`, comes there."""
        try:
            self.video.seek(int(self.index.pts[target]))
            self.coming = self.video.frames()
            for _, frame in zip(range(2 * (number - target) + NEAR), self.coming, strict=False):
                position = self.index.find(frame) if frame.key_frame else None
                if position is not None:
                    self.coming, self.next = chain([frame], self.coming), position
                    return position <= number
        except (av.FFmpegError, DamagedError):
            pass
        return False

    def close(self) -> None:
        self.video.container.close()


def read_pyav(media: Path, index: "VideoIndex", indices: Sequence[int]) -> Iterator[np.ndarray]:
    """Frames `indices` (ascending; some may be asked for several times) as (H, W, 3) uint8 RGB.

    Raises:
        InputError: see `Cursor.frame`.
    """
    cursor, last = Cursor(media, index), -1
    picture = np.empty(0)
    try:
        for number in indices:
            picture = picture if number == last else cursor.frame(number)
            last = number
            yield picture
    finally:
        cursor.close()
