"""Starting a job in processes of its own.

Under `--multirun` Lightning's own launcher would run the whole sweep again in every further process, so a job's
processes never go through Hydra: they read the job's resolved configuration from its folder (`swapaqa.running.worker`).
"""

import logging
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from types import FrameType
from typing import TypeAlias

from omegaconf import DictConfig

from swapaqa.errors import InputError
from swapaqa.running import orphans
from swapaqa.running.devices import per_node
from swapaqa.running.environment import set_for_a_while
from swapaqa.running.failures import LEFT_ALONE, failure, write_failure
from swapaqa.running.interruption import STOPPED, handle_sigterm
from swapaqa.running.jobs import vouching_environment
from swapaqa.running.preloaded import PreloadedJob
from swapaqa.running.rank import process_rank

log = logging.getLogger(__name__)

Job: TypeAlias = "PreloadedJob | subprocess.Popen[bytes]"

BY_SIGTERM = (STOPPED, -signal.SIGTERM)  # saved and left, or still at its start


def process_count(trainer: DictConfig) -> int:
    """How many processes on this machine the trainer's options ask for.

    Raises:
        InputError: several nodes, without a launcher that starts processes on them.
    """
    if process_rank() is not None:
        return 1  # whoever started this process started the others
    if trainer.num_nodes > 1:
        raise InputError(
            f"trainer.num_nodes={trainer.num_nodes}: start the processes with srun or torchrun on every node, or "
            "sweep with hydra/launcher=slurm"
        )
    if any(word in str(trainer.strategy) for word in ("spawn", "fork", "notebook")):
        return 1  # Lightning starts them from this process
    return per_node(trainer)


def run_job(folder: Path, config: bytes, count: int, preloaded: bool = False) -> int:
    """Train the run whose configuration lies in `folder` in `count` processes of its own; the exit status.

    `config`: what was composed for it, and the only content of the folder's `config.yaml` that they accept.

    `preloaded`: by a fork of a process that is kept for the next job; see `swapaqa.running.preloaded`.

    SIGTERM is passed on and waited for. A status that no process explained is explained in `failed.txt`.
    """
    job: Job | None = None
    passed_on = []

    def pass_on(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        passed_on.append(signum)
        if job is not None:
            job.send_signal(signum)

    previous = handle_sigterm(pass_on)
    try:
        job = _start(folder, config, count, preloaded)
        for signum in passed_on[:]:  # while it was started
            job.send_signal(signum)
        status = _waited(job)
    finally:
        if previous is not None:
            handle_sigterm(previous)
    if passed_on or status in BY_SIGTERM:
        return STOPPED  # whatever the processes made of it
    if status:
        leave_explained(folder, status)
    return status


def _start(folder: Path, config: bytes, count: int, preloaded: bool) -> Job:
    if preloaded:
        return PreloadedJob(folder, count, vouching_environment(config))
    command = [sys.executable, "-m", "swapaqa.running.worker", str(folder), str(count)]
    environment = vouching_environment(config) | orphans.parent_environment()
    return subprocess.Popen(command, preexec_fn=orphans.end_with_parent, env=environment)


def leave_explained(folder: Path, status: int) -> None:
    """Say what ended a process that left no word in `failed.txt`, there and in the log."""
    if failure(folder) is None:
        write_failure(folder, explain(status))
        if status < 0:  # a process that ends by itself has said why
            log.error("%s: %s", folder, explain(status))


def _waited(job: Job) -> int:
    """The exit status of the job. Ctrl-C reaches it too: it is given the time to end."""
    try:
        return job.wait()
    except KeyboardInterrupt:
        job.wait()
        raise


def explain(status: int) -> str:
    """One line for an exit status without a message of its own."""
    if status >= 0:
        return f"the job's process ended with status {status}"
    name = signal.Signals(-status).name
    hint = " (the system kills so when memory runs out)" if name == "SIGKILL" else ""
    return f"the job's process was ended by {name}{hint}"


def run_group(folder: Path, count: int) -> int:
    """Start `count` processes of one run under torch's elastic agent, on a free port; the exit status."""
    from torch.distributed.elastic.multiprocessing.api import (
        SignalException,  # here, as who starts a job needs no agent
    )
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the process that fails says why
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count))}
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        with set_for_a_while(threads | os.environ | orphans.parent_environment()):
            elastic_launch(config, sys.executable)("-m", "swapaqa.running.worker", str(folder))
    except ChildFailedError as error:
        statuses = [failed.exitcode for failed in error.failures.values()]
        status = next((one for one in statuses if one != LEFT_ALONE), LEFT_ALONE)
        if status in BY_SIGTERM:
            return STOPPED
        leave_explained(folder, status)
        return status
    except SignalException:
        return STOPPED
    return 0
