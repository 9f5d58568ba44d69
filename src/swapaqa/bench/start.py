"""How long a command takes until its work begins: `python -m src.bench start`.

Whole processes, in turn. A job of a sweep is timed up to the configuration that it does not find: all is imported by
then.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from rich.console import Console
from rich.table import Table

from swapaqa.bench.timing import Candidates, describe, time_rounds
from swapaqa.running.preloaded import PreloadedJob

TORCH = "import torch"
COMMANDS = {
    "train --cfg job": ("swapaqa", "train", "--cfg", "job"),
    "train, a key misspelt": ("swapaqa", "train", "data.bach_size=2"),
    "train, a value of another type": ("swapaqa", "train", "trainer.max_epochs=many"),
    "report --help": ("swapaqa", "report", "--help"),
}
NEW, FORKED = "a job of a sweep, in a new process", "a job of a sweep, forked"


def add_start(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    start = commands.add_parser("start", help="from a command to its work: composition, an error, a sweep's next job")
    start.add_argument("--rounds", type=int, default=5)
    start.set_defaults(run=bench_start)


def bench_start(arguments: argparse.Namespace) -> None:
    """Print the median of each over `arguments.rounds` rounds, and what it is beyond PyTorch's own."""
    with TemporaryDirectory() as folder, silent_errors():
        seconds = time_rounds(candidates(Path(folder)), arguments.rounds, torch.device("cpu"))
    own = median(seconds[TORCH])
    table = Table(f"median of {arguments.rounds} rounds", "seconds", "beyond import torch")
    for name, found in seconds.items():
        table.add_row(name, f"{median(found):.2f}", f"{median(found) - own:.2f}")
    console = Console()
    console.print(describe(torch.device("cpu")), soft_wrap=True)
    console.print(table)


def candidates(folder: Path) -> Candidates:
    """What is timed, by name; the jobs' folder is not there."""
    found: Candidates = {TORCH: lambda: run(folder, "-c", TORCH)}
    for name, words in COMMANDS.items():
        found[name] = lambda words=words: run(folder, "-m", *words)  # type: ignore[misc]
    found[NEW] = lambda: run(folder, "-m", "swapaqa.running.worker", str(folder / "none"))
    found[FORKED] = lambda: PreloadedJob(folder / "none", 1, dict(os.environ)).wait()
    return found


def run(folder: Path, *words: str) -> int:
    """The exit status of an interpreter with these words; what they write is below `folder`."""
    return subprocess.run([sys.executable, *words], check=False, cwd=folder, stdout=subprocess.DEVNULL).returncode


@contextmanager
def silent_errors() -> Iterator[None]:
    """The errors that are timed are not printed, also not by processes that are started meanwhile."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
