"""Which contents of box files were written by this package, and by what: `boxes_ledger.csv` beside them.

It tells a tracker's file from one that a person drew, corrected or accepted; and it holds a digest of whatever was
written here last, so that a file that another program or a fault changed is noticed.
"""

import csv
import hashlib
import io
import logging
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from swapaqa.boxes.tracker import DETECTOR, WEIGHTS
from swapaqa.command import spelled
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_bytes
from swapaqa.files.spreadsheet import guarded, unguarded
from swapaqa.files.whole_file import names

log = logging.getLogger(__name__)

LEDGER = "boxes_ledger.csv"
ACCEPTED = "accepted"
State = Literal["none", "tracker", "hand", "accepted"]
Entries = dict[str, dict[str, str]]  # by file, relative to the ledger's folder, and digest: who wrote it
UP = 5  # folders above a box file in which its ledger is looked for


def content_digest(path: Path) -> str | None:
    """SHA-256 of a file, None where there is none."""
    return hashlib.sha256(read_bytes(path)).hexdigest() if path.is_file() else None


def read_ledger(path: Path) -> Entries:
    """What a ledger holds, nothing where there is none. InputError for a file that is no table."""
    found: Entries = {}
    if path.exists():
        text = read_bytes(path).decode(errors="replace")
        try:
            for row in csv.reader(io.StringIO(text, newline="")):
                if len(row) == len(Entry._fields):
                    found.setdefault(unguarded(row[0]), {})[row[1]] = row[2]
        except csv.Error as error:
            raise InputError(f"{path}: is damaged ({error}); delete it: it only tells who wrote which boxes") from error
    return found


@lru_cache(maxsize=8)
def _read_once(path: Path, changed: int) -> Entries:  # noqa: ARG001  a ledger that changed is read again
    return read_ledger(path)


def is_changed(path: Path) -> bool:
    """Whether this package wrote the file, and what it holds now was not written by it."""
    for folder in list(path.parents)[:UP]:
        for ledger in (folder / LEDGER, folder / "boxes" / LEDGER):
            if ledger.is_file():
                known = _read_once(ledger, ledger.stat().st_mtime_ns).get(os.path.relpath(path, ledger.parent), {})
                digest = content_digest(path) if known else None
                return digest is not None and digest not in known
    return False


def warn_of_changed(paths: Iterable[Path]) -> None:
    """One warning that names the files that `is_changed`: a correction in an editor, or damage."""
    changed = [path for path in dict.fromkeys(paths) if is_changed(path)]
    if changed:
        log.warning(
            "%d box files are not as this program wrote them: %s%s; if nobody corrected them, they are damaged: look "
            "at them with `%s` and accept them",
            len(changed), ", ".join(map(str, changed[:3])), " ..." if len(changed) > 3 else "", spelled("boxes draw"),
        )  # fmt: skip


class Entry(NamedTuple):
    """A line of the ledger."""

    file: str  # relative to the ledger's folder
    digest: str
    by: str  # a tracker's name, `hand`, `import`, or `accepted`


class Ledger:
    """What was written in a folder, and by whom. Lines are only ever added, so several programs may."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LEDGER
        self.entries = read_ledger(self.path)

    def add(self, path: Path, digest: str, by: str) -> None:
        """Remember that the content `digest` of `path` is `by`."""
        entry = Entry(os.path.relpath(path, self.folder), digest, by)
        self.entries.setdefault(entry.file, {})[digest] = by
        self.folder.mkdir(parents=True, exist_ok=True)
        with names(self.path), open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(entry._replace(file=guarded(entry.file)))

    def note(self, path: Path, digest: str, by: str) -> None:
        """As `add`, but what is known of this content stays: an undo brings back what was a tracker's or accepted."""
        if digest not in self.entries.get(os.path.relpath(path, self.folder), {}):
            self.add(path, digest, by)

    def state(self, path: Path) -> State:
        """What is known of the file as it is now."""
        digest = content_digest(path)
        if digest is None:
            return "none"
        by = self.entries.get(os.path.relpath(path, self.folder), {}).get(digest)
        return "accepted" if by == ACCEPTED else "tracker" if by in (*WEIGHTS, DETECTOR) else "hand"
