"""Lists of scores as text files of the published data sets have them: a line a video, cells between blanks or tabs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from swapaqa.data.table import decoded
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import shown


class Line(NamedTuple):
    """`place` names file and line for messages."""

    place: str
    cells: list[str]


def read_lines(path: Path, columns: Sequence[str], names_needed: bool) -> list[Line]:
    """The lines of a list but for that of its column names, and empty ones; in UTF-8, UTF-16 or cp1252.

    Args:
        path: of the file.
        columns: their names, in any case.
        names_needed: whether the list begins with them; else it may.

    Raises:
        InputError: no regular file, no text, no line of a video, a line with another number of cells, other columns.
    """
    text, _ = decoded(path)
    lines = [Line(f"{path}, line {number}", line.split()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [line for line in lines if line.cells]
    first = [cell.lower() for cell in lines[0].cells] if lines else []
    if first == [name.lower() for name in columns]:
        lines = lines[1:]
    elif names_needed:
        raise InputError(f"{path}: begins with {shown(first)}, and the columns are {', '.join(columns)}")
    if not lines:
        raise InputError(f"{path}: has no line of a video; columns are {', '.join(columns)}")
    for line in lines:
        if len(line.cells) != len(columns):
            raise InputError(f"{line.place}: {len(line.cells)} cells, and {', '.join(columns)} are expected")
    return lines


def points(place: str, name: str, text: str, highest: float) -> float:
    """The score in a cell. InputError where it is none from 0 to `highest`, as in another scale."""
    try:
        score = float(text)
    except ValueError:
        raise InputError(f"{place}: {name} is {shown(text)} and no number; write it with a decimal point") from None
    return in_range(place, name, score, highest)


def in_range(place: str, name: str, score: float, highest: float) -> float:
    """The score. InputError where it is not from 0 to `highest`; a NaN is not."""
    if not 0 <= score <= highest:
        raise InputError(f"{place}: {name} is {score:g}; expected are points from 0 to {highest:g}; correct the file")
    return score


def first_of(root: Path, folders: Sequence[str], names: Sequence[str], layout: str) -> Path:
    """The first file of `names`, best first, in one of `folders` of `root`. InputError, which ends in `layout`."""
    for name in names:
        for folder in folders:
            if (path := root / folder / name).is_file():
                return path
    raise InputError(f"{root / folders[0] / names[0]}: no such file. {layout}")
