"""One self-contained HTML page of everything that runs say: pictures are inside it, nothing is fetched.

What stands on the page is gathered in `content`, how it looks in `page.html.j2`; every text is escaped.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from swapaqa.files.whole_file import write_whole
from swapaqa.gradcam.summary import COLUMNS, EXPLANATION, TEXT_COLUMNS, find_gradcam
from swapaqa.measures.ours import STANDARD
from swapaqa.pool import cores, in_processes
from swapaqa.probing.probe_file import Probe
from swapaqa.report.answers import Answer
from swapaqa.report.captions import WITHOUT_FACTS
from swapaqa.report.cases import Study
from swapaqa.report.drawing import Drawing
from swapaqa.report.page_jobs import Columns, as_job, count_states, facts
from swapaqa.report.page_pictures import (
    MOST_STRIPS,
    Figure,
    Picture,
    as_gradcam,
    as_strip,
    named_picture,
    one_strip_a_setting,
)
from swapaqa.report.probes import probe_tables
from swapaqa.report.single import SingleRun
from swapaqa.report.table import Table
from swapaqa.report.templates import read_template
from swapaqa.running.jobs import State
from swapaqa.runs.run import Sweep
from swapaqa.runs.settings import PROTOCOLS, measures_of, splits_of

WORTH_PROCESSES = 8  # drawings, of half a second each
VERDICT = "verdict.html"  # beside this page, where `report verdict` was there before


class CasesView(NamedTuple):
    """Fig. 8: `picture` is None where there are no videos, for the `reason`."""

    anchor: str
    study: Study
    picture: Picture | None


class ProbeView(NamedTuple):
    """What a probe says, and the picture of what it showed."""

    probe: Probe
    picture: Picture


class Content(NamedTuple):
    """What stands on a page. `figures`: of each protocol, the same ones. `undrawn`: how many more there would be."""

    sweeps: Sequence[Sweep]
    protocols: Sequence[str]
    answers: Sequence[Answer]
    tables: Sequence[Table]
    figures: Sequence[Sequence[Drawing]]
    undrawn: int
    single: SingleRun | None
    studies: Sequence[Study]
    probes: Sequence[Probe]


def write_page(content: Content, folder: Path) -> list[Path]:
    """Write `index.html` and `figures/*.png, *.pdf` into `folder`, which exists; returns what was written."""
    page = folder / "index.html"
    drawn = [drawing for one in content.figures for drawing in one]
    drawn += [study.drawing for study in content.studies if study.drawing]
    drawn += [content.single.drawing] if content.single and content.single.drawing else []
    work = [(drawing, folder) for drawing in drawn]
    pictures = dict(in_processes(named_picture, work, cores() if len(drawn) >= WORTH_PROCESSES else 1))
    write_whole(page, render(content, pictures, folder))
    return [page, *(folder / name for picture in pictures.values() for name in picture.files)]


def render(content: Content, pictures: Mapping[str, Picture], folder: Path) -> str:
    """The page as text. `pictures`: by the name of their drawing."""
    template = read_template("page.html.j2")
    every_run = [run for sweep in content.sweeps for run in sweep.runs]
    measures, splits = measures_of(every_run), splits_of(every_run)
    strips = one_strip_a_setting(content.sweeps)
    columns = Columns(content.protocols, splits, measures)
    jobs = [as_job(sweep, run, columns, folder) for sweep in content.sweeps for run in sweep.runs]
    names = [sweep.name for sweep in content.sweeps] or [probe.name for probe in content.probes]
    return template.render(
        title=f"Report: {content.single.name if content.single else ', '.join(names)}",
        single=content.single,
        scatter=content.single and content.single.drawing and pictures[content.single.drawing.name],
        answers=content.answers,
        sweeps=[(sweep, count_states(sweep)) for sweep in content.sweeps],
        without_facts=[sweep.name for sweep in content.sweeps if sweep.without_facts],
        about_facts=WITHOUT_FACTS,
        facts=facts(every_run),
        protocols=[(name, PROTOCOLS.get(name, "the checkpoint of this name")) for name in content.protocols],
        tables=content.tables,
        figures=[
            Figure(pictures[first.name], tuple(pictures[other.name] for other in others))
            for first, *others in zip(*content.figures, strict=True)
        ],
        cases=[
            CasesView(f"cases_{number}", study, pictures[study.drawing.name] if study.drawing else None)
            for number, study in enumerate(content.studies, 1)
        ],
        undrawn=content.undrawn,
        strips=[as_strip(*found) for found in strips[:MOST_STRIPS]],
        more_strips=len(strips[MOST_STRIPS:]),
        probes=[ProbeView(probe, as_strip(probe.title, probe.picture)) for probe in content.probes],
        probe_tables=probe_tables(content.probes),
        gradcam=[as_gradcam(path, folder) for path in find_gradcam([sweep.folder for sweep in content.sweeps])],
        gradcam_words=EXPLANATION,
        gradcam_columns=COLUMNS,
        text_columns=TEXT_COLUMNS,
        measures=measures,
        splits=splits,
        others=[measure for measure in measures if measure not in STANDARD],
        verdict=VERDICT if (folder / VERDICT).is_file() else None,
        jobs=jobs,
        open_jobs=[job for job in jobs if job.run.state is not State.DONE],
        now=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
