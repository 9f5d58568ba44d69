"""Box files of other programs put where the loader looks for them, as DarkLabel rows: renumbered, scaled, reported.

A file's format is recognised by its content unless it is named. Whatever had to be assumed is said in the report.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from swapaqa.annotate.box_file import format_row, write_text
from swapaqa.annotate.listing import Listed, wanted_frames
from swapaqa.annotate.matching import match_video
from swapaqa.boxes.archive import format_of_archive
from swapaqa.boxes.cvat_xml import Choice, read_cvat
from swapaqa.boxes.darklabel import parse_darklabel
from swapaqa.boxes.darklabel_format import KEYFRAMES
from swapaqa.boxes.frames import check_in_video
from swapaqa.boxes.ledger import Ledger, content_digest
from swapaqa.boxes.mot import looks_like_polygons, read_mot
from swapaqa.boxes.objects import object_name
from swapaqa.boxes.source import BoxRow
from swapaqa.boxes.text import is_number, split_cells
from swapaqa.boxes.tracker_results import result_rows
from swapaqa.boxes.tracks import OUTSIDE, BoxFile, check_pixels, scale_to_stored
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_bytes
from swapaqa.video.frames import decode, frame_count

Format = Literal["darklabel", "cvat", "mot", "boxes"]
FORMATS: tuple[str, ...] = get_args(Format)


class Reading(NamedTuple):
    """How files are read. None: found out."""

    form: Format | None
    columns: tuple[str, ...] | None  # DarkLabel's specifiers, for another than the default format
    frame_start: int | None  # the number that the files give to a video's first frame
    size: tuple[int, int] | None  # (H, W) of the annotated frames


class Imported(NamedTuple):
    """What became of one file."""

    source: Path
    path: Path
    form: Format
    boxes: int
    objects: int
    first: int  # frames, zero-based, as written
    last: int
    assumed: list[str]
    digest: str  # of what was written


def recognise(path: Path) -> tuple[Format, str]:
    """The format of a file and what was assumed. InputError for content that is none of them."""
    if path.suffix.lower() == ".zip":
        return ("cvat", "zip: CVAT for video") if format_of_archive(path) == "cvat" else ("mot", "zip: MOT")
    if path.suffix.lower() == ".xml":
        return "cvat", "XML: CVAT for video"
    rows = [split_cells(line) for line in _lines(path)]
    widths = {len(row) for row in rows} - {1}  # one number alone is a code of the VOT toolkit
    if not widths:
        raise InputError(f"{path}: no box in it; export it again")
    numeric = all(is_number(cell) for row in rows for cell in row)
    if widths == {4} and numeric:
        return "boxes", "4 numbers a line: x,y,w,h, a line a frame"
    if widths == {8} and numeric and looks_like_polygons([[float(cell) for cell in r] for r in rows if len(r) == 8]):
        return "boxes", "8 numbers a line: the corners of a polygon, a line a frame"
    if min(widths) >= 7 and numeric:
        return "mot", f"{min(widths)} numbers a line, the seventh a confidence: MOT"
    if widths <= {6, 7}:
        return "darklabel", "frame,id,x,y,w,h[,label]: DarkLabel"
    raise InputError(
        f"{path}: lines of {', '.join(map(str, sorted(widths)))} columns are none of {', '.join(FORMATS)}; name the "
        "format with --format, or DarkLabel's columns with --columns fn,id,x1,y1,w,h"
    )


def _lines(path: Path) -> list[str]:
    text = read_bytes(path).decode("utf-8-sig", errors="replace")
    return [line for line in text.splitlines() if line.strip()]


def parse(path: Path, form: Format, reading: Reading, video: Sequence[str] = ()) -> BoxFile:
    """All boxes of a file, in its own numbering and pixels. `video`: its names, for a file about several."""
    if form == "cvat":
        return read_cvat(path, Choice(video=video))
    if form == "mot":
        return read_mot(path)
    if form == "boxes":
        return BoxFile(result_rows(path), None)
    if reading.columns is not None:
        return parse_darklabel(path, KEYFRAMES._replace(data_fmt=reading.columns), reading.size)
    return parse_darklabel(path, KEYFRAMES._replace(delimiter=_delimiter(path)), reading.size)


def _delimiter(path: Path) -> str:
    """What separates the columns, as `recognise` splits the first line."""
    first = next(iter(_lines(path)), "")
    return next((mark for mark in (",", "\t") if mark in first), " ")


def import_file(
    source: Path,
    path: Path,
    reading: Reading,
    stored: tuple[int, int],
    video_frames: int,
    replace: bool,
    video: Sequence[str] = (),
) -> Imported:
    """Write the boxes of `source` to `path`, for a video of `video_frames` frames of size `stored` (H, W).

    `video`: what the video may be called in a file about several.

    Raises:
        InputError: `path` exists and `replace` is false, a frame or box lies outside of the video, or as the readers.
    """
    read = content_digest(path)
    if read is not None and not replace:
        raise InputError(f"{path}: is there already; say --replace to put {source} in its place")
    form, assumed = (reading.form, []) if reading.form else _recognised(source)
    found = parse(source, form, reading, video)
    if not found.rows:
        raise InputError(f"{source}: no box in it; export it again")
    check_pixels(found.rows)
    start, why = _start(form, reading, found)
    rows = renumber(found.rows, start, video_frames, source)
    annotated = found.size or reading.size
    drawn_on = annotated or stored
    assumed += [why, f"drawn on {drawn_on[1]}x{drawn_on[0]}{'' if annotated else ' as stored'}"]
    rows = rescale(rows, drawn_on, stored)
    check_inside(rows, stored, source)
    outside = rescale(_outside(found, start, video_frames), drawn_on, stored)
    lines = [
        format_row(row.frame, row.object_id or row.label or "0", row.box, row.label)
        for row in sorted([*rows, *outside], key=lambda row: row.frame)
    ]
    digest = write_text(path, "".join(lines), read)
    frames = [row.frame for row in rows]
    objects = len({row.object_id or row.label for row in rows})
    return Imported(source, path, form, len(rows), objects, min(frames), max(frames), assumed, digest)


def _recognised(source: Path) -> tuple[Format, list[str]]:
    form, why = recognise(source)
    return form, [why]


def _outside(found: BoxFile, start: int, video_frames: int) -> list[BoxRow]:
    """The rows that say that an object of the file is not there, in frames of the video, labelled so."""
    known = {object_name(row) for row in found.rows}
    gone = [row for row in found.gone if object_name(row) in known and start <= row.frame < start + video_frames]
    return [row._replace(frame=row.frame - start, object_id=object_name(row), label=OUTSIDE) for row in gone]


def _start(form: Format, reading: Reading, found: BoxFile) -> tuple[int, str]:
    """The number of the first frame, and what was assumed about it."""
    if reading.frame_start is not None:
        return reading.frame_start, f"first frame is number {reading.frame_start}"
    start = 1 if form == "mot" and min(row.frame for row in found.rows) > 0 else 0
    return start, f"first frame taken as number {start}"


def renumber(rows: Sequence[BoxRow], start: int, video_frames: int, source: Path) -> list[BoxRow]:
    """Rows in the zero-based frames of the video, in their order. InputError for frames that it does not have."""
    remedy = f"say --frame-start, or name another video for {source} with --video"
    check_in_video(rows, start, video_frames, remedy)
    return sorted((row._replace(frame=row.frame - start) for row in rows), key=lambda row: row.frame)


def rescale(rows: Sequence[BoxRow], annotated: tuple[int, int], stored: tuple[int, int]) -> list[BoxRow]:
    """Rows on frames of size `stored` (H, W) instead of `annotated`."""
    if annotated == stored or not rows:
        return list(rows)
    boxes = scale_to_stored(np.array([row.box for row in rows]), annotated, stored)
    return [row._replace(box=tuple(box)) for row, box in zip(rows, boxes.tolist(), strict=True)]


def check_inside(rows: Sequence[BoxRow], stored: tuple[int, int], source: Path) -> None:
    """InputError where most boxes lie outside of the frame: the annotated frames had another size."""
    boxes = np.array([row.box for row in rows])
    outside = (boxes[:, 0] > stored[1]) | (boxes[:, 1] > stored[0]) | (boxes[:, 2:] < 0).any(axis=1)
    beyond = (boxes[:, 2] > 1.1 * stored[1]) | (boxes[:, 3] > 1.1 * stored[0])
    if outside.any() or beyond.mean() > 0.25:
        row = rows[int((outside | beyond).argmax())]
        raise InputError(
            f"{row.place}: box {np.round(row.box, 1).tolist()} lies outside of the {stored[1]}x{stored[0]} frame; say "
            f"--size WIDTH HEIGHT of the frames in which {source.name} was drawn"
        )


def import_video(
    source: VideoSource,
    file: Path,
    name: str,
    listed: Mapping[str, Listed],
    reading: Reading,
    replace: bool,
    ledger: Ledger,
) -> list[str]:
    """Import the boxes of one video and note them; returns the row of a report.

    Args:
        source: the data set.
        file: of another program.
        name: what the file calls the video.
        listed: the videos of the data set by id.
        replace: boxes that are there.

    Raises:
        InputError: no such video, or as `import_file`.
    """
    video = listed[match_video(Path(name), list(listed))]
    media, frames = wanted_frames(source, video.record)
    stored = decode(media, frames[:1], *source.decoding).size
    count = frame_count(media, source.accept_incomplete)
    own = [Path(name).stem, media.stem]
    imported = import_file(file, video.path, reading, stored, count, replace, own)
    ledger.add(imported.path, imported.digest, "import")
    return import_row(imported, frames[0], frames[-1])


def import_row(done: Imported, first: int, last: int) -> list[str]:
    """One row of the report."""
    window = f"{first} to {last}"
    counts = [str(done.boxes), str(done.objects), f"{done.first} to {done.last}", window]
    return [done.source.name, str(done.path), done.form, *counts, "; ".join(done.assumed)]
