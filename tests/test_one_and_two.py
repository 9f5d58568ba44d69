"""The same run by one and by two processes, through the real program: number by number.

`test_many_processes.py` compares what every step sees; this is the whole run with its files. In float64, as Adam
divides small gradients by their own size and so enlarges what float32 rounds in sums of another order.
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORDS = [
    "aug.pool=global", "aug=swap", "model=core", "model.hidden_features=32", "data.batch_size=4",
    "trainer.precision=64-true", "trainer.accelerator=cpu", "backbone.network.width=4", "trainer.max_epochs=3",
    "trainer.log_every_n_steps=1", "name=same",
]  # fmt: skip
Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, train_process: Run, small_demo: list[str]) -> dict[int, Path]:
    """The folder of a finished run, by its number of processes."""
    found = {}
    for count in (1, 2):
        folder = tmp_path_factory.mktemp(f"processes-{count}")
        several = ["trainer.strategy=ddp"] * (count > 1)
        done = train_process(folder, *small_demo, *WORDS, f"trainer.devices={count}", *several, OMP_NUM_THREADS="1")
        assert done.returncode == 0, done.stderr[-3000:]
        found[count] = folder / "run"
    return found


def result(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


def steps(run: Path) -> dict[tuple[str, str], float]:
    """The numbers of `metrics.csv` by step and name, without times."""
    with open(run / "metrics.csv", newline="") as table:
        return {
            (row["step"], name): float(value)
            for row in csv.DictReader(table)
            for name, value in row.items()
            if value and not name.startswith(("time/", "timing/", "step", "epoch"))
        }


def test_the_runs_are_of_one_and_of_two_processes(runs: dict[int, Path]) -> None:
    assert {count: result(run)["world_size"] for count, run in runs.items()} == {1: 1, 2: 2}
    assert result(runs[1])["config"]["aug"]["pool"] == "global"


def test_the_losses_and_metrics_of_every_step_are_equal(runs: dict[int, Path]) -> None:
    one, two = steps(runs[1]), steps(runs[2])
    assert sum("train/loss" in name for _, name in one) >= 9  # three steps an epoch
    assert one == {key: pytest.approx(value, rel=1e-6, abs=1e-6) for key, value in two.items()}


def test_the_predictions_and_metrics_are_equal(runs: dict[int, Path]) -> None:
    one, two = result(runs[1]), result(runs[2])
    for split, rows in one["predictions"].items():
        assert rows == {name: pytest.approx(row, abs=1e-6) for name, row in two["predictions"][split].items()}
    for protocol in ("last", "best_on_test"):
        ours, theirs = one["metrics"][protocol], two["metrics"][protocol]
        assert ours["epoch"] == theirs["epoch"]
        for split, found in ours["splits"].items():
            assert found["average"] == pytest.approx(theirs["splits"][split]["average"], abs=1e-6, nan_ok=True)
    assert one["replaced_share"] == pytest.approx(two["replaced_share"])


@pytest.mark.parametrize("name", ["last.ckpt", "best_on_test.ckpt"])
def test_the_weights_are_equal(name: str, runs: dict[int, Path]) -> None:
    one, two = (torch.load(run / "checkpoints" / name, weights_only=True) for run in runs.values())
    assert (one["epoch"], one["global_step"]) == (two["epoch"], two["global_step"])
    torch.testing.assert_close(one["state_dict"], two["state_dict"], rtol=0, atol=1e-8)
