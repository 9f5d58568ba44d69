"""A sweep on a real SLURM cluster, of one node, on this machine: two tasks per job, on the CPU with gloo."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
STOPPED = 143  # the exit status of a run that SIGTERM ended after it saved
TWO_TASKS = [
    "trainer.devices=2", "trainer.accelerator=cpu", "trainer.max_epochs=12", "trainer.check_val_every_n_epoch=4",
    "data.batch_size=4", "save_every=1", "logger=wandb",
]  # fmt: skip
ON_SLURM = ["hydra/launcher=slurm", "hydra.launcher.gpus_per_node=null", "hydra.launcher.cpus_per_task=1"]

Start = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slurm")


@pytest.fixture(scope="module")
def start(slurm: Any, folder: Path, train_environment: Any, small_demo: list[str]) -> Start:
    """`with start(log, *overrides)`: a sweep on the cluster, in the background, ended with the block.

    With `srun=` no sweep but a run by hand.
    """
    environment = train_environment(folder) | slurm.environment | {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}

    @contextmanager
    def begin(log: Path, *overrides: str, srun: Sequence[str] = ()) -> Iterator["subprocess.Popen[bytes]"]:
        options = [] if srun else ["--multirun", *ON_SLURM]
        command = [*srun, sys.executable, "-m", "src.train", *options, *small_demo, *TWO_TASKS, *overrides]
        with open(log, "wb") as output:
            process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    return begin


@pytest.fixture(scope="module")
def sweep(slurm: Any, start: Start, folder: Path) -> Path:
    """A finished sweep of two equal points; the first was requeued by the cluster in the middle of its training."""
    outputs, log = folder / "sweep", folder / "sweep.log"
    with start(log, f"hydra.sweep.dir={outputs}", "name=requeued,untouched") as leader:
        wait_for_training(slurm, outputs / "0", leader)
        slurm.ask("scontrol", "requeue", slurm.job_of(0))
        assert leader.wait(600) == 0, log.read_text()
    return outputs


def wait_for_training(slurm: Any, run: Path, process: "subprocess.Popen[bytes]") -> None:
    saved = run / "checkpoints" / "resume.ckpt"
    slurm.wait_for("a first step", lambda: saved.exists() or process.poll() is not None, seconds=240)
    assert saved.exists(), "it ended before its first step"


def result(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


def wandb_runs(run: Path) -> list[str]:
    """The id of every stretch that wandb recorded."""
    return [path.name.rsplit("-", 1)[-1] for path in (run / "wandb").glob("offline-run-*")]


def test_a_point_of_the_sweep_is_one_job_of_two_tasks_in_one_folder(sweep: Path) -> None:
    assert {path.name for path in sweep.iterdir() if path.is_dir()} == {"0", "1", ".submitit"}
    assert [result(sweep / job)["world_size"] for job in ("0", "1")] == [2, 2]
    assert not list(sweep.rglob("failed.txt"))


def test_the_requeued_job_went_on_where_it_was(sweep: Path) -> None:
    logs = [(sweep / job / "train.log").read_text() for job in ("0", "1")]
    assert ["continuing from" in log for log in logs] == [True, False]
    requeued, untouched = result(sweep / "0"), result(sweep / "1")
    assert requeued["metrics"] == untouched["metrics"]
    assert requeued["predictions"] == untouched["predictions"]


def test_the_requeued_job_stays_one_run_of_wandb(sweep: Path) -> None:
    stretches = wandb_runs(sweep / "0")
    assert len(stretches) == 2
    assert set(stretches) == {(sweep / "0" / "wandb_id.txt").read_text().strip()}
    assert len(wandb_runs(sweep / "1")) == 1


def test_the_sweep_again_skips_what_is_done(sweep: Path, start: Start, folder: Path) -> None:
    before = (sweep / "0" / "result.json").stat().st_mtime_ns
    with start(folder / "again.log", f"hydra.sweep.dir={sweep}", "name=requeued,untouched") as leader:
        assert leader.wait(300) == 0, (folder / "again.log").read_text()
    assert (sweep / "0" / "result.json").stat().st_mtime_ns == before


def test_the_signal_before_the_time_limit_saves_and_requeues(
    slurm: Any, sweep: Path, start: Start, folder: Path
) -> None:
    outputs, log = folder / "signalled", folder / "signalled.log"
    with start(log, f"hydra.sweep.dir={outputs}", "name=signalled") as leader:
        wait_for_training(slurm, outputs / "0", leader)
        slurm.ask("scancel", "--signal=USR2", "--user=root")  # what SLURM sends for `--signal=USR2@120`
        assert leader.wait(600) == 0, log.read_text()
    assert "continuing from" in (outputs / "0" / "train.log").read_text()
    assert not (outputs / "0" / "failed.txt").exists()
    assert result(outputs / "0")["predictions"] == result(sweep / "1")["predictions"]


def test_srun_by_hand_saves_on_sigterm_and_goes_on(slurm: Any, sweep: Path, start: Start, folder: Path) -> None:
    run, log = folder / "by_hand", folder / "by_hand.log"
    srun, overrides = ["srun", "--ntasks-per-node=2"], [f"hydra.run.dir={run}", "resume=true", "name=by_hand"]
    with start(log, *overrides, srun=srun) as step:
        wait_for_training(slurm, run, step)
        slurm.ask("scancel", "--signal=TERM", "--user=root")
        assert step.wait(120) == STOPPED, log.read_text()
    with start(log, *overrides, srun=srun) as step:
        assert step.wait(300) == 0, log.read_text()
    assert result(run)["world_size"] == 2
    assert result(run)["predictions"] == result(sweep / "1")["predictions"]


def test_a_job_that_fails_says_why_and_the_others_finish(start: Start, folder: Path) -> None:
    outputs, log = folder / "failing", folder / "failing.log"
    with start(log, f"hydra.sweep.dir={outputs}", "aug.ratio=-1,2", "trainer.max_epochs=1") as leader:
        assert leader.wait(300) != 0
    assert "aug.ratio" in (outputs / "0" / "failed.txt").read_text()
    assert result(outputs / "1")["world_size"] == 2


@pytest.mark.usefixtures("sweep")
def test_nothing_stays_in_the_queue(slurm: Any) -> None:
    slurm.wait_for("the end of all jobs", lambda: not slurm.ask("squeue", "-h"))
