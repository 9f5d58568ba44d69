"""Numbers and columns of annotation files in text, as programs and spreadsheets spell them."""

import re

LONGEST = 2000  # characters of a line; a box has a tenth of it


def split_cells(line: str) -> list[str]:
    """The columns of a line, by commas or tabs if it has any, else by blanks; one if it is longer than any box."""
    if len(line) > LONGEST:  # it would be split for minutes
        return [line]
    return re.split(r"\s*[,\t]\s*" if "," in line or "\t" in line.strip() else r"\s+", line.strip())


def number(text: str) -> float:
    """ValueError for anything but a decimal number: Python alone would also take 1_000."""
    if "_" in text:
        raise ValueError(text)
    return float(text)


def whole_number(text: str) -> int:
    """A whole number in any spelling: 7, 7.0, 7e0. ValueError for others."""
    value = number(text)
    if not value.is_integer():  # of infinity and NaN too
        raise ValueError(text)
    return int(value)


def is_number(text: str) -> bool:
    """Whether `number` reads it."""
    try:
        number(text)
    except ValueError:
        return False
    return True


def are_parallelograms(rows: list[list[float]]) -> bool:
    """Whether 8 numbers a row are the corners of rectangles, turned or not: both diagonals have one middle."""
    return all(abs(a + e - c - g) <= 2 and abs(b + f - d - h) <= 2 for a, b, c, d, e, f, g, h in rows)
