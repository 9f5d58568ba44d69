"""Kill -9 at random moments of a training, then the same command with resume=true, and is it the same run?"""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any, NamedTuple

import torch

from swapaqa.running.jobs import State, state
from tests.attack.counts import Counts
from tests.attack.programs import SMALL, common_cache
from tests.conftest import isolated
from tests.forked import Forked

PATIENCE = 60.0  # seconds until no process of a killed run is left
SECONDS = 300.0
TWO = ("trainer.devices=2", "trainer.accelerator=cpu", "trainer.strategy=ddp", "aug.pool=global")
WEIGHTS = ("last.ckpt", "best_on_test.ckpt")
SAME = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")  # the rest holds clocks and paths


class Killed(NamedTuple):
    """One kill. `victim`: of which process; `problem`: empty if the run ended as if nothing had happened."""

    victim: str
    after_s: float
    found: str  # the state that it left the folder in
    problem: str


class Ended(NamedTuple):
    """What a finished run says, as digests by file."""

    files: dict[str, str]
    seconds: float


def attack_trainings(folder: Path, number: int, kills: int, at_once: int) -> Counts:
    """Kill `kills` trainings, a quarter of them in two processes; `at_once` side by side."""
    found: list[Killed] = []
    for processes, share in ((1, kills - kills // 4), (2, kills // 4)):
        if not share:
            continue
        words = [*SMALL, *(TWO if processes == 2 else ())]
        whole = uninterrupted(folder / f"whole-{processes}", words)
        with ThreadPoolExecutor(at_once) as pool:
            places = [folder / f"{processes}-{turn}" for turn in range(share)]
            draws = [random.Random(f"{number} {place.name}") for place in places]
            own = [turn % 5 == 4 for turn in range(share)]  # also killed while the demo is written
            found += pool.map(kill_one, places, [words] * share, [whole] * share, draws, own)
    return as_counts(found, folder)


def start(folder: Path, words: Sequence[str], cache: Path) -> Forked:
    folder.mkdir(parents=True, exist_ok=True)
    environment = isolated(folder, cache) | {"OMP_NUM_THREADS": "1"}
    return Forked("src.train", [*words, f"hydra.run.dir={folder}/run"], environment)


def uninterrupted(folder: Path, words: Sequence[str]) -> Ended:
    """The run that every other one is compared with. Raises RuntimeError if it fails."""
    first = start(folder / "first", words, common_cache())  # writes the demo, so that the next one is timed fairly
    first.wait(SECONDS)
    began = time.monotonic()
    process = start(folder, words, common_cache())
    if process.wait(SECONDS):
        raise RuntimeError(process.err.read_text()[-2000:])
    missing = [name for name in WEIGHTS if not (folder / "run" / "checkpoints" / name).is_file()]
    if missing:
        raise RuntimeError(f"{folder}: a run left no {missing[0]}, so there is nothing to compare with")
    return Ended(digests(folder / "run"), time.monotonic() - began)


def kill_one(folder: Path, words: Sequence[str], whole: Ended, drawn: random.Random, own_cache: bool) -> Killed:
    """Start, kill, resume until done, compare."""
    cache = folder / "cache" if own_cache else common_cache()
    process, victim, after = killed(folder, words, cache, drawn, 0.95 * whole.seconds)
    problem = left_over(process, folder)
    found = state(folder / "run").value
    problem = problem or result_problem(folder / "run") or resumed(folder, words, cache)
    problem = problem or difference(digests(folder / "run"), whole.files)
    if not problem:
        shutil.rmtree(folder)
    return Killed(victim, after, found, problem)


def killed(
    folder: Path, words: Sequence[str], cache: Path, drawn: random.Random, most: float
) -> tuple[Forked, str, float]:
    """Start a training and kill one of its processes; the program, which of them, and after how many seconds.

    One that is done before that is started again and killed in half the time, as other work may have slowed the first.
    """
    victim = drawn.choice(["program", "agent", "rank"] if TWO[0] in words else ["program"])
    while True:
        process, began = start(folder, words, cache), time.monotonic()
        with contextlib.suppress(TimeoutExpired):
            process.wait(drawn.uniform(0, most))
        there: list[int] = []
        while process.poll() is None and not there:
            there = running_as(victim, process.pid)  # none if it was not started yet
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(drawn.choice(there), signal.SIGKILL)
            return process, victim, time.monotonic() - began
        left_over(process, folder)
        shutil.rmtree(folder)
        most /= 2


def running_as(victim: str, program: int) -> list[int]:
    """The processes of a run by their part in it: the program, its agent, or the ranks that the agent started."""
    return {"program": [program], "agent": children(program), "rank": grandchildren(program)}[victim]


def resumed(folder: Path, words: Sequence[str], cache: Path) -> str:
    """Give the same command with resume=true. What went wrong; empty if the run is done."""
    process = start(folder, [*words, "resume=true"], cache)
    try:
        status = process.wait(SECONDS)
    except TimeoutExpired:
        status = None
    left = left_over(process, folder)
    if status or state(folder / "run") is not State.DONE:
        return f"resume=true ended with {status}: {process.err.read_text()[-300:].strip()}"
    return left


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def grandchildren(pid: int) -> list[int]:
    return [below for child in children(pid) for below in children(child)]


def left_over(process: Forked, folder: Path) -> str:
    """The processes of a run that are still there after a while, which are then ended."""
    end = time.monotonic() + PATIENCE
    while (left := running(process, folder)) and time.monotonic() < end:
        time.sleep(0.1)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return f"{len(left)} processes left after {PATIENCE:.0f} s" if left else ""


def running(process: Forked, folder: Path) -> list[int]:
    """A run's processes that have not ended: the first one, and those whose command line has its folder."""
    found = [process.pid] if process.poll() is None else []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"{folder}/run".encode() in (place / "cmdline").read_bytes() and int(place.name) != os.getpid():
                ended = (place / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
                found += [] if ended else [int(place.name)]
        except OSError:
            continue  # it has ended
    return found


def result_problem(run: Path) -> str:
    """A result that is there after a kill is a whole one."""
    if state(run) is not State.DONE:
        return ""
    return "" if (run / "predictions_test.csv").is_file() else "a result without its predictions"


def digests(run: Path) -> dict[str, str]:
    """Of the weights, optimisers and counters of both checkpoints, and of the predictions."""
    found = {}
    for name in WEIGHTS:
        path = run / "checkpoints" / name
        content = torch.load(path, weights_only=True) if path.is_file() else {}
        found |= {f"{name}: {key}": digest(content.get(key)) for key in SAME}
    for split in ("test", "shifted"):
        path = run / f"predictions_{split}.csv"
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "not there"
    return found


def digest(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return hashlib.sha256(value.numpy().tobytes()).hexdigest()
    if isinstance(value, dict):
        return hashlib.sha256(repr([(key, digest(part)) for key, part in value.items()]).encode()).hexdigest()
    if isinstance(value, list | tuple):
        return hashlib.sha256(repr([digest(part) for part in value]).encode()).hexdigest()
    return repr(value)


def difference(found: dict[str, str], wanted: dict[str, str]) -> str:
    return ", ".join(f"{name} differs" for name in wanted if found[name] != wanted[name])


def as_counts(found: Sequence[Killed], folder: Path) -> Counts:
    """By victim and by what the kill left; the problems, each with its number. Their runs stay in `folder`."""
    kinds = [(kill.victim, kill.found) for kill in found]
    rows = [
        (*kind, str(number), str(sum(not kill.problem for kill, own in zip(found, kinds, strict=True) if own == kind)))
        for kind, number in sorted(Counter(kinds).items())
    ]
    right = sum(not kill.problem for kill in found)
    rows.append(("all", "", str(len(found)), str(right)))
    problems = Counter(kill.problem.replace(str(folder), "...") for kill in found if kill.problem)
    title = f"Kills -9 of a training{''.join(f'; {number} x {text}' for text, number in problems.items())}"
    return Counts(title, ("process killed", "state left", "kills", "ended bit for bit"), rows, len(found) - right)
