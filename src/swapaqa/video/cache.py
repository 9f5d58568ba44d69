"""Where files that can be made again are kept: never in a data set's folder, never in the repository."""

import os
from pathlib import Path

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import reason


def cache_root() -> Path:
    """`SWAPAQA_CACHE`, else the user's cache folder (`XDG_CACHE_HOME` or `~/.cache`) with `swapaqa` in it."""
    own = os.environ.get("SWAPAQA_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "swapaqa"


def in_home(folder: Path) -> bool:
    """Whether a folder of the cache lies in the user's home, often under a quota, as nobody named another."""
    return not os.environ.get("SWAPAQA_CACHE") and folder.is_relative_to(Path.home())


def make_folder(folder: Path) -> None:
    """Make a folder of the cache. InputError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made ({reason(error)}); name a folder of your own with SWAPAQA_CACHE"
        ) from error
