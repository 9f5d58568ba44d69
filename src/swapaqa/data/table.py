"""A table that a user made, as text editors and spreadsheets save it: CSV in its many forms, read as cells of text.

Encodings: UTF-8 with or without a byte order mark, UTF-16, and cp1252 for what is neither. Separators: comma, semicolon
or tab, whichever the line of column names has most of, or the one that a first line `sep=;` names. Lines and columns
without anything in them, as spreadsheets add them, are left out. What is not plain UTF-8 with commas and decimal points
is an assumption, and `Table.assumed` says it.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import MIB, kind_of, read_bytes

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
LARGEST = 64 * MIB
MOST_CELLS = 1000  # of a line, which has eight
SEPARATOR_LINE = re.compile(r"\s*sep=(.)\s*", re.IGNORECASE)  # as Excel writes and reads it
WITH_COMMA, WITH_POINT = (re.compile(rf"[+-]?\d*{mark}\d+(e[+-]?\d+)?", re.IGNORECASE) for mark in (",", r"\."))
LIKE_THOUSANDS = re.compile(r"[+-]?\d{1,3},\d{3}")


@dataclass(frozen=True)
class Row:
    """`place` names file and line for messages; `cells` has a text for every column."""

    place: str
    cells: dict[str, str]


@dataclass(frozen=True)
class Table:
    """Columns in lower case, the rows that have anything in them, and what is wrong with single rows."""

    columns: list[str]
    rows: list[Row]
    faults: list[str]
    separator: str
    encoding: str

    def assumed(self, decimal_comma: bool) -> str:
        """What was assumed about the file, in words; empty where nothing had to be."""
        parts = [] if self.encoding == "UTF-8" else [self.encoding]
        parts += [] if self.separator == "," else [f"{SEPARATORS[self.separator]} between the cells"]
        return ", ".join(parts + (["decimal commas"] if decimal_comma else []))


def read_cells(path: Path) -> Table:
    """The cells of a table.

    Raises:
        InputError: no regular file or too large, not text, quotes that do not end.
    """
    text, encoding = decoded(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    named = SEPARATOR_LINE.fullmatch(first)
    separator = named[1] if named and named[1] in SEPARATORS else max(SEPARATORS, key=first.count)
    crowded = next((n for n, line in enumerate(text.splitlines(), 1) if line.count(separator) > MOST_CELLS), None)
    if crowded is not None:  # it would be split for minutes
        raise InputError(f"{path}, line {crowded}: over {MOST_CELLS} cells; it is no table of videos")
    lines = _split(path, text, separator)[1 if named else 0 :]
    if not lines:
        raise InputError(f"{path}: nothing in it; a line of column names is expected, and a line for every video")
    (_, header), *rest = lines
    columns = [name.lower() for name in header[: max(i for i, name in enumerate(header, 1) if name)]]
    rows, faults = [], []
    for number, cells in rest:
        place = f"{path}, line {number}"
        if separator != ",":  # spreadsheets leave empty cells at the end out; with commas, one could be a decimal's
            cells = cells + [""] * (len(columns) - len(cells))
        if len(columns) <= len(cells) <= len(header) and not any(cells[len(columns) :]):
            rows.append(Row(place, dict(zip(columns, cells, strict=False))))
        else:
            faults.append(
                f"{place}: {len(cells)} cells for {len(columns)} columns; quote texts that contain a separator, and "
                "write numbers with a decimal point"
            )
    return Table(columns, rows, faults, separator, encoding)


def _split(path: Path, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """The cells of every line that has any, with its number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}: {error}; a quote inside of a quoted cell is written twice"
        ) from error
    return [(number, cells) for number, cells in lines if any(cells)]


def decoded(path: Path) -> tuple[str, str]:
    """The text of a file and the name of its encoding."""
    content = read_bytes(path, LARGEST)
    kind = kind_of(content)
    if content and kind is not None:
        raise InputError(f"{path}: is no table but {kind}; save the table as CSV")
    for name, codec in _candidates(content):
        try:
            text = content.decode(codec)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, name
    raise InputError(f"{path}: not a readable text file; save the table as CSV in UTF-8")


def _candidates(content: bytes) -> list[tuple[str, str]]:
    """Encodings that the bytes may be in, best first: name for people, name for Python."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return [("UTF-16", "utf-16")]
    start = content[:2000]
    if start[1::2].count(0) > len(start) // 4:
        return [("UTF-16", "utf-16-le")]
    if start[::2].count(0) > len(start) // 4:
        return [("UTF-16", "utf-16-be")]
    return [("UTF-8", "utf-8-sig"), ("cp1252 (Western European)", "cp1252")]


def has_decimal_commas(table: Table, columns: Iterable[str]) -> bool:
    """Whether the numbers in `columns` have decimal commas; a cell may hold several, separated by blanks.

    Commas separate cells and decimals in one file where a spreadsheet quotes such numbers: LibreOffice in German.

    Raises:
        InputError: numbers with commas and with points, or a comma in front of three digits in a table with commas
            between the cells, as countries that write 1,234.5 save it: either could be meant.
    """
    comma, point, thousands = (_first(table, list(columns), kind) for kind in (WITH_COMMA, WITH_POINT, LIKE_THOUSANDS))
    if comma is None:
        return False
    if table.separator == "," and thousands is not None:
        raise InputError(
            f"{thousands}: thousands or decimals, and commas separate the cells of this table; write numbers with a "
            "decimal point and without a mark of thousands"
        )
    if point is not None:
        raise InputError(f"{comma}: has a comma, but {point} a point; write all numbers of a table in one way")
    return True


def _first(table: Table, columns: Sequence[str], kind: re.Pattern[str]) -> str | None:
    """Where the first number of a kind stands, and the number."""
    for row in table.rows:
        for column in columns:
            for word in row.cells.get(column, "").split():
                if kind.fullmatch(word):
                    return f"{row.place}, column '{column}': '{word}'"
    return None
