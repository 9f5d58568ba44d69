"""Benchmarks: `python -m src.bench step model=core backbone=i3d data.batch_size=1`.

`step`, `evaluation` and `gpu` take overrides of src.train, such as model=core or data.frames=64, anywhere in the line.
"""

import argparse

from swapaqa.bench.augment import add_augment
from swapaqa.bench.backbones import add_backbones
from swapaqa.bench.evaluation import add_evaluation
from swapaqa.bench.folder import add_folder
from swapaqa.bench.gpu import add_gpu
from swapaqa.bench.growth import add_growth
from swapaqa.bench.loader import add_loader
from swapaqa.bench.methods import add_methods
from swapaqa.bench.pairs import add_pairs
from swapaqa.bench.rehearsal import add_rehearsal
from swapaqa.bench.reports import add_reports
from swapaqa.bench.start import add_start
from swapaqa.bench.step import add_step
from swapaqa.command import spelled
from swapaqa.console import quieten
from swapaqa.running.program import run_program

ADDED = (
    add_augment, add_loader, add_folder, add_pairs, add_start, add_step, add_methods, add_backbones, add_evaluation,
    add_gpu, add_growth, add_reports, add_rehearsal,
)  # fmt: skip


def main() -> None:
    """Entry point: one subcommand per part of the project."""
    parser = argparse.ArgumentParser(
        prog=spelled("bench"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="what")
    for add in ADDED:
        add(commands)
    given, overrides = parser.parse_known_args()  # what is left are overrides, wherever they stand
    for override in overrides:
        if "=" not in override or override.startswith("-") or not hasattr(given, "overrides"):
            parser.error(f"{override}: not understood here")
    given.overrides = overrides
    quieten()
    given.run(given)


if __name__ == "__main__":
    run_program(main)
