"""Annotation pickles of diving data sets: where they lie, and what any of them has to hold."""

import math
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swapaqa.data.records import Record
from swapaqa.data.unpickler import load_pickle
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import shown

LAST_NUMBER = 999_999  # of a competition or a dive; the greatest in circulation is 192


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


def read_dives(path: Path, data_set: str) -> Mapping[Any, Any]:
    """The dictionary of dives in a file, values as the file has them. InputError where it holds none."""
    annotations = load_pickle(path)
    if not isinstance(annotations, dict) or not annotations:
        raise InputError(f"{path}: holds no dictionary of dives; it is not an annotation file of {data_set}")
    return annotations


def read_keys(path: Path, kind: str, data_set: str) -> Sequence[Any]:
    """The list of keys in a split's file, each a `kind`. InputError where it holds none."""
    keys = load_pickle(path)
    if not isinstance(keys, list | tuple) or not keys:
        raise InputError(f"{path}: holds no list of {kind}; it is not a split of {data_set}")
    return keys


def whole_number(of_a_file: Any) -> int:
    """A number of a competition or dive, which names files. ValueError or TypeError where it is none."""
    number = operator.index(of_a_file)
    if not 0 <= number <= LAST_NUMBER:
        raise ValueError("no number of a competition or dive")
    return number


def check_points(path: Path, key: Any, score: float, difficulty: float, highest: float) -> None:
    """Raise InputError for a score or a difficulty that no dive has."""
    if not (0 <= score <= highest and 0 < difficulty < math.inf):  # a NaN fails as well
        raise InputError(
            f"{path}: record {shown(key)} has score {score} and difficulty {difficulty}; expected are points from 0 to "
            f"{highest} and a difficulty above 0; correct the file"
        )


def check_once(path: Path, records: Sequence[Record], kind: str = "dive") -> None:
    """Raise InputError for a video, a `kind`, that a split names again."""
    twice = next((name for name, times in Counter(record.video_id for record in records).items() if times > 1), None)
    if twice is not None:
        raise InputError(f"{path}: names {kind} {twice} more than once; once is right")
