"""Measure what costs time: `python -m src.bench augment`, `python -m src.bench loader --video FILE`."""

import argparse

from swapaqa.bench.augment import add_augment
from swapaqa.bench.loader import add_loader


def main() -> None:
    """Entry point: one subcommand per part of the project."""
    parser = argparse.ArgumentParser(prog="python -m src.bench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="what")
    add_augment(commands)
    add_loader(commands)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
