"""DarkLabel files as this package writes them: rows of `frame,id,x,y,w,h,label`, in one step, never over unread text.

The label says who made a row: `hand`, or the name of a tracker. The loader does not look at it.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkstemp

from swapaqa.boxes.darklabel import parse_darklabel
from swapaqa.boxes.darklabel_format import KEYFRAMES
from swapaqa.boxes.ledger import content_digest
from swapaqa.boxes.source import BoxRow
from swapaqa.boxes.tracker import DETECTOR, WEIGHTS
from swapaqa.boxes.tracks import OUTSIDE
from swapaqa.files.whole_file import names

HAND = "hand"
TRACKERS = (*WEIGHTS, DETECTOR, OUTSIDE)  # labels of rows that nobody has drawn


class FileChangedError(Exception):
    """The file on the disk is not the one that was read before."""


def read_rows(path: Path) -> list[BoxRow]:
    """The rows of a file, also those labelled `outside`, none where there is no file.

    Raises:
        InputError: a file in another format.
    """
    if not path.is_file():
        return []
    found = parse_darklabel(path, KEYFRAMES, None)
    return sorted([*found.rows, *found.gone], key=lambda row: row.frame) if found.gone else found.rows


def format_row(frame: int, object_id: str, box: Iterable[float], label: str) -> str:
    """One line. `box` x1 y1 x2 y2 in inclusive pixels; rounded to a hundredth of a pixel, x2 = x1 + w - 1."""
    x1, y1, x2, y2 = box
    values = (x1, y1, x2 - x1 + 1, y2 - y1 + 1)
    numbers = ",".join(f"{round(float(value), 2) + 0.0:.10g}" for value in values)
    return f"{frame},{_cell(object_id)},{numbers},{_cell(label)}\n"


def _cell(text: str) -> str:
    """A name without what ends a cell or a line."""
    return " ".join("".join(sign if sign.isprintable() and sign not in ',"' else " " for sign in text).split())


def write_text(path: Path, text: str, read: str | None) -> str:
    """Write a whole file in one step and return its digest. `read`: the digest of what the writer has seen there.

    Raises:
        FileChangedError: the file is another one now, or exists and was not there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = mkstemp(prefix=".unfinished-", dir=path.parent)
    try:
        with names(path), os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(unfinished, 0o644)  # mkstemp's files are their owner's alone
        if content_digest(path) != read:
            raise FileChangedError(path)
        if read is None:
            os.link(unfinished, path)  # fails where somebody was first
        else:
            os.replace(unfinished, path)
    except FileExistsError as error:
        raise FileChangedError(path) from error
    finally:
        Path(unfinished).unlink(missing_ok=True)
    return hashlib.sha256(text.encode()).hexdigest()
