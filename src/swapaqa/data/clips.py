"""The table of one's own videos: its lines as clips, and a test split where it has none.

Columns and rules are at the head of `swapaqa.data.videos`; the cells come from `swapaqa.data.table`.
"""

import logging
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from swapaqa.data.records import Record
from swapaqa.data.table import Row, has_decimal_commas, read_cells
from swapaqa.errors import InputError, one_line, refuse
from swapaqa.seeds import keyed_generator
from swapaqa.video.frames import VIDEO_SUFFIXES

log = logging.getLogger(__name__)

COLUMN, MOST_COLUMNS = 60, 3  # characters of a column's name, and faults of columns, in a message
REQUIRED = ("video", "score")
OPTIONAL = ("split", "group", "action", "difficulty", "judges", "first_frame", "last_frame", "boxes")
MAY_BE_EMPTY = ("first_frame", "last_frame", "boxes")
NUMBERS = ("score", "difficulty", "judges")  # which may have decimals
LONGEST_NAME, LONGEST_PATH = 240, 3000  # bytes of a file's name without a suffix; characters: what systems take
ONE_ACTION = "video"  # the action's name where the table has none

LAYOUT = (
    "data=videos needs data.root=<folder of the videos> and data.table=<table.csv> with the columns video,score "
    f"and, if you like, {','.join(OPTIONAL)}"
)


@dataclass(frozen=True, kw_only=True)
class Clip(Record):
    """A line of the table. `media` and `box_file` as written there; `group` is the video itself where none is given."""

    media: str
    group: str
    box_file: str
    place: str  # "videos.csv, line 7", for messages


def read_table(path: Path, root: Path | None = None, outside_root: bool = False) -> list[Clip]:
    """The lines of a table, in its order; `split` is empty where the table has none.

    Args:
        path: of the table.
        root: what its paths are relative to; None: the folder of the table.
        outside_root: whether they may lead out of it.

    Raises:
        InputError: naming file, line and column of everything that is wrong, see `refuse`.
    """
    table = read_cells(path)
    problems = list(_column_faults(table.columns))
    if problems:
        more = ["and more"] if len(problems) > MOST_COLUMNS else []
        raise InputError(f"{path}, line 1: {'; '.join(problems[:MOST_COLUMNS] + more)}. {LAYOUT}")
    decimal_comma = has_decimal_commas(table, NUMBERS)
    assumed = table.assumed(decimal_comma)
    if assumed:
        log.info("%s: read as a table with %s", path, assumed)
    folder = Path(os.path.abspath(root or path.parent))
    lines = [Line(row, decimal_comma, folder, outside_root) for row in table.rows]
    clips = [line.clip() for line in lines]
    faults = [*table.faults, *(fault for line in lines for fault in line.faults), *_table_faults(clips)]
    refuse(sorted(faults, key=_line_number))
    if not clips:
        raise InputError(f"{path}: no videos in it. {LAYOUT}")
    return clips


def _line_number(fault: str) -> int:
    found = re.search(r", line (\d+)", fault)
    return int(found[1]) if found else 0


def _column_faults(columns: list[str]) -> Iterator[str]:
    for name in REQUIRED:
        if name not in columns:
            yield f"no column '{name}' but {one_line(','.join(columns), COLUMN)}"
    for name in dict.fromkeys(columns):
        if columns.count(name) > 1:
            yield f"column '{one_line(name, COLUMN)}' is there twice; remove one"
        elif name not in REQUIRED + OPTIONAL:
            yield f"column '{one_line(name, COLUMN)}' is none that is known; rename or remove it"


class Line:
    """A line of the table on its way to a `Clip`; `faults` says what is wrong with it."""

    def __init__(self, row: Row, decimal_comma: bool, root: Path, outside_root: bool) -> None:
        self.row = row
        self.decimal_comma = decimal_comma
        self.root = root
        self.outside_root = outside_root
        self.faults: list[str] = []

    def clip(self) -> Clip:
        """The clip, with NaN and nothing in the place of what is wrong."""
        cells = self.row.cells
        for name, cell in cells.items():
            if not cell and name not in MAY_BE_EMPTY:
                self._fault(name, "empty; fill it on every line or remove the column")
        split = cells.get("split", "").lower()
        if split not in ("train", "test", ""):
            self._fault("split", f"'{split}'; it is train or test (data.val_fraction cuts val)")
        media = self._path("video")
        return Clip(
            video_id=_without_suffix(media),
            action=cells.get("action", ONE_ACTION),
            score=self._number("score", cells["score"], float),
            split=split,
            difficulty=self._number("difficulty", cells["difficulty"], float, 1e-9)
            if cells.get("difficulty")
            else None,
            judge_scores=tuple(self._number("judges", word, float) for word in cells.get("judges", "").split()),
            first_frame=self._frame("first_frame"),
            last_frame=self._frame("last_frame"),
            media=media,
            group=cells.get("group", media),
            box_file=self._path("boxes"),
            place=self.row.place,
        )

    def _fault(self, column: str, problem: str) -> None:
        self.faults.append(f"{self.row.place}, column '{column}': {one_line(problem)}")

    def _frame(self, column: str) -> int | None:
        cell = self.row.cells.get(column)
        return self._number(column, cell, int, 1) if cell else None

    def _number(self, column: str, word: str, kind: type[int] | type[float], least: float = -math.inf) -> Any:
        if not word:
            return math.nan  # said already
        try:
            value = kind(word.replace(",", ".") if self.decimal_comma else word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < least:
            expected = "a whole number" if kind is int else "a number with a decimal point"
            above = "" if least == -math.inf else " above 0"
            self._fault(column, f"'{word}' is not {expected}{above}")
            return None if kind is int else math.nan
        return value

    def _path(self, column: str) -> str:
        """The path of a cell from the root on, without the detours in it; refused where it leads out of the root."""
        written = self.row.cells.get(column, "")
        if len(written) > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in Path(written).parts):
            self._fault(column, f"{written}: longer than the name of any file")
            return ""
        whole = Path(os.path.normpath(self.root / written))
        if written and not whole.is_relative_to(self.root):
            if not self.outside_root:
                self._fault(column, f"{written} leads out of {self.root}; move it there or say data.outside_root=true")
            return str(whole) if os.path.isabs(written) else os.path.relpath(whole, self.root)
        return str(whole.relative_to(self.root)) if written else ""


def _without_suffix(video: str) -> str:
    path = Path(video)
    return str(path.with_suffix("") if path.suffix.lower() in VIDEO_SUFFIXES else path)


def _table_faults(clips: list[Clip]) -> Iterator[str]:
    """What is wrong with lines beside others."""
    ids: dict[str, Clip] = {}
    for clip in clips:
        twin = ids.setdefault(clip.video_id, clip)
        if twin is not clip and clip.media:
            yield f"{clip.place}, column 'video': {clip.media} is listed before, on {twin.place}"
        if len(clip.judge_scores) != len(clips[0].judge_scores):
            yield (
                f"{clip.place}, column 'judges': {len(clip.judge_scores)} numbers, but the first video has "
                f"{len(clips[0].judge_scores)}; as many on every line are needed"
            )
        if clip.last_frame is not None and clip.last_frame < (clip.first_frame or 1):
            yield f"{clip.place}, column 'last_frame': {clip.last_frame} lies before the first frame"


def cut_test(clips: Sequence[Clip], test_fraction: float, seed: int) -> list[Clip]:
    """The clips with `split` set, every group as a whole on one side; the rule is at the head of `swapaqa.data.videos`.

    Raises:
        InputError: there are fewer than two groups.
    """
    sizes = Counter(clip.group for clip in clips)
    if len(sizes) < 2:
        raise InputError(f"{clips[0].place}: all videos are of one group, so no test can be cut; add a column 'split'")
    names = sorted(sizes)
    order = torch.randperm(len(names), generator=keyed_generator(seed, "split")).tolist()
    wanted, test = test_fraction * len(clips), set[str]()
    taken = 0
    for name in (names[i] for i in order):
        closer = abs(taken + sizes[name] - wanted) < abs(taken - wanted)
        if (closer or not test) and len(test) < len(names) - 1:
            test.add(name)
            taken += sizes[name]
    return [replace(clip, split="test" if clip.group in test else "train") for clip in clips]
