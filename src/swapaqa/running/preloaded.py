"""Jobs of a sweep from a process that has imported everything once, and computed nothing.

Each job is a process of its own, a fork of that one: it starts in a tenth of a second where an interpreter takes
seconds to import Lightning. A GPU is first touched in the fork.
"""

import atexit
import multiprocessing
import os
import signal
import sys
from multiprocessing import forkserver
from pathlib import Path

from swapaqa.running import orphans

WORKER = "swapaqa.running.worker"
context = multiprocessing.get_context("forkserver")


class PreloadedJob:
    """A job's process; the part of `subprocess.Popen` that `swapaqa.running.processes` uses."""

    def __init__(self, folder: Path, count: int, environment: dict[str, str]) -> None:
        _ensure_server()
        given = (os.getcwd(), str(folder), str(count), environment)
        self.process = context.Process(target=become_worker, args=given)
        self.process.start()

    def wait(self) -> int:
        """The exit status, negative for a signal; 255 where the process that forked it was ended."""
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, number)


def _ensure_server() -> None:
    """Start the process that forks, if it does not run; SIGTERM to all of a sweep's processes must not end it.

    It waits for the jobs, which save and leave. It gets the signal mask of this thread.
    """
    context.set_forkserver_preload([WORKER])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def become_worker(place: str, folder: str, count: str, environment: dict[str, str]) -> None:
    """In the fork: what `python -m swapaqa.running.worker folder count` does at this place, in this environment."""
    from swapaqa.running.worker import start  # imported already, by the process that forked

    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    os.chdir(place)
    os.environ.clear()
    os.environ.update(environment | {orphans.PARENT: str(os.getppid())})
    multiprocessing.set_start_method(None, force=True)  # a loader's processes are forked from the job
    sys.argv[1:] = [folder, count]
    try:
        start()
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out
