"""Where a data set's annotation files lie: its releases differ in folders and names."""

from collections.abc import Sequence
from pathlib import Path

from swapaqa.errors import InputError


def find_annotation(root: Path, folders: Sequence[str], names: Sequence[str], layout: str) -> Path:
    """The first file of `names`, best first, in one of `folders` of `root`, with or without its suffix `.pkl`.

    Raises:
        InputError: there is none; it ends in `layout`.
    """
    for name in names:
        for folder in folders:
            for path in (root / folder / name, root / folder / name.removesuffix(".pkl")):
                if path.is_file():
                    return path
    raise InputError(f"{root / folders[0] / names[0]}: no such file. {layout}")
