"""Processes end when the one that started them is gone, whatever they are doing at that moment."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, isolated
from tests.forked import Forked

CHILD = """
import signal, sys, time
from swapaqa.running.orphans import watch_parent
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
watch_parent()
print("watching", flush=True)
time.sleep(60)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys
from swapaqa.running import orphans
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=os.environ | orphans.parent_environment())
print(child.pid, flush=True)
{end}
child.wait()
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody waits for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def gone(pids: list[int], within_s: float) -> bool:
    end = time.monotonic() + within_s
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    return not any(map(alive, pids))


def start(end: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PARENT.format(end=end), CHILD]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_a_process_that_does_not_leave_when_asked_is_ended() -> None:
    parent = start(end="")
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline() == "watching\n"
    assert alive(pid)
    parent.kill()
    assert parent.stdout.readline() == "asked\n"
    assert gone([pid], within_s=20)


def test_a_parent_that_is_gone_before_anybody_watches_is_noticed() -> None:
    parent = start(end="os._exit(0)")
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.wait()
    assert gone([pid], within_s=20)


def ranks_of(agent: int) -> list[int]:
    found = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    return [int(pid) for pid in found if b"swapaqa.running.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are listed in /proc")
@pytest.mark.parametrize("later_s", [0.0, 2.0, 4.0, 8.0])  # as they start; as they meet each other; as they train
def test_the_ranks_of_a_killed_agent_end(
    tmp_path: Path, demo_cache: Path, small_demo: list[str], later_s: float
) -> None:
    words = ["trainer.devices=2", "trainer.accelerator=cpu", "trainer.strategy=ddp", "trainer.max_epochs=200"]
    run = Forked("src.train", [*small_demo, *words, f"hydra.run.dir={tmp_path}/run"], isolated(tmp_path, demo_cache))
    ranks: list[int] = []
    while len(ranks) < 2:
        assert run.poll() is None
        time.sleep(0.05)
        agents = children_of(run.pid)
        ranks = ranks_of(agents[0]) if agents else []
    time.sleep(later_s)
    os.kill(agents[0], signal.SIGKILL)
    assert gone(ranks, within_s=60)  # a step's time, where they train; see the figures in docs/reliability.md
    assert run.wait(60) != 0


def forks_jobs(pid: int) -> bool:
    return b"multiprocessing.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are listed in /proc")
@pytest.mark.parametrize("killed", ["the sweep", "what forks its jobs"])
def test_a_job_of_a_sweep_ends_with_what_started_it(
    tmp_path: Path, demo_cache: Path, small_demo: list[str], killed: str
) -> None:
    words = ["--multirun", *small_demo, "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep", "trainer.max_epochs=200"]
    sweep = Forked("src.train", words, isolated(tmp_path, demo_cache))
    jobs: list[int] = []
    while not jobs or not (tmp_path / "sweep/0/swap.png").exists():
        assert sweep.poll() is None
        time.sleep(0.05)
        server = next(filter(forks_jobs, children_of(sweep.pid)), None)
        jobs = children_of(server) if server else []
    assert server is not None
    os.kill(sweep.pid if killed == "the sweep" else server, signal.SIGKILL)
    assert gone(jobs, within_s=60)
    sweep.kill()
