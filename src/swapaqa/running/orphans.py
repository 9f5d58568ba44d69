"""No process of a run outlives the one that started it, however that one ended."""

import ctypes
import os
import signal
import sys
import threading
import time

from swapaqa.running.interruption import stop_request

PR_SET_PDEATHSIG = 1  # prctl(2)
PARENT = "SWAPAQA_PARENT"  # in the environment: the process that started this one, as it may be gone before we look
INTERVAL_S = 0.5
GRACE_S, AT_ONCE_S = 30.0, 2.0  # for a run that saves at its next step, and for one that has nothing to save


def end_with_parent() -> None:
    """Ask the kernel for a SIGTERM when the parent dies, even by kill -9; for `preexec_fn`, before anything else."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def environment() -> dict[str, str]:
    """What a process needs in its environment to know this one as its parent."""
    return {PARENT: str(os.getpid())}


def watch_parent(grace_s: float = GRACE_S) -> None:
    """End this process when the one that started it is gone: SIGTERM, and SIGKILL after `grace_s` seconds.

    On SIGTERM a run saves and leaves at its next step. A process that waits for the others, to meet them or inside a
    collective operation, never gets to its signal handler, and so waited for minutes. Before its first step a run has
    nothing to save, and is ended after `AT_ONCE_S`.
    """
    parent = int(os.environ.get(PARENT, os.getppid()))
    threading.Thread(target=_watch, args=(parent, grace_s), name="watch_parent", daemon=True).start()


def _watch(parent: int, grace_s: float) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s if signal.getsignal(signal.SIGTERM) == stop_request.note else min(grace_s, AT_ONCE_S))
    os.kill(os.getpid(), signal.SIGKILL)
