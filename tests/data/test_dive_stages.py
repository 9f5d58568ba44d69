"""Stages of dives: from a file, from FineDiving's steps, and from what the demo draws."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swapaqa.data.aqa7 import AQA7
from swapaqa.data.demo import Demo
from swapaqa.data.demo_scene import dive
from swapaqa.data.dive_stages import StagedDive, with_stages
from swapaqa.data.finediving import FineDiving
from swapaqa.data.mtl_aqa import MTLAQA
from swapaqa.data.records import Record
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.running.needs import refuse_missing_sides
from tests.conftest import REPOSITORY

REAL = REPOSITORY.parent / "shared" / "data" / "features" / "diving_p3d.npz"


class Stages:
    """A method that looks for them."""

    needs, learns_from, auxiliary = ("stages",), (), None


def record(number: int) -> Record:
    return Record(f"diving/{number:03d}", "diving", 70.0, "train")


def written(folder: Path, **changes: Any) -> str:
    arrays = {
        "video": np.array([2, 7]),
        "stage_frames": np.array([[20, 29, 59, 68], [43, 50, 45, 119]]),
        "difficulty": np.array([3.2, 2.8]),
    } | changes
    np.savez(folder / "stages.npz", **{name: value for name, value in arrays.items() if value is not None})
    return str(folder / "stages.npz")


def test_they_lie_in_the_window_in_their_order(tmp_path: Path) -> None:
    """What begins too early begins with the stage ahead of it, and what lies behind the window at its end."""
    first, second = with_stages([record(7), record(2)], written(tmp_path), frames=101)
    assert isinstance(first, StagedDive)
    assert (first.video_id, first.stages, first.difficulty) == ("diving/007", (0.43, 0.5, 0.5, 1.0), 2.8)
    assert (second.video_id, second.stages, second.difficulty) == ("diving/002", (0.2, 0.29, 0.59, 0.68), 3.2)
    (alone,) = with_stages([record(2)], written(tmp_path, difficulty=None), frames=100)
    assert alone.difficulty is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"video": None}, "an .npz is expected"),
        ({"video": np.array([2.5, 7.0])}, "`video` is .* float64"),
        ({"video": np.array([3, 7])}, "has 2 dives, and diving/002 is none of them"),
        ({"stage_frames": np.zeros((2, 3))}, r"`stage_frames` \(2, 3\)"),
        ({"stage_frames": np.full((2, 4), np.nan)}, "`stage_frames`"),
        ({"stage_frames": np.full((2, 4), "a")}, "`stage_frames`"),
        ({"difficulty": np.array([3.2])}, "`difficulty` is not a number above 0"),
        ({"difficulty": np.array([3.2, 0.0])}, "`difficulty` is not a number above 0"),
    ],
)
def test_a_file_that_is_wrong_is_one_line(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as error:
        with_stages([record(2)], written(tmp_path, **changes), frames=103)
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


def test_aqa7_has_them_where_a_file_says_them(
    tmp_path: Path, aqa7_tree: Callable[..., Path], open_data: Callable[..., Any]
) -> None:
    root = aqa7_tree()
    numbers = np.arange(1, 400)
    begins = np.stack([numbers % 40, numbers % 40 + 10, numbers % 40 + 20, numbers % 40 + 30], axis=1)
    path = written(tmp_path, video=numbers, stage_frames=begins, difficulty=1 + numbers / 400)
    data = open_data(root, stages=path)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert data.source.sides == ("stages",)
    for video_id, found in zip(batch.video_id, batch.side["stages"], strict=True):
        expected = np.clip(begins[int(video_id.rsplit("/", 1)[1]) - 1] / (data.source.frames - 1), 0, 1)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-7)
    plain = open_data(root)
    assert plain.source.sides == ()
    with pytest.raises(
        InputError, match=r"say data\.stages=FILE, or take data=demo or data=demo_3d or data=finediving"
    ):
        refuse_missing_sides(Stages(), plain.source)
    with pytest.raises(InputError, match=r"data\.stages=.* they are of dives"):
        open_data(root, stages=path, action="gym_vault")


@pytest.mark.parametrize("difficulty", [2.8, 3.0, 3.2, 3.4])
def test_the_demos_dives_have_turned_by_an_eighth_at_the_end_of_the_jump_and_lack_one_at_the_entry(
    difficulty: float,
) -> None:
    judged = Record("diving/001", "diving", 70.0, "train", difficulty, (7.0,) * 7)
    jump, drop, entry, after = Demo.read_side(judged)["stages"].tolist()
    turns = 0.5 + (difficulty - 2.8) / 0.6
    angles = dive(np.random.default_rng(0), turns, 0.5, 1001).angles
    turned = (angles - angles[0]) / (2 * np.pi)
    assert (jump, after) == (0, 1)
    assert turned[round(1000 * drop)] == pytest.approx(0.125, abs=1e-3)
    assert turns - turned[round(1000 * entry)] == pytest.approx(0.125, abs=1e-3)


def test_the_published_stages_of_the_370_dives_are_read(open_data: Callable[..., Any]) -> None:
    if not REAL.is_file():
        pytest.skip(f"{REAL} is not there")
    with np.load(REAL) as file:
        numbers, score, difficulty = file["video"], file["score"], file["difficulty"]
    found = with_stages([record(number) for number in numbers.tolist()], str(REAL), frames=103)
    assert len(found) == 370
    assert [one.difficulty for one in found] == difficulty.tolist()
    lists = REAL.parents[1] / "aqa7"
    source = open_data(lists, stages=str(REAL), target="completeness", frames=103).source
    listed = [one for split in ("train", "test") for one in source.read_split(split)]
    assert sorted(one.score for one in listed) == pytest.approx(sorted(score.tolist()), abs=0.006)
    assert {one.video_id: one.difficulty for one in listed} == {one.video_id: one.difficulty for one in found}
    assert max(source.label(one).value for one in listed) <= 30
    marks = score / difficulty
    assert marks.max() <= 30
    stages = np.array([one.stages for one in found if isinstance(one, StagedDive)])
    assert (np.diff(stages, axis=1) >= 0).all()
    assert stages.min() >= 0
    assert stages.max() <= 1


@pytest.mark.parametrize("source", [AQA7, FineDiving, MTLAQA])
def test_of_a_video_that_no_list_has_nothing_is_known_and_it_can_be_scored(source: type[VideoSource]) -> None:
    assert source.read_side(Record("mine", "diving", score=0.0, split="video")) == {}
