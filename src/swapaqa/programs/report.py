"""Report on finished runs: `python -m src.report show outputs/ratio`, of one or several sweeps, folders or runs.

`compare RUN_A RUN_B` says in one sentence whether two runs, or two sets of seeds, differ by more than noise.

`show` prints what the runs answer and the tables, also those of bias probes (`src.evaluate probe=background`) in the
folders, and writes them, figures and one page with everything into `<first path>/report`. `verdict` says which claims
hold over them, the paper's or yours, and locks claims before a run. `runs` writes the runs themselves as one tidy
table; `pack` makes one file of a run for a colleague. `published` says what logs and predictions of anybody's program
carry: what choosing the epoch adds, intervals, floors without a pixel. `wandb` builds the dashboards of a wandb
project; `sync` uploads what runs logged offline.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from rich.console import Console
from rich.text import Text

from swapaqa.command import spelled
from swapaqa.console import open_console
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import reason
from swapaqa.files.spreadsheet import guarded
from swapaqa.files.whole_file import write_whole
from swapaqa.measures.ours import OURS, SPEARMAN
from swapaqa.report.render import FORMATS, print_table
from swapaqa.report.table import Table
from swapaqa.running.program import run_program
from swapaqa.runs.settings import PROTOCOLS

if TYPE_CHECKING:
    from swapaqa.report.cases import Shown

TERMINAL = "terminal"
MOST_FIGURES = 5  # of a kind: each takes time, and a quarter of a megabyte of the page


def show(given: argparse.Namespace) -> None:
    """Print answers and tables of all runs below the paths in one form, and write them in every form with the page."""
    from swapaqa.report.contents import Wanted, read_report, write_report  # here, as --help needs nothing that trains
    from swapaqa.report.probes import probe_tables

    wanted = Wanted(given.rows, given.protocol, given.table, given.beside, given.trust)
    report = read_report(given.paths, wanted)
    folder = given.out or given.paths[0] / "report"
    written = write_report(report, folder, partial(open_data, trust=given.trust), given.figures)
    console = open_console()
    if given.format == TERMINAL:
        for answer in report.answers:
            console.print(Text("\n".join([answer.question, *(f"  {line}" for line in answer.lines), ""])))
        for line in (report.single.name, *report.single.lines, *report.single.warnings) if report.single else ():
            console.print(Text(line))
    print_tables((*report.tables, *probe_tables(report.probes)), given.format)
    print_note(f"{len(written)} files written to {folder}")
    if given.wandb:
        from swapaqa.recording import tracking  # wandb takes seconds to import

        pictures = [path for path in written if path.suffix == ".png"]
        tracking.log_report(given.wandb, report.group, pictures, folder)


def runs(given: argparse.Namespace) -> None:
    """Write the runs below the paths as one tidy table, to a file or to the terminal."""
    from swapaqa.runs.run_folders import read_sweeps
    from swapaqa.runs.runs_table import runs_table

    text = runs_table(read_sweeps(given.paths, given.trust)).map(guarded_cell).to_csv(index=False, lineterminator="\n")
    if given.csv is None:
        sys.stdout.write(text)
        return
    write_whole(given.csv, text)
    print_note(f"{text.count(chr(10)) - 1} rows written to {given.csv}")


def guarded_cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula stays text."""
    return guarded(value) if isinstance(value, str) else value


def verdict(given: argparse.Namespace) -> None:
    """Print which claims hold over the runs, and write the page; or lock a file of claims."""
    from swapaqa.verdict.claims import claims_path, read_claims
    from swapaqa.verdict.lock import lock, state_of_lock

    if given.lock:
        print_lines([lock(claims_path(str(given.lock)))])
        return
    if not given.paths:
        raise InputError(f"no runs given; {spelled('report verdict outputs/ratio')}, or --lock FILE before they start")
    from swapaqa.report.verdict import claim_lines, comparisons_table, head_lines, shown, summary_table
    from swapaqa.report.verdict_page import write_verdict
    from swapaqa.runs.run_folders import read_sweeps
    from swapaqa.verdict.judging import judge

    path = claims_path(given.claims)
    claims, content = read_claims(path)
    judgement = judge(claims, read_sweeps(given.paths, given.trust), given.protocol)
    found = shown(judgement, state_of_lock(path, content))
    if given.format == TERMINAL:
        print_lines([*head_lines(found), "", *claim_lines(found)])
    else:
        print_tables([summary_table(found), comparisons_table(found)], given.format)
    folder = given.out or given.paths[0] / "report"
    print_note(f"{len(write_verdict(found, folder))} files written to {folder}; the page is {folder / 'verdict.html'}")


def published(given: argparse.Namespace) -> None:
    """Print what logs and predictions of others tell."""
    from swapaqa.configuration.data_sets import make_source  # it imports what trains
    from swapaqa.running.program import compose_quietly
    from swapaqa.scrutiny.findings import findings

    source = make_source(compose_quietly(given.videos, "published").data) if given.videos else None
    print_tables(findings(given.files, given.true, source), given.format)


def print_tables(tables: Sequence[Table], form: str) -> None:
    """In a form, or for the terminal."""
    console = open_console()
    for table in tables:
        if form == TERMINAL:
            print_table(table, console)
        else:
            console.out(FORMATS[form][1](table), highlight=False)


def print_note(line: str) -> None:
    """To the person, beside what may go on into a file."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(line, markup=False)


def open_data(config: Mapping[str, Any], trust: Sequence[str] = ()) -> "Shown":
    """The data set of a run and its augmentation, from its configuration.

    Raises:
        InputError: it is not on this machine, or names a class that is neither registered nor of a package in `trust`.
    """
    from swapaqa.configuration.checking import check_objects  # they import what trains
    from swapaqa.configuration.data_sets import make_source
    from swapaqa.report.cases import Shown
    from swapaqa.running.registry import admit

    tree = {"data": admit({"data": config.get("data")}, "result.json", trust)["data"]}
    check_objects(tree)
    node = OmegaConf.create(tree)["data"]
    try:
        return Shown(make_source(node), hydra.utils.instantiate(node.augment))
    except InstantiationException as error:
        raise InputError(reason(error.__cause__ or error)) from error


def dashboards(pairs: list[str]) -> None:
    """Build the dashboards of `project=NAME [entity=NAME]`, or say what would be built."""
    from swapaqa.dashboards import server

    given = dict(pair.partition("=")[::2] for pair in pairs)
    if not given.get("project") or set(given) - {"project", "entity"}:
        raise InputError(f"{' '.join(pairs) or 'nothing given'}: say project=NAME, and entity=NAME for a team")
    print_lines(server.make_dashboard(given["project"], given.get("entity")))


def sync(paths: list[Path]) -> None:
    """Upload the offline wandb runs below `paths`; exit status 1 if some are left."""
    from swapaqa.dashboards import server

    lines, complete = server.sync(paths)
    print_lines(lines)
    sys.exit(0 if complete else 1)


def print_lines(lines: Sequence[str]) -> None:
    """A line each, as it is."""
    console = open_console(soft_wrap=True, highlight=False)
    for line in lines:
        console.print(line, markup=False)


def add_show(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    parser = commands.add_parser("show", help="tables, figures and a page of sweeps, folders of runs, or runs")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: report/ in the first path")
    parser.add_argument("--format", choices=(TERMINAL, *FORMATS), default=TERMINAL, help="of what is printed")
    add_many(parser, "--rows", "WORDS", "rows of tables whose labels hold these; default: all")
    add_many(parser, "--protocol", "NAME", f"of the rows: {', '.join(PROTOCOLS)}; default: all that there are")
    add_many(parser, "--table", "KEY", "the name of a table's file; default: all")
    add_many(
        parser, "--beside", "FILE", "published rows to stand beside ours: a file of yours, or finediving, rg, fisv"
    )
    parser.add_argument(
        "--figures", type=number_of, default=MOST_FIGURES, metavar="N",
        help=f"at most so many of a kind, such as one a method; default: {MOST_FIGURES}",
    )  # fmt: skip
    parser.add_argument("--wandb", metavar="PROJECT", help="log the figures in this wandb project too")
    add_trust(parser)
    parser.set_defaults(run=show)


def add_verdict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    parser = commands.add_parser("verdict", help="which of the paper's claims, or of yours, hold over the runs")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    claims = "a file of claims, or one of ours: paper, unseen_venue; default: paper"
    parser.add_argument("--claims", default="paper", metavar="FILE", help=claims)
    parser.add_argument("--protocol", default="last", help=f"{', '.join(PROTOCOLS)}; default: last")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: report/ in the first path")
    parser.add_argument("--format", choices=(TERMINAL, *FORMATS), default=TERMINAL, help="of what is printed")
    parser.add_argument("--lock", type=Path, metavar="FILE", help="lock committed claims before anything runs")
    add_trust(parser)
    parser.set_defaults(run=verdict)


def add_runs(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "runs", help="all runs as one tidy table: a row a run, split, action, protocol, metric"
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--csv", nargs="?", type=Path, metavar="FILE", help="where to; default: the terminal")
    add_trust(parser)
    parser.set_defaults(run=runs)


def add_pack(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommands for a colleague."""
    parser = commands.add_parser("pack", help="one file of a run for a colleague: evaluate it as a checkpoint")
    parser.add_argument("path", type=Path, metavar="RUN")
    parser.add_argument("--checkpoint", default="last", help="its name in the run; default: last")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: the run's name, beside its folder")
    parser.set_defaults(run=pack_run)
    parser = commands.add_parser("unpack", help="open such a file as the folder of a run")
    parser.add_argument("path", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, metavar="FOLDER", required=True)
    add_trust(parser)
    parser.set_defaults(run=unpack_run)


def pack_run(given: argparse.Namespace) -> None:
    """Write the pack, and say what it lacks."""
    from swapaqa.running.pack import pack  # it imports what trains

    folder = given.path.resolve()
    out = given.out or folder.parent / f"{folder.name}.pack.ckpt"
    for line in pack(given.path, given.checkpoint, out):
        print_note(line)
    print_note(f"{out}: {out.stat().st_size / 2**20:.1f} MiB; python -m src.evaluate checkpoint={out} data.root=...")


def unpack_run(given: argparse.Namespace) -> None:
    """Write the folder of the run."""
    from swapaqa.running.pack import unpack

    print_lines([str(path) for path in unpack(given.path, given.out, given.trust)])


def add_published(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    parser = commands.add_parser("published", help="what logs by epoch and predictions of anybody's program carry")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a log or predictions (CSV), or .npy")
    parser.add_argument("--true", type=Path, metavar="FILE.npy", help="the true scores, where FILE has none")
    parser.add_argument(
        "--videos", nargs="+", default=[], metavar="KEY=VALUE", help="their data set: data=... data.root=..."
    )
    parser.add_argument("--format", choices=(TERMINAL, *FORMATS), default=TERMINAL, help="of what is printed")
    parser.set_defaults(run=published)


def add_many(parser: argparse.ArgumentParser, name: str, metavar: str, purpose: str) -> None:
    """An option that may be repeated."""
    parser.add_argument(name, metavar=metavar, action="append", default=[], help=f"{purpose} (may be repeated)")


def number_of(text: str) -> int:
    """A whole number from 0 on, as argparse asks for it."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: a whole number from 0 on")
    return int(text)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """The option that admits classes of a package."""
    parser.add_argument(
        "--trust", metavar="PACKAGE", action="append", default=[], help="whose classes and metrics runs may name"
    )


def add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    parser = commands.add_parser("compare", help="whether two runs, or two sets of seeds, differ by more than noise")
    for name in ("RUN_A", "RUN_B"):
        parser.add_argument(name, help="a run, runs or a sweep; PATH:aug=none,model=core chooses a setting of several")
    known = f"{', '.join(OURS)}, or another that the runs have"
    parser.add_argument("--metric", default=SPEARMAN.name, help=f"{known}; default: {SPEARMAN.name}")
    add_trust(parser)
    parser.add_argument("--protocol", default="last", help=f"{', '.join(PROTOCOLS)}; default: last")
    parser.add_argument("--split", default="test", help="default: test")
    parser.set_defaults(run=lambda given: print_lines([comparison(given)]))


def comparison(given: argparse.Namespace) -> str:
    """The sentence of `compare`."""
    from swapaqa.runs.compare import Protocol, compare

    protocol = Protocol(given.metric, given.protocol, given.split)
    return compare(given.RUN_A, given.RUN_B, protocol, given.trust)


def add_wandb(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommands that talk to a wandb server."""
    parser = commands.add_parser("wandb", help="build the dashboards of a project: project=NAME [entity=NAME]")
    parser.add_argument("pairs", nargs="*", metavar="KEY=VALUE")
    parser.set_defaults(run=lambda given: dashboards(given.pairs))
    parser = commands.add_parser("sync", help="upload the runs that were logged offline")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.set_defaults(run=lambda given: sync(given.paths))


def main() -> None:
    parser = argparse.ArgumentParser(prog=spelled("report"), description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="command")
    add_show(commands)
    add_verdict(commands)
    add_runs(commands)
    add_pack(commands)
    add_published(commands)
    add_compare(commands)
    add_wandb(commands)
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    run_program(main)
