"""The report, from the top: which runs there are, what they answer, and the files that say it.

In `swapaqa.runs`: run folders and jobs.json (`run_folders`) -> runs (`run`) of one setting (`settings`) -> a tidy table
and estimates over seeds and actions (`runs_table`) -> whether a difference is more than noise (`compare`). Here: what
they answer (`answers`), tables (`tables`), figures (`figures`), one run alone (`single`), the page of all (`page`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from swapaqa.errors import InputError
from swapaqa.probing.probe_file import Probe, find_probes
from swapaqa.report.answers import Answer, answers
from swapaqa.report.cases import OpenData, find_studies
from swapaqa.report.figures import drawings
from swapaqa.report.page import Content, write_page
from swapaqa.report.probes import probe_tables
from swapaqa.report.render import chosen, write_tables
from swapaqa.report.single import SingleRun, single_run
from swapaqa.report.table import Table
from swapaqa.report.tables import build_tables
from swapaqa.runs.run import Sweep
from swapaqa.runs.run_folders import holds_runs, read_sweeps
from swapaqa.runs.settings import protocols_of

PUBLISHED = "best_on_test"  # the protocol of published numbers: its figures stand first
ANSWERED = "last"  # nothing is chosen on test there


class Wanted(NamedTuple):
    """What is asked of a report.

    Attributes:
        rows: words of which the label of a table's row has to hold one; none: every row.
        protocols: of the rows; none: all.
        tables: keys; none: all.
        beside: files of published rows, or names of shipped ones.
        trust: packages whose classes and metrics runs may name.
    """

    rows: Sequence[str] = ()
    protocols: Sequence[str] = ()
    tables: Sequence[str] = ()
    beside: Sequence[str] = ()
    trust: Sequence[str] = ()


EVERYTHING = Wanted()


class Report(NamedTuple):
    """What a set of runs says. `protocols`: the first is that of answers and figures."""

    sweeps: list[Sweep]
    probes: list[Probe]
    protocols: tuple[str, ...]
    answers: list[Answer]
    tables: list[Table]
    single: SingleRun | None

    @property
    def group(self) -> str:
        """The name of the first sweep, or of the first probe."""
        return self.sweeps[0].name if self.sweeps else self.probes[0].name


def read_report(paths: Sequence[Path], wanted: Wanted = EVERYTHING) -> Report:
    """Everything in words and numbers that the runs and probes below `paths` say; InputError where there are none."""
    probes = find_probes(paths)
    sweeps = read_sweeps([path for path in paths if holds_runs(path) or not find_probes([path])], wanted.trust)
    every_run = [run for sweep in sweeps for run in sweep.runs]
    protocols = tuple(sorted(protocols_of(every_run), key=lambda name: name != PUBLISHED))
    answered = (*wanted.protocols, *sorted(protocols, key=lambda name: name != ANSWERED))[0]
    single = single_run(sweeps, answered)
    tables = chosen(build_tables(sweeps, wanted.beside), wanted.rows, wanted.protocols, wanted.tables)
    tables += [single.table] if single and single.table else []
    return Report(sweeps, probes, protocols, answers(sweeps, answered), tables, single)


def write_report(report: Report, folder: Path, open_data: OpenData, most_figures: int | None = None) -> list[Path]:
    """Write tables, figures and the page into `folder`; returns the files.

    `open_data`: makes the data set of a run from its configuration; an InputError of it leaves Fig. 8 without pictures,
    with its words as the reason. `most_figures`: of a kind; None: all.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another with --out") from error
    single = report.single
    drawn = [drawings(report.sweeps, protocol, most_figures) for protocol in report.protocols]
    content = Content(
        sweeps=report.sweeps,
        protocols=report.protocols,
        answers=report.answers,
        tables=report.tables,
        figures=[one.drawings for one in drawn],
        undrawn=sum(one.left_out for one in drawn[:1]),
        single=single,
        studies=find_studies(report.sweeps, report.protocols[0], open_data),
        probes=report.probes,
    )
    return [*write_tables([*report.tables, *probe_tables(report.probes)], folder), *write_page(content, folder)]
