"""Runs that are cut off: by kill -9, by SIGTERM, by a full disk."""

import errno
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import MagicMock

import pytest
import torch

from swapaqa.errors import InputError
from swapaqa.running.interruption import STOPPED, AtomicCheckpointIO, StepCheckpoints, random_states, set_random_states
from swapaqa.running.value_digest import sealed
from tests.conftest import isolated
from tests.forked import Forked

Run = Callable[..., "CompletedProcess[str]"]


def start(folder: Path, cache: Path, *overrides: str) -> Forked:
    """The entry point in a process of its own; when its first step checkpoint is there, it is returned running."""
    process = Forked("src.train", [f"hydra.run.dir={folder}/run", *overrides], isolated(folder, cache))
    checkpoint = folder / "run" / "checkpoints" / "resume.ckpt"
    written = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == written:
        assert process.poll() is None, process.err.read_text()
        time.sleep(0.02)
    return process


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        ["model=core", "optim=adamw_warmup", "optim.lr_schedule.warmup_epochs=1"],
        ["model=gdlt", "model.width=16"],  # dropout, BatchNorm in the head, momentum
        ["model=tpt", "model.width=32"],  # dropout over pairs
        ["model=t2cr", "clips.full.size=32", "clips.thin.size=32"],  # BatchNorm in the head, over pairs
        ["model=tsa_net"],  # statistics of tubes
        ["model=pcln", "model.length=16", "model.width=32", "model.hidden=16"],  # dropout of frames, pairs of a batch
        ["model=rica2", "model.width=16", "model.heads=2"],  # whole branches left out, samples, clipped gradients
        ["model=i3d_mscadc", "model.width=2", "model.words=30"],  # dropout of maps, side information, recurrent layers
    ],
    ids=lambda words: words[0],
)
def test_a_run_that_was_stopped_and_killed_ends_bit_for_bit_like_one_that_was_not(
    method: list[str], tmp_path: Path, demo_cache: Path, train_process: Run, small_demo: list[str]
) -> None:
    """Loader processes, augmentation, exemplars, rates that change, and an interruption within each of two epochs."""
    small = [*small_demo, "data.settings.train=24", "data.workers=1", "data.batch_size=4", "save_every=1", *method]
    whole = train_process(tmp_path / "whole", *small)
    assert whole.returncode == 0, whole.stderr
    cut = tmp_path / "cut"
    cut.mkdir()
    stopped = start(cut, demo_cache, *small)
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate(timeout=120)
    assert stopped.returncode == STOPPED == 143
    assert "told to stop: saved at epoch" in (cut / "run" / "train.log").read_text()
    refused = train_process(cut, *small)
    assert refused.returncode == 2
    assert "resume=true" in refused.stderr
    killed = start(cut, demo_cache, *small, "resume=true")
    killed.kill()
    killed.wait()
    assert not (cut / "run" / "result.json").exists()
    resumed = train_process(cut, *small, "resume=true")
    assert resumed.returncode == 0, resumed.stderr
    results = [json.loads((folder / "run" / "result.json").read_text()) for folder in (tmp_path / "whole", cut)]
    assert results[0]["predictions"] == results[1]["predictions"]
    assert results[0]["metrics"] == results[1]["metrics"]
    weights = [
        torch.load(folder / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (tmp_path / "whole", cut)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not (cut / "run" / "checkpoints" / "resume.ckpt").exists()  # nothing is left to continue


@pytest.mark.parametrize(("every", "saved"), [(1, [1, 2, 4, 5, 7, 8]), (2, [2, 4, 7]), (3, [4, 7]), (6, [7])])
def test_a_step_checkpoint_waits_for_the_next_step_within_an_epoch(every: int, saved: list[int]) -> None:
    """Three epochs of three batches: never after an epoch's last one, and never not at all."""
    trainer = MagicMock(accumulate_grad_batches=1, num_training_batches=3, global_step=0)
    trainer.configure_mock(max_epochs=3, max_steps=-1, should_stop=False)
    trainer.strategy.reduce_boolean_decision = lambda decision, **_: decision
    at = []
    trainer.save_checkpoint = lambda *_, **__: at.append(trainer.global_step)
    checkpoints = StepCheckpoints(Path("resume.ckpt"), every)
    for step in range(9):
        trainer.global_step = step + 1
        checkpoints.on_train_batch_end(trainer, MagicMock(), None, None, step % 3)
    assert at == saved


@pytest.mark.parametrize("end", [{"max_steps": 2}, {"should_stop": True}])
def test_a_run_that_ends_within_an_epoch_has_no_step_checkpoint_of_its_end(end: dict[str, int]) -> None:
    """What follows is the evaluation: a run that went on from there would not evaluate its weights."""
    trainer = MagicMock(accumulate_grad_batches=1, num_training_batches=3, global_step=2)
    trainer.configure_mock(**{"max_epochs": 3, "max_steps": -1, "should_stop": False} | end)
    StepCheckpoints(Path("resume.ckpt"), 1).on_train_batch_end(trainer, MagicMock(), None, None, 1)
    trainer.save_checkpoint.assert_not_called()


def test_a_failed_write_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, io = tmp_path / "a.ckpt", AtomicCheckpointIO()
    io.save_checkpoint({"step": 1}, path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"no space left on the disk.*resume=true"):
        io.save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == sealed({"step": 1})
    assert [file.name for file in tmp_path.iterdir()] == ["a.ckpt"]


def test_a_checkpoint_is_never_seen_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the moment before the last step of writing, the name still has the old content."""
    path, io = tmp_path / "a.ckpt", AtomicCheckpointIO()
    io.save_checkpoint({"step": 1}, path)
    seen = []
    replace = os.replace

    def spy(source: Path, target: Path) -> None:
        seen.append((torch.load(target, weights_only=True), torch.load(source, weights_only=True)))
        replace(source, target)

    monkeypatch.setattr(os, "replace", spy)
    io.save_checkpoint({"step": 2}, path)
    assert seen == [(sealed({"step": 1}), sealed({"step": 2}))]


def test_random_states_are_restored() -> None:
    torch.manual_seed(3)
    states = random_states()
    drawn = torch.rand(4)
    torch.rand(7)
    set_random_states(states)
    assert torch.equal(torch.rand(4), drawn)
