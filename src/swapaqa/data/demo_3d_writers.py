"""Writing `data=demo_3d` into the cache once: in several processes, with progress, resumable, and by one at a time.

Films are drawn in a folder beside the final one, which gets its name when everything is there. Who is killed leaves the
films that are whole, and the next one goes on. A lock, which the system takes from whoever dies, has a second program
wait for the first. Which process draws a film changes nothing of it.
"""

import fcntl
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from rich.progress import Progress

from swapaqa.data.demo_3d_files import FACTS, Demo3DSettings, write_dive, write_lists
from swapaqa.errors import InputError
from swapaqa.pool import cores
from swapaqa.video.cache import cache_root, make_folder

log = logging.getLogger(__name__)

INTERVAL_S = 0.2  # between two looks at how far the processes are
ESTIMATED_AFTER = 8  # films


def demo_3d_root(settings: Demo3DSettings) -> Path:
    """The folder of the films with these settings, written on first use.

    Raises:
        InputError: one of the processes that write it was ended from outside.
    """
    root = cache_root() / f"demo_3d-{settings.digest}"
    if root.exists():
        return root
    make_folder(root.parent)
    lock = root.with_name(f"{root.name}.lock")
    with _alone(lock):
        if not root.exists():
            unfinished = root.with_name(f"{root.name}.unfinished")
            write_demo_3d(unfinished, settings, cores())
            unfinished.rename(root)
        lock.unlink(missing_ok=True)  # not before: who waits for it finds the folder
    return root


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else is in here, on this machine and where the file system has locks."""
    with open(path, "w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)  # not flock, which forked processes would inherit
        yield


def write_demo_3d(root: Path, settings: Demo3DSettings, processes: int) -> None:
    """Write what is missing under `root`, and the lists when every film is there."""
    facts = root / FACTS
    facts.mkdir(parents=True, exist_ok=True)
    missing = [index for index in range(1, settings.count + 1) if not (facts / f"{index:03d}.json").exists()]
    if missing:
        log.info("data=demo_3d: drawing %d of %d films into %s", len(missing), settings.count, root)
        _draw_in_processes(root, settings, missing, min(processes, len(missing)))
    write_lists(root, settings)
    shutil.rmtree(facts)


def _draw_in_processes(root: Path, settings: Demo3DSettings, missing: list[int], processes: int) -> None:
    if processes == 1 or multiprocessing.current_process().daemon:  # which may have no processes of its own
        for index in missing:
            write_dive(root, settings, index)
        return
    context = multiprocessing.get_context("fork")
    failures: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
    given = [(root, settings, missing[first::processes], os.getpid(), failures) for first in range(processes)]
    drawing = [context.Process(target=_draw, args=share) for share in given]
    try:
        for process in drawing:
            process.start()
        _wait(root / FACTS, drawing, len(missing), settings.count - len(missing))
    finally:
        for process in drawing:
            process.terminate()
            process.join()
    if not failures.empty():
        raise InputError(failures.get())
    if any(process.exitcode for process in drawing):
        raise InputError(
            f"{root}: one of the processes that draw data=demo_3d was ended from outside, as the system does when "
            "memory runs out; what is drawn is kept, give the command again"
        )


def _wait(facts: Path, drawing: list[multiprocessing.context.ForkProcess], count: int, before: int) -> None:
    """Until all processes have left, saying how far they are."""
    start, said = time.monotonic(), False
    with Progress(transient=True) as progress:
        task = progress.add_task("drawing data=demo_3d", total=count)
        while any(process.is_alive() for process in drawing):
            time.sleep(INTERVAL_S)
            done = sum(1 for path in facts.iterdir() if path.suffix == ".json") - before
            progress.update(task, completed=done)
            if not said and done >= ESTIMATED_AFTER:
                left = (time.monotonic() - start) / done * (count - done)
                log.info("data=demo_3d: about %.0f s for the %d films that are left", left, count - done)
                said = True
            if any(process.exitcode for process in drawing):
                return


def _draw(
    root: Path, settings: Demo3DSettings, indices: list[int], parent: int, failures: "multiprocessing.SimpleQueue[str]"
) -> None:
    """In a process of its own: the films `indices`, as long as there is somebody who waits for them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)
    try:
        for index in indices:
            if os.getppid() != parent:
                return
            write_dive(root, settings, index)
    except (OSError, InputError) as error:  # of a disk that is full
        failures.put(f"{error}; what is drawn is kept, give the command again")
        sys.exit(1)
