"""Which image is which frame: numbers, what is no image, what is refused and how it is said."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from swapaqa.data.mtl_aqa import count_frames
from swapaqa.errors import InputError
from swapaqa.video import image_folder
from swapaqa.video.frames import find_media, frame_count, read_frames
from swapaqa.video.image_folder import open_folder


def fill(folder: Path, names: Sequence[str]) -> Path:
    """Images of 8x6 pixels, of which number n (from 0, in the order of `names`) is grey of level 10 n."""
    folder.mkdir(parents=True)
    for level, name in enumerate(names):
        written = cv2.imwrite(str(folder / "written.png"), np.full((6, 8, 3), 10 * level, np.uint8))
        assert written
        (folder / "written.png").rename(folder / name)
    return folder


def levels(folder: Path, frames: Sequence[int]) -> list[int]:
    return [round(frame.mean() / 10) for frame in read_frames(folder, frames)]


@pytest.mark.parametrize(
    "names",
    [
        [f"img_{n:05d}.jpg" for n in range(1, 13)],
        [f"{n}.png" for n in range(12)],  # no leading zeros, from 0
        [f"{n:03d}_rgb.jpg" for n in range(500, 512)],
        [f"dive-7-take2-{n}.jpeg" for n in range(5, 17)],  # of several numbers, one changes
        [f"s{n}_v2.jpg" for n in range(1, 13)],
        [f"IMG_{n}.JPG" if n % 2 else f"img_{n}.png" for n in range(1, 13)],
        ["frame7.jpg"],
    ],
)
def test_the_number_in_the_name_is_the_frame(names: list[str], tmp_path: Path) -> None:
    folder = fill(tmp_path / "007", names)
    (folder / "Thumbs.db").touch()
    (folder / "notes 3.txt").touch()
    assert frame_count(folder) == len(names)
    assert levels(folder, range(len(names))) == list(range(len(names)))
    assert [path.name for path in open_folder(folder)] == names


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".bmp", ".webp", ".BMP"])
def test_every_kind_that_is_named_is_read(suffix: str, tmp_path: Path) -> None:
    folder = tmp_path / "007"
    folder.mkdir()
    for n in range(3):
        assert cv2.imwrite(str(folder / f"{n}{suffix.lower()}"), np.full((6, 8, 3), 10 * n, np.uint8))
        (folder / f"{n}{suffix.lower()}").rename(folder / f"{n}{suffix}")
    assert levels(folder, [0, 1, 2]) == [0, 1, 2]


def test_names_that_begin_with_a_dot_are_no_images(tmp_path: Path) -> None:
    folder = fill(tmp_path / "007", ["000.jpg", "001.jpg", "002.jpg"])
    for n in range(3):
        (folder / f"._{n:03d}.jpg").write_bytes(b"resource fork")
    (folder / ".DS_Store").touch()
    assert frame_count(folder) == 3
    assert levels(folder, [0, 1, 2]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("numbers", "missing", "neighbours"),
    [
        ([*range(1, 6), *range(7, 21)], "img_00006.png", ["img_00005.png", "img_00007.png"]),
        ([0, 5], "img_00001.png", ["img_00000.png", "img_00005.png"]),
        ([1, 2, 4, 9, 10], "img_00003.png", ["img_00002.png", "img_00004.png"]),
        ([99999, 100001], "img_100000.png", ["img_99999.png", "img_100001.png"]),
    ],
)
def test_a_gap_names_the_first_missing_image(
    numbers: list[int], missing: str, neighbours: list[str], tmp_path: Path
) -> None:
    folder = fill(tmp_path / "007", [f"img_{n:05d}.png" for n in numbers])
    images = open_folder(folder)
    assert len(images) == frame_count(folder) == numbers[-1] - numbers[0] + 1
    for number in numbers:  # what is there keeps its place
        assert images[number - numbers[0]].name == f"img_{number:05d}.png"
    for refused in (lambda: read_frames(folder, [0]), lambda: count_frames(folder)):
        with pytest.raises(InputError) as error:
            refused()
        assert all(word in str(error.value) for word in (f"{folder}: {missing} is missing", *neighbours))
        assert "\n" not in str(error.value)


def test_a_number_far_away_costs_nothing(tmp_path: Path) -> None:
    folder = fill(tmp_path / "007", ["1.png", "2.png", "999999999999.png"])
    with pytest.raises(InputError, match=r"3\.png is missing"):
        read_frames(folder, [0])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["1.jpg", "2.jpg", "2.png"], ["2.jpg", "2.png", "same number"]),
        (["1.jpg", "01.jpg"], ["1.jpg", "01.jpg", "same number"]),
        (["img_1.jpg", "img_2.jpg", "img_2 (1).jpg"], ["img_2 (1).jpg", "copy"]),
        (["img_1.jpg", "img_2.jpg", "Kopie von img_2.jpg"], ["Kopie von img_2.jpg", "copy"]),
        (["img_1.jpg", "img_2.jpg", "frame_3.jpg"], ["frame_3.jpg", "unlike img_1.jpg"]),
        (["1.jpg", "2.jpg", "cover.jpg"], ["cover.jpg", "no number"]),
        (["1_01.jpg", "1_02.jpg", "2_01.jpg"], ["several numbers", "1_01.jpg", "2_01.jpg"]),
        (["20240101123001500.jpg", "20240101123001540.jpg"], ["20240101123001500.jpg", "12 digits"]),
        (["1.jpg", "2.jpg", "3.tif"], ["3.tif", "not read"]),
    ],
)
def test_doubles_and_strays_are_named(names: list[str], words: list[str], tmp_path: Path) -> None:
    folder = fill(tmp_path / "007", names)
    for refused in (lambda: frame_count(folder), lambda: read_frames(folder, [0])):
        with pytest.raises(InputError) as error:
            refused()
        assert all(word in str(error.value) for word in (str(folder), *words)), error.value
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ["an empty folder", ".webp"]),
        (["._000.jpg"], ["an empty folder"]),
        (["0.tiff", "1.tiff"], ["0.tiff", "convert", ".png"]),
        (["IMG_1.HEIC"], ["IMG_1.HEIC", "convert"]),
        (["frames.zip"], ["no images", "1 .zip", "unpack frames.zip"]),
        (["dive.mp4", "dive.txt"], ["1 .mp4", "put dive.mp4 in the place of the folder"]),
        (["a.dat", "b.dat", "README"], ["2 .dat", "1 nameless kind"]),
    ],
)
def test_a_folder_without_images_says_what_is_in_it(names: list[str], words: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "007"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    with pytest.raises(InputError) as error:
        frame_count(folder)
    assert all(word in str(error.value) for word in (str(folder), *words)), error.value


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "broken link", "link to a pipe"])
def test_what_is_no_regular_file_is_refused_and_never_opened(kind: str, tmp_path: Path) -> None:
    folder = fill(tmp_path / "7", ["1.png", "2.png"])
    path = folder / "3.png"
    if kind == "pipe":
        os.mkfifo(path)  # opening it would wait for ever
    elif kind == "socket":
        (server := socket.socket(socket.AF_UNIX)).bind(str(path))
        server.close()
    elif kind == "folder":
        path.mkdir()
    elif kind == "broken link":
        path.symlink_to(folder / "nowhere.png")
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"3\.png: no regular file"):
        read_frames(folder, [0])


def test_links_to_images_are_read(tmp_path: Path) -> None:
    folder = fill(tmp_path / "elsewhere", ["1.png", "2.png"])
    linked = tmp_path / "007"
    linked.mkdir()
    for path in folder.iterdir():
        (linked / path.name).symlink_to(path)
    assert levels(linked, [0, 1]) == [0, 1]


def test_an_image_that_announces_too_many_pixels_is_one_line(tmp_path: Path) -> None:
    folder = fill(tmp_path / "007", ["1.png", "2.png"])
    content = bytearray((folder / "2.png").read_bytes())
    content[16:24] = (200_000).to_bytes(4, "big") * 2
    (folder / "2.png").write_bytes(content)
    with pytest.raises(InputError, match=r"2\.png: not a readable image"):
        read_frames(folder, [0, 1])


def test_a_whole_competition_starts_at_1(tmp_path: Path) -> None:
    late = fill(tmp_path / "18", ["00000002.jpg", "00000003.jpg"])
    with pytest.raises(InputError, match=r"18: .* numbered from 1, and the first one is 00000002\.jpg"):
        count_frames(late)
    assert count_frames(fill(tmp_path / "18_67", ["00000002.jpg", "00000003.jpg"])) == 2


def test_a_folder_that_wins_over_a_file_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path / "007", ["1.png"])
    (tmp_path / "7.mp4").touch()
    for _ in range(3):
        assert find_media(tmp_path, ["007", "7"]) == tmp_path / "007"
    (said,) = [message for message in caplog.messages if "is read" in message]
    assert str(tmp_path / "007") in said
    assert str(tmp_path / "7.mp4") in said


def test_a_pipe_in_the_place_of_a_video_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "007.mp4")
    with pytest.raises(InputError, match=r"007\.mp4: neither a folder of images nor a video file"):
        find_media(tmp_path, ["007", "7"])


def test_a_large_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "007", [f"{n}.png" for n in range(1, 9)])
    frame_count(folder)
    monkeypatch.setattr(image_folder.os, "scandir", None)
    assert levels(folder, [2, 3]) == [2, 3]
