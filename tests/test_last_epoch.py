"""How a run ends: its last epoch is evaluated, and every checkpoint holds the weights that its name says."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from omegaconf import OmegaConf

from swapaqa.errors import InputError
from swapaqa.recording.evaluation import Evaluation
from swapaqa.recording.recorder import Recorder
from swapaqa.running.checkpoint import protocol_of
from swapaqa.running.ending import refuse_partial_evaluation, refuse_without_evaluation, run_ends
from swapaqa.running.epoch_checkpoints import EpochCheckpoints

Run = Callable[..., "CompletedProcess[str]"]
TINY = ["backbone.network.width=4", "data.frames=16", "aug=none"]


def result(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


def column(found: dict[str, Any], protocol: str) -> dict[str, float]:
    """The predictions of all splits by video."""
    place = found["prediction_columns"].index(protocol)
    return {video: row[place] for rows in found["predictions"].values() for video, row in rows.items()}


@pytest.mark.slow
def test_last_and_best_are_files_of_their_own(
    tmp_path: Path, train_inside: Run, recipe_inside: Run, small_demo: list[str]
) -> None:
    """Trained until they differ; the last epoch, the fifth, is none of those that are evaluated by their number."""
    words = [
        *small_demo, *TINY, "model=core", "model.voters=3", "model.store_exemplars=true", "optim.learning_rate=0.01",
        "trainer.max_epochs=5", "trainer.check_val_every_n_epoch=2",
    ]  # fmt: skip
    for seed in range(5):
        run = tmp_path / f"{seed}" / "run"
        done = train_inside(run.parent, *words, f"seed={seed}")
        assert done.returncode == 0, done.stderr
        trained = result(run)
        epochs = {name: found["epoch"] for name, found in trained["metrics"].items()}
        if epochs["best_on_test"] != 5:
            break
    assert epochs == {"last": 5, "best_on_test": epochs["best_on_test"]}
    assert epochs["best_on_test"] in (2, 4)
    assert column(trained, "last") != pytest.approx(column(trained, "best_on_test"), rel=1e-4)
    for protocol, epoch in epochs.items():
        path = run / "checkpoints" / f"{protocol}.ckpt"
        done = recipe_inside("evaluate", tmp_path / protocol, f"checkpoint={path}")
        assert done.returncode == 0, done.stderr
        found = result(tmp_path / protocol)
        assert found["metrics"][protocol]["epoch"] == epoch
        assert column(found, protocol) == pytest.approx(column(trained, protocol), rel=1e-5)


@pytest.mark.slow
def test_sampled_scores_are_those_of_the_epoch_in_the_file(
    tmp_path: Path, train_inside: Run, recipe_inside: Run, small_demo: list[str]
) -> None:
    """DAE as published draws its scores, by seed, epoch and video: an evaluation has the epoch of the weights."""
    words = [*small_demo, *TINY, "model=dae", "model.predict=sample", "trainer.max_epochs=2"]
    done = train_inside(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert recipe_inside("evaluate", tmp_path / "out", f"checkpoint={path}").returncode == 0
    trained, found = result(tmp_path / "run"), result(tmp_path / "out")
    assert column(found, "last") == pytest.approx(column(trained, "last"), rel=1e-5)


slow = partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("words", "epoch", "steps"),
    [
        slow(["trainer.max_epochs=2", "trainer.check_val_every_n_epoch=5"], 2, 6),
        (["trainer.max_epochs=9", "trainer.max_steps=4", "trainer.check_val_every_n_epoch=5"], 2, 4),
        slow(["trainer.max_epochs=1", "+trainer.val_check_interval=2"], 1, 3),
        slow(
            ["trainer.max_epochs=500", "+trainer.max_time='00:00:00:01'", "trainer.check_val_every_n_epoch=499"],
            None,
            None,
        ),
    ],
)
def test_whatever_ends_a_run_its_last_step_is_evaluated(
    words: list[str], epoch: int | None, steps: int | None, tmp_path: Path, train_inside: Run, small_demo: list[str]
) -> None:
    words = [word.replace("trainer.max_steps", "+trainer.max_steps") for word in words]
    done = train_inside(tmp_path, *small_demo, *TINY, "model=usdl", "data.batch_size=4", *words)
    assert done.returncode == 0, done.stderr
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    found, rows = result(tmp_path / "run"), (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    place = rows[0].split(",").index("step")
    assert last["global_step"] == int(rows[-1].split(",")[place])  # of the result's row: the steps of the run
    assert found["metrics"]["last"]["epoch"] == last["epoch"] + 1  # Lightning's own counts from 0
    if epoch is not None:
        assert (found["metrics"]["last"]["epoch"], last["global_step"]) == (epoch, steps)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["trainer.max_epochs=0"], "error: trainer.max_epochs=0: at least 1 is needed"),
        (["trainer.max_epochs=-1"], "error: trainer.max_epochs=-1: at least 1 is needed"),
        (["trainer.max_epochs=null"], "error: trainer.max_epochs=null: at least 1 is needed"),
        (["trainer.check_val_every_n_epoch=0"], "error: trainer.check_val_every_n_epoch=0: at least 1 is needed"),
        (["+trainer.limit_val_batches=0"], "error: trainer.limit_val_batches=0: an evaluation needs all"),
        (["+trainer.limit_train_batches=0"], "error: nothing was trained, so there is no result"),
    ],
)
def test_a_run_that_could_not_be_evaluated_is_one_line_and_not_done(
    words: list[str], line: str, tmp_path: Path, train_inside: Run, small_demo: list[str]
) -> None:
    done = train_inside(tmp_path, *small_demo, *TINY, "model=usdl", *words)
    assert done.returncode == 2
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "result.json").exists()
    assert line.removeprefix("error: ") in (tmp_path / "run" / "failed.txt").read_text()


def test_steps_may_say_when_to_evaluate_instead_of_epochs() -> None:
    refuse_without_evaluation(OmegaConf.create({"max_epochs": 1, "check_val_every_n_epoch": None}))


@pytest.mark.parametrize("limit", [1.0, None])
def test_whole_evaluations_are_not_refused(limit: float | None) -> None:
    refuse_partial_evaluation(MagicMock(limit_val_batches=1.0 if limit is None else limit))


@pytest.mark.parametrize("limit", [1, 0, 0.5])
def test_an_evaluation_of_some_videos_is_refused(limit: float) -> None:
    with pytest.raises(InputError, match=f"limit_val_batches={limit}: an evaluation needs all"):
        refuse_partial_evaluation(MagicMock(limit_val_batches=limit))


@pytest.mark.parametrize(
    ("changes", "batch_idx", "ends"),
    [
        ({}, 2, True),  # the last batch of the last epoch
        ({}, 1, False),
        ({"current_epoch": 3}, 2, False),
        ({"max_epochs": -1}, 2, False),
        ({"max_epochs": -1, "max_steps": 7}, 0, True),
        ({"max_steps": 8}, 0, False),
        ({"should_stop": True}, 0, True),  # by trainer.max_time
        ({"should_stop": True, "fit_loop": SimpleNamespace(_can_stop_early=False)}, 0, False),
    ],
)
def test_the_end_of_a_run(changes: dict[str, Any], batch_idx: int, ends: bool) -> None:
    trainer = {
        "num_training_batches": 3, "current_epoch": 4, "max_epochs": 5, "max_steps": -1, "global_step": 7,
        "should_stop": False, "fit_loop": SimpleNamespace(_can_stop_early=True),
    }  # fmt: skip
    assert run_ends(SimpleNamespace(**trainer | changes), batch_idx) is ends


def test_a_checkpoint_is_written_for_every_protocol_that_an_evaluation_decided() -> None:
    recorder, written = Recorder({}), []
    trainer = MagicMock(save_checkpoint=lambda path, **_: written.append(path.name))
    callback = EpochCheckpoints(Path("checkpoints"), recorder)
    first, second, third = (Evaluation(epoch, {}) for epoch in range(3))
    for last, best in ((first, {}), (second, {"test": second, "val": second}), (third, {"test": second, "val": third})):
        recorder.last, recorder.best = last, best
        callback.on_validation_end(trainer, MagicMock())
    last, best, val = (f"{name}.ckpt" for name in ("last", "best_on_test", "best_on_val"))
    assert written == [last, last, best, val, last, val]


@pytest.mark.parametrize(
    ("path", "more", "protocol"),
    [
        ("a/last.ckpt", {}, "best_on_test"),  # of the first version
        ("a/last.ckpt", {"epoch": 24}, "last"),  # where both were the same epoch
        ("a/last.ckpt", {"swapaqa_format": 2}, "last"),
        ("a/best_on_test.ckpt", {}, "best_on_test"),
        ("a/mine.ckpt", {}, "mine"),
    ],
)
def test_a_last_checkpoint_of_the_first_version_is_not_called_the_last_epoch(
    path: str, more: dict[str, int], protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = {"epoch": 9, "swapaqa_config": {"trainer": {"max_epochs": 25}}} | more
    assert protocol_of(path, content) == protocol
    warned = ["holds the best epoch on test (10 of 25)" in message for message in caplog.messages]
    assert warned == ([True] if (path, protocol) == ("a/last.ckpt", "best_on_test") else [])
