"""DarkLabel files as this package writes them: rows of `frame,id,x,y,w,h,label`, in one step, never over unread text.

The label says who made a row: `hand`, or the name of a tracker. The loader does not look at it.

Beside the files a ledger (`boxes_ledger.csv`) remembers the content that a tracker wrote or a person accepted. A file
with any other content was drawn or corrected by hand.
"""

import csv
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkstemp
from typing import Literal, NamedTuple

from swapaqa.data.box_tracks import BoxRow
from swapaqa.data.darklabel import parse_darklabel
from swapaqa.data.darklabel_format import KEYFRAMES
from swapaqa.data.tracker import WEIGHTS
from swapaqa.spreadsheet import guarded, unguarded

LEDGER = "boxes_ledger.csv"
HAND = "hand"
TRACKERS = tuple(WEIGHTS)  # labels of rows that nobody has drawn
State = Literal["none", "tracker", "hand", "accepted"]


class FileChangedError(Exception):
    """The file on the disk is not the one that was read before."""


def read_rows(path: Path) -> list[BoxRow]:
    """The rows of a file, none where there is no file. InputError for a file in another format."""
    return parse_darklabel(path, KEYFRAMES, None).rows if path.is_file() else []


def format_row(frame: int, object_id: str, box: Iterable[float], label: str) -> str:
    """One line. `box` x1 y1 x2 y2 in inclusive pixels; rounded to a hundredth of a pixel, x2 = x1 + w - 1."""
    x1, y1, x2, y2 = box
    values = (x1, y1, x2 - x1 + 1, y2 - y1 + 1)
    word = " ".join(label.replace(",", " ").replace('"', " ").split())
    return f"{frame},{object_id},{','.join(f'{round(float(value), 2) + 0.0:.10g}' for value in values)},{word}\n"


def content_digest(path: Path) -> str | None:
    """SHA-256 of a file, None where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def write_text(path: Path, text: str, read: str | None) -> str:
    """Write a whole file in one step and return its digest. `read`: the digest of what the writer has seen there.

    Raises:
        FileChangedError: the file is another one now, or exists and was not there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = mkstemp(prefix=".unfinished-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
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


class Entry(NamedTuple):
    """A line of the ledger."""

    file: str  # relative to the ledger's folder
    digest: str
    by: str  # a tracker's name, or `accepted`


class Ledger:
    """Which contents a tracker wrote or a person accepted. Lines are only ever added, so several programs may."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LEDGER
        self.entries: dict[tuple[str, str], str] = {}
        if self.path.is_file():
            with open(self.path, newline="", encoding="utf-8") as lines:
                for row in csv.reader(lines):
                    if len(row) == len(Entry._fields):
                        self.entries[unguarded(row[0]), row[1]] = row[2]

    def add(self, path: Path, digest: str, by: str) -> None:
        """Remember that the content `digest` of `path` is `by`."""
        entry = Entry(self._name(path), digest, by)
        self.entries[entry.file, digest] = by
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(entry._replace(file=guarded(entry.file)))

    def state(self, path: Path) -> State:
        """What is known of the file as it is now."""
        digest = content_digest(path)
        if digest is None:
            return "none"
        by = self.entries.get((self._name(path), digest))
        return "hand" if by is None else "accepted" if by == "accepted" else "tracker"

    def _name(self, path: Path) -> str:
        return os.path.relpath(path, self.folder)
