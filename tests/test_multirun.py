"""Sweeps whose jobs have several processes: one folder per job, a crash that stays with its job, nothing twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, isolated
from tests.forked import Forked, run_forked

TWO = ["trainer.devices=2", "trainer.accelerator=cpu", "trainer.strategy=ddp", "data.workers=0", "trainer.max_epochs=1"]

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture
def sweep(tmp_path: Path, demo_cache: Path, small_demo: list[str]):
    """`sweep(*overrides)` runs `src.train --multirun` into `tmp_path/sweep`."""

    def run(*overrides: str) -> "subprocess.CompletedProcess[str]":
        words = ["--multirun", *small_demo, *overrides, f"hydra.sweep.dir={tmp_path}/sweep"]
        paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "src")])
        environment = isolated(tmp_path, demo_cache) | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        return run_forked("src.train", words, environment, timeout=280)

    return run


@pytest.fixture
def torchrun(tmp_path: Path, demo_cache: Path, small_demo: list[str]):
    """`torchrun(*words)` starts `src.train` with these words as two processes."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *TORCHRUN, "-m", "src.train", *words, *small_demo, *TWO],
            cwd=REPOSITORY,
            env=isolated(tmp_path, demo_cache) | {"OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip

    return run


def jobs(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "sweep").iterdir() if path.is_dir())


def files_of_the_repository() -> set[str]:
    command = ["git", "-C", str(REPOSITORY), "status", "--porcelain", "--untracked-files=all", "--ignored", "outputs"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


@pytest.mark.slow
def test_a_crash_stays_with_its_job_and_the_same_command_repeats_only_that_job(tmp_path: Path, sweep) -> None:
    swap = "swapaqa.augment.swap.ScaledBackgroundSwap"
    overrides = [*TWO, f"aug._target_={swap},tests.crashing.CrashingSwap", "aug.ratio=2"]
    before = files_of_the_repository()
    first = sweep(*overrides)
    assert first.returncode == 1, first.stderr
    assert "1 of 2 jobs are done" in first.stdout, first.stderr
    assert jobs(tmp_path) == ["0", "1"]
    assert files_of_the_repository() == before
    result = json.loads((tmp_path / "sweep" / "0" / "result.json").read_text())
    assert result["world_size"] == 2
    assert set(result["predictions"]["test"]) == {f"diving/{index:03d}" for index in range(13, 19)}
    line = (tmp_path / "sweep" / "1" / "failed.txt").read_text().splitlines()[0]
    assert line == "the job's process was ended by SIGKILL (the system kills so when memory runs out)"
    assert line in first.stdout
    written = (tmp_path / "sweep" / "0" / "result.json").stat().st_mtime_ns
    again = sweep(*overrides)
    assert again.returncode == 1
    assert "sweep/0 is done" in again.stdout + again.stderr
    assert (tmp_path / "sweep" / "0" / "result.json").stat().st_mtime_ns == written


@pytest.mark.slow
def test_a_sweep_that_is_stopped_while_a_job_starts_starts_no_other(
    tmp_path: Path, demo_cache: Path, small_demo: list[str]
) -> None:
    """SIGTERM to the process that leads the sweep, before the job's own process has begun to train."""
    words = ["--multirun", *small_demo, "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep"]
    leader = Forked("src.train", words, isolated(tmp_path, demo_cache))
    while not (tmp_path / "sweep" / "0" / "config.yaml").exists():
        assert leader.poll() is None
        time.sleep(0.02)
    time.sleep(0.5)  # the job's process is there, and imports
    leader.send_signal(signal.SIGTERM)
    assert leader.wait(timeout=60) == 143
    assert jobs(tmp_path) == ["0"]
    assert not (tmp_path / "sweep" / "0" / "failed.txt").exists()


@pytest.mark.slow
def test_under_torchrun_the_sweep_runs_once(tmp_path: Path, torchrun) -> None:
    done = torchrun("--multirun", "aug.ratio=2", f"hydra.sweep.dir={tmp_path}/sweep")
    assert done.returncode == 0, done.stderr
    assert jobs(tmp_path) == ["0"]
    assert done.stdout.count("1 of 1 jobs are done") == 1
    assert json.loads((tmp_path / "sweep" / "0" / "result.json").read_text())["world_size"] == 2


@pytest.mark.slow
def test_a_run_under_torchrun_has_one_folder(tmp_path: Path, torchrun) -> None:
    """Two processes that name the folder by the time agree on it."""
    done = torchrun("hydra.run.dir=${oc.env:HOME}/runs/${started:}")
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert json.loads((run / "result.json").read_text())["world_size"] == 2


@pytest.mark.slow
def test_a_plan_lists_the_jobs_and_starts_none(tmp_path: Path, sweep) -> None:
    done = sweep("aug.ratio=2,0", "plan=true", "data.workers=0")
    assert done.returncode == 0, done.stderr
    assert "2 jobs, 0 of them done" in done.stdout
    assert "on one device like that of the estimate" in done.stdout
    assert "GiB are free" in done.stdout
    assert not (tmp_path / "sweep").exists()


def test_a_plan_without_a_sweep_is_refused(tmp_path: Path, train_inside) -> None:
    done = train_inside(tmp_path, "plan=true")
    assert done.returncode == 2
    assert "plan=true lists the jobs of a sweep and needs --multirun" in done.stderr


@pytest.mark.slow
def test_a_run_in_two_processes_has_the_numbers_of_one(tmp_path: Path, demo_cache: Path, small_demo: list[str]) -> None:
    """The program, to its last file; `test_many_processes.py` has the methods, and float32, step by step."""
    exact = ["trainer.precision=64-true", "aug.pool=global", "data.batch_size=4", "trainer.max_epochs=3"]
    results = []
    for count in (1, 2):
        several = TWO[:3] if count == 2 else ["trainer.devices=1", "trainer.accelerator=cpu"]
        words = [*small_demo, *several, *exact, f"hydra.run.dir={tmp_path}/{count}"]
        done = run_forked("src.train", words, isolated(tmp_path, demo_cache) | {"OMP_NUM_THREADS": "1"}, timeout=280)
        assert done.returncode == 0, done.stderr
        results.append(json.loads((tmp_path / str(count) / "result.json").read_text()))
    one, two = results
    assert (one["world_size"], two["world_size"]) == (1, 2)
    for key in ("predictions", "metrics", "replaced_share"):
        for (place, value), (_, other) in zip(numbers(one[key]), numbers(two[key]), strict=True):
            expected = pytest.approx(value, rel=1e-8, abs=1e-8) if isinstance(value, float) else value
            assert other == expected, f"{key}{place}"


def numbers(tree: Any, place: str = "") -> list[tuple[str, Any]]:
    """Every leaf of a result, by where it is."""
    if isinstance(tree, dict | list):
        parts = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return [leaf for key, part in parts for leaf in numbers(part, f"{place}.{key}")]
    return [(place, tree)]
