"""The index of a video file: made once, kept in the cache folder, never believed where the file or it has changed."""

import os
from pathlib import Path

import numpy as np
import pytest

from swapaqa.video import index as video_index
from swapaqa.video.frames import frame_count, read_frames
from swapaqa.video.index import VideoIndex, index_files, index_of, jumped_over
from tests.numbered import numbers_of, write


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of which an index is made from now on; the cache folder is `tmp_path/cache`."""
    monkeypatch.setenv("SWAPAQA_CACHE", str(tmp_path / "cache"))
    files, original = list[Path](), video_index.make_index

    def noting(media: Path, *arguments: object) -> VideoIndex:
        files.append(media)
        return original(media, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(video_index, "make_index", noting)
    return files


def forget() -> None:
    """As another process would begin."""
    video_index._index.cache_clear()


@pytest.fixture
def media(tmp_path: Path) -> Path:
    return write(tmp_path / "dive.mp4", "libx264", range(30))


def test_it_is_made_once(media: Path, made: list[Path], tmp_path: Path) -> None:
    first = index_of(media)
    forget()
    again = index_of(media)
    assert made == [media]
    for name in ("pts", "checksums", "keys"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.codec, first.container, first.size, first.fault) == (
        again.codec,
        again.container,
        again.size,
        again.fault,
    )
    assert len(list((tmp_path / "cache" / "index").iterdir())) == 1
    assert numbers_of(read_frames(media, [4, 20])) == [4, 20]


def test_a_file_that_changed_is_indexed_again(media: Path, made: list[Path]) -> None:
    assert frame_count(media) == 30
    before = media.stat().st_mtime_ns
    write(media, "libx264", range(12))
    os.utime(media, ns=(before, before))  # the size has changed
    assert frame_count(media) == 12
    os.utime(media, ns=(before + 1, before + 1))
    assert frame_count(media) == 12
    assert len(made) == 3


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", None])
def test_a_damaged_one_is_made_again(content: bytes | None, media: Path, made: list[Path], tmp_path: Path) -> None:
    index_of(media)
    (kept,) = (tmp_path / "cache" / "index").iterdir()
    kept.write_bytes(kept.read_bytes()[:-30] if content is None else content)
    forget()
    assert numbers_of(read_frames(media, [20])) == [20]
    assert len(made) == 2
    forget()
    assert frame_count(media) == 30
    assert len(made) == 2


def test_a_cache_that_cannot_be_written_is_no_error(media: Path, made: list[Path], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    assert numbers_of(read_frames(media, [20])) == [20]
    forget()
    assert frame_count(media) == 30
    assert len(made) == 2


def test_many_are_made_beforehand(media: Path, made: list[Path], tmp_path: Path) -> None:
    other, text = write(tmp_path / "other.avi", "mjpeg", range(9), pixels="yuvj420p"), tmp_path / "text.mp4"
    text.write_text("no video")
    index_files([media, other, media, text])
    assert sorted(made) == sorted([media, other, text])
    forget()
    assert (frame_count(media), frame_count(other)) == (30, 9)
    index_files([media, other])
    assert len(made) == 3


@pytest.mark.parametrize(
    ("stamps", "missing"),
    [
        (np.arange(60) * 40, 0),
        (np.delete(np.arange(60) * 40, [20, 21, 22]), 3),
        (np.delete((np.arange(60) * 1001 / 30).round().astype(int), range(30, 40)), 10),  # 29.97 a second in ms
        (np.arange(60) * 3600 + 1800 * (np.arange(60) // 5), 0),  # a film on video: its rate varies
        (np.cumsum([33, 33, 50, 34, 33, 66, 41, 33] * 8), 0),  # a phone in low light
        (np.cumsum(([40] * 5 + [80]) * 10), 0),  # a screen recorder that leaves still frames out
        (np.repeat(np.arange(8) * 40, 5), 0),  # most frames share their time stamp
        (np.array([0, 40, 4000]), 0),  # too few to know a rate
        (np.full(20, video_index.NO_STAMP), 0),
    ],
)
def test_jumps_of_a_constant_rate_are_holes(stamps: np.ndarray, missing: int) -> None:
    assert jumped_over(stamps.astype(np.int64)) == missing
