"""A program of ours in a process of its own, without the seconds in which it imports its libraries.

The process is forked from one that has imported them and nothing of ours: its memory, signals, exit status, working
folder, environment and output are its own. Libraries do not see its environment while they are imported, and it starts
no interpreter: `test_train.py` and the tests that use `subprocess` prove that a program starts from nothing.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
LIBRARIES = (
    "av", "cv2", "hydra", "jinja2", "matplotlib.figure", "pydantic", "pytorch_lightning", "rich.progress",
    "scipy.stats", "torch.distributed.elastic.multiprocessing.api", "torch.distributed.launcher.api", "torchmetrics",
)  # fmt: skip  # not wandb: it makes a folder when it is imported and removes it at the end of a process
warm = multiprocessing.get_context("forkserver")
warm.set_forkserver_preload(list(LIBRARIES))


class Forked:
    """`python -m module words` from the repository, begun; the part of `subprocess.Popen` that the tests use."""

    def __init__(
        self,
        module: str,
        words: Sequence[str],
        environment: Mapping[str, str],
        session: bool = False,
        out: Path | None = None,
    ):
        """`session`: the process leads a session of its own, as in a terminal. `out`: file of its standard output."""
        self.folder = tempfile.TemporaryDirectory(prefix="forked-")
        self.out, self.err = out or Path(self.folder.name, "out"), Path(self.folder.name, "err")
        given = (module, list(words), dict(environment), self.out, self.err, session)
        self.process = warm.Process(target=_become, args=given)
        self.out.touch()
        self.err.touch()
        self.process.start()
        self.pid = self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float = 240) -> int:
        self.process.join(timeout)
        status = self.process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(self.process.name, timeout, self.out.read_bytes(), self.err.read_bytes())
        return status

    def communicate(self, timeout: float = 240) -> tuple[str, str]:
        """Wait for the end; what it wrote."""
        self.wait(timeout)
        return self.out.read_text() if self.out.is_file() else "", self.err.read_text()

    def send_signal(self, number: int) -> None:
        assert self.pid is not None
        os.kill(self.pid, number)

    def kill(self) -> None:
        if self.process.is_alive():
            self.send_signal(signal.SIGKILL)


def run_forked(
    module: str, words: Sequence[str], environment: Mapping[str, str], timeout: float = 240, out: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """`python -m module words` from the repository, to its end. `out`: file of its standard output."""
    process = Forked(module, words, environment, out=out)
    try:
        out, err = process.communicate(timeout)
    finally:
        process.kill()
    assert process.returncode is not None
    return subprocess.CompletedProcess([module, *words], process.returncode, out, err)


def _become(module: str, words: list[str], environment: dict[str, str], out: Path, err: Path, session: bool) -> None:
    """In the new process: what a shell and the interpreter do before a program begins, then the program."""
    from pytorch_lightning.utilities import rank_zero_only  # here, where it is imported already

    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background of a shell ignore it
    if session:
        os.setsid()
    for number, (path, flags) in enumerate(((os.devnull, os.O_RDONLY), (out, os.O_WRONLY), (err, os.O_WRONLY))):
        file = os.open(path, flags)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(REPOSITORY)
    multiprocessing.set_start_method(None, force=True)  # the system's own, not the one that started this process
    rank_zero_only.rank = int(environment.get("RANK", "0"))  # Lightning asks when it is imported
    sys.argv = [module, *words]
    search = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [str(REPOSITORY), *search, *sys.path]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out
