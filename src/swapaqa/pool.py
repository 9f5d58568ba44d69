"""Many pieces of work in several processes: videos of `boxes make`, pictures of a report."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from swapaqa.errors import InputError

Given = TypeVar("Given")
Made = TypeVar("Made")


def cores() -> int:
    """That this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(work: Callable[[Given], Made], jobs: Sequence[Given], processes: int) -> Iterator[Made]:
    """`work` of all jobs in so many processes, each result as soon as it is there; stopping ends the rest.

    Raises:
        InputError: the system ended one of the processes.
    """
    if processes == 1 or len(jobs) < 2:
        yield from map(work, jobs)
        return
    pool = ProcessPoolExecutor(min(processes, len(jobs)), initializer=leave_interrupts_to_the_parent)
    try:
        for future in as_completed([pool.submit(work, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise InputError(
            f"one of {processes} processes was ended from outside, as the system does when memory runs out; see what "
            "else is running, say fewer where the command has --processes, and give it again"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches every process of a terminal: those that work finish their piece, the first one ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
