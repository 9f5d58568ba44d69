"""What finished runs say: `python -m src.report show outputs/ratio`, of one or several sweeps, folders or runs.

`compare RUN_A RUN_B` says in one sentence whether two runs, or two sets of seeds, differ by more than noise.

`show` prints the tables, also those of bias probes (`src.evaluate probe=background`) in the folders, and writes them,
figures and one page with everything into `<first path>/report`. `wandb` builds the dashboards of a wandb project;
`sync` uploads what runs logged offline.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from rich.console import Console

from swapaqa.config import check_objects, run_recipe
from swapaqa.console import open_console
from swapaqa.data.datamodule import VideoData
from swapaqa.errors import InputError
from swapaqa.foreign_file import reason
from swapaqa.measures.ours import OURS, SPEARMAN
from swapaqa.report.captions import PROTOCOLS
from swapaqa.report.compare import Protocol, compare
from swapaqa.report.page import write_page
from swapaqa.report.probes import find_probes, probe_tables
from swapaqa.report.render import FORMATS, print_table, write_tables
from swapaqa.report.runs import holds_runs, read_sweeps
from swapaqa.report.tables import build_tables
from swapaqa.running.registry import admit

TERMINAL = "terminal"


def show(paths: list[Path], out: Path | None, form: str, project: str | None, trust: Sequence[str]) -> None:
    """Print the tables of all runs below `paths` in one form, and write them in every form with the page.

    `project`: of wandb, to log the figures there too, in the group of the first sweep. `trust`: packages whose classes
    and metrics runs may name.
    """
    probes = find_probes(paths)
    sweeps = read_sweeps([path for path in paths if holds_runs(path) or not find_probes([path])], trust)
    tables, probed = build_tables(sweeps), probe_tables(probes)
    folder = out or paths[0] / "report"
    make_folder(folder)
    written = [
        *write_tables([*tables, *probed], folder),
        *write_page(sweeps, tables, folder, partial(open_data, trust=trust), probes),
    ]
    console = open_console()
    for table in (*tables, *probed):
        if form == TERMINAL:
            print_table(table, console)
        else:
            console.out(FORMATS[form][1](table), highlight=False)
    notice = Console(stderr=True, soft_wrap=True, highlight=False)
    notice.print(f"{len(written)} files written to {folder}", markup=False)
    if project:
        from swapaqa import tracking  # wandb takes seconds to import

        group = sweeps[0].name if sweeps else probes[0].name
        tracking.log_report(project, group, [path for path in written if path.suffix == ".png"], folder)


def make_folder(folder: Path) -> None:
    """Raises InputError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another with --out") from error


def open_data(config: Mapping[str, Any], trust: Sequence[str] = ()) -> VideoData:
    """The data set of a run, from its configuration.

    Raises:
        InputError: it is not on this machine, or names a class that is neither registered nor of a package in `trust`.
    """
    tree = {"data": admit({"data": config.get("data")}, "result.json", trust)["data"]}
    check_objects(tree)
    try:
        return hydra.utils.instantiate(OmegaConf.create(tree)["data"])
    except InstantiationException as error:
        raise InputError(reason(error.__cause__ or error)) from error


def dashboards(words: list[str]) -> None:
    """Build the dashboards of `project=NAME [entity=NAME]`, or say what would be built."""
    from swapaqa.dashboards import server

    given = dict(word.partition("=")[::2] for word in words)
    if not given.get("project") or set(given) - {"project", "entity"}:
        raise InputError(f"{' '.join(words) or 'nothing given'}: say project=NAME, and entity=NAME for a team")
    say(server.make_dashboard(given["project"], given.get("entity")))


def sync(paths: list[Path]) -> None:
    """Upload the offline wandb runs below `paths`; exit status 1 if some are left."""
    from swapaqa.dashboards import server

    lines, complete = server.sync(paths)
    say(lines)
    sys.exit(0 if complete else 1)


def say(lines: Sequence[str]) -> None:
    console = open_console(soft_wrap=True, highlight=False)
    for line in lines:
        console.print(line, markup=False)


def add_show(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    parser = commands.add_parser("show", help="tables, figures and a page of sweeps, folders of runs, or runs")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: report/ in the first path")
    parser.add_argument("--format", choices=(TERMINAL, *FORMATS), default=TERMINAL, help="of what is printed")
    parser.add_argument("--wandb", metavar="PROJECT", help="log the figures in this wandb project too")
    add_trust(parser)
    parser.set_defaults(run=lambda given: show(given.paths, given.out, given.format, given.wandb, given.trust))


def add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust", metavar="PACKAGE", action="append", default=[], help="whose classes and metrics runs may name"
    )


def add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    parser = commands.add_parser("compare", help="whether two runs, or two sets of seeds, differ by more than noise")
    for name in ("RUN_A", "RUN_B"):
        parser.add_argument(name, help="a run, runs or a sweep; PATH:aug=none,model=core chooses an arm of several")
    known = f"{', '.join(OURS)}, or another that the runs have"
    parser.add_argument("--metric", default=SPEARMAN.name, help=f"{known}; default: {SPEARMAN.name}")
    add_trust(parser)
    parser.add_argument("--protocol", default="last", help=f"{', '.join(PROTOCOLS)}; default: last")
    parser.add_argument("--split", default="test", help="default: test")
    parser.set_defaults(run=lambda given: say([_compared(given)]))


def _compared(given: argparse.Namespace) -> str:
    protocol = Protocol(given.metric, given.protocol, given.split)
    return compare(given.RUN_A, given.RUN_B, protocol, given.trust)


def add_wandb(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommands that talk to a wandb server."""
    parser = commands.add_parser("wandb", help="build the dashboards of a project: project=NAME [entity=NAME]")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    parser.set_defaults(run=lambda given: dashboards(given.words))
    parser = commands.add_parser("sync", help="upload the runs that were logged offline")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.set_defaults(run=lambda given: sync(given.paths))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m src.report", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="command")
    add_show(commands)
    add_compare(commands)
    add_wandb(commands)
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    run_recipe(main)
