"""Inputs drawn by hypothesis for every reader, and what became of them."""

import contextlib
import hashlib
import math
import os
import re
import shutil
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.attack.damage import damaged
from tests.attack.reading import RIGHT, Outcome, Reader, Verdict
from tests.attack.strange import Damage, exchanged_files, lay, strangers
from tests.attack.worker import Worker, fork

SHRINKING = 5  # seconds for a fault
HANGS = 1  # of one kind of damage, after which it is not tried again


class Tried(NamedTuple):
    """One input. `kept`: the smallest one with its fault, for faults only."""

    reader: str
    kind: str
    outcome: Outcome
    kept: str = ""


class Task(NamedTuple):
    """Inputs of one reader in one round. `reader`: its name."""

    reader: str
    seed: int
    inputs: int
    folder: Path  # of everything: inputs, and what is kept
    deadline: float  # of the monotonic clock
    every: bool  # first every strange file and place once


@dataclass
class Attack:
    """One task at work."""

    reader: Reader
    task: Task
    tried: list[Tried] = field(default_factory=list)
    hangs: Counter = field(default_factory=Counter)

    def __post_init__(self) -> None:
        reader, folder = self.reader, self.task.folder
        own = re.sub(r"\W+", "-", reader.name)
        self.inputs, self.kept = folder / "inputs" / f"{own}-{os.getpid()}", folder / "kept" / own
        self.known = set(self.kept.glob("*"))  # of rounds before
        shutil.rmtree(self.inputs, ignore_errors=True)
        self.valid, self.canary = self.inputs / "valid", self.inputs / "canary"
        self.valid.mkdir(parents=True)
        reader.write(self.valid)
        self.content = (self.valid / reader.file).read_bytes()
        self.pristine = self.inputs / "pristine"  # reading may add caches to `valid`
        shutil.copytree(self.valid, self.pristine)
        self.worker = Worker(reader, self.valid, self.canary)

    def run(self, others: dict[str, bytes]) -> list[Tried]:
        """Try `task.inputs` inputs, then look for the smallest of every fault."""
        strange, every = (self.strange(content) for content in (others, {}))
        strategy = damaged(self.content, strange, self.reader.edit, self.canary)
        number = self.task.seed

        @seed(number)
        @settings(self.settings, phases=[Phase.generate])
        @given(strategy)
        def each(damage: Damage) -> None:
            self.note(damage)

        try:
            for damage in every if self.task.every else ():
                self.note(damage)
            each()
            for fault in {t.kept: t for t in self.tried if t.kept}.values():
                costly = self.reader.costly or fault.outcome.verdict in (Verdict.HUNG, Verdict.MEMORY)
                if not costly and Path(fault.kept) not in self.known:
                    self.shrink(strategy, number, fault.outcome)
        finally:
            self.worker.stop()
            shutil.rmtree(self.inputs, ignore_errors=True)
        return self.tried

    def strange(self, others: dict[str, bytes]) -> list[Damage]:
        """What may lie in the file's place. A program runs as this user, who may be one that can read everything."""
        found = exchanged_files(strangers(self.canary, others)) if self.reader.a_file else []
        return [damage for damage in found if not (self.reader.costly and damage.place == "unreadable")]

    def note(self, damage: Damage) -> None:
        """Try an input, unless the time is over or its kind hangs anyway, and keep what became of it."""
        if time.monotonic() < self.task.deadline and self.hangs[damage.kind] < HANGS:
            outcome = self.try_one(damage)
            self.hangs[damage.kind] += outcome.verdict is Verdict.HUNG
            kept = "" if outcome.verdict in RIGHT else self.keep(damage, outcome)
            self.tried.append(Tried(self.reader.name, damage.kind.partition(":")[0], outcome, kept))

    @property
    def settings(self) -> settings:
        return settings(
            max_examples=self.task.inputs, database=None, deadline=None, suppress_health_check=list(HealthCheck)
        )

    def try_one(self, damage: Damage) -> Outcome:
        """Lay out one input, have it read, and take it away."""
        folder = self.inputs / "input"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.pristine, folder)
        end = lay(damage, folder / self.reader.file)
        # a name of its own: readers that remember a file by its path must not know this one
        own = folder.rename(self.inputs / f"{len(self.tried)}-{time.monotonic_ns()}")
        try:
            return self.worker.ask(own, damage)
        finally:
            end()
            shutil.rmtree(own, ignore_errors=True)

    def shrink(self, strategy: object, number: int, fault: Outcome) -> None:
        """Draw the same inputs again and let hypothesis make the one with this fault smaller."""
        until = time.monotonic() + SHRINKING

        @seed(number)
        @settings(self.settings, phases=[Phase.generate, Phase.shrink], report_multiple_bugs=False)
        @given(strategy)
        def same(damage: Damage) -> None:
            if time.monotonic() < until and self.hangs[damage.kind] < HANGS:
                outcome = self.try_one(damage)
                if outcome.signature == fault.signature:
                    self.keep(damage, outcome)
                    raise AssertionError(fault.signature)

        with contextlib.suppress(Exception):  # also "flaky", where the time was over
            same()

    def keep(self, damage: Damage, outcome: Outcome) -> str:
        """Keep the smallest input of a fault, with what it did. Returns its folder."""
        key = hashlib.sha256(outcome.signature.encode()).hexdigest()[:8]
        folder = self.kept / f"{outcome.verdict.name.lower()}-{key}"
        path = folder / Path(self.reader.file).name
        size = -1 if damage.content is None else len(damage.content)
        if folder.exists() and size >= (path.stat().st_size if path.is_file() else -1):
            return str(folder)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if damage.content is not None:
            path.write_bytes(damage.content)
        words = f"{self.reader.name}\n{damage.kind}\n{outcome.verdict}: {outcome.signature}\n\n{outcome.detail}\n"
        (folder / "WHAT").write_text(words, errors="replace")
        return str(folder)


known: dict[str, Reader] = {}  # in a process of the pool: a reader holds functions, which do not travel
others: dict[str, bytes] = {}


def remember(readers: Sequence[Reader], contents: dict[str, bytes]) -> None:
    known.update({reader.name: reader for reader in readers})
    others.update(contents)


def run_task(task: Task) -> list[Tried]:
    strange = {name: content for name, content in others.items() if name != task.reader}
    return Attack(known[task.reader], task).run(strange)


def attack_readers(
    readers: Sequence[Reader], folder: Path, number: int, inputs: int, seconds: float, processes: int, every: bool
) -> list[Tried]:
    """Try `inputs` inputs of every reader (by its weight), and again with another seed until the seconds are over.

    `every`: first, every strange file and place once.

    Raises:
        RuntimeError: a reader refuses its valid input.
    """
    contents = {reader.name: content for reader in readers if (content := valid_content(reader, folder)) is not None}
    end, tried = time.monotonic() + seconds, list[Tried]()
    with ProcessPoolExecutor(processes, fork, remember, (readers, contents)) as pool:
        for turn in count():
            deadline = end if turn else math.inf  # the first round is a whole one
            tasks = [task(reader, folder, number + turn, inputs, deadline, every and not turn) for reader in readers]
            for found in pool.map(run_task, tasks):
                tried += found
            if time.monotonic() > end:
                break
    return tried


def task(reader: Reader, folder: Path, number: int, inputs: int, deadline: float, every: bool) -> Task:
    """A reader's inputs are drawn by the attack's number and the reader's name, whatever others there are."""
    own = number + zlib.crc32(reader.name.encode())
    return Task(reader.name, own, max(1, round(inputs * reader.weight)), folder, deadline, every)


def valid_content(reader: Reader, folder: Path) -> bytes | None:
    """The valid file, for the others to find in the place of theirs; None for large ones."""
    place = folder / "valid"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    with patch.dict(os.environ):  # writers of caches say where the cache is
        reader.write(place)
    content = (place / reader.file).read_bytes()
    shutil.rmtree(place)
    return content if len(content) < 500_000 else None
