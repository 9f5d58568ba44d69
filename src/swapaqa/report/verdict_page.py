"""The page of a verdict: the list of claims with their numbers, a picture of every gain, a table of comparisons."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from swapaqa.errors import InputError
from swapaqa.files.whole_file import write_whole
from swapaqa.report.captions import protocol_words
from swapaqa.report.drawing import COLOURS, Drawing, tidy
from swapaqa.report.page import VERDICT
from swapaqa.report.page_pictures import as_picture
from swapaqa.report.render import write_tables
from swapaqa.report.templates import read_template
from swapaqa.report.verdict import Shown, comparisons_table, deciding_words, head_lines, summary_table
from swapaqa.verdict.outcome import Judged, JudgedClaim, Verdict

COLOUR = {Verdict.HOLDS: COLOURS[2], Verdict.FAILS: COLOURS[1], Verdict.OPEN: COLOURS[6]}
STYLE = {Verdict.HOLDS: "holds", Verdict.FAILS: "fails", Verdict.OPEN: "open"}
MOST_ROWS = 40  # of a picture
LONGEST = 78  # characters of a row's name


class Line(NamedTuple):
    """A claim on a data set and split, as the page lists it."""

    claim: JudgedClaim
    style: str
    verdict: str
    where: str
    numbers: str


class Row(NamedTuple):
    """A row of the picture."""

    name: str
    judged: Judged


def write_verdict(given: Shown, folder: Path) -> list[Path]:
    """Write the page, its pictures and the tables into `folder`, which is made; returns the files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another with --out") from error
    tables = [summary_table(given), comparisons_table(given)]
    pictures = [as_picture(drawing, folder) for drawing in gain_drawings(given)]
    page = folder / VERDICT
    text = read_template("verdict.html.j2").render(
        title=f"Verdict: {given.judgement.file.source}",
        head=head_lines(given),
        warned=not given.locked.holds,
        lines=[_line(given, one) for one in given.judgement.claims if one.cases],
        counts=[(STYLE[v], v.value, _count(given, v)) for v in Verdict],
        without=[one for one in given.judgement.claims if not one.cases],
        pictures=pictures,
        table=tables[1],
        report=(folder / "index.html").is_file(),
        now=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    write_whole(page, text)
    return [*write_tables(tables, folder), page, *(folder / name for one in pictures for name in one.files)]


def _count(given: Shown, verdict: Verdict) -> int:
    return sum(one.verdict is verdict for one in given.judgement.claims)


def _line(given: Shown, one: JudgedClaim) -> Line:
    verdict = one.verdict.value + given.mark(one)
    return Line(one, STYLE[one.verdict], verdict, f"{one.data}, {one.split}", deciding_words(one))


def gain_drawings(given: Shown) -> list[Drawing]:
    """A picture a metric, data set and split of the gains of all comparisons; more where there are many."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    seen: set[tuple[object, ...]] = set()
    for one in given.judgement.claims:
        for case in one.cases:
            for judged in case.comparisons:
                about = (one.measure.name if one.measure else "", one.data, one.split)
                key = (*about, judged.found.numbers)
                if not judged.found.missing and key not in seen:
                    seen.add(key)
                    names = f"{judged.found.first.name} over {judged.found.second.name}"
                    name = f"{case.case.name}: {names}" if len(one.cases) > 1 else names
                    groups.setdefault(about, []).append(Row(f"{one.name}: {name}", judged))
    drawings = []
    for (metric, data, split), rows in groups.items():
        for start in range(0, len(rows), MOST_ROWS):
            part = rows[start : start + MOST_ROWS]
            drawing = gains(part, metric).about(given.judgement.protocol, metric, data, split)
            caption = f"{protocol_words(given.judgement.protocol)} {drawing.caption}"
            number = f"_{start // MOST_ROWS + 1}" if start else ""
            drawings.append(drawing._replace(caption=caption, name=drawing.name + number))
    return drawings


def gains(rows: Sequence[Row], metric: str) -> Drawing:
    """A row a comparison: its gain, the intervals over seeds and over videos, and what is claimed."""
    figure = Figure(figsize=(9.6, 0.9 + 0.3 * len(rows)), layout="constrained")
    panel = figure.subplots()
    for position, row in enumerate(rows):
        _draw(panel, position, row.judged)
    panel.set_yticks(range(len(rows)), [_short(row.name) for row in rows], fontsize=7)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.axvline(0, color="#888888", linewidth=0.8, zorder=0)
    panel.set_xlim(*_limits(rows))
    panel.set_xlabel(f"gain in {metric.replace('_', ' ')}: to the right is better", fontsize=8)
    tidy(panel)
    panel.grid(axis="x", color="#dddddd", linewidth=0.7)
    handles = [Line2D([], [], color=COLOUR[v], marker="o", linestyle="", label=v.value) for v in Verdict]
    handles += [
        Line2D([], [], color="#555555", linewidth=3, label="95 % over the seeds"),
        Line2D([], [], color="#555555", linewidth=1, label="95 % over the videos"),
        Line2D([], [], color="#000000", marker="|", linestyle="", label="claimed to be above"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=6, fontsize=7, frameon=False)
    caption = "Gains, first over second; intervals may leave the picture. Comparisons of the same runs stand once."
    return Drawing("gains", "Every gain", caption, figure)


def _draw(panel: Axes, position: int, judged: Judged) -> None:
    found, colour = judged.found, COLOUR[judged.verdict]
    if found.over_videos is not None:
        panel.plot(found.over_videos, [position + 0.14] * 2, color=colour, linewidth=1)
    if found.interval is not None:
        panel.plot(found.interval, [position - 0.08] * 2, color=colour, linewidth=3, alpha=0.55, solid_capstyle="butt")
    panel.plot([found.gain], [position], color=colour, marker="o", markersize=5)
    panel.plot([found.bound], [position], color="#000000", marker="|", markersize=11)


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Of gains, bounds and intervals over the videos: those of two seeds would flatten all others."""
    found = [row.judged.found for row in rows]
    values = [value for one in found for value in (one.gain, one.bound, *(one.over_videos or ()), 0.0)]
    room = 0.06 * (max(values) - min(values) or 1.0)
    return min(values) - room, max(values) + room


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
