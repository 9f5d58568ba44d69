"""Box sources: DarkLabel's lines, interpolation, the fixed rectangle, and errors that name file and line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from swapaqa.data.boxes import (
    BoxRequest,
    BoxSource,
    FixedBoxes,
    NoBoxes,
    fixed_boxes,
    interpolate_keyframes,
    read_darklabel,
)
from swapaqa.errors import InputError

Source = Callable[..., BoxSource]


def written(folder: Path, text: str) -> Path:
    path = folder / "007.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "0,0,10,20,5,8\n",
        "0,0,10,20,5,8,diver\n",
        "0,0,10,20,5,8,diver",
        "\n\n0,0,10,20,5,8,diver\r\n\n",
        "0, 0, 10.0, 20.0, 5.0, 8.0, a diver\n",
        "  \n0,0,10,20,5,8\n \t\n",
        "\ufeff0,0,10,20,5,8\n",
        '0, 0, 10, 20, 5, 8, "a diver, on the left"\n',
        "\r0,0,10,20,5,8\r",
    ],
)
def test_a_line_is_read_with_and_without_label_and_blank_lines(text: str, tmp_path: Path) -> None:
    assert read_darklabel(written(tmp_path, text), [0]).tolist() == [[10, 20, 14, 27]]  # x2 = x1 + w - 1


def test_a_box_may_reach_a_million_pixels_far(tmp_path: Path) -> None:
    assert read_darklabel(written(tmp_path, "0,0,999991,1,10,5\n"), [0]).tolist() == [[999991, 1, 1_000_000, 5]]


def test_one_pixel_has_equal_bounds(tmp_path: Path) -> None:
    assert read_darklabel(written(tmp_path, "0,0,3,4,1,1\n"), [0]).tolist() == [[3, 4, 3, 4]]


def test_keyframes_are_interpolated_and_held_outside(tmp_path: Path) -> None:
    path = written(tmp_path, "4,0,0,0,10,10\n8,0,40,20,10,30\n")
    boxes = read_darklabel(path, range(10))
    assert boxes.shape == (10, 4)
    assert boxes[0].tolist() == boxes[4].tolist() == [0, 0, 9, 9]
    assert boxes[6].tolist() == [20, 10, 29, 29]
    assert boxes[9].tolist() == boxes[8].tolist() == [40, 20, 49, 49]


def test_order_of_the_lines_does_not_matter(tmp_path: Path) -> None:
    lines = ["9,0,40,20,10,30", "0,0,5,5,5,5", "4,0,0,0,10,10"]
    first = read_darklabel(written(tmp_path, "\n".join(lines)), range(10))
    assert np.array_equal(read_darklabel(written(tmp_path, "\n".join(sorted(lines))), range(10)), first)


def test_a_box_in_every_frame_is_taken_as_it_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.uniform(-5, 50, (20, 2)), rng.uniform(1, 30, (20, 2))]).round(2)
    path = written(tmp_path, "".join(f"{t},0,{x},{y},{w},{h}\n" for t, (x, y, w, h) in enumerate(rows)))
    boxes = read_darklabel(path, [3, 17])
    expected = rows[[3, 17]]
    assert np.allclose(boxes, np.column_stack([expected[:, :2], expected[:, :2] + expected[:, 2:] - 1]))


def test_interpolation_is_numpys() -> None:
    keyframes, boxes = np.array([2, 5, 11]), np.random.default_rng(0).uniform(0, 99, (3, 4))
    found = interpolate_keyframes(keyframes, boxes, range(14))
    for side in range(4):
        assert np.allclose(found[:, side], np.interp(range(14), keyframes, boxes[:, side]))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("3,0,nan,1,5,5", "nan"),
        ("3,0,1,1,inf,5", "inf"),
        ("3,0,1,1,0,5", "w=0 h=5 has no extent"),
        ("3,0,1,1,5,0", "w=5 h=0 has no extent"),
        ("3,0,999991,1,11,5", "reaches beyond 1,000,000 pixels"),
        ("3,0,1,-1000001,5,5", "reaches beyond 1,000,000 pixels"),
        ("3,0,1,1,5,-2", "-2"),
        ("3,0,a,1,5,5", "'a'"),
        ("3,0,1,1,5", "'3,0,1,1,5'"),
        ("three,0,1,1,5,5", "'three'"),
        ("3.5,0,1,1,5,5", "'3.5'"),
        ("frame,id,x,y,w,h", "'frame'"),
        ("-1,0,1,1,5,5", "-1"),
    ],
)
def test_a_wrong_line_is_named(line: str, word: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"0,0,1,1,5,5\n\n{line}\n")
    with pytest.raises(InputError, match=word) as error:
        read_darklabel(path, [0])
    assert f"{path}, line 3" in str(error.value)


def test_a_line_of_other_columns_is_quoted_beside_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_darklabel(written(tmp_path, "3,0,1,1,5\n"), [0])
    assert "line 1: '3,0,1,1,5' is not 'frame,id,x,y,w,h,label'; name the file's columns" in str(error.value)


@pytest.mark.parametrize("other", ["0,1,30,30,5,5", "0,0,30,30,5,5", "4,1,30,30,5,5"])
def test_a_second_box_in_a_frame_or_a_second_object_is_refused(other: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"0,0,1,1,5,5\n{other}\n")
    with pytest.raises(InputError) as error:
        read_darklabel(path, [0])
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["", "\n\n", "  \n"])
def test_an_empty_file_is_refused(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError, match="boxes=fixed") as error:
        read_darklabel(path, [0])
    assert str(path) in str(error.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "007.txt"
    path.write_bytes(b"\xff\xfe\x00\x81\n\x00,")
    with pytest.raises(InputError) as error:
        read_darklabel(path, [0])
    assert str(path) in str(error.value)


def test_a_missing_file_names_the_ways_out(tmp_path: Path, box_source: Source) -> None:
    ways = r"boxes\.root=.*python -m src\.boxes make data=\.\.\. source=tracker.*boxes=fixed"
    with pytest.raises(InputError, match=ways) as error:
        box_source("darklabel").find([tmp_path / "007", tmp_path / "7"])
    assert str(tmp_path / "007.txt") in str(error.value)


def test_the_first_spelling_that_exists_is_read(tmp_path: Path, box_source: Source) -> None:
    written(tmp_path, "0,0,1,1,5,5\n").rename(tmp_path / "7.txt")
    source = box_source("darklabel")
    assert source.find([tmp_path / "007", tmp_path / "7"]) == tmp_path / "7.txt"
    request = BoxRequest([tmp_path / "007", tmp_path / "7"], (100, 100), range(3))
    assert source.read(request).tolist() == [[1, 1, 5, 5]] * 3


def test_fixed_boxes_of_the_paper() -> None:
    boxes = fixed_boxes((224, 224), 103)
    assert boxes.shape == (103, 4)
    assert np.allclose(boxes, [22.4, 22.4, 201.6, 201.6])


def test_fixed_boxes_keep_width_and_height_apart() -> None:
    assert np.allclose(fixed_boxes((100, 200), 1, share=0.5), [[50, 25, 150, 75]])


def test_no_boxes_cover_the_frame() -> None:
    box = NoBoxes(1.0).read(BoxRequest([], (50, 80), range(2)))[0]
    assert box[0] <= 0
    assert box[1] <= 0
    assert box[2] >= 79
    assert box[3] >= 49


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, float("nan")])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(InputError, match=f"boxes.share={share}"):
        FixedBoxes(1.0, share, "input")


def test_sources_without_files_need_none() -> None:
    assert FixedBoxes(1.0, 0.8, "input").find([]) is None
    assert NoBoxes(1.0).find([]) is None
