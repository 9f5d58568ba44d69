"""Box files of other programs put where the loader looks for them, as DarkLabel rows: renumbered, scaled, reported.

A file's format is recognised by its content unless it is named. Whatever had to be assumed is said in the report.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from swapaqa.annotate.box_file import content_digest, format_row, write_text
from swapaqa.data.box_tracks import BoxFile, BoxRow, scale_to_stored
from swapaqa.data.cvat import read_cvat, read_mot
from swapaqa.data.darklabel import parse_darklabel
from swapaqa.data.darklabel_format import KEYFRAMES
from swapaqa.data.tracker_boxes import result_rows
from swapaqa.errors import InputError

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


def recognise(path: Path) -> tuple[Format, str]:
    """The format of a file and what was assumed. InputError for content that is none of them."""
    if path.suffix.lower() == ".xml":
        return "cvat", "XML: CVAT for video"
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    rows = [_cells(line) for line in lines if line.strip()]
    widths = {len(row) for row in rows} - {1}  # one number alone is a code of the VOT toolkit
    if not widths:
        raise InputError(f"{path}: no box in it; export it again")
    numeric = [all(_is_number(cell) for cell in row) for row in rows]
    if widths == {4} and all(numeric):
        return "boxes", "4 numbers a line: x,y,w,h, a line a frame"
    if min(widths) >= 7 and all(numeric) and _ends_in_confidence(rows):
        return "mot", f"{min(widths)} numbers a line, the seventh a confidence: MOT"
    if widths == {8} and all(numeric):
        return "boxes", "8 numbers a line: the corners of a polygon, a line a frame"
    if widths <= {6, 7}:
        return "darklabel", "frame,id,x,y,w,h[,label]: DarkLabel"
    raise InputError(
        f"{path}: lines of {', '.join(map(str, sorted(widths)))} columns are none of {', '.join(FORMATS)}; name the "
        "format with --format, or DarkLabel's columns with --columns fn,id,x1,y1,w,h"
    )


def _cells(line: str) -> list[str]:
    return re.split(r"\s*[,\t]\s*" if "," in line or "\t" in line else r"\s+", line.strip())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _ends_in_confidence(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the seventh column is MOT's confidence, -1 to 1, and not a corner of a polygon."""
    return all(abs(float(row[6])) <= 1 for row in rows if len(row) > 6)


def parse(path: Path, form: Format, reading: Reading) -> BoxFile:
    """All boxes of a file, in its own numbering and pixels."""
    if form == "cvat":
        return read_cvat(path)
    if form == "mot":
        return read_mot(path)
    if form == "boxes":
        return BoxFile(
            [BoxRow(n, "0", "tracker", tuple(box), f"{path}, line {n + 1}") for n, box in result_rows(path).items()],
            None,
        )
    columns = KEYFRAMES if reading.columns is None else KEYFRAMES._replace(data_fmt=reading.columns)
    return parse_darklabel(path, columns, reading.size)


def import_file(
    source: Path, path: Path, reading: Reading, stored: tuple[int, int], video_frames: int, replace: bool
) -> Imported:
    """Write the boxes of `source` to `path`, for a video of `video_frames` frames of size `stored` (H, W).

    Raises:
        InputError: `path` exists and `replace` is false, a frame or box lies outside of the video, or as the readers.
    """
    read = content_digest(path)
    if read is not None and not replace:
        raise InputError(f"{path}: is there already; say --replace to put {source} in its place")
    form, assumed = (reading.form, []) if reading.form else _recognised(source)
    found = parse(source, form, reading)
    if not found.rows:
        raise InputError(f"{source}: no box in it; export it again")
    start, why = _start(form, reading, found)
    rows = renumber(found.rows, start, video_frames, source)
    annotated = found.size or reading.size
    drawn_on = annotated or stored
    assumed += [why, f"drawn on {drawn_on[1]}x{drawn_on[0]}{'' if annotated else ' as stored'}"]
    rows = rescale(rows, drawn_on, stored)
    check_inside(rows, stored, source)
    lines = [format_row(row.frame, row.object_id or row.label or "0", row.box, row.label) for row in rows]
    write_text(path, "".join(lines), read)
    frames = [row.frame for row in rows]
    objects = len({row.object_id or row.label for row in rows})
    return Imported(source, path, form, len(rows), objects, min(frames), max(frames), assumed)


def _recognised(source: Path) -> tuple[Format, list[str]]:
    form, why = recognise(source)
    return form, [why]


def _start(form: Format, reading: Reading, found: BoxFile) -> tuple[int, str]:
    """The number of the first frame, and what was assumed about it."""
    if reading.frame_start is not None:
        return reading.frame_start, f"first frame is number {reading.frame_start}"
    start = 1 if form == "mot" and min(row.frame for row in found.rows) > 0 else 0
    return start, f"first frame taken as number {start}"


def renumber(rows: Sequence[BoxRow], start: int, video_frames: int, source: Path) -> list[BoxRow]:
    """Rows in the zero-based frames of the video, in their order. InputError for frames that it does not have."""
    moved = sorted((row._replace(frame=row.frame - start) for row in rows), key=lambda row: row.frame)
    for row in (moved[0], moved[-1]):
        if not 0 <= row.frame < video_frames:
            raise InputError(
                f"{row.place}: frame {row.frame + start} is not in the video's {video_frames} frames, if the first one "
                f"is number {start}; say --frame-start, or name another video for {source} with --video"
            )
    return moved


def rescale(rows: Sequence[BoxRow], annotated: tuple[int, int], stored: tuple[int, int]) -> list[BoxRow]:
    """Rows on frames of size `stored` (H, W) instead of `annotated`."""
    if annotated == stored:
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
