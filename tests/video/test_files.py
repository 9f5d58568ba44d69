"""The frame asked for, however it is reached: files of every kind whose frames show their own numbers."""

import logging
import re
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
import pytest

from swapaqa.errors import InputError
from swapaqa.video import pyav_reader
from swapaqa.video.frames import Reader, frame_count, incomplete, read_frames
from swapaqa.video.index import index_of
from swapaqa.video.pyav_reader import OpenVideo
from swapaqa.video.sequential_readers import suits
from tests.numbered import SIZE, drawn, numbers_of, write

COUNT = 60
OPEN = {"x264-params": "keyint=12:min-keyint=12:open-gop=1:bframes=3:scenecut=0"}
H265 = {"x265-params": "keyint=12:open-gop=1:bframes=3:log-level=none"}
JITTER = [int(33.3 * i + 3 * (i % 7) + 66 * (i // 20)) for i in range(COUNT)]  # milliseconds, as a phone in low light

KINDS: dict[str, dict[str, Any]] = {
    "mpeg4.avi": {"codec": "mpeg4", "b_frames": 2},  # no display times
    "h264.avi": {"codec": "libx264", "options": OPEN},
    "dropped.avi": {"codec": "mjpeg", "pixels": "yuvj420p", "stamps": [40 * i + 80 * (i // 20) for i in range(COUNT)]},
    "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "interlaced.avi": {"codec": "mpeg4", "interlaced": True},
    "msmpeg4.avi": {"codec": "msmpeg4"},
    "open.mp4": {"codec": "libx264", "options": OPEN},
    "open.mkv": {"codec": "libx264", "options": OPEN},
    "open.ts": {"codec": "libx264", "options": OPEN},
    "open.flv": {"codec": "libx264", "options": OPEN},
    "stream.h264": {"codec": "libx264", "options": OPEN},  # no time stamps
    "hevc.mp4": {"codec": "libx265", "options": H265},
    "fields.mp4": {"codec": "libx264", "options": {"x264-params": "keyint=12:interlaced=1:bframes=3"}},
    "refresh.mp4": {"codec": "libx264", "options": {"x264-params": "keyint=12:intra-refresh=1:bframes=0"}},
    "fragments.mp4": {"codec": "libx264", "container": {"movflags": "frag_keyframe+empty_moov"}},
    "varying.mp4": {"codec": "libx264", "stamps": JITTER},
    "varying.mkv": {"codec": "libx264", "stamps": JITTER},
    "varying.webm": {"codec": "libvpx", "stamps": JITTER},
    "mpeg1.mpg": {"codec": "mpeg1video", "b_frames": 2},
    "mpeg2.vob": {"codec": "mpeg2video", "b_frames": 2},
    "interlaced.mpg": {"codec": "mpeg2video", "b_frames": 2, "interlaced": True},
    "interlaced.ts": {"codec": "mpeg2video", "b_frames": 2, "interlaced": True},
    "wmv2.wmv": {"codec": "wmv2"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "av1.mkv": {"codec": "libsvtav1"},
    "phone.m4v": {"codec": "mpeg4", "b_frames": 2},
    "prores.mov": {"codec": "prores", "pixels": "yuv422p10le"},
    "raw.avi": {"codec": "rawvideo", "pixels": "bgr24"},
    "picture.gif": {"codec": "gif", "pixels": "rgb8"},
}

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`video("open.mp4")`: a file of `KINDS`."""
    folder = tmp_path_factory.mktemp("videos")

    def written(name: str) -> Path:
        if not (folder / name).exists():
            write(folder / name, **KINDS[name])
        return folder / name

    return written


def windows(count: int) -> Iterator[list[int]]:
    """All frames, late ones, spread ones, each alone from the last to the first, and any."""
    yield list(range(count))
    yield list(range(count - 16, count))
    yield np.linspace(0, count - 1, 16).round().astype(int).tolist()
    yield np.linspace(count // 2, count - 1, 5).round().astype(int).tolist()
    yield from ([number] for number in range(count - 1, -1, -7))
    generator = np.random.default_rng(0)
    yield from (sorted(generator.integers(0, count, 6).tolist()) for _ in range(6))  # some twice


@pytest.mark.parametrize("name", KINDS)
def test_the_frame_asked_for_however_it_is_reached(name: str, video: Callable[[str], Path]) -> None:
    media = video(name)
    assert frame_count(media) == COUNT
    assert incomplete(media) == ""
    for window in windows(COUNT):
        assert numbers_of(read_frames(media, window)) == window


@pytest.mark.parametrize("reader", ["decord", "opencv"])
@pytest.mark.parametrize("name", KINDS)
def test_the_other_readers_serve_where_they_are_right(
    name: str, reader: Reader, video: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip(reader.replace("opencv", "cv2"))
    media = video(name)
    for window in (list(range(COUNT)), list(range(44, COUNT)), [0, 3, 3, 17, 41]):
        assert numbers_of(read_frames(media, window, reader)) == window
    assert len([line for line in caplog.messages if "read with pyav" in line]) <= 1
    served = suits(media, reader)
    if name in ("mpeg4.avi", "open.mp4", "mjpeg.avi", "wmv2.wmv"):
        assert served
    if "av1" in name or (reader == "opencv" and index_of(media).interlaced) or (reader == "decord" and ".ts" in name):
        assert not served


def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that counts, in its only number, the frames that are decoded from now on."""
    count, original = [0], OpenVideo.frames

    def counting(self: OpenVideo) -> Iterator[av.VideoFrame]:
        for frame in original(self):
            count[0] += 1
            yield frame

    monkeypatch.setattr(OpenVideo, "frames", counting)
    return count


@pytest.mark.parametrize(
    "name", ["mpeg4.avi", "open.mp4", "open.mkv", "open.ts", "interlaced.mpg", "vp9.webm", "mjpeg.avi"]
)
def test_a_late_window_is_not_decoded_from_the_start(
    name: str, video: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    media = video(name)
    index_of(media)
    count = decoded(monkeypatch)
    read_frames(media, range(50, COUNT))
    assert count[0] <= 36  # at most one group of pictures before that of frame 50


@pytest.mark.parametrize("offset", [-5000, 9000, 26000])
def test_a_seek_that_goes_elsewhere_is_noticed(
    offset: int, video: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = OpenVideo.seek
    monkeypatch.setattr(OpenVideo, "seek", lambda self, stamp: original(self, max(0, stamp + offset)))
    for window in windows(COUNT):
        assert numbers_of(read_frames(video("open.mp4"), window)) == window


def test_wrong_time_stamps_after_a_seek_are_noticed(
    video: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content proves a frame: a decoder that drops one in silence is not believed."""
    original = pyav_reader.OpenVideo.frames

    def dropping(self: OpenVideo) -> Iterator[av.VideoFrame]:
        for number, frame in enumerate(original(self)):
            if number != 3 or self.fresh:  # type: ignore[attr-defined]
                yield frame

    seek = OpenVideo.seek

    def marked(self: OpenVideo, stamp: int) -> None:
        self.fresh = False  # type: ignore[attr-defined]
        seek(self, stamp)

    media = video("mpeg4.avi")
    index_of(media)
    monkeypatch.setattr(OpenVideo, "fresh", True, raising=False)
    monkeypatch.setattr(OpenVideo, "frames", dropping)
    monkeypatch.setattr(OpenVideo, "seek", marked)
    assert numbers_of(read_frames(media, [45, 58])) == [45, 58]


def trimmed(source: Path, target: Path, first: int) -> Path:
    """`ffmpeg -ss ... -c copy`: starts at the key frame before `first`, which an edit list hides up to it."""
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        stream = given.streams.video[0]
        copy = out.add_stream_from_template(stream)
        packets = [packet for packet in given.demux(stream) if packet.dts is not None]
        cut = round(first / (25 * stream.time_base))
        start = max(i for i, packet in enumerate(packets) if packet.is_keyframe and packet.pts <= cut)
        for packet in packets[start:]:
            packet.pts, packet.dts, packet.stream = packet.pts - cut, packet.dts - cut, copy
            out.mux(packet)
    return target


@pytest.mark.parametrize("reader", ["pyav", "decord", "opencv"])
@pytest.mark.parametrize(("name", "first"), [("open.mp4", 15), ("open.mp4", 31), ("hevc.mp4", 15), ("phone.m4v", 17)])
def test_frames_that_an_edit_list_hides_are_none(
    name: str, first: int, reader: Reader, video: Callable[[str], Path], tmp_path: Path
) -> None:
    media = trimmed(video(name), tmp_path / f"trimmed{Path(name).suffix}", first)
    count = COUNT - first
    assert (frame_count(media), incomplete(media)) == (count, "")
    for window in windows(count):
        assert numbers_of(read_frames(media, window, reader)) == [first + number for number in window]


def test_a_recording_that_begins_within_a_group_of_pictures_is_whole(
    video: Callable[[str], Path], tmp_path: Path
) -> None:
    packet = 188
    content = video("open.ts").read_bytes()
    media = tmp_path / "joined.ts"
    media.write_bytes(content[len(content) // 3 // packet * packet :])
    assert incomplete(media) == ""
    numbers = numbers_of(read_frames(media, range(frame_count(media))))
    assert numbers == list(range(numbers[0], COUNT))


CUT, HOLE = 0.6, (0.5, 0.7)  # share of the file that is left; share that is zero, behind the header of AVI


def damaged(media: Path, how: str, folder: Path) -> Path:
    content = bytearray(media.read_bytes())
    if how == "cut":
        content = content[: int(len(content) * CUT)]
    else:
        start, stop = (int(len(content) * share) for share in HOLE)
        content[start:stop] = bytes(stop - start)
    target = folder / f"{how}_{media.name}"
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("how", ["cut", "holed"])
@pytest.mark.parametrize(
    "name",
    [
        "mpeg4.avi",
        "mjpeg.avi",
        "h264.avi",
        "dropped.avi",
        "raw.avi",
        "open.mkv",
        "vp9.webm",
        "av1.mkv",
        "wmv2.wmv",
        "open.flv",
    ],
)
def test_incomplete_files_are_refused_with_both_numbers(
    name: str, how: str, video: Callable[[str], Path], tmp_path: Path
) -> None:
    media = damaged(video(name), how, tmp_path)
    there = frame_count(media, accept_incomplete=True)
    assert there < COUNT - 5
    for read in (frame_count, lambda path: read_frames(path, [0])):
        with pytest.raises(InputError, match=f"{there} (that |frames|can)|after {there}") as error:
            read(media)
        assert str(media) in str(error.value)
        assert "data.accept_incomplete=true" in str(error.value)
    announced = index_of(media).announced
    if name not in ("dropped.avi", "wmv2.wmv"):  # the one counts empty frames, the other says nothing when cut
        assert abs(announced - COUNT) <= 3
        assert f"announces {announced} frames, of which {there} can be decoded" in incomplete(media)
    kept = numbers_of(read_frames(media, range(there), accept_incomplete=True))
    assert kept[: there // 2] == list(range(there // 2))
    assert numbers_of(read_frames(media, [there - 1], accept_incomplete=True)) == kept[-1:]


@pytest.mark.parametrize("how", ["cut", "holed"])
@pytest.mark.parametrize("name", ["open.mp4", "prores.mov"])
def test_damaged_mp4_is_refused(name: str, how: str, video: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be opened|announces 60 frames, of which"):
        frame_count(damaged(video(name), how, tmp_path))


def test_of_two_video_streams_one_is_counted_and_read(tmp_path: Path) -> None:
    media = tmp_path / "two.mkv"
    with av.open(str(media), "w") as out:
        streams = [out.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream in streams:
            stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(40):
            for stream, shown in zip(streams, (number, 200 - number), strict=True):
                if stream is streams[0] or number < 25:
                    out.mux(stream.encode(av.VideoFrame.from_ndarray(drawn(shown), format="rgb24")))
        for stream in streams:
            out.mux(stream.encode(None))
    count = frame_count(media)
    expected = list(range(40)) if count == 40 else list(range(200, 175, -1))
    for reader in ("pyav", "decord", "opencv"):
        assert numbers_of(read_frames(media, range(count), reader)) == expected
        assert numbers_of(read_frames(media, [20], reader)) == [expected[20]]


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_every_reader_shows_a_turned_video_as_it_is_displayed(turned: int, tmp_path: Path) -> None:
    media = write(tmp_path / "turned.mp4", "mpeg4", range(3), turned=turned)
    shown = read_frames(media, [2])[0]
    assert shown.shape[:2] == (SIZE if turned == 180 else SIZE[::-1])
    assert index_of(media).size == shown.shape[:2]
    assert any(numbers_of([np.rot90(shown, turns)]) == [2] for turns in (turned // 90, -turned // 90))
    for reader in ("decord", "opencv"):
        assert suits(media, reader)
        assert np.abs(read_frames(media, [2], reader)[0].astype(int) - shown).mean() < 1


MIRRORED = {  # display matrix a, b, c, d of ISO 14496-12, and what it makes of a stored picture
    "left to right": ((-1, 0, 0, 1), lambda stored: stored[:, ::-1]),
    "top to bottom": ((1, 0, 0, -1), lambda stored: stored[::-1]),
    "rows to columns": ((0, 1, 1, 0), lambda stored: stored.transpose(1, 0, 2)),
    "against the other diagonal": ((0, -1, -1, 0), lambda stored: stored[::-1, ::-1].transpose(1, 0, 2)),
}


@pytest.mark.parametrize("how", MIRRORED)
@pytest.mark.parametrize("reader", get_args(Reader))
def test_every_reader_shows_a_mirrored_video_as_it_is_displayed(how: str, reader: Reader, tmp_path: Path) -> None:
    (a, b, c, d), mirrored = MIRRORED[how]
    plain = write(tmp_path / "plain.mp4", "mpeg4", range(3))
    identity, wanted = (struct.pack(">5i", *(65536 * v for v in m)) for m in ((1, 0, 0, 0, 1), (a, b, 0, c, d)))
    header, track = plain.read_bytes().split(b"tkhd")
    media = tmp_path / "mirrored.mp4"
    media.write_bytes(header + b"tkhd" + track.replace(identity, wanted, 1))
    shown = read_frames(media, [2], reader)[0]
    assert np.abs(shown.astype(int) - mirrored(read_frames(plain, [2])[0])).mean() < 1
    assert index_of(media).size == shown.shape[:2]


@pytest.mark.parametrize("how", ["cut", "hole", "gap"])
def test_a_gif_ends_with_its_trailer(how: str, tmp_path: Path) -> None:
    """It announces nothing, and how long each frame is shown says nothing of others."""
    media = write(tmp_path / "a.gif", "gif", range(30), "rgb8", stamps=[40 * i + 800 * (i > 15) for i in range(30)])
    content = media.read_bytes()
    assert (frame_count(media), incomplete(media)) == (30, "")
    media.write_bytes(content + b"behind")
    assert incomplete(media) == ""
    half, later = len(content) // 2, len(content) * 2 // 3
    damaged = {"cut": b"", "hole": bytes(later - half) + content[later:], "gap": content[later:]}
    media.write_bytes(content[:half] + damaged[how])
    assert "frames can be decoded, and then no more (it has no end)" in incomplete(media)


def test_a_gap_in_mxf_is_seen_by_its_duration(tmp_path: Path) -> None:
    content = write(tmp_path / "whole.mxf", "mpeg2video").read_bytes()
    assert incomplete(tmp_path / "whole.mxf") == ""
    gap = tmp_path / "gap.mxf"
    gap.write_bytes(content[: len(content) // 2] + content[len(content) * 7 // 10 :])
    assert re.search("announces (59|60) frames, of which 46", incomplete(gap))  # B-frames: it begins at frame 1 or 0


def test_a_codec_that_ffmpeg_does_not_have_is_named(video: Callable[[str], Path], tmp_path: Path) -> None:
    media = tmp_path / "unknown.avi"
    media.write_bytes(video("mjpeg.avi").read_bytes().replace(b"MJPG", b"Xq9z"))
    for read in (frame_count, lambda path: read_frames(path, [0], "decord")):
        with pytest.raises(InputError, match=r"unknown\.avi.*codec.*Xq9z.*ffmpeg -i in -c:v libx264 out\.mp4"):
            read(media)


def test_a_playlist_is_no_video(tmp_path: Path, video: Callable[[str], Path]) -> None:
    """It would name other files, or addresses in a network."""
    media = tmp_path / "list.avi"
    media.write_text(f"ffconcat version 1.0\nfile {video('mjpeg.avi').name}\n")
    with pytest.raises(InputError, match="cannot be opened"):
        frame_count(media)


def test_names_that_look_like_addresses_or_patterns_are_files(
    tmp_path: Path, video: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http:dive %03d.avi", "pipe:0.avi", "a=b,c.avi"):
        Path(name).write_bytes(video("mjpeg.avi").read_bytes())
        assert numbers_of(read_frames(Path(name), [7])) == [7]


def test_decord_that_is_not_installed_is_one_line(
    video: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    media = video("phone.m4v")
    monkeypatch.setitem(sys.modules, "decord", None)
    assert numbers_of(read_frames(media, [3])) == [3]
    suits.__globals__["_suits"].cache_clear()
    with pytest.raises(InputError, match=r"data\.video_reader=decord: decord is not installed.*pyav"):
        read_frames(media, [3], "decord")


def test_another_reader_is_said_once(
    video: Callable[[str], Path], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    media = tmp_path / "fields.avi"
    media.write_bytes(video("interlaced.avi").read_bytes())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            read_frames(media, [0, 5], "opencv")
    assert caplog.messages == [
        f"{media}: read with pyav and not data.video_reader=opencv: OpenCV cannot convert interlaced frames"
    ]
