"""Names in CSV files, so that a spreadsheet takes none of them for a formula.

A spreadsheet computes a cell that begins with one of `FORMULA` or `SIGNS`, and such a formula can start programs. An
apostrophe in front keeps it text; whoever reads our files back takes it off again.
"""

import re
from unicodedata import category

SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # also as wide as Chinese and Japanese programs take them
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
CELL = re.compile(r"([,;\t]\s*)([^,;\t]+)")


def guarded(text: str) -> str:
    """The text for a cell: with an apostrophe where it would be a formula. A number stays one."""
    seen = text.lstrip(" '").startswith(FORMULA) or _without_unseen(text).startswith(SIGNS)
    return f"'{text}" if seen and not _is_number(text) else text


def unguarded(cell: str) -> str:
    """What `guarded` was given."""
    return cell[1:] if cell.startswith("'") and guarded(cell[1:]) == cell else cell


def guarded_comment(text: str) -> str:
    """A line behind #, of which a spreadsheet makes cells, too: guarded behind every separator."""
    return CELL.sub(lambda found: found[1] + guarded(found[2]), text)


def _without_unseen(text: str) -> str:
    """The text from the first sign on that takes ink: spreadsheets pass over blanks, marks and controls."""
    first = next((i for i, sign in enumerate(text) if sign != "'" and category(sign)[0] not in "CZ"), len(text))
    return text[first:]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
