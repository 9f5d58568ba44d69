"""One self-contained HTML page of everything that runs say: pictures are inside it, nothing is fetched.

What stands on the page is gathered in `content`, how it looks in `page.html.j2`; every text is escaped.
"""

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import cv2
from jinja2 import Environment, StrictUndefined

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import check_regular, read_bytes
from swapaqa.files.whole_file import write_whole
from swapaqa.gradcam.summary import COLUMNS, EXPLANATION, TEXT_COLUMNS, find_gradcam, read_gradcam, rows
from swapaqa.measures.ours import STANDARD
from swapaqa.measures.record import Description
from swapaqa.probing.probe_file import Probe
from swapaqa.recording.result_file import RESULT_FILE, epoch_in
from swapaqa.report.answers import Answer
from swapaqa.report.captions import WITHOUT_FACTS
from swapaqa.report.cases import Study
from swapaqa.report.drawing import Drawing, write_drawing
from swapaqa.report.probes import probe_tables
from swapaqa.report.single import SingleRun
from swapaqa.report.table import Table, Value, cell_text
from swapaqa.running.jobs import State
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.settings import PROTOCOLS, measures_of, splits_of

FIGURES = "figures"
STRIP = "swap.png"  # written by training
STRIP_WIDTH = 1200  # pixels; a strip is one of many pictures of a page
FILM_BYTES = 2_000_000  # a larger film is beside the page only
UNKNOWN = "not known"


class Picture(NamedTuple):
    """`source`: a data: URI. `files`: names beside the page with the same figure."""

    anchor: str
    title: str
    caption: str
    source: str
    files: tuple[str, ...] = ()


class Figure(NamedTuple):
    """A figure under the protocol of published numbers, and under the others."""

    first: Picture
    others: tuple[Picture, ...]


class CasesView(NamedTuple):
    """Fig. 8: `picture` is None where there are no videos, for the `reason`."""

    anchor: str
    study: Study
    picture: Picture | None


class ProbeView(NamedTuple):
    """What a probe says, and the picture of what it showed."""

    probe: Probe
    picture: Picture


class Film(NamedTuple):
    """Grad-CAM of one video. `film`: a data: URI, None where it is too large. `link`: relative to the page."""

    strip: Picture
    film: str | None
    link: str | None


class GradCamView(NamedTuple):
    """What one `gradcam.json` has to show. `checkpoints`: title and file of each."""

    title: str
    checkpoints: tuple[tuple[str, str], ...]
    boxes: str
    rows: list[tuple[str, ...]]
    films: tuple[Film, ...]


class Job(NamedTuple):
    """A row of the table of runs. `link`: relative to the page; None where there is no folder.

    `scores`: under each protocol, one of each split and metric.
    """

    sweep: str
    run: Run
    values: str
    link: str | None
    scores: tuple[tuple[str, ...], ...]
    minutes: str
    replaced: str


class Columns(NamedTuple):
    """Of the table of runs: a number for every combination."""

    protocols: Sequence[str]
    splits: Sequence[str]
    measures: Sequence[Description]


class Content(NamedTuple):
    """What stands on a page. `figures`: of each protocol, the same ones."""

    sweeps: Sequence[Sweep]
    protocols: Sequence[str]
    answers: Sequence[Answer]
    tables: Sequence[Table]
    figures: Sequence[Sequence[Drawing]]
    single: SingleRun | None
    studies: Sequence[Study]
    probes: Sequence[Probe]


def write_page(content: Content, folder: Path) -> list[Path]:
    """Write `index.html` and `figures/*.png, *.pdf` into `folder`, which exists; returns what was written."""
    page = folder / "index.html"
    drawn = [drawing for one in content.figures for drawing in one]
    drawn += [study.drawing for study in content.studies if study.drawing]
    drawn += [content.single.drawing] if content.single and content.single.drawing else []
    pictures = {drawing.name: as_picture(drawing, folder) for drawing in drawn}
    write_whole(page, render(content, pictures, folder))
    return [page, *(folder / name for picture in pictures.values() for name in picture.files)]


def render(content: Content, pictures: Mapping[str, Picture], folder: Path) -> str:
    """The page as text. `pictures`: by the name of their drawing."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("swapaqa.report").joinpath("page.html.j2").read_text(encoding="utf-8"))
    every_run = [run for sweep in content.sweeps for run in sweep.runs]
    measures, splits = measures_of(every_run), splits_of(every_run)
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
        strips=[as_strip(*found) for found in one_strip_a_setting(content.sweeps)],
        probes=[ProbeView(probe, as_strip(probe.title, probe.picture)) for probe in content.probes],
        probe_tables=probe_tables(content.probes),
        gradcam=[as_gradcam(path, folder) for path in find_gradcam([sweep.folder for sweep in content.sweeps])],
        gradcam_words=EXPLANATION,
        gradcam_columns=COLUMNS,
        text_columns=TEXT_COLUMNS,
        measures=measures,
        splits=splits,
        others=[measure for measure in measures if measure not in STANDARD],
        jobs=jobs,
        open_jobs=[job for job in jobs if job.run.state is not State.DONE],
        cell_text=cell_text,
        is_number=lambda cell: cell is None or isinstance(cell, Value),
        now=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def as_picture(drawing: Drawing, folder: Path) -> Picture:
    """Write a drawing's files and put the PNG into a data: URI."""
    path = write_drawing(drawing, folder / FIGURES)
    names = tuple(f"{FIGURES}/{file.name}" for file in (path, path.with_suffix(".pdf")))
    return Picture(drawing.name, drawing.title, drawing.caption, data_uri(path.read_bytes(), "png"), names)


def data_uri(content: bytes, kind: str, media: str = "image") -> str:
    return f"data:{media}/{kind};base64,{base64.b64encode(content).decode()}"


def value_words(values: Mapping[str, str]) -> str:
    """The swept values of a run; in a list of settings a run has not all of them."""
    return ", ".join(f"{key}={value}" for key, value in values.items() if value)


def one_strip_a_setting(sweeps: Sequence[Sweep]) -> list[tuple[str, Path]]:
    """Of all runs with a strip, the first of every sweep and setting but for seed and action: (title, file)."""
    found: dict[tuple[Path, str], tuple[str, Path]] = {}
    for sweep in sweeps:
        for run in sweep.runs:
            values = {k: v for k, v in sweep.values(run).items() if k not in ("seed", "data.action")}
            path = run.folder / STRIP
            if path.is_file() and run.config is not None:
                words = value_words(values)
                title = f"{sweep.name}, job {run.job}" + (f": {words}" if words else "")
                found.setdefault((sweep.folder, words), (title, path))
    return list(found.values())


def as_strip(title: str, path: Path) -> Picture:
    """A strip as JPEG of at most STRIP_WIDTH columns; of a file that is no picture the words that it is none."""
    try:
        check_regular(path)
        picture = cv2.imread(str(path))
    except (InputError, cv2.error):  # a pipe; more pixels than OpenCV takes
        picture = None
    if picture is None:
        return Picture("", title, f"{path.name} cannot be read.", "")
    scale = min(1.0, STRIP_WIDTH / picture.shape[1])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
    return Picture("", title, "", data_uri(content, "jpeg"))


def as_gradcam(path: Path, folder: Path) -> GradCamView:
    """The section of one `gradcam.json` on the page in `folder`. InputError where it is not one."""
    found = read_gradcam(path)
    return GradCamView(
        title=relative(path.parent, folder.parent),
        checkpoints=tuple(
            (one["title"], f"{one['file']}, epoch {epoch_in(found, one['epoch'])}") for one in found["checkpoints"]
        ),
        boxes=f"{found['boxes']['_target_'].rpartition('.')[2]}, scaled by {found['ratio']:g}",
        rows=rows(found),
        films=tuple(as_film(path.parent, picture, folder) for picture in found["pictures"]),
    )


def as_film(place: Path, picture: Mapping[str, str], folder: Path) -> Film:
    """Strip and film of one video, which lie in `place`."""
    path = place / picture["film"]
    try:
        film = data_uri(read_bytes(path, FILM_BYTES), "mp4", "video")
    except InputError:  # missing, too large for a page, or no film at all
        film = None
    return Film(
        strip=as_strip(picture["title"], place / picture["strip"]),
        film=film,
        link=relative(path, folder) if path.is_file() else None,
    )


def relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def as_job(sweep: Sweep, run: Run, columns: Columns, folder: Path) -> Job:
    """The row of a run; numbers that it has not are dashes."""
    result: Mapping[str, Any] = run.result or {}
    scores = tuple(
        tuple(
            number(run.metric(measure.name, name, split), measure.decimals)
            for split in columns.splits
            for measure in columns.measures
        )
        for name in columns.protocols
    )
    seconds = result.get("timing", {}).get("wall_s")
    share = result.get("replaced_share", {}).get("mean")
    return Job(
        sweep=sweep.name,
        run=run,
        values=value_words(sweep.values(run)),
        link=relative(run.folder, folder) if run.folder.is_dir() else None,
        scores=scores,
        minutes=number(None if seconds is None else seconds / 60, 1),
        replaced=number(None if share is None else 100 * share, 1),
    )


def number(value: float | None, decimals: int) -> str:
    return cell_text(None if value is None else Value(value, None, decimals))


def count_states(sweep: Sweep) -> str:
    """`4 done, 1 failed`."""
    counts = {state: len(sweep.in_state(state)) for state in State}
    return ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)


def facts(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """What the finished runs say of themselves: commit, device, versions, dates, time."""
    results: list[Mapping[str, Any]] = [run.result for run in runs if run.result]
    finished = [run.folder / RESULT_FILE for run in runs if run.result]
    times = sorted(datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in finished)
    dates = dict.fromkeys(time.strftime("%Y-%m-%d %H:%M UTC") for time in times[:1] + times[-1:])
    hours = sum(result.get("timing", {}).get("wall_s", 0.0) for result in results) / 3600
    skipped = sum(len(result.get("skipped", ())) for result in results)
    return [
        ("commit", several(result.get("git_commit") for result in results)),
        ("device", several(f"{r.get('device', UNKNOWN)} x {r.get('world_size', 1)}" for r in results)),
        ("versions", several(version_words(result.get("versions", {})) for result in results)),
        ("data, by fingerprint", several(result.get("data_fingerprint") for result in results)),
        ("results written", " to ".join(dates) or "none"),
        ("time of all runs", f"{hours:.2f} hours"),
        *([("videos left out as unreadable", f"{skipped} over all runs")] if skipped else []),
    ]


def version_words(versions: Mapping[str, str | None]) -> str | None:
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version) or None


def several(values: Iterable[str | None]) -> str:
    """The distinct values; more than one is said as such."""
    distinct = list(dict.fromkeys(UNKNOWN if value is None else str(value) for value in values))
    return "; ".join(distinct) if distinct else UNKNOWN
