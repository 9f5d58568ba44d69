"""Where files that can be made again are kept: never in a data set's folder, never in the repository."""

import os
from pathlib import Path


def cache_root() -> Path:
    """`SWAPAQA_CACHE`, else the user's cache folder (`XDG_CACHE_HOME` or `~/.cache`) with `swapaqa` in it."""
    own = os.environ.get("SWAPAQA_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "swapaqa"
