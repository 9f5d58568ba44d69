"""Disks that are full or cannot be written, as one line that names the place and the way out."""

import errno
import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swapaqa.errors import InputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NO_PLACE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.EIO,
    errno.ESTALE,
)  # fmt: skip
OUTPUT, STANDARD_OUTPUT = 1, "the standard output"


@contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Turn "no space left" into one line with the way out. `path`: what a run writes to where no file is named."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise InputError(
            f"{place_of(error, path)}: no space left on the disk; what was written before is intact: free some space "
            "and give the same command with resume=true"
        ) from error


def place_of(error: OSError, otherwise: object) -> str:
    """Which place an error of the disk is about: the file that it names, the standard output, or `otherwise`.

    What we write ourselves is named (`swapaqa.files.whole_file`); of a library's write its open file is looked for.
    """
    named = error.filename if error.filename is not None else written_file(error)
    if named is not None:
        return str(named)
    return STANDARD_OUTPUT if output_is_lost() else str(otherwise)


def output_is_lost() -> bool:
    """Whether nothing can be written to the standard output; then it is the null device from now on.

    Python writes there at its end what is left, and would fail once more.
    """
    try:
        os.write(OUTPUT, b"\n")  # one byte, as none is written anywhere
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), OUTPUT)
        return True
    return False


def written_file(error: BaseException) -> str | None:
    """The file that the innermost function with one of its own was writing to when it failed; None if none had."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        for value in frame.f_locals.values():
            written = isinstance(value, io.IOBase) and set("wax+") & set(str(getattr(value, "mode", "")))
            if written and isinstance(name := getattr(value, "name", None), str) and value is not sys.stdout:
                return name
    return None
