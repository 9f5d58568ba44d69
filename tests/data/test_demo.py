"""The demo data: AQA-7's layout, the judges' rule, a cue that lies where the swap can take it away."""

import csv
import hashlib
import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import loadmat
from scipy.stats import spearmanr

from swapaqa.augment.swap import scale_boxes
from swapaqa.data.boxes import read_darklabel
from swapaqa.data.demo import DemoSettings, demo_root, read_judges, write_demo
from swapaqa.data.video import frame_count, read_frames
from swapaqa.errors import InputError

SETTINGS = DemoSettings(train=40, test=30, shifted=60, cue_strength=1.0, keyframes=4, seed=0)
TINY = DemoSettings(train=3, test=2, shifted=2, cue_strength=1.0, keyframes=4, seed=0)
SPLITS = {"train": range(1, 41), "test": range(41, 71), "shifted": range(71, 131)}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    write_demo(root, SETTINGS)
    return root


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWAPAQA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def scores(root: Path, split: str) -> dict[int, float]:
    rows = loadmat(root / "Split_4" / f"split_4_{split}_list.mat")[f"consolidated_{split}_list"]
    return {int(index): float(score) for _, index, score in rows}


def first_frame(root: Path, index: int) -> np.ndarray:
    return read_frames(root / "diving-out" / f"{index:03d}.avi", [0])[0].astype(float)


def files(root: Path) -> dict[str, str]:
    """A digest by file; of MATLAB files without their header, which holds the time."""
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()[116 if path.suffix == ".mat" else 0 :]
        found[str(path.relative_to(root))] = hashlib.sha256(content).hexdigest()
    return found


def test_layout_is_that_of_aqa7(demo: Path) -> None:
    assert {path.name for path in demo.iterdir()} == {"diving-out", "Split_4", "boxes"}
    for split, indices in SPLITS.items():
        rows = loadmat(demo / "Split_4" / f"split_4_{split}_list.mat")[f"consolidated_{split}_list"]
        assert rows.shape == (len(indices), 3)
        assert set(rows[:, 0]) == {1}
        assert rows[:, 1].tolist() == list(indices)
    for index in range(1, 131):
        assert (demo / "boxes" / "diving" / f"{index:03d}.txt").is_file()
    video = demo / "diving-out" / "130.avi"
    assert frame_count(video) == 16
    assert read_frames(video, range(16)).shape == (16, 64, 64, 3)


def test_scores_follow_the_judges_rule_inside_the_range_of_class_1(demo: Path) -> None:
    judges = read_judges(demo / "Split_4" / "judges.csv")
    assert len(judges) == 130
    for split in SPLITS:
        for index, score in scores(demo, split).items():
            seen = judges[f"diving/{index:03d}"]
            assert len(seen["judge_scores"]) == 7
            assert all(0 <= 2 * judge == round(2 * judge) <= 20 for judge in seen["judge_scores"])
            assert score == pytest.approx(seen["difficulty"] * sum(sorted(seen["judge_scores"])[2:5]), abs=0.01)
            assert 21.6 <= score <= 102.6


def test_scores_spread_over_the_range(demo: Path) -> None:
    for split in SPLITS:
        values = list(scores(demo, split).values())
        assert max(values) - min(values) > 50
        assert len(set(values)) > 0.6 * len(values)


def test_the_scoreboard_tells_the_score_in_train_and_test_and_not_in_shifted(demo: Path) -> None:
    for split, indices in SPLITS.items():
        boards = [first_frame(demo, index)[2:8, 8:56].mean(axis=(0, 1)) for index in indices]
        cue = [red - blue for red, _, blue in boards]
        rho = spearmanr(cue, list(scores(demo, split).values())).statistic
        assert abs(rho) < 0.3 if split == "shifted" else rho > 0.95


def scoreboard_bottom(frame: np.ndarray) -> int:
    """The first row whose colour is no longer the scoreboard's."""
    rows = np.median(frame[:, 8:56], axis=1)  # (H, 3)
    return int(np.argmax(np.abs(rows - rows[4]).max(axis=1)[4:] > 20)) + 4


def test_scaled_boxes_spare_the_scoreboard_at_ratio_2_and_cover_it_at_3(demo: Path) -> None:
    touched = 0
    for index in range(1, 131):
        bottom = scoreboard_bottom(first_frame(demo, index))
        assert 8 <= bottom <= 11
        boxes = torch.from_numpy(read_darklabel(demo / "boxes" / "diving" / f"{index:03d}.txt", range(16)))
        assert scale_boxes(boxes, 2.0, (64, 64))[:, 1].min() > bottom - 1
        touched += bool(scale_boxes(boxes, 3.0, (64, 64))[:, 1].min() <= bottom - 1)
    assert touched > 0.8 * 130


def test_the_athlete_is_in_the_scaled_box(demo: Path) -> None:
    """What moves lies inside the box at the default ratio."""
    for index in range(1, 20):
        video = read_frames(demo / "diving-out" / f"{index:03d}.avi", range(16)).astype(float)
        moved = np.abs(video - np.median(video, axis=0)).max(axis=-1) > 60  # (T, H, W)
        boxes = torch.from_numpy(read_darklabel(demo / "boxes" / "diving" / f"{index:03d}.txt", range(16)))
        x1, y1, x2, y2 = scale_boxes(boxes, 2.0, (64, 64)).numpy().T[:, :, None]
        columns, rows = np.arange(64), np.arange(64)
        inside = ((rows >= y1) & (rows <= y2))[:, :, None] & ((columns >= x1) & (columns <= x2))[:, None, :]
        assert moved.sum() > 100
        assert (moved & inside).sum() > 0.5 * moved.sum()


def test_boxes_have_the_keyframes_asked_for(demo: Path) -> None:
    with open(demo / "boxes" / "diving" / "001.txt", newline="") as lines:
        assert [int(row[0]) for row in csv.reader(lines)] == [0, 5, 10, 15]


def test_same_settings_write_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, settings in (("a", TINY), ("b", TINY), ("c", DemoSettings(3, 2, 2, 1.0, 4, seed=1))):
        write_demo(tmp_path / name, settings)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    different = [name for name, digest in files(tmp_path / "c").items() if digest != files(tmp_path / "a")[name]]
    assert len(different) == 7 + 7 + 3 + 1  # videos, boxes, lists, judges


def test_without_cue_the_scoreboard_tells_nothing(tmp_path: Path) -> None:
    write_demo(tmp_path, DemoSettings(60, 2, 2, cue_strength=0.0, keyframes=4, seed=0))
    boards = [first_frame(tmp_path, index)[2:8, 8:56].mean(axis=(0, 1)) for index in range(1, 61)]
    rho = spearmanr([red - blue for red, _, blue in boards], list(scores(tmp_path, "train").values())).statistic
    assert abs(rho) < 0.3


def test_it_is_written_once_and_per_settings(cache: Path) -> None:
    root = demo_root(TINY)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert demo_root(TINY) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    other = demo_root(DemoSettings(3, 2, 2, 0.5, 4, 0))
    assert other != root
    assert sorted(cache.iterdir()) == sorted([root, other])


def ask(barrier: Barrier, answers: "multiprocessing.Queue[str]") -> None:
    barrier.wait()
    answers.put(str(demo_root(TINY)))


def test_two_processes_at_once_both_get_a_whole_one(cache: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(2), context.Queue()
    both = [context.Process(target=ask, args=(barrier, answers)) for _ in range(2)]
    for process in both:
        process.start()
    found = {answers.get(timeout=60) for _ in both}
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert len(found) == 1
    write_demo(tmp_path / "alone", TINY)
    assert files(Path(found.pop())) == files(tmp_path / "alone")
    assert len(list(cache.iterdir())) == 1  # nothing unfinished is left


def test_a_broken_write_leaves_nothing_behind(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, frames: np.ndarray) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    monkeypatch.setattr("swapaqa.data.demo.write_video", broken)
    with pytest.raises(KeyboardInterrupt):
        demo_root(TINY)
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"cue_strength": 1.5}, "cue_strength=1.5"), ({"train": 1}, "train=1"), ({"keyframes": 17}, "keyframes=17")],
)
def test_impossible_settings_are_refused(changes: dict, word: str) -> None:
    settings = {"train": 3, "test": 2, "shifted": 2, "cue_strength": 1.0, "keyframes": 4, "seed": 0}
    with pytest.raises(InputError, match=rf"data\.settings\.{word}"):
        DemoSettings(**settings | changes)
