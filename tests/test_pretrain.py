"""`src.pretrain`: a run cut off, one of two processes, and what a method makes of its file."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch

from swapaqa.running.interruption import STOPPED
from tests.conftest import isolated
from tests.forked import Forked, run_forked

Run = Callable[..., "CompletedProcess[str]"]

SMALL = (
    *(f"data.settings.{split}={count}" for split, count in (("train", 12), ("test", 3), ("shifted", 3))),
    *("data.geometry.height=32", "data.geometry.width=32", "data.geometry.crop=32", "data.batch_size=4"),
    *("pretext.plan.frames=8", "trainer.max_epochs=2", "logger=csv", "trainer.accelerator=cpu"),
)


def means(folder: Path) -> list[dict[str, float]]:
    epochs: list[dict[str, float]] = json.loads((folder / "run" / "pretraining.json").read_text())["epochs"]
    return epochs


def weights(folder: Path) -> dict[str, torch.Tensor]:
    content: dict[str, Any] = torch.load(folder / "run" / "backbone.pt", weights_only=True)
    return content["state_dict"]


def words(folder: Path, *more: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    return [f"hydra.run.dir={folder}/run", *SMALL, *more]


@pytest.fixture(scope="module")
def pretrain(demo_cache: Path) -> Run:
    """`pretrain(folder, *overrides)`: the program in a process of its own; the run is in `folder/run`."""
    return lambda folder, *more: run_forked("src.pretrain", words(folder, *more), isolated(folder, demo_cache))


@pytest.fixture(scope="module")
def whole(pretrain: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pretraining that nothing interrupted."""
    folder: Path = tmp_path_factory.mktemp("whole")
    done = pretrain(folder)
    assert done.returncode == 0, done.stderr
    assert "epoch 2 of 2: loss" in done.stdout + done.stderr
    assert "backbone.pt: backbone.pretrained= takes it" in done.stdout
    assert len(means(folder)) == 2
    return folder


@pytest.mark.slow
def test_one_that_was_stopped_ends_bit_for_bit_like_one_that_was_not(
    whole: Path, pretrain: Run, tmp_path: Path, demo_cache: Path
) -> None:
    process = Forked("src.pretrain", words(tmp_path, "save_every=1"), isolated(tmp_path, demo_cache))
    checkpoint = tmp_path / "run" / "checkpoints" / "resume.ckpt"
    while not checkpoint.exists():
        assert process.poll() is None, process.err.read_text()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == STOPPED
    again = pretrain(tmp_path, "save_every=1")
    assert again.returncode == 2
    assert "continue it with resume=true" in again.stderr
    resumed = pretrain(tmp_path, "save_every=1", "resume=true")
    assert resumed.returncode == 0, resumed.stderr
    assert "continuing from" in resumed.stdout + resumed.stderr
    assert not checkpoint.exists()
    assert means(tmp_path) == means(whole)
    found, expected = weights(tmp_path), weights(whole)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    done = pretrain(tmp_path, "save_every=1", "resume=true")
    assert done.returncode == 0
    assert "nothing to do" in done.stdout + done.stderr


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(whole: Path, pretrain: Run, tmp_path: Path) -> None:
    two = pretrain(tmp_path, "trainer.devices=2")
    assert two.returncode == 0, two.stderr
    for one, other in zip(means(tmp_path), means(whole), strict=True):
        assert one == pytest.approx(other, abs=2e-5)
    torch.testing.assert_close(weights(tmp_path), weights(whole), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_method_starts_from_the_file(whole: Path, train_process: Run, tmp_path: Path, small_demo: list[str]) -> None:
    host = ["model=usdl", "backbone=i3d_pecop", f"backbone.pretrained={whole}/run/backbone.pt", "aug=none"]
    short = [*SMALL[:7], "trainer.max_epochs=1", "data.frames=8", "clips.frames=8"]
    done = train_process(tmp_path, *small_demo, *host, *short)
    assert done.returncode == 0, done.stderr
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    trained = {key.removeprefix("encoder.network."): value for key, value in state.items() if "tuning_module" in key}
    assert len(trained) == 45
    expected = weights(whole)
    for key, value in trained.items():  # Adam's steps of 1e-4 away from the file's
        torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-3)
        assert not torch.equal(value, expected[key])


def test_what_cannot_be_pretrained_is_one_line(recipe_inside: Run, tmp_path: Path) -> None:
    for words, message in (
        (["backbone=tiny"], "TinyBackbone has no adapters to pretrain; say backbone=i3d_pecop"),
        (["pretext.plan.frames=30"], "pretext.plan.frames=30: must be a multiple of segments=4"),
        (["pretext.plan.pace=3"], "pretext.plan.pace: no such key"),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0: at least 1 is needed"),
    ):
        found = recipe_inside("pretrain", tmp_path / "run", *SMALL, *words)
        assert found.returncode == 2
        assert found.stderr.strip().splitlines()[-1].startswith("error: ")
        assert message in found.stderr
