"""A table as plain data: what its cells are and how they read as text. Rendering is in `render`."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from swapaqa.measures.record import Description
from swapaqa.report.published import PublishedRow
from swapaqa.runs.runs_table import Estimate
from swapaqa.statistics import Interval

FEWER_SEEDS = "*"
AS_PRINTED = "as printed"  # the protocol of published rows


class Value(NamedTuple):
    """A number. `mean`: NaN where undefined; `deviation`: over seeds, None for one; `mark`: of a note, or empty.

    `interval`: over the test videos, where the number is of one seed and its result has one.
    """

    mean: float
    deviation: float | None
    decimals: int
    mark: str = ""
    interval: Interval | None = None


Cell = Value | str | None  # None: missing


class Table(NamedTuple):
    """One table.

    Attributes:
        key: of files and anchors.
        rows: a cell a column.
        notes: what is missing and why, misprints; the marks of cells stand first.
        higher_is_better: of the columns of a metric, by their heading; for bold and underlined numbers.
        citations: keys for LaTeX by the first cell of a row.
    """

    key: str
    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]
    higher_is_better: Mapping[str, bool] = {}
    citations: Mapping[str, str] = {}

    @property
    def frame(self) -> pd.DataFrame:
        """The cells as they are."""
        return pd.DataFrame([list(row) for row in self.rows], columns=list(self.columns), dtype=object)


def cell_text(cell: Cell) -> str:
    """`0.8870 ± 0.0012` over seeds, `0.8870 [0.86, 0.91]` of one seed, `-` where missing, `undefined` for NaN."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if math.isnan(cell.mean):
        return "undefined" + cell.mark
    ends = "" if cell.interval is None else f" [{cell.interval[0]:z.2f}, {cell.interval[1]:z.2f}]"
    return number_text(cell) + ends + cell.mark


def number_text(cell: Value) -> str:
    """`0.8870 ± 0.0012`."""
    number = f"{cell.mean:z.{cell.decimals}f}"  # z: 0.00, not -0.00
    return number + ("" if cell.deviation is None else f" ± {cell.deviation:.{cell.decimals}f}")


def estimate_cell(found: Estimate | None, metric: Description, partial: bool) -> Cell:
    """A cell of our own runs, marked where seeds are missing."""
    if found is None:
        return None
    return Value(found.mean, found.deviation, metric.decimals, FEWER_SEEDS if partial else "", found.interval)


def published_cells(
    row: PublishedRow, columns: Sequence[str], metrics: Sequence[Description], marks: "Marks"
) -> tuple[Cell, ...]:
    """Printed numbers with as many decimals as the metric has, misprints marked. `metrics`: of each column."""
    return tuple(
        Value(value, None, metric.decimals, marks.add(row.notes.get(column)))
        for value, column, metric in zip(row.values, columns, metrics, strict=True)
    )


class Marks:
    """Letters for the notes of one table: a, b, ..., one a text."""

    def __init__(self) -> None:
        self._notes: dict[str, str] = {}

    def add(self, note: str | None) -> str:
        """The mark of a note, ` [a]`; empty for None."""
        if note is None:
            return ""
        letter = self._notes.setdefault(note, chr(ord("a") + len(self._notes)))
        return f" [{letter}]"

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(f"[{letter}] {note}" for note, letter in self._notes.items())


def cell_notes(rows: Sequence[Sequence[Cell]]) -> tuple[str, ...]:
    """What the signs in the cells of a table mean."""
    cells = [cell for row in rows for cell in row]
    values = [cell for cell in cells if isinstance(cell, Value)]
    signs: Mapping[str, bool] = {
        '"[low, high]": 95 % interval over the test videos (BCa bootstrap), of one seed': any(
            value.interval is not None for value in values
        ),
        f'"{FEWER_SEEDS}": over fewer seeds than planned': any(value.mark == FEWER_SEEDS for value in values),
        '"undefined": not of these predictions, as of constant ones, or a gain over a value that is not positive': any(
            math.isnan(value.mean) for value in values
        ),
        '"-": missing; no finished run, no epoch that the protocol could choose, or a metric not asked for': None
        in cells,
    }
    return tuple(words for words, used in signs.items() if used)
