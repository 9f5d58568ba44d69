"""The stores of decoded frames: what they hand out, what they are made from, and how they are written."""

import logging
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from swapaqa.data import frame_store
from swapaqa.data.dataset import Item, SampleReader
from swapaqa.data.frame_store import FrameStore, WantedFrames
from swapaqa.data.geometry import Geometry, Resize, Window, resize_frame
from swapaqa.errors import InputError
from swapaqa.video.frames import read_frames

SIZE = (24, 40)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWAPAQA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frames"


@pytest.fixture
def want(tmp_path: Path) -> WantedFrames:
    """Twelve smooth pictures of 32x64 pixels, of which 2 to 11 are wanted."""
    folder = tmp_path / "video"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        coarse = rng.integers(0, 255, (2, 3, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"img_{number + 1:05d}.png"), cv2.resize(coarse, (64, 32)))
    return WantedFrames(folder, tuple(range(2, 12)))


def resized(want: WantedFrames, indices: list[int], kind: Resize = "antialias") -> np.ndarray:
    return np.stack([resize_frame(frame, SIZE, kind) for frame in read_frames(want.media, indices)])


@pytest.mark.parametrize("indices", [list(range(2, 12)), [4, 5, 6], [2, 7, 11], [3, 3, 9]])
def test_bytes_are_the_resized_frames(want: WantedFrames, indices: list[int]) -> None:
    stored = FrameStore("bytes", SIZE).read(want, indices)
    np.testing.assert_array_equal(np.stack(list(stored.frames)), resized(want, indices))
    assert stored.source_size == (32, 64)
    assert len(stored.frames) == len(indices)
    linear = FrameStore("bytes", SIZE, resize="linear").read(want, indices)
    np.testing.assert_array_equal(np.stack(list(linear.frames)), resized(want, indices, "linear"))
    assert not np.array_equal(np.stack(list(linear.frames)), np.stack(list(stored.frames)))


@pytest.mark.parametrize("indices", [list(range(2, 12)), [2, 7, 11]])
def test_packed_frames_are_the_resized_frames_after_jpeg(want: WantedFrames, indices: list[int]) -> None:
    stored = FrameStore("packed", SIZE).read(want, indices)
    difference = np.stack(list(stored.frames)).astype(float) - resized(want, indices)
    assert np.abs(difference).mean() < 6  # of 255; another channel order or frame is above 20
    assert stored.source_size == (32, 64)


def test_without_a_cache_the_source_is_read_and_nothing_is_written(want: WantedFrames, cache: Path) -> None:
    stored = FrameStore("none", SIZE).read(want, [3, 4])
    np.testing.assert_array_equal(np.stack(list(stored.frames)), read_frames(want.media, [3, 4]))
    assert not cache.exists()


def test_frames_of_another_source_size_or_kind_are_never_served(want: WantedFrames) -> None:
    before = FrameStore("bytes", SIZE).path(want)
    store = FrameStore("bytes", SIZE)
    assert before == store.path(want)
    picture = want.media / "img_00004.png"
    os.utime(picture, ns=(1, picture.stat().st_mtime_ns + 1_000_000))
    others = [
        FrameStore("bytes", SIZE).path(want),  # touched
        FrameStore("bytes", (24, 41)).path(want),
        FrameStore("packed", SIZE).path(want),
        FrameStore("bytes", SIZE, resize="linear").path(want),
        store.path(want._replace(indices=want.indices[1:])),
    ]
    assert len({before, *others}) == 6


def test_a_write_that_fails_leaves_nothing_behind(
    want: WantedFrames, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frame_store, "_write_bytes", full)
    with pytest.raises(InputError, match="SWAPAQA_CACHE"):
        FrameStore("bytes", SIZE).read(want, [3])
    assert list(cache.iterdir()) == []


def test_several_writers_of_one_video_leave_one_whole_file(want: WantedFrames, cache: Path) -> None:
    store = FrameStore("packed", SIZE)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store.write, [want] * 8))
    assert [file.name for file in cache.iterdir()] == [store.path(want).name]
    assert len(list(store.read(want, want.indices).frames)) == len(want.indices)


def test_fill_writes_what_is_missing_once_and_says_how_much(
    want: WantedFrames, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FrameStore("bytes", SIZE)
    with caplog.at_level(logging.INFO):
        store.fill([want, want])
    assert "1 videos take 0.0 GB" in caplog.text
    written = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    store.fill([want])
    assert {file: file.stat().st_mtime_ns for file in cache.iterdir()} == written


def test_packed_frames_say_how_much_they_take_by_the_first_video(
    want: WantedFrames, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    half = WantedFrames(want.media, want.indices[:5])
    store = FrameStore("packed", SIZE)
    with caplog.at_level(logging.INFO):
        store.fill([want, half])
    assert f"2 videos take about 0.0 GB in {cache}, where" in caplog.text
    assert len(list(cache.iterdir())) == 2
    assert store._needed([want, half]) == 1.5 * store.path(want).stat().st_size


def test_a_cache_in_the_home_folder_is_pointed_elsewhere(
    want: WantedFrames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    words = "it is in your home folder: name another with SWAPAQA_CACHE"
    with caplog.at_level(logging.INFO):
        FrameStore("bytes", SIZE).fill([want])
        assert words not in caplog.text
        monkeypatch.delenv("SWAPAQA_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        FrameStore("bytes", SIZE).fill([want])
    assert words in caplog.text
    assert len(list((tmp_path / ".cache" / "swapaqa" / "frames").iterdir())) == 1


@pytest.mark.parametrize(("kind", "left", "other"), [("bytes", 0, "packed"), ("packed", 1, "none")])
def test_a_cache_that_does_not_fit_is_refused(
    kind: Any, left: int, other: str, want: WantedFrames, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    wants = [want, WantedFrames(want.media, want.indices[:5])]
    with pytest.raises(InputError, match=rf"with SWAPAQA_CACHE, or say data\.cache={other}$"):
        FrameStore(kind, SIZE).fill(wants)
    assert len(list(cache.iterdir())) == left  # `packed` is measured


def test_an_unreadable_video_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a film")
    with pytest.raises(InputError, match=r"broken\.mp4"):
        FrameStore("packed", SIZE).fill([WantedFrames(broken, (0, 1))])


def test_samples_are_the_same_from_every_cache(aqa7_tree, open_data) -> None:
    """Crop, flip and boxes do not depend on where the frames come from; JPEG moves the pixels a little."""
    root = aqa7_tree()
    samples = {}
    for kind in ("none", "packed", "bytes"):
        data = open_data(root, cache=kind)
        data.setup()
        samples[kind] = data.training_set()[(3, 1)]
    for kind in ("packed", "bytes"):
        difference = samples[kind].video.float() - samples["none"].video.float()
        assert difference.abs().mean() < (8 if kind == "packed" else 1e-9)
        np.testing.assert_array_equal(samples[kind].boxes, samples["none"].boxes)


def test_the_store_holds_what_every_shift_may_ask_for() -> None:
    reader = SampleReader(3, Geometry(4, 4, 4, False, 0.0), None, FrameStore("none", (4, 4)), (-2, 1))
    item = Item(None, Path("film.mp4"), Window(10), [], None, 0)
    assert reader.want(item).indices == tuple(range(8, 14))
    spread = Item(None, Path("film.mp4"), Window(0, 9), [], None, 0)
    reader = SampleReader(3, reader.geometry, None, reader.store)
    assert reader.want(spread).indices == (0, 4, 8)


@pytest.mark.parametrize("kind", ["packed", "bytes"])
def test_a_read_looks_at_no_source_file(want: WantedFrames, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A competition's folder has tens of thousands of images: what `fill` found out is not asked again."""
    store = FrameStore(kind, SIZE)
    store.fill([want])
    monkeypatch.setattr(frame_store, "_state", None)
    assert len(list(store.read(want, [3, 4]).frames)) == 2
    copy = pickle.loads(pickle.dumps(store))  # as it reaches loader processes that are not forked
    assert len(list(copy.read(want, [3, 4]).frames)) == 2


def test_only_wanted_images_decide_about_the_file(want: WantedFrames) -> None:
    before = FrameStore("bytes", SIZE).path(want)
    os.utime(want.media / "img_00001.png", ns=(1, 1))  # frame 0, which is not wanted
    assert FrameStore("bytes", SIZE).path(want) == before
    os.utime(want.media / "img_00003.png", ns=(1, 1))
    assert FrameStore("bytes", SIZE).path(want) != before
