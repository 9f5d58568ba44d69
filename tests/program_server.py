"""A process that has imported every program and becomes one of them, in a fork, as often as it is asked.

So a program starts in a tenth of a second. Where a program of ours starts another one as a module, this is a fork too.
"""

import atexit
import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, NoReturn

from tests.forked import REPOSITORY, warm

PYTHON = [sys.executable, "-m"]


class ProgramServer:
    """`server(folder, "src.train", words)`: the exit status of that program in `folder`, and what it printed."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.pipe, other = multiprocessing.Pipe()
        self.process = warm.Process(target=serve, args=(other, environment))
        self.process.start()
        other.close()

    def __call__(self, folder: Path, module: str, words: Sequence[str], timeout: float = 600) -> tuple[int, str]:
        """A program that is not done after `timeout` seconds is ended; its status is that of SIGKILL."""
        self.pipe.send((folder, module, list(words), timeout))
        status, printed = self.pipe.recv()
        return status, printed

    def __enter__(self) -> "ProgramServer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.pipe.close()
        self.process.join(10)
        self.process.kill()


def serve(pipe: Connection, environment: dict[str, str]) -> None:
    """Answer until nobody asks any more."""
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "src")]
    multiprocessing.set_start_method(None, force=True)  # the system's own, not the one that started this process
    for file in sorted((REPOSITORY / "src/swapaqa/programs").glob("[a-z]*.py")):
        import_module(f"swapaqa.programs.{file.stem}")
    for starter in ("swapaqa.running.processes", "swapaqa.programs.demo"):
        import_module(starter).subprocess = SimpleNamespace(Popen=ForkedModule, run=run_module)  # type: ignore[attr-defined]
    import_module("swapaqa.running.processes").PreloadedJob = ForkedJob  # type: ignore[attr-defined]
    with contextlib.suppress(EOFError):
        while True:
            folder, module, words, timeout = pipe.recv()
            pipe.send(answer(folder, module, words, timeout))


def answer(folder: Path, module: str, words: list[str], timeout: float) -> tuple[int, str]:
    out = folder / "out.txt"
    pid = os.fork()
    if not pid:
        os.setsid()
        os.chdir(folder)
        file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        become(module, words)
    until = time.monotonic() + timeout
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > until:
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.02)
    return os.waitstatus_to_exitcode(ended[1]), out.read_text()


def become(module: str, words: Sequence[str]) -> NoReturn:
    """In a fork: `python -m module words`, up to the end of the process."""
    sys.argv = [module, *words]
    status = 1
    try:
        with contextlib.suppress(KeyError):
            del sys.modules[program_of(module)]  # it is run, not imported
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)  # noqa: T201
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def program_of(module: str) -> str:
    return module.replace("src.", "swapaqa.programs.") if module.startswith("src.") else module


class ForkedModule:
    """The part of `subprocess.Popen` that `swapaqa.running.processes` uses, for `[python, -m, module, *words]`."""

    def __init__(
        self, command: Sequence[str], preexec_fn: Callable[[], Any] | None = None, env: dict[str, str] | None = None
    ) -> None:
        assert list(command[:2]) == PYTHON, command
        self.pid = os.fork()
        if not self.pid:
            if preexec_fn is not None:
                preexec_fn()
            if env is not None:
                os.environ.clear()
                os.environ.update(env)
            become(command[2], command[3:])

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


class ForkedJob(ForkedModule):
    """A job of a sweep, `swapaqa.running.preloaded.PreloadedJob`, from what is imported here."""

    def __init__(self, folder: Path, count: int, environment: dict[str, str]) -> None:
        super().__init__([*PYTHON, "swapaqa.running.worker", str(folder), str(count)], env=environment)


def run_module(command: Sequence[str], check: bool) -> "subprocess.CompletedProcess[str]":
    """`subprocess.run` of such a command."""
    assert not check
    return subprocess.CompletedProcess(command, ForkedModule(command).wait())
