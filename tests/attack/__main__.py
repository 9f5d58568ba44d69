"""Attack the project: `make attack`, or `python -m tests.attack [--seconds N] [--kills N] [--only PART ...]`.

Damaged, strange and hostile files for every reader and, as a sample, for the programs; kills -9 at random moments of a
training; full and read-only disks. Prints the counts and leaves with 1 if anything went wrong. What is classified as
wrong and why: docs/reliability.md. An input that went wrong is kept, made small, in the folder that is printed.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp

from rich.console import Console

from tests.attack.counts import Counts, counted, faults
from tests.attack.pool import Tried, attack_readers
from tests.attack.reading import Reader

console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
PARTS = ("readers", "programs", "kills", "disks")


def main() -> None:
    given = arguments().parse_args()
    folder = given.folder or Path(mkdtemp(prefix="attack-"))
    tables, began = list[Counts](), time.monotonic()
    console.print(f"seed {given.seed}; what goes wrong is kept in {folder}")
    for part in [part for part in PARTS if part in given.only]:  # in this order: programs fork, kills start a server
        for table in RUN[part](given, folder / part):
            table.show(console)
            tables.append(table)
    console.print(f"{time.monotonic() - began:.0f} s, seed {given.seed}")
    (folder / "counts.md").write_text("\n".join(table.markdown() for table in tables))
    console.print(f"as Markdown: {folder / 'counts.md'}")
    wrong = sum(table.wrong for table in tables)
    console.print("nothing went wrong" if not wrong else f"{wrong} went wrong")
    sys.exit(1 if wrong else 0)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts; all of them")
    parser.add_argument("--seconds", type=float, default=300, help="for the readers; the first round is a whole one")
    parser.add_argument("--inputs", type=int, default=50, help="of every reader in one round")
    parser.add_argument("--program-inputs", type=int, default=8, help="of every program's file")
    parser.add_argument("--kills", type=int, default=40, help="of trainings, a quarter of them in two processes")
    parser.add_argument(
        "--reader", nargs="+", default=[], help="words of the names of readers, programs or places; all"
    )
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)), help="repeats a run")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, help="of kept inputs and counts; a new one in the system's")
    return parser


def chosen(readers: Sequence[Reader], words: Sequence[str]) -> list[Reader]:
    return [reader for reader in readers if not words or any(word in reader.name for word in words)]


def run_readers(given: argparse.Namespace, folder: Path) -> list[Counts]:
    from tests.attack.readers import READERS  # what it imports takes seconds

    readers = chosen(READERS, given.reader)
    tried = attack_readers(readers, folder, given.seed, given.inputs, given.seconds, given.processes, True)
    return listed(tried, "Files")


def run_programs(given: argparse.Namespace, folder: Path) -> list[Counts]:
    from tests.attack.programs import PROGRAMS

    readers = chosen(PROGRAMS, given.reader)
    tried = attack_readers(readers, folder, given.seed, given.program_inputs, 0, given.processes, False)
    return listed(tried, "Files through the programs")


def run_kills(given: argparse.Namespace, folder: Path) -> list[Counts]:
    from tests.attack.kills import attack_trainings

    return [attack_trainings(folder, given.seed, given.kills, given.processes)]


def run_disks(given: argparse.Namespace, folder: Path) -> list[Counts]:
    from tests.attack.disks import attack_disks

    return [attack_disks(folder, given.processes, given.reader)]


def listed(tried: Sequence[Tried], title: str) -> list[Counts]:
    """The tables of some inputs; a line for each fault is printed."""
    for line in faults(tried):
        console.print(line, markup=False, soft_wrap=True)
    by_damage = counted(tried, f"{title}, by their damage", "kind")
    by_damage.wrong = 0  # counted by reader
    return [counted(tried, f"{title}, by their reader", "reader"), by_damage]


RUN: dict[str, Callable[[argparse.Namespace, Path], list[Counts]]] = {
    "readers": run_readers,
    "programs": run_programs,
    "kills": run_kills,
    "disks": run_disks,
}


if __name__ == "__main__":
    main()
