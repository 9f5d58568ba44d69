"""No process of a run outlives the one that started it, however that one ended."""

import ctypes
import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass

PR_SET_PDEATHSIG = 1  # prctl(2)
PARENT = "SWAPAQA_PARENT"  # in the environment: the process that started this one, as it may be gone before we look
INTERVAL_S = 0.5
AT_ONCE_S, STEP_S = 2.0, 30.0  # from SIGTERM to SIGKILL: with nothing to save, and for a step and a checkpoint


@dataclass
class GracePeriod:
    """How long this process is given to leave by itself."""

    seconds: float = AT_ONCE_S


patience = GracePeriod()


def end_with_parent() -> None:
    """Ask the kernel for a SIGTERM when the parent dies, even by kill -9; for `preexec_fn`, before anything else."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def parent_environment() -> dict[str, str]:
    """What a process needs in its environment to know this one as its parent."""
    return {PARENT: str(os.getpid())}


@functools.cache
def watch_parent() -> None:
    """End this process when the one that started it is gone: SIGTERM, and SIGKILL where that does not end it in time.

    On SIGTERM a run saves and leaves at its next step. A process that waits for the others, to meet them or inside a
    collective operation, never gets to its signal handler, and so waited for minutes.
    """
    parent = int(os.environ.get(PARENT, os.getppid()))
    threading.Thread(target=_watch, args=(parent,), name="watch_parent", daemon=True).start()


def _watch(parent: int) -> None:
    asked = multiprocessing.parent_process()  # who had this process forked by another one, its parent
    while os.getppid() == parent and (asked is None or asked.is_alive()):
        time.sleep(INTERVAL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(patience.seconds)
    os.kill(os.getpid(), signal.SIGKILL)
