"""What finished runs say: `python -m src.report show outputs/ratio`, of one or several sweeps, folders or runs.

`show` prints the tables and writes them, figures and one page with everything into `<first path>/report`.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from rich.console import Console

from swapaqa.config import run_recipe
from swapaqa.data.datamodule import VideoData
from swapaqa.errors import InputError
from swapaqa.report.page import write_page
from swapaqa.report.render import FORMATS, print_table, write_tables
from swapaqa.report.runs import read_sweeps
from swapaqa.report.tables import build_tables

TERMINAL = "terminal"


def show(paths: list[Path], out: Path | None, form: str) -> None:
    """Print the tables of all runs below `paths` in one form, and write them in every form with the page."""
    sweeps = read_sweeps(paths)
    tables = build_tables(sweeps)
    folder = out or paths[0] / "report"
    make_folder(folder)
    written = [*write_tables(tables, folder), *write_page(sweeps, tables, folder, open_data)]
    console = Console()
    for table in tables:
        if form == TERMINAL:
            print_table(table, console)
        else:
            console.out(FORMATS[form][1](table), highlight=False)
    notice = Console(stderr=True, soft_wrap=True, highlight=False)
    notice.print(f"{len(written)} files written to {folder}", markup=False)


def make_folder(folder: Path) -> None:
    """Raises InputError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another with --out") from error


def open_data(config: Mapping[str, Any]) -> VideoData:
    """The data set of a run, from its configuration; InputError where it is not on this machine."""
    try:
        return hydra.utils.instantiate(OmegaConf.create(dict(config))["data"])
    except InstantiationException as error:
        raise InputError(" ".join(str(error.__cause__ or error).split())) from error


def add_show(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    parser = commands.add_parser("show", help="tables, figures and a page of sweeps, folders of runs, or runs")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: report/ in the first path")
    parser.add_argument("--format", choices=(TERMINAL, *FORMATS), default=TERMINAL, help="of what is printed")
    parser.set_defaults(run=lambda given: show(given.paths, given.out, given.format))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m src.report", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="command")
    add_show(commands)
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    run_recipe(main)
