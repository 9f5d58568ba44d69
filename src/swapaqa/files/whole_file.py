"""Atomic writes: a file is there as a whole or not at all, whatever happens while it is written.

What a program writes goes through here, so that a full disk takes nothing that was there before, and its error names
the file: in that of a write to an open file the system names none.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

UNFINISHED = ".unfinished"  # in the names of files that are being written, or were when their writer was killed


def write_whole(path: Path, content: bytes | memoryview | str) -> None:
    """Write a file so that under its name there is either the old content or all of the new. Text becomes UTF-8.

    Several processes may write it at once: one of their contents is there afterwards.
    """
    with whole(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole(path: Path, suffix: str = "") -> Iterator[Path]:
    """A name beside `path` to write to: what lies there takes the place of `path` when the block ends well.

    `suffix`: of that name, for a library that goes by it.
    """
    unfinished = path.with_name(f"{path.name}.{uuid4().hex[:8]}{UNFINISHED}{suffix}")  # of this writer alone
    try:
        with names(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield unfinished
            _to_disk(unfinished)
            os.replace(unfinished, path)
    finally:
        with suppress(OSError):  # there is none, or nothing can be removed either
            unfinished.unlink()


def remove_unfinished(folder: Path) -> None:
    """Take away what killed processes left in a folder in which no other process writes now."""
    for left in folder.glob(f"*{UNFINISHED}*"):
        left.unlink(missing_ok=True)


@contextmanager
def names(path: Path) -> Iterator[None]:
    """Have an error of the system that names no file name `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def with_digest(content: bytes) -> bytes:
    """The content of a file that only this package reads, behind its SHA-256."""
    return hashlib.sha256(content).digest() + content


def without_digest(written: bytes) -> bytes:
    """What `with_digest` was given. ValueError for anything that it did not give."""
    length = hashlib.sha256().digest_size
    digest, content = written[:length], written[length:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("not as it was written")
    return content


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
