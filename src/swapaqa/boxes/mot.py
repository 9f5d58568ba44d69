"""MOT files: `frame,id,x,y,w,h[,confidence[,class[,visibility,...]]]`, as CVAT, DarkLabel and trackers write them.

Columns are separated by commas, tabs or blanks; whole numbers may be spelled 1 or 1.0. x and y are taken as pixels
from 0, as CVAT and DarkLabel write them; those of the MOT challenge count from 1.

A row of confidence 0 marks a box to be ignored, in MOT's own ground truth as in CVAT's export, and is left out; -1 is
DarkLabel's "no value". A line says that its object is seen in its frame: where one has lines for most of the frames
between its first and its last, it is not there in the others. An object with fewer lines has keyframes.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from swapaqa.boxes.archive import ANNOTATIONS, read_content
from swapaqa.boxes.objects import object_name
from swapaqa.boxes.source import BoxRow
from swapaqa.boxes.text import are_parallelograms, number, split_cells, whole_number
from swapaqa.boxes.tracks import BoxFile, checked_box
from swapaqa.errors import InputError

DENSE = 0.5  # of the frames from the first to the last: an object with more lines has no keyframes


def read_mot(path: Path) -> BoxFile:
    """All boxes of a MOT file, or of the `gt/gt.txt` in a zip.

    Raises:
        InputError: naming the file and line: not that format, a number that is none, a box without extent; or a file
            whose lines are polygons.
    """
    lines = read_content(path, ANNOTATIONS["mot"]).decode("utf-8-sig", errors="replace").splitlines()
    cells = [(split_cells(line), f"{path}, line {n}") for n, line in enumerate(lines, 1) if line.strip()]
    values = [_values(row, place) for row, place in cells]
    if values and looks_like_polygons(values):
        raise InputError(
            f"{path}: its lines are the 8 numbers of polygons, not MOT's 'frame,id,x,y,w,h,...'; read it with "
            "boxes=results, or import it"
        )
    found = [(row[6:7], _row(row, cell, place)) for row, (cell, place) in zip(values, cells, strict=True)]
    rows = [row for confidence, row in found if confidence != [0.0]]
    return BoxFile(rows, None, list(_gaps(rows)))


def _values(row: Sequence[str], place: str) -> list[float]:
    """The numbers of a line, up to the confidence; of a line of 8, which may be a polygon, all that are numbers."""
    try:
        whole_number(row[0]), whole_number(row[1])
        values = [number(cell) for cell in row[: 8 if len(row) == 8 else 7]]
    except (ValueError, IndexError):
        values = []
    if len(values) < 6 or not all(math.isfinite(value) for value in values[6:7]):
        raise InputError(
            f"{place}: '{' '.join(row)[:80]}' is not 'frame,id,x,y,w,h,confidence,...' in numbers; export it as MOT "
            "1.1 again"
        )
    return values


def looks_like_polygons(rows: Sequence[Sequence[float]]) -> bool:
    """Whether lines of 8 numbers are the corners of polygons: rectangles, or with no confidence at the seventh place.

    MOT has lines of 8 as well: `frame,id,x,y,w,h,confidence,class`.
    """
    if {len(row) for row in rows} != {8}:
        return False
    as_mot = all(
        row[0].is_integer() and row[1].is_integer() and row[7].is_integer() and abs(row[6]) <= 1 for row in rows
    )
    return not as_mot or are_parallelograms([list(row) for row in rows])


def _row(values: Sequence[float], cells: Sequence[str], place: str) -> BoxRow:
    frame, object_id, x, y, w, h = values[:6]
    box = checked_box((x, y, x + w - 1, y + h - 1), place, f"x={x:g} y={y:g} w={w:g} h={h:g}")
    label = cells[7].strip() if len(cells) > 7 else ""
    return BoxRow(int(frame), str(int(object_id)), label, box, place)


def _gaps(rows: Sequence[BoxRow]) -> Iterator[BoxRow]:
    """Rows that say that an object with a line for most frames is not there where it has none."""
    objects: defaultdict[str, dict[int, BoxRow]] = defaultdict(dict)
    for row in rows:
        objects[object_name(row)][row.frame] = row
    for found in objects.values():
        frames = sorted(found)
        if len(frames) > DENSE * (frames[-1] - frames[0] + 1):
            yield from (found[f]._replace(frame=f + 1) for f in frames[:-1] if f + 1 not in found)
