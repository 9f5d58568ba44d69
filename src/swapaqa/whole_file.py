"""Files that are there as a whole or not at all, whatever happens while they are written."""

import hashlib
import os
from pathlib import Path
from uuid import uuid4

UNFINISHED = ".unfinished"  # how the names end of files that are being written, or were when their writer was killed


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that under its name there is either the old content or all of the new.

    Several processes may write it at once: one of their contents is there afterwards.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{uuid4().hex[:8]}{UNFINISHED}")
    try:
        with open(unfinished, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def remove_unfinished(folder: Path) -> None:
    """Take away what killed processes left in a folder in which no other process writes now."""
    for left in folder.glob(f"*{UNFINISHED}"):
        left.unlink(missing_ok=True)


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
