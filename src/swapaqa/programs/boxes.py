"""Boxes for a data set: make them with a tracker, check them, import them, draw them (docs/boxes.md).

    python -m src.boxes make data=aqa7 source=tracker
    python -m src.boxes check data=aqa7
    python -m src.boxes import data=aqa7 annotations/
    python -m src.boxes draw data=aqa7 data.action=diving

Every key of `src.train` that says what the data is (`data=`, `data.root=`, `boxes.method=`, ...) works here too.
`make`, `check` and `import` take all actions of a data set unless `data.action=` names one.

`measure` and `strip` repeat the numbers and the picture of docs/boxes_measured.md.
"""

import argparse
import sys
from pathlib import Path

from swapaqa.command import spelled
from swapaqa.programs.box_commands.checking import add_check
from swapaqa.programs.box_commands.drawing import add_draw
from swapaqa.programs.box_commands.importing import add_import
from swapaqa.programs.box_commands.making import add_make
from swapaqa.programs.box_commands.measuring import add_measurements
from swapaqa.programs.box_commands.opening import console
from swapaqa.running.program import run_program

STOPPED = 130  # exit status after Ctrl-C, as of every program


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=spelled("boxes"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for add in (add_make, add_check, add_import, add_draw, add_measurements):
        add(commands)
    return parser


def main() -> None:
    parser = arguments()
    given, rest = parser.parse_known_args()  # what is left are overrides, and the files of import
    overrides = [
        override
        for override in rest
        if "=" in override and not override.startswith("-") and not Path(override).exists()
    ]
    given.files = [override for override in rest if override not in overrides]
    takes_files = getattr(given, "takes_files", False)
    if given.files and (not takes_files or given.files[0].startswith("-")):
        parser.error(f"{given.files[0]}: neither an option nor an override such as data=aqa7")
    if takes_files and not given.files:
        parser.error("import: which files? Name files or folders")
    try:
        given.run(given, overrides)
    except KeyboardInterrupt:
        console.print("stopped; what is written stays, and the same command goes on")
        sys.exit(STOPPED)


if __name__ == "__main__":
    run_program(main)
