"""Processes that read damaged inputs, and may hang, die and take memory without harm to the rest."""

import multiprocessing
import os
import re
import resource
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from tests.attack.reading import RIGHT, Outcome, Reader, Verdict, attempt, value_of
from tests.attack.strange import Damage

MEMORY = 1 << 30  # bytes more than the valid input took: too much
LIMIT = 3 << 30  # bytes more than at the start: the system says no
SERVED = 200  # inputs, after which a process is replaced: libraries keep what they took
fork = multiprocessing.get_context("fork")  # a worker has all that this process has imported


@dataclass
class Worker:
    """A process that reads inputs one by one. A new one takes its place when it hangs or dies."""

    reader: Reader
    valid: Path
    canary: Path
    process: BaseProcess | None = None
    pipe: Connection | None = None
    served: int = 0

    def ask(self, folder: Path, damage: Damage) -> Outcome:
        """What becomes of the input in `folder`."""
        if self.process is None or self.served >= SERVED:
            self.start()
        assert self.pipe is not None
        self.served += 1
        self.pipe.send((folder, damage))
        if not self.pipe.poll(self.reader.seconds):
            self.stop()
            return Outcome(Verdict.HUNG, f"no answer after {self.reader.seconds:.0f} s", f"hang: {damage.kind}")
        return self._answer()

    def _answer(self) -> Outcome:
        assert self.pipe is not None
        assert self.process is not None
        try:
            outcome: Outcome = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            status = self.process.exitcode
            self.stop()
            return Outcome(Verdict.CRASHED, f"the process died with status {status}", f"died with status {status}")
        if outcome.verdict is Verdict.MEMORY:
            self.stop()
        return outcome

    def start(self) -> None:
        """Raises RuntimeError where the reader refuses the valid input."""
        self.stop()
        self.pipe, theirs = fork.Pipe()
        self.process = fork.Process(target=serve, args=(self.reader, self.valid, self.canary, theirs))
        self.process.start()
        theirs.close()
        self.served = 0
        try:
            problem = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            problem = "the process died"
        if problem:
            self.stop()
            raise RuntimeError(f"{self.reader.name}: the valid input is not read: {problem}")

    def stop(self) -> None:
        if self.process is not None and self.pipe is not None:
            self.process.kill()
            self.process.join()
            self.pipe.close()
        self.process = None


def serve(reader: Reader, valid: Path, canary: Path, pipe: Connection) -> None:
    """In the worker: read the valid input, then one damaged one after the other."""
    torch.set_num_threads(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libraries complain about every damaged file
        os.dup2(nowhere, stream)
    limit = address_space("VmSize") + LIMIT
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        value, unsound = value_of(reader, valid)
    except BaseException as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send(unsound)
    highest = address_space("VmPeak") + MEMORY
    while True:
        try:
            folder, damage = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        outcome = attempt(reader, folder, damage, value, canary)
        if outcome.verdict in RIGHT and address_space("VmPeak") > highest:
            detail = f"more than {MEMORY >> 20} MiB, then {outcome.verdict}"
            outcome = Outcome(Verdict.MEMORY, detail, f"memory: {damage.kind}")
        pipe.send(outcome)


def address_space(name: str) -> int:
    """VmSize or VmPeak of this process in bytes."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) << 10
