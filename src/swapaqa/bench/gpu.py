"""What a machine with one GPU is asked once: `python -m src.bench gpu model=core`, in a clone `make gpu`.

Short parts, each a process with a limit of its own, whose words are in a file as soon as it ends, so that ten lent
minutes leave what they could measure.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import version

from swapaqa.bench.on_device import compare_resumed, compare_shared
from swapaqa.bench.timing import describe
from swapaqa.files.whole_file import write_whole

HALF = ["data.batch_size=4", "trainer.precision=bf16-mixed"]
PASSES = [word for count in (1, 4) for word in ("--also", f"backbone.clips_per_pass={count}")]


class Part(NamedTuple):
    """One question. `ask`: with a folder of its own and a limit in seconds, the words of the answer."""

    name: str
    limit_s: float
    ask: Callable[[Path, float], str]


def program(*words: str) -> Callable[[Path, float], str]:
    """What `swapaqa words` prints."""
    return lambda _, limit_s: run(["swapaqa", *words], limit_s)


def run(words: Sequence[str], limit_s: float) -> str:
    """What `python -m words` prints; RuntimeError with its end where it fails or takes too long."""
    command = [sys.executable, "-m", *words]
    try:
        done = subprocess.run(
            command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit_s
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"took more than {limit_s:.0f} s") from error
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}\n{done.stdout[-2000:]}")
    return done.stdout


def parts(overrides: Sequence[str]) -> list[Part]:
    """All that is asked; `overrides` of src.train say of which method and data set the steps are."""
    step = ["bench", "step", *overrides]
    return [
        Part("step, B=4, bfloat16", 180, program(*step, *HALF, "--also", "backbone.compact_pools=false")),
        Part("swap", 60, program("bench", "augment")),
        Part("tests", 120, lambda _, limit_s: run(["pytest", "-q", "-m", "gpu"], limit_s)),
        Part("11 GiB", 60, program(*step, "--cap", "11", *PASSES)),
        Part("22 GiB", 60, program(*step, "--cap", "22", *PASSES)),
        Part("stopped and resumed", 120, lambda folder, limit_s: compare_resumed(folder, "gpu", limit_s)),
        Part("two processes on one card", 120, lambda folder, limit_s: compare_shared(folder, "gpu", limit_s)),
    ]


def add_gpu(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    gpu = commands.add_parser("gpu", help="all that is asked of a GPU, in short parts, a file each")
    gpu.add_argument("--out", type=Path, default=Path("outputs/gpu"), help="folder of the answers")
    gpu.set_defaults(run=lambda given: ask(parts(given.overrides), given.out), overrides=[])


def ask(parts: Sequence[Part], out: Path) -> None:
    """Ask one part after another, write each answer to `out/<n>.txt`, and print what became of them."""
    console = Console(soft_wrap=True, highlight=False)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    table = Table("part", "seconds", "answer", title=f"{describe(device)}, CUDA {version.cuda}")
    for number, part in enumerate(parts):
        start = time.monotonic()
        try:
            with TemporaryDirectory() as folder:  # a training of before would be done already
                words, became = part.ask(Path(folder), part.limit_s), "answered"
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            words, became = str(error), "failed"
        write_whole(out / f"{number}.txt", f"{part.name}: {became}\n\n{words}")
        table.add_row(part.name, f"{time.monotonic() - start:.0f}", f"{became}: {out / f'{number}.txt'}")
        console.print(f"{part.name}: {became}", markup=False)
    console.print(table)
