"""The whole way at full size: `python -m src.bench rehearsal`, in a clone beside the data `make rehearsal`.

An AQA-7 of true size is made up (`made_aqa7`), and everything that a user would do with the real one is done with it,
each step a process whose time, memory and disk are written down as soon as it ends. What is there already is not made
again.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from swapaqa.bench.timing import best_device, describe
from swapaqa.files.whole_file import write_whole
from swapaqa.running.jobs import RESUME_FILE

GIB = 2**30
SMALLEST = "data.action=sync_diving_3m"  # 62 training videos and 26 of the test
SWEPT = "data.action=sync_diving_3m,sync_diving_10m"  # of six
ONE_STEP = "+trainer.max_steps=1"
SHORT = [  # frames are loaded at full size
    "backbone=tiny",
    "clips.size=112",
    ONE_STEP,
    "data.cache=packed",
    "logger=csv",
]
SWEEPS = {  # of each what a small backbone does in minutes
    "ratio": (SWEPT,),
    "box_source": (SWEPT,),
    "aqa7_table": (SMALLEST, "seed=0"),
    # with those of its methods that learn from what this data set says
    "plug_and_play": (
        SMALLEST,
        "experiment=none",
        "model=usdl,dae,gdlt,cofinal,hgcn,tpt,tsa_net,c3d_lstm,tecn,pcln",
    ),
}


class Cost(NamedTuple):
    """What a step took. `memory`: of its largest process, bytes. `disk`: what it left, bytes."""

    seconds: float
    memory: int
    disk: int
    became: str


class Step(NamedTuple):
    """What a user does. `do`: raises RuntimeError with the last words of what failed."""

    name: str
    do: Callable[[], int]


def add_rehearsal(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    rehearsal = commands.add_parser(
        "rehearsal", help="everything from doctor to report on a made-up AQA-7 of true size"
    )
    rehearsal.add_argument("--lists", type=Path, required=True, help="folder of AQA-7's split_4_*_list.mat")
    rehearsal.add_argument("--clips", type=Path, required=True, help="folder of real videos, cut into those of AQA-7")
    rehearsal.add_argument("--out", type=Path, default=Path("outputs/rehearsal"), help="of everything: about 10 GB")
    rehearsal.add_argument("--only", action="append", default=[], metavar="WORDS", help="steps whose names hold these")
    rehearsal.set_defaults(run=rehearse)


def rehearse(given: argparse.Namespace) -> None:
    """Take one step after another, and print what each took."""
    out = given.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    os.environ["SWAPAQA_CACHE"] = str(out / "cache")
    console = Console(soft_wrap=True, highlight=False)
    table = Table("step", "minutes", "GiB of memory", "GB on disk", "became", title=describe(best_device()))
    for number, step in enumerate(steps(given, out)):
        if given.only and not any(words in step.name for words in given.only):
            continue
        cost = take(step, out)
        row = (f"{cost.seconds / 60:.1f}", f"{cost.memory / GIB:.2f}", f"{cost.disk / 1e9:.2f}", cost.became)
        write_whole(out / "steps" / f"{number:02d}.txt", f"{step.name}: {' | '.join(row)}\n")
        table.add_row(step.name, *(words.splitlines()[0] for words in row))
        console.print(f"{step.name}: {row[0]} minutes, {cost.became}", markup=False)
    console.print(table)


def steps(given: argparse.Namespace, out: Path) -> list[Step]:
    """Everything, in the order in which a user does it."""
    root = out / "AQA-7"
    data = ["data=aqa7", f"data.root={root}"]
    tracked = ["source=tracker", f"boxes.root={out / 'boxes'}", SMALLEST]
    main = ["train", "model=core", *data, "aug.ratio=2.0", SMALLEST, "data.cache=bytes", ONE_STEP]
    short = [*data, *SHORT]
    made = [sys.executable, "-m", "swapaqa.bench.made_aqa7", str(given.lists), str(given.clips), str(root)]
    found = [
        Step("the data set made", lambda: run(made)),
        Step("doctor", lambda: program("doctor", *data, "data.action=all")),
        Step(
            "boxes make, by the tracker, of one action",
            lambda: program("boxes", "make", *data, *tracked, accepted=(0, 1)),
        ),
        Step("boxes check of these", lambda: program("boxes", "check", *data, *tracked[1:], accepted=(0, 1))),
        Step(
            "cache=packed of all, a step and an evaluation of a small backbone",
            lambda: program("train", *short, "data.action=all", f"hydra.run.dir={out / 'all'}"),
        ),
        Step(
            "main command, cache=bytes: a step, an evaluation",
            lambda: program(*main, f"hydra.run.dir={out / 'main'}"),
        ),
        Step("killed after a step, and resumed", lambda: kill_and_resume([*short, SMALLEST], out / "killed")),
    ]
    for sweep, words in SWEEPS.items():
        command = ["train", "--multirun", f"+sweeps={sweep}", *short, *words, f"hydra.sweep.dir={out / sweep}"]
        found += [
            Step(f"{sweep}: plan=true", partial(program, *command, "plan=true")),
            Step(f"{sweep}: a step of every job", partial(program, *command)),
            Step(f"{sweep}: report", partial(program, "report", "show", str(out / sweep))),
        ]
    return found


def take(step: Step, out: Path) -> Cost:
    """Take a step. One that fails says why, and the next is taken."""
    before, start = disk(out), time.monotonic()
    try:
        memory, became = step.do(), "done"
    except RuntimeError as error:
        memory, became = 0, str(error)
    return Cost(time.monotonic() - start, memory, disk(out) - before, became)


def program(*words: str, accepted: Sequence[int] = (0,)) -> int:
    """`swapaqa words`; see `run`."""
    return run([sys.executable, "-m", "swapaqa", *words], accepted)


def run(command: Sequence[str], accepted: Sequence[int] = (0,)) -> int:
    """The memory, in bytes, of the largest process of a command.

    Raises:
        RuntimeError: an exit status that is not `accepted`, with what it printed last.
    """
    started = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert started.stdout is not None
    last = ""
    for line in started.stdout:
        last = (last + line)[-2000:]
    _, status, usage = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode not in accepted:
        raise RuntimeError(f"exit status {started.returncode}: {last.strip().splitlines()[-1] if last.strip() else ''}")
    return usage.ru_maxrss * 1024


def kill_and_resume(words: Sequence[str], folder: Path) -> int:
    """Kill a training with its second step under way, as a machine that loses its power would, and resume it."""
    words = [
        "train",
        *(word for word in words if word != ONE_STEP),
        "+trainer.max_steps=4",
        "save_every=1",
        f"hydra.run.dir={folder}",
    ]
    started = subprocess.Popen(
        [sys.executable, "-m", "swapaqa", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (folder / RESUME_FILE).exists() and started.poll() is None:
        time.sleep(0.05)
    if started.poll() is not None:
        raise RuntimeError(f"ended with status {started.returncode} before its first checkpoint")
    started.send_signal(signal.SIGKILL)
    started.wait()
    return program(*words, "resume=true")


def disk(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
