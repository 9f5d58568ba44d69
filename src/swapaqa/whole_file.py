"""Files that are there as a whole or not at all, whatever happens while they are written.

What a program writes goes through here, so that a full disk takes nothing that was there before, and its error names
the file: in that of a write to an open file the system names none.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(path: Path, content: bytes | memoryview | str) -> None:
    """Write a file so that under its name there is either the old content or all of the new. Text becomes UTF-8."""
    with whole(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole(path: Path, suffix: str = "") -> Iterator[Path]:
    """A name beside `path` to write to: what lies there takes the place of `path` when the block ends well.

    `suffix`: of that name, for a library that goes by it.
    """
    unfinished = path.with_name(f"{path.name}.unfinished{suffix}")
    try:
        with names(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield unfinished
            _to_disk(unfinished)
            os.replace(unfinished, path)
    finally:
        with suppress(OSError):  # there is none, or nothing can be removed either
            unfinished.unlink()


@contextmanager
def names(path: Path) -> Iterator[None]:
    """Have an error of the system that names no file name `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
