"""Boxes from the result files of any tracker: a line a frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from swapaqa.boxes.archive import read_content
from swapaqa.boxes.frames import check_request
from swapaqa.boxes.mot import looks_like_polygons
from swapaqa.boxes.objects import boxes_of
from swapaqa.boxes.source import BoxRequest, BoxRow
from swapaqa.boxes.text import number, split_cells
from swapaqa.boxes.tracks import MAKE_BOXES, check_pixels, checked_box, existing
from swapaqa.errors import InputError


@dataclass(frozen=True)
class TrackerResults:
    """Result files of any other tracker: `<root>/boxes/<action>/<index>.txt`, one line a frame.

    `frame_start`: the zero-based frame of the video that the first line is about.
    """

    ratio: float
    root: str | None
    frame_start: int
    frame: Literal["source"] = "source"

    def find(self, files: Sequence[Path]) -> Path:
        """The first of `files` that exists as `.txt`."""
        found = existing([file.parent / f"{file.name}.txt" for file in files])
        if found is None:
            raise InputError(
                f"{files[0].parent / files[0].name}.txt: no such box file; name the folder of the tracker's results "
                f"with boxes.root=, {MAKE_BOXES}"
            )
        return found

    def read(self, request: BoxRequest) -> np.ndarray:
        path = self.find(request.files)
        rows = result_rows(path)
        check_request([row._replace(frame=row.frame + self.frame_start) for row in rows], 0, request, path)
        return boxes_of(rows, [frame - self.frame_start for frame in request.frames], "error", 0)


def result_rows(path: Path) -> list[BoxRow]:
    """The boxes of a tracker's result file by line, the first one being 0, without the lines that say lost.

    A line holds `x,y,w,h` or the four corners of a polygon (8 numbers, its enclosing box is taken), separated by
    commas, tabs or spaces, in pixels counted from 0. A line of one number is a code of the VOT toolkit (1 start, 2
    lost), and one of NaN or of no extent says lost: these frames are left out.

    Raises:
        InputError: naming the file and line: other numbers, an infinite box, one of negative extent; a file of MOT.
    """
    rows = []
    lines = read_content(path, ()).decode("utf-8-sig", errors="replace").splitlines()
    values = [_numbers(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    full = [row for row in values if len(row) == 8 and np.isfinite(row).all()]
    if full and not looks_like_polygons(full):
        raise InputError(f"{path}: its lines are MOT's 'frame,id,x,y,w,h,confidence,class'; read it with boxes=mot")
    for line, row in enumerate(values):
        place = f"{path}, line {line + 1}"
        box = _result_box(row, place)
        if box is not None:
            rows.append(BoxRow(line, "0", "tracker", box, place))
    if not rows:
        raise InputError(f"{path}: no box in it; run the tracker again, or use boxes=fixed")
    check_pixels(rows)
    return rows


def _numbers(line: str, place: str) -> list[float]:
    try:
        values = [number(cell) for cell in split_cells(line)]
    except ValueError:
        values = []
    if len(values) not in (1, 4, 8):
        raise InputError(f"{place}: '{line[:80]}' is neither 'x,y,w,h' nor the 8 numbers of a polygon; correct it")
    return values


def _result_box(values: Sequence[float], place: str) -> tuple[float, ...] | None:
    if len(values) == 1 or any(math.isnan(value) for value in values):
        return None
    if len(values) == 4:
        x, y, w, h = values
        corners = (x, y, x + w - 1, y + h - 1)
    else:  # edges, so the last pixel is one less
        corners = (min(values[::2]), min(values[1::2]), max(values[::2]) - 1, max(values[1::2]) - 1)
    if corners[2] == corners[0] - 1 or corners[3] == corners[1] - 1:
        return None
    return checked_box(corners, place, " ".join(f"{value:g}" for value in values))
