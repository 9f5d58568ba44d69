"""Twelve jobs of a sweep on eight GPUs that are not there: one GPU each, eight at once; two crash, ten finish."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.launchers, pytest.mark.slow, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
GPUS, JOBS = 8, 12
REFUSED, KILLED = 1, 6  # the jobs that crash: by a value that the data refuses, and by kill -9


@dataclass
class Worker:
    """What the system knew of a job's process while it ran."""

    device: str
    first_seen: float
    last_seen: float


@dataclass
class Sweep:
    """A sweep that has ended, and how its jobs' processes were seen, by job."""

    folder: Path
    log: str
    status: int
    workers: dict[int, Worker]


def job_processes(folder: Path) -> dict[int, tuple[int, str]]:
    """Of every job whose process runs now, the process id and its CUDA_VISIBLE_DEVICES."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            entries = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        runs = [Path(word.decode()) for word in words if word.startswith(bytes(folder))]
        if b"swapaqa.running.worker" in words and runs:
            environment = dict(entry.decode(errors="replace").split("=", 1) for entry in entries if b"=" in entry)
            found[int(runs[0].name)] = (int(process.name), environment.get("CUDA_VISIBLE_DEVICES", "none"))
    return found


def watch(folder: Path, leader: "subprocess.Popen[bytes]", seconds: float) -> dict[int, Worker]:
    """Note which jobs run on which device until the sweep ends; kill the process of one job."""
    workers: dict[int, Worker] = {}
    end = time.monotonic() + seconds
    while leader.poll() is None:
        assert time.monotonic() < end, "the sweep did not end"
        now = time.monotonic()
        for job, (process, device) in job_processes(folder).items():
            workers.setdefault(job, Worker(device, now, now)).last_seen = now
            if job == KILLED and (folder / str(job) / "swap.png").exists():  # its training begins
                os.kill(process, signal.SIGKILL)
        time.sleep(0.1)
    return workers


@pytest.fixture(scope="module")
def sweep(
    tmp_path_factory: pytest.TempPathFactory,
    train_environment: Callable[[Path], dict[str, str]],
    small_demo: list[str],
) -> Sweep:
    pytest.importorskip("ray", reason="not installed: the extra `ray` (pip install swapaqa[ray])")
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="not installed: the extra `ray`")
    home = tmp_path_factory.mktemp("ray")
    folder, log = home / "sweep", home / "log.txt"
    ratios = [f"{1 + number / 10}" for number in range(JOBS)]
    ratios[REFUSED] = "-1"
    command = [
        sys.executable, "-m", "src.train", "--multirun", "hydra/launcher=ray",
        f"hydra.launcher.ray.init.num_gpus={GPUS}", f"hydra.sweep.dir={folder}",
        *small_demo, "trainer.accelerator=cpu", f"aug.ratio={','.join(ratios)}",
    ]  # fmt: skip
    environment = train_environment(home) | {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    with open(log, "wb") as output:
        leader = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
    try:
        workers = watch(folder, leader, seconds=800)
    finally:
        leader.terminate()
        leader.wait(60)
    return Sweep(folder, log.read_text(errors="replace"), leader.returncode, workers)


def overlapping(workers: dict[int, Worker]) -> list[set[int]]:
    """The jobs that ran at the moment each of them began."""
    return [
        {job for job, other in workers.items() if other.first_seen <= worker.first_seen <= other.last_seen}
        for worker in workers.values()
    ]


def test_every_job_has_a_device_of_its_own(sweep: Sweep) -> None:
    assert {worker.device for worker in sweep.workers.values()} <= {str(gpu) for gpu in range(GPUS)}
    for together in overlapping(sweep.workers):
        devices = [sweep.workers[job].device for job in together]
        assert len(set(devices)) == len(devices), {job: sweep.workers[job] for job in together}


def test_as_many_jobs_at_once_as_there_are_gpus(sweep: Sweep) -> None:
    assert max(len(together) for together in overlapping(sweep.workers)) in (GPUS - 1, GPUS)  # the refused one is quick


def test_a_crashed_job_frees_its_gpu_and_the_others_finish(sweep: Sweep) -> None:
    results = {int(path.parent.name): json.loads(path.read_text()) for path in sweep.folder.glob("*/result.json")}
    assert set(results) == set(range(JOBS)) - {REFUSED, KILLED}, sweep.log[-3000:]
    later = {job for job, worker in sweep.workers.items() if worker.first_seen > sweep.workers[KILLED].last_seen}
    assert sweep.workers[KILLED].device in {sweep.workers[job].device for job in later}


def test_the_crashed_jobs_say_why(sweep: Sweep) -> None:
    assert "ratio" in (sweep.folder / str(REFUSED) / "failed.txt").read_text()
    assert "SIGKILL" in (sweep.folder / str(KILLED) / "failed.txt").read_text()
    assert len(list(sweep.folder.glob("*/failed.txt"))) == 2
    assert sweep.status == 1
    assert f"{JOBS - 2} of {JOBS} jobs are done" in sweep.log


def test_one_folder_per_job_and_no_process_left(sweep: Sweep) -> None:
    folders = {path.name for path in sweep.folder.iterdir() if path.is_dir()}
    assert folders == {str(job) for job in range(JOBS)}
    assert job_processes(sweep.folder) == {}
