"""AQA-7's lists: the real ones, both scales, every way in which a copy can be wrong; names of files."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from swapaqa.data.aqa7 import AQA7, SCORE_RANGES, read_records
from swapaqa.data.boxes import BoxSource
from swapaqa.data.records import Record
from swapaqa.errors import InputError

Open = Callable[..., AQA7]

GOOD = np.array([[1.0, 1, 50.0], [2, 2, 15.2], [6, 3, 99.36]])


def write_list(root: Path, rows: np.ndarray, split: str = "train", variable: str | None = None) -> Path:
    path = root / "Split_4" / f"split_4_{split}_list.mat"
    path.parent.mkdir(exist_ok=True)
    savemat(path, {variable or f"consolidated_{split}_list": rows})
    return path


@pytest.mark.parametrize(
    ("split", "counts"), [("train", [300, 120, 120, 140, 60, 63]), ("test", [70, 56, 55, 66, 28, 28])]
)
def test_real_lists(split: str, counts: list[int], real_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        records = read_records(real_data / "aqa7", split)
    assert len(records) == sum(counts)
    assert [Counter(record.action for record in records)[action] for action in SCORE_RANGES] == counts
    assert len({record.video_id for record in records}) == len(records)
    assert {record.split for record in records} == {split}
    assert all(SCORE_RANGES[r.action][0] <= r.score <= SCORE_RANGES[r.action][1] for r in records)
    assert [record for record in caplog.messages if "x100" in record and split in record]


def test_real_train_list_begins_as_its_file(real_data: Path) -> None:
    first = read_records(real_data / "aqa7", "train")[0]
    assert first == Record(video_id="diving/054", action="diving", score=84.15, split="train")


def test_copy_in_points_gives_the_same_records(
    real_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = loadmat(real_data / "aqa7" / "split_4_test_list.mat")["consolidated_test_list"]
    rows[:, 2] /= 100
    write_list(tmp_path, rows, "test")
    with caplog.at_level(logging.INFO):
        assert read_records(tmp_path, "test") == read_records(real_data / "aqa7", "test")
    assert len(caplog.messages) == 1  # of the x100 copy only


def test_the_ranges_are_reached_by_the_real_lists(real_data: Path) -> None:
    records = [record for split in ("train", "test") for record in read_records(real_data / "aqa7", split)]
    for action, (low, high) in SCORE_RANGES.items():
        scores = [record.score for record in records if record.action == action]
        assert min(scores) >= low
        assert max(scores) == pytest.approx(high)


def test_lists_may_lie_in_the_root_or_in_split_4(tmp_path: Path) -> None:
    path = write_list(tmp_path, GOOD)
    inside = read_records(tmp_path, "train")
    path.rename(tmp_path / path.name)
    assert read_records(tmp_path, "train") == inside
    assert [record.video_id for record in inside] == ["diving/001", "gym_vault/002", "sync_diving_10m/003"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[1, 5, 50.0], [1, 8, 500.0]], "score 500 of diving 8"),
        ([[1, 5, 5000.0], [1, 8, 500.0]], "score 500 of diving 8"),
        ([[1, 5, 50.0], [1, 8, 5000.0]], "diving"),
        ([[1, 5, 50.0], [1, 8, np.nan]], "score nan of diving 8"),
        ([[2, 5, 50.0]], "gym_vault 5"),
        ([[1, 5, 50.0], [7, 8, 60.0]], "trampoline"),
        ([[0, 5, 50.0]], "classes must be 1 to 6"),
        ([[1.5, 5, 50.0]], "classes must be 1 to 6"),
        ([[1, 5.5, 50.0]], "whole numbers"),
        ([[1, 5], [1, 6]], r"\(2, 2\)"),
        (np.zeros((0, 3)), r"\(0, [03]\)"),
        (np.ones((2, 3, 4)), r"\(2, 3, 4\)"),
    ],
)
def test_wrong_list_names_the_file_and_the_fault(rows: list | np.ndarray, words: str, tmp_path: Path) -> None:
    path = write_list(tmp_path, np.array(rows, float))
    with pytest.raises(InputError, match=words) as error:
        read_records(tmp_path, "train")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_video_twice_in_a_list_is_refused(tmp_path: Path) -> None:
    path = write_list(tmp_path, np.array([[1, 5, 50.0], [1, 6, 55.0], [1, 5, 60.0]]))
    with pytest.raises(InputError, match="diving/005") as error:
        read_records(tmp_path, "train")
    assert str(path) in str(error.value)


def test_wrong_variable_names_those_that_are_there(tmp_path: Path) -> None:
    path = write_list(tmp_path, GOOD, variable="train_list")
    with pytest.raises(InputError, match=r"consolidated_train_list.*\['train_list'\]") as error:
        read_records(tmp_path, "train")
    assert str(path) in str(error.value)


def test_a_list_of_words_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split_4_train_list.mat"
    savemat(path, {"consolidated_train_list": np.array([["a", "b", "c"]], dtype=object)})
    with pytest.raises(InputError, match="split_4_train_list"):
        read_records(tmp_path, "train")


@pytest.mark.parametrize("content", [b"", b"not a mat file", b"\x89HDF\r\n\x1a\n" + bytes(600), bytes(500)])
def test_unreadable_list_names_the_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "split_4_train_list.mat"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_records(tmp_path, "train")
    assert str(path) in str(error.value)


def test_truncated_list_names_the_file(real_data: Path, tmp_path: Path) -> None:
    content = (real_data / "aqa7" / "split_4_train_list.mat").read_bytes()
    path = tmp_path / "split_4_train_list.mat"
    for length in (10, 130, 200, len(content) // 2, len(content) - 3):
        path.write_bytes(content[:length])
        with pytest.raises(InputError) as error:
            read_records(tmp_path, "train")
        assert str(path) in str(error.value)


def test_missing_list_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"split_4_train_list\.mat.*<action>-out/<index>.*rtis\.oit\.unlv\.edu"):
        read_records(tmp_path, "train")


def test_root_that_is_not_given_or_not_there(tmp_path: Path, open_data: Open) -> None:
    with pytest.raises(InputError, match=r"AQA7_ROOT.*data\.root"):
        open_data(None).setup()
    with pytest.raises(InputError, match=rf"data\.root={tmp_path}/no: no such folder"):
        open_data(tmp_path / "no").setup()


def test_label_and_score_convert_into_each_other(open_data: Open) -> None:
    data = open_data(None, action="all")
    vault = data.source.label(Record("gym_vault/001", "gym_vault", 15.2, "train"))
    assert vault.value == pytest.approx(63.45733, abs=1e-5)
    for action, (low, high) in SCORE_RANGES.items():
        for score, value in ((low, 0), (high, 100)):
            label = data.source.label(Record(f"{action}/001", action, score, "train"))
            assert label.value == pytest.approx(value, abs=1e-9)
            assert label.offset + label.factor * label.value == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize("spelling", ["007", "7", "00007", "0007"])
@pytest.mark.parametrize("kind", ["folder", ".avi", ".AVI", ".mp4", ".MOV"])
def test_indices_are_found_in_every_spelling(spelling: str, kind: str, tmp_path: Path, open_data: Open) -> None:
    videos = tmp_path / "diving-out"
    videos.mkdir()
    wanted = videos / (spelling if kind == "folder" else spelling + kind)
    wanted.mkdir() if kind == "folder" else wanted.touch()
    (videos / "70.avi").touch()
    record = Record("diving/007", "diving", 50.0, "train")
    data = open_data(tmp_path)
    assert data.source.media(record) == wanted
    assert wanted.stem in [path.name for path in data.source.box_files(record)]


def test_boxes_root_replaces_the_data_sets_own(
    tmp_path: Path, open_data: Open, box_source: Callable[..., BoxSource]
) -> None:
    record = Record("diving/007", "diving", 50.0, "train")
    assert open_data(tmp_path).source.box_files(record)[0] == tmp_path / "boxes" / "diving" / "007"
    other = open_data(tmp_path, boxes=box_source("darklabel", root=str(tmp_path / "mine")))
    assert other.source.box_files(record)[0] == tmp_path / "mine" / "diving" / "007"


def test_one_action_takes_its_own_rows_and_all_takes_all(tmp_path: Path, open_data: Open) -> None:
    write_list(tmp_path, GOOD)
    assert [r.action for r in open_data(tmp_path, action="gym_vault").source.read_split("train")] == ["gym_vault"]
    assert len(open_data(tmp_path, action="all").source.read_split("train")) == 3
    assert open_data(tmp_path, action="all").source.actions == list(SCORE_RANGES)
    with pytest.raises(InputError, match=r"data\.action=ski_big_air"):
        open_data(tmp_path, action="ski_big_air").source.read_split("train")
