"""Decoding of real files: counts, sizes, colours, order; short, damaged and unreadable ones."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from swapaqa.errors import InputError
from swapaqa.video.frames import Reader, find_media, frame_count, read_frames
from swapaqa.video.sequential_readers import suits


@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [
        ("action.avi", 164, (240, 320)),
        ("arm_wrestling.mp4", 280, (256, 340)),
        ("flipping_a_pancake.mkv", 310, (240, 426)),
        ("rotated_90.mov", 3, (568, 320)),
        ("diving_sample.gif", 21, (281, 500)),
    ],
)
def test_real_files(name: str, frames: int, size: tuple[int, int], real_data: Path) -> None:
    media = real_data / "video" / name
    assert frame_count(media) == frames
    wanted = range(min(frames, 12))
    video = read_frames(media, wanted)
    assert video.shape == (len(wanted), *size, 3)
    assert video.dtype == np.uint8
    assert video.std() > 10
    assert np.array_equal(read_frames(media, [0, 2])[1], video[2])


def test_last_frame_of_a_real_file_is_readable(real_data: Path) -> None:
    assert read_frames(real_data / "video" / "action.avi", [163]).shape == (1, 240, 320, 3)
    assert read_frames(real_data / "video" / "diving_sample.gif", [20]).shape == (1, 281, 500, 3)


def test_a_damaged_video_is_refused_by_name_and_numbers(real_data: Path) -> None:
    media = real_data / "video" / "corrupted.mp4"
    for reader in ("pyav", "decord", "opencv"):
        with pytest.raises(InputError, match=r"announces 50 frames, of which 28.*skip_unreadable") as error:
            read_frames(media, [0], reader)
        assert str(media) in str(error.value)
    assert frame_count(media, accept_incomplete=True) == 28
    assert read_frames(media, [27], accept_incomplete=True).std() > 10


@pytest.mark.parametrize("name", ["action.avi", "diving_sample.gif"])
def test_a_video_shorter_than_the_window_is_refused(name: str, real_data: Path) -> None:
    media = real_data / "video" / name
    with pytest.raises(InputError, match=r"has \d+ frames, and the window needs 200") as error:
        read_frames(media, range(200))
    assert str(media) in str(error.value)


@pytest.mark.parametrize("name", ["empty.avi", "text.mp4", "text.gif"])
def test_files_that_are_no_videos_are_refused(name: str, tmp_path: Path) -> None:
    media = tmp_path / name
    media.write_text("" if name == "empty.avi" else "no video")
    for read in (frame_count, lambda path: read_frames(path, [0])):
        with pytest.raises(InputError, match="cannot be opened") as error:
            read(media)
        assert str(media) in str(error.value)


def images(folder: Path, colours: list[tuple[int, int, int]], suffix: str = ".png") -> Path:
    folder.mkdir()
    for number, colour in enumerate(colours, 1):
        picture = np.full((6, 8, 3), colour, np.uint8)
        cv2.imwrite(str(folder / f"img_{number:05d}{suffix}"), picture[..., ::-1].copy())
    return folder


def test_image_folder_is_rgb_and_in_order(tmp_path: Path) -> None:
    colours = [(200, 10 * t, 30) for t in range(12)]
    folder = images(tmp_path / "007", colours)
    (folder / "Thumbs.db").touch()
    video = read_frames(folder, range(12))
    assert frame_count(folder) == 12
    assert video.shape == (12, 6, 8, 3)
    assert [tuple(frame[0, 0]) for frame in video] == colours
    assert [tuple(frame[0, 0]) for frame in read_frames(folder, [3, 9])] == [colours[3], colours[9]]


def test_image_numbers_without_leading_zeros_are_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "007"
    folder.mkdir()
    for number in range(1, 13):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((4, 4, 3), 10 * number, np.uint8))
    assert read_frames(folder, range(12))[:, 0, 0, 0].tolist() == [10 * number for number in range(1, 13)]


def test_upper_case_jpeg_is_read(tmp_path: Path) -> None:
    folder = images(tmp_path / "007", [(128, 128, 128)] * 2, ".jpg")
    for path in list(folder.iterdir()):
        path.rename(path.with_suffix(".JPG"))
    assert abs(int(read_frames(folder, range(2)).mean()) - 128) <= 1


def test_mixed_sizes_are_refused(tmp_path: Path) -> None:
    folder = images(tmp_path / "007", [(0, 0, 0)] * 3)
    cv2.imwrite(str(folder / "img_00003.png"), np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(InputError, match=r"img_00003\.png: 5x5 .*img_00001\.png .*8x6"):
        read_frames(folder, range(3))


def test_unreadable_image_is_refused(tmp_path: Path) -> None:
    folder = images(tmp_path / "007", [(0, 0, 0)] * 3)
    (folder / "img_00002.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"img_00002\.png: not a readable image"):
        read_frames(folder, range(3))


def test_folder_with_too_few_images_is_refused(tmp_path: Path) -> None:
    folder = images(tmp_path / "007", [(0, 0, 0)] * 2)
    with pytest.raises(InputError, match="has 2 frames, and the window needs 3") as error:
        read_frames(folder, range(3))
    assert str(folder) in str(error.value)


def test_folders_and_files_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "7.MP4").touch()
    assert find_media(tmp_path, ["007", "7"]) == tmp_path / "7.MP4"
    (tmp_path / "007").mkdir()
    assert find_media(tmp_path, ["007", "7"]) == tmp_path / "007"
    with pytest.raises(InputError, match=rf"{tmp_path}/008: no such folder"):
        find_media(tmp_path, ["008", "8"])


@pytest.mark.parametrize("reader", ["decord", "opencv"])
@pytest.mark.parametrize("name", ["action.avi", "aqa7_diving_054.avi", "arm_wrestling.mp4", "rotated_90.mov"])
def test_every_reader_gives_the_same_frames(real_data: Path, name: str, reader: Reader) -> None:
    """Equal up to the colour conversion of their builds, which is a few grey levels."""
    media = real_data / "video" / name
    indices = [index for index in (0, 2, 2, 50, 101) if index < frame_count(media)]
    other = read_frames(media, indices, reader)
    assert suits(media, reader)
    assert np.abs(other.astype(int) - read_frames(media, indices)).mean() < 2  # the next frame is above 3


def test_opencv_names_a_file_that_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"not a film")
    with pytest.raises(InputError, match=r"film\.mp4.*cannot be opened"):
        read_frames(tmp_path / "film.mp4", [0], "opencv")
