"""What an examination of boxes leaves behind: a table of all videos, and a contact sheet for each action."""

import base64
import csv
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from rich.table import Table

from swapaqa.annotate.examine import Examined
from swapaqa.annotate.suspicion import HARM, LIMITS, LOWER_IS_WORSE, Suspicion
from swapaqa.command import spelled
from swapaqa.files.foreign_file import read_csv
from swapaqa.files.spreadsheet import guarded, unguarded
from swapaqa.files.whole_file import write_whole

TABLE = "check.csv"
SHOWN = 10  # videos of `worst_table`; all are in the files
COLUMNS = ("video", "split", "action", "severity", *LIMITS, "file", "problem")
STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5em auto; padding: 0 1em; max-width: 1180px }
ol { padding: 0; list-style: none } ol li { padding: .8em 0; border-top: 1px solid #8885 }
img { max-width: 100%; height: auto; display: block; margin-top: .4em }
.bad { color: light-dark(#b00020, #ff8a80) } .name { font-weight: 600 } .small { opacity: .75 }
.key { display: inline-block; width: 1.4em; height: .9em; border: 2px solid; vertical-align: -.1em }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2em 1em } dt { font-weight: 600 } dd { margin: 0 }
"""
MEANINGS = {
    HARM: "how much of the swap would be wrong: what moves outside of the box at ratio 2, and how often nothing moves "
    "inside of it; the list is in its order",
    "jump": "how far a centre leaves the line between its neighbours, in box sizes",
    "size change": "the ratio of areas from frame to frame",
    "lost": "share of the frames of which the file says nothing",
    "unmoved at a cut": "overlap of the boxes before and after a cut",
    "outside": "share of the frames in which most of the box lies outside",
    "no motion inside": "motion in the box over motion beside it",
}


def sheet_path(folder: Path, action: str) -> Path:
    """Where the contact sheet of an action lies."""
    return folder / f"{action.replace('/', '_')}.html"


def with_links(content: bytes) -> bytes:
    """A sheet as the drawing page's server gives it: each video leads into the page, at its worst frame."""
    return content.replace(b'<a data-at="', b'<a href="./#')


def sorted_by_severity(found: Sequence[Examined]) -> list[Examined]:
    """The most suspicious first; accepted ones after all others."""
    return sorted(found, key=lambda video: (video.state == "accepted", -video.severity, video.video_id))


def reason(video: Examined) -> str:
    """In words: the problem, or the measures beyond their limits, or the worst one."""
    if video.problem:
        return video.problem
    beyond = [found for found in video.found if found.severity >= 1] or video.found[:1]
    return ", ".join(f"{found.measure} {found.value:.2f}{_at(found)}" for found in beyond)


def _at(found: Suspicion) -> str:
    return "" if found.frame is None or found.severity < 1 else f" (frame {found.frame})"


def write_table(found: Sequence[Examined], path: Path) -> None:
    """A line a video, the most suspicious first: its worst severity and every measure."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    for video in sorted_by_severity(found):
        values = {suspicion.measure: f"{suspicion.value:.3f}" for suspicion in video.found}
        measures = [values.get(measure, "") for measure in LIMITS]
        row = [*map(guarded, (video.video_id, video.split, video.action)), f"{video.severity:.2f}", *measures]
        writer.writerow([*row, video.state, guarded(video.problem)])
    write_whole(path, table.getvalue())


def read_severities(path: Path) -> dict[str, float]:
    """Severity by video id, from a table of `write_table`; empty where there is none.

    Raises:
        InputError: it is damaged.
    """
    if not path.exists():
        return {}
    remedy = f"remove it, or write it again with `{spelled('boxes check')}`"
    return dict(read_csv(path, ("video", "severity"), _severity, remedy))


def _severity(row: Mapping[str, str]) -> tuple[str, float]:
    return unguarded(row["video"]), float(row["severity"])


def write_sheets(found: Sequence[Examined], folder: Path) -> list[Path]:
    """One HTML page an action, with its pictures in it; the most suspicious video comes first."""
    written = []
    for action in dict.fromkeys(video.action for video in found):
        videos = sorted_by_severity([video for video in found if video.action == action])
        path = sheet_path(folder, action)
        write_whole(path, sheet(action, videos))
        written.append(path)
    return written


def sheet(action: str, videos: Sequence[Examined]) -> str:
    """The page of one action."""
    name = html.escape(action)
    suspicious = sum(video.suspicious for video in videos)
    items = "\n".join(_item(video) for video in videos)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Boxes: {name}</title><style>{STYLE}</style>"
        f"<h1>{name}</h1><p>{suspicious} of {len(videos)} videos are suspicious, the most harmful first. "
        f'<span class="key" style="color: #e6b800"></span> the box, <span class="key" style="color: #ff4040"></span> '
        f"what the swap keeps at ratio 2; six frames spread over the video, with their numbers. "
        f"Correct them with <code>{spelled('boxes draw')}</code>: <em>sheet</em> in its page shows this list with "
        f"videos to click on, <kbd>g</kbd> accepts a video as it is.</p>"
        f"<details open><summary>what is suspicious</summary><dl>{_legend()}</dl></details><ol>{items}</ol></html>\n"
    )


def _legend() -> str:
    limits = {key: f"{'below' if key in LOWER_IS_WORSE else 'from'} {value:g}" for key, value in LIMITS.items()}
    return "".join(f"<dt>{key} {limits[key]}</dt><dd>{meaning}</dd>" for key, meaning in MEANINGS.items())


def _item(video: Examined) -> str:
    bad = ' class="bad"' if video.suspicious else ""
    state = f"{video.split}, {video.state}" if video.state else video.split
    frame = next((found.frame for found in video.found if found.frame is not None and found.severity >= 1), None)
    at = quote(video.video_id) + ("" if frame is None else f"@{frame}")
    words = (
        f'<div class="name">{html.escape(video.video_id)}</div><div{bad}>{html.escape(reason(video))}</div>'
        f'<div class="small">{html.escape(state)}</div>'
    )
    picture = base64.b64encode(video.strip).decode()
    strip = f'<img loading="lazy" alt="frames with boxes" src="data:image/jpeg;base64,{picture}">' if picture else ""
    return f'<li><a data-at="{at}" style="color: inherit">{words}{strip}</a></li>'


def worst_table(found: Sequence[Examined]) -> Table:
    """The most suspicious videos."""
    table = Table(title="most suspicious first; 1 and more is suspicious")
    for column in ("video", "split", "file", "severity", "why"):
        table.add_column(column)
    for video in sorted_by_severity(found)[:SHOWN]:
        table.add_row(video.video_id, video.split, video.state, f"{video.severity:.2f}", reason(video))
    return table
