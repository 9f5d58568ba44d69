"""The command `swapaqa`: `swapaqa train model=core data=aqa7`, `swapaqa report show outputs/ratio`.

In a clone `python -m src.train` is the same program as `swapaqa train`, and so with the others.
"""

import difflib
import runpy
import sys
from pathlib import Path

from swapaqa import __version__

PROGRAMS = {
    "train": "train a method, or with --multirun a sweep",
    "pretrain": "pretrain a backbone on videos alone, without their scores",
    "evaluate": "score a test split or one video with a checkpoint",
    "extract": "clip features of every video, once, for training on them",
    "report": "tables, figures and a page of finished runs",
    "demo": "the swap on made-up data: athlete or background?",
    "doctor": "check a data set before a night's training",
    "boxes": "make, check, import and draw athletes' boxes",
    "gradcam": "where a checkpoint looks",
    "bench": "measure what costs time",
}
IN_CLONE = (Path(__file__).parents[1] / "train.py").is_file()


def main() -> None:
    """Run the program that the first word names, with the other words as its own."""
    name, *words = sys.argv[1:] or ["--help"]
    if name == "--version":
        sys.stdout.write(f"swapaqa {__version__}\n")
    elif name in ("--help", "-h"):
        listed = "".join(f"  {program:10} {purpose}\n" for program, purpose in PROGRAMS.items())
        sys.stdout.write(f"usage: swapaqa PROGRAM [WORD ...]\n\n{listed}\n`swapaqa PROGRAM --help` says more.\n")
    elif name in PROGRAMS:
        sys.argv[1:] = words
        run(name)
    else:
        near = difflib.get_close_matches(name, PROGRAMS, n=1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(PROGRAMS)}"
        sys.stderr.write(f"error: {name}: no such program; {meant}\n")
        sys.exit(2)


def run(program: str) -> None:
    """Become `python -m swapaqa.programs.<program>`: so processes that this one starts anew find the program too."""
    runpy.run_module(f"swapaqa.programs.{program}", run_name="__main__", alter_sys=True)


def spelled(words: str) -> str:
    """How a user types `words`, such as `boxes make`: `swapaqa boxes make`, in a clone `python -m src.boxes make`."""
    return f"python -m src.{words}" if IN_CLONE else f"swapaqa {words}"
