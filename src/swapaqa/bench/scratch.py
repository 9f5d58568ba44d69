"""A place for the files of a benchmark."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swapaqa.running.environment import set_for_a_while


@contextmanager
def cache_of_its_own() -> Iterator[Path]:
    """A folder that is gone afterwards, with the cache of frames in it instead of the user's."""
    with tempfile.TemporaryDirectory() as room, set_for_a_while({"SWAPAQA_CACHE": f"{room}/cache"}):
        yield Path(room)
