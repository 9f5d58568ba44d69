"""Wrong input through the real entry point: one line that names the file or key, no traceback, status not 0."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hydra.errors import HydraException
from scipy.io import savemat

from swapaqa.running.program import run_program

Run = Callable[..., "CompletedProcess[str]"]
Tree = Callable[..., Path]


def assert_refused(done: "CompletedProcess[str]", *words: str) -> None:
    """Exactly one `error:` line, with all `words`, and nothing of our internals."""
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def aqa7(root: Path) -> list[str]:
    """The main job on a small tree, with the tiny backbone."""
    return [
        "data=aqa7", f"data.root={root}", "backbone=tiny", "logger=csv", "data.frames=16", "data.workers=0",
        "trainer.max_epochs=1", "data.geometry.height=40", "data.geometry.width=64", "data.geometry.crop=32",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("aug.rato=2", ["aug.rato", "ratio"]),
        ("+aug.rato=2", ["aug.rato", "ratio"]),
        ("+model.dept=3", ["model.dept", "depth"]),
        ("+data.geometry.crp=3", ["data.geometry.crp", "crop"]),
        ("+trainer.max_epoch=3", ["trainer.max_epoch", "max_epochs"]),
        ("+modle.depth=3", ["modle", "model"]),
        ("+sed=3", ["sed", "seed"]),
        ("sed=3", ["sed", "seed"]),
        ("model.depth=five", ["model.depth=five", "integer"]),
        ("aug.ratio=abc", ["aug.ratio=abc", "number"]),
        ("aug.ratio=", ["aug.ratio", "number"]),
        ("seed=abc", ["seed=abc", "whole number"]),
        ("data.action=divin", ["data.action=divin", "diving"]),
        ("aug.variant=papr", ["aug.variant=papr", "paper"]),
        ("trainer.max_epochs=x", ["trainer.max_epochs=x", "integer"]),
        ("trainer.max_epochs=0", ["trainer.max_epochs=0: at least 1"]),
        ("trainer.max_epochs=-1", ["trainer.max_epochs=-1: at least 1"]),
        ("trainer.precision=half", ["trainer.precision=half", "16-mixed"]),
        ("model=cor", ["model=cor", "core"]),
        ("data=aqa8", ["data=aqa8", "aqa7", "demo"]),
        ("experiment=nothing", ["experiment=nothing"]),
        ("data.geometry.crop=99", ["data.geometry.crop=99"]),
        ("data.val_fraction=-0.1", ["data.val_fraction=-0.1"]),
        ("data.workers=-1", ["data.workers=-1"]),
        ("backbone.clips_per_pass=0", ["backbone.clips_per_pass=0"]),
        ("backbone.clips_per_pas=1", ["backbone.clips_per_pas", "clips_per_pass"]),
        ("data.settings.cue_strength=2", ["data.settings.cue_strength=2"]),
        ("data.settings.train=1", ["data.settings.train=1"]),
    ],
)
def test_wrong_override_is_one_line(override: str, words: list[str], tmp_path: Path, train_inside: Run) -> None:
    assert_refused(train_inside(tmp_path, "logger=csv", override), *words)


def test_wrong_override_is_refused_before_any_data_is_read(tmp_path: Path, train_inside: Run) -> None:
    done = train_inside(tmp_path, "+aug.rato=2", SWAPAQA_CACHE=str(tmp_path / "cache"))
    assert_refused(done, "aug.rato")
    assert not (tmp_path / "cache").exists()  # not even the demo was written
    assert not (tmp_path / "run" / "wandb").exists()


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "16-mixed", "16-true"])
def test_half_precision_without_a_gpu_is_refused_before_any_data_is_read(
    precision: str, tmp_path: Path, train_inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swapaqa.running.precision.gpu_is_there", lambda: False)
    cache = str(tmp_path / "cache")
    done = train_inside(tmp_path, "logger=csv", f"trainer.precision={precision}", SWAPAQA_CACHE=cache)
    assert_refused(done, f"trainer.precision={precision} needs a GPU", "trainer.precision=32-true")
    assert not (tmp_path / "cache").exists()
    assert (tmp_path / "run" / "failed.txt").read_text().startswith(f"trainer.precision={precision} needs a GPU")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_device_that_is_not_there_is_one_line(tmp_path: Path, train_inside: Run, small_demo: list[str]) -> None:
    assert_refused(train_inside(tmp_path, *small_demo, "trainer.accelerator=gpu"), "trainer", "gpu")


@pytest.mark.slow
def test_missing_data_set_says_what_where_and_how_to_go_on(tmp_path: Path, train_process: Run) -> None:
    done = train_process(tmp_path, "model=core", "data=aqa7", "aug.ratio=2.0")
    assert_refused(
        done, "AQA-7", "AQA7_ROOT", "data.root", "Split_4/split_4_{train,test}_list.mat",
        "<action>-out/<index>", "boxes/<action>/<index>.txt", "rtis.oit.unlv.edu", "python -m src.train",
    )  # fmt: skip
    assert not (tmp_path / "run" / "wandb").exists()


def test_root_that_does_not_exist(tmp_path: Path, train_inside: Run) -> None:
    done = train_inside(tmp_path, "data=aqa7", f"data.root={tmp_path}/nowhere")
    assert_refused(done, f"data.root={tmp_path}/nowhere", "Split_4/", "python -m src.train")
    done = train_inside(tmp_path, "data=aqa7", AQA7_ROOT=f"{tmp_path}/elsewhere")
    assert_refused(done, f"{tmp_path}/elsewhere")


def test_root_without_lists(tmp_path: Path, train_inside: Run) -> None:
    assert_refused(train_inside(tmp_path, *aqa7(tmp_path)), "split_4_train_list.mat", "rtis.oit.unlv.edu")


def test_split_file_of_the_wrong_shape(tmp_path: Path, train_inside: Run, aqa7_tree: Tree) -> None:
    root = aqa7_tree()
    path = root / "Split_4" / "split_4_test_list.mat"
    savemat(path, {"consolidated_test_list": np.ones((4, 2))})
    assert_refused(train_inside(tmp_path, *aqa7(root)), str(path), "(4, 2)")


def test_score_in_neither_scale(tmp_path: Path, train_inside: Run, aqa7_tree: Tree) -> None:
    root = aqa7_tree()
    path = root / "Split_4" / "split_4_test_list.mat"
    savemat(path, {"consolidated_test_list": np.array([[1, 7, 50.0], [1, 8, 500.0]])})
    assert_refused(train_inside(tmp_path, *aqa7(root)), str(path), "500", "diving 8")


def test_scores_times_100_load_as_points_with_a_log_line(tmp_path: Path, train_inside: Run, aqa7_tree: Tree) -> None:
    root = aqa7_tree(test=4)
    path = root / "Split_4" / "split_4_test_list.mat"
    scores = [4015.0, 5000.0, 6025.0, 7050.0]
    savemat(path, {"consolidated_test_list": np.array([[1, 7 + i, s] for i, s in enumerate(scores)])})
    done = train_inside(tmp_path, *aqa7(root))
    assert done.returncode == 0, done.stderr
    assert any(str(path) in line and "x100" in line for line in done.stdout.splitlines())
    assert "diving/007,diving,40.15" in (tmp_path / "run" / "predictions_test.csv").read_text()


def test_short_video(tmp_path: Path, train_inside: Run, aqa7_tree: Tree) -> None:
    root = aqa7_tree(frames=12)
    assert_refused(train_inside(tmp_path, *aqa7(root)), "diving-out/00", "12 frames", "16")


def test_missing_video(tmp_path: Path, train_inside: Run, aqa7_tree: Tree) -> None:
    root = aqa7_tree()
    (root / "diving-out" / "003.avi").unlink()
    assert_refused(train_inside(tmp_path, *aqa7(root)), str(root / "diving-out" / "003"))


@pytest.mark.parametrize("workers", [0, 1])
def test_corrupted_video(workers: int, tmp_path: Path, train_inside: Run, aqa7_tree: Tree, real_data: Path) -> None:
    root = aqa7_tree(frames=32)
    (root / "diving-out" / "007.avi").unlink()  # of test: found before anything is trained
    shutil.copy(real_data / "video" / "corrupted.mp4", root / "diving-out" / "007.mp4")
    done = train_inside(tmp_path, *aqa7(root), "data.frames=32", f"data.workers={workers}")
    assert_refused(done, str(root / "diving-out" / "007.mp4"), "damaged", "data.skip_unreadable=true")
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.slow
def test_corrupted_video_can_be_left_out(tmp_path: Path, train_inside: Run, aqa7_tree: Tree, real_data: Path) -> None:
    root = aqa7_tree(frames=32)
    (root / "diving-out" / "007.avi").unlink()
    shutil.copy(real_data / "video" / "corrupted.mp4", root / "diving-out" / "007.mp4")
    done = train_inside(tmp_path, *aqa7(root), "data.frames=32", "data.skip_unreadable=true")
    assert done.returncode == 0, done.stderr
    assert any("007.mp4" in line and "WARNING" in line for line in done.stdout.splitlines())
    written = (tmp_path / "run" / "result.json").read_text()
    assert "007.mp4" in written
    assert "diving/007" not in (tmp_path / "run" / "predictions_test.csv").read_text()


def test_missing_box_file(tmp_path: Path, train_inside: Run, aqa7_tree: Tree) -> None:
    root = aqa7_tree()
    path = root / "boxes" / "diving" / "004.txt"
    path.unlink()
    done = train_inside(tmp_path, *aqa7(root))
    assert_refused(done, str(path), "python -m src.boxes make data=... source=tracker", "boxes=fixed")


def test_box_file_with_a_wrong_line(tmp_path: Path, train_inside: Run, aqa7_tree: Tree) -> None:
    root = aqa7_tree()
    path = root / "boxes" / "diving" / "004.txt"
    path.write_text("0,0,1,1,5,5\n3,0,nan,1,5,5\n")
    assert_refused(train_inside(tmp_path, *aqa7(root)), str(path), "line 2")


def test_weights_that_are_not_there(tmp_path: Path, train_inside: Run, small_demo: list[str]) -> None:
    done = train_inside(tmp_path, *small_demo, "backbone=i3d", f"backbone.pretrained={tmp_path}/none.pth")
    assert_refused(done, f"{tmp_path}/none.pth")


def test_swap_that_could_never_act_is_refused_with_its_share(
    tmp_path: Path, train_inside: Run, small_demo: list[str]
) -> None:
    assert_refused(train_inside(tmp_path, *small_demo, "aug=swap", "boxes=none"), "0.00%", "aug.ratio", "boxes=")
    covered = train_inside(tmp_path, *small_demo, "boxes=fixed", "aug.ratio=1.3")
    assert_refused(covered, "0.00%", "aug.ratio")


def test_batch_of_one_without_pairs_is_refused(tmp_path: Path, train_inside: Run, small_demo: list[str]) -> None:
    done = train_inside(tmp_path, *small_demo, "data.voters=0", "data.batch_size=1")
    assert_refused(done, "data.batch_size")


@pytest.mark.slow
def test_batch_of_one_pair_swaps_within_the_pair(tmp_path: Path, train_inside: Run, small_demo: list[str]) -> None:
    done = train_inside(tmp_path, *small_demo, "data.batch_size=1", "trainer.max_epochs=1")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="two processes on the CPU")
@pytest.mark.slow
def test_processes_that_lightning_starts_keep_errors_short(
    tmp_path: Path, train_process: Run, small_demo: list[str]
) -> None:
    done = train_process(tmp_path, *small_demo, "trainer.devices=2", "data.batch_size=7")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert "error: data.batch_size=7" in done.stderr


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    def broken() -> None:
        raise KeyError("ours")

    with patch.dict(os.environ, {}), pytest.raises(KeyError, match="ours"):
        run_program(broken)


def test_full_errors_can_be_asked_for(tmp_path: Path, train_inside: Run) -> None:
    with pytest.raises(HydraException, match=r"aug\.rato"):
        train_inside(tmp_path, "aug.rato=2", HYDRA_FULL_ERROR="1")
