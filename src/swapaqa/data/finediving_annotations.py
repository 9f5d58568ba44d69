"""FineDiving's annotations as records: pickles of lists or of named fields, splits, frames within sessions, events.

What the files are is said in the head of `swapaqa.data.finediving`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from swapaqa.command import spelled
from swapaqa.data.annotation_files import (
    check_once,
    check_points,
    find_annotation,
    read_dives,
    read_keys,
    whole_number,
)
from swapaqa.data.dive_numbers import dive_attributes
from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import shown

ACTION = "diving"
FOLDERS = ("Annotations", "")
ANNOTATIONS = (  # best first; the first has lists, the second the same by name
    "fine-grained_annotation_aqa.pkl",
    "fine-grained_annotation_for_aqa.pkl",
    "FineDiving_fine-grained_annotation.pkl",
)
FIELDS = ("action_type", "dive_score", "difficulty", "frames_labels")
COARSE = "FineDiving_coarse_annotation.pkl"
SESSION = re.compile(r"[A-Za-z0-9][\w-]{0,120}")
LAST_FRAME = 99_999_999  # of a session's video
MOST_STEPS = 5
MAX_SCORE = 114.8
LAYOUT = (
    "FineDiving is looked for in the folder that FINEDIVING_ROOT or data.root= names; expected there: "
    "Annotations/fine-grained_annotation_aqa.pkl, Annotations/{train,test}_split.pkl, and the frames as "
    "FineDiving/<session>/<dive>/00001.jpg. It is distributed by its authors at github.com/xujinglin/FineDiving. To "
    f"see the project work without it: {spelled('train')}"
)

Dives = Mapping[Any, Any]  # by session and dive; values as the files have them


@dataclass(frozen=True, kw_only=True)
class Dive(Record):
    """A record of FineDiving.

    Attributes:
        session, dive: its key; `dive_number` is that of World Aquatics ("5253B").
        steps: where each step after the first begins, as shares of the dive's frames.
        sub_actions: the number of every step's kind, in the order of the steps; see FineDiving's own table.
        stages: where jump, flight, entry and what follows begin, see `swapaqa.data.dive_stages`.
    """

    session: str
    dive: int
    dive_number: str
    steps: tuple[float, ...]
    sub_actions: tuple[int, ...]
    stages: tuple[float, ...]


class Coarse(NamedTuple):
    """The coarse annotation: where each dive lies in its session."""

    path: Path
    dives: Dives


@cache
def sessions() -> Mapping[str, tuple[str, str]]:
    """Competition and venue by session, of the table beside this file."""
    table = yaml.safe_load(files("swapaqa.data").joinpath("finediving_sessions.yaml").read_text(encoding="utf-8"))
    return {
        session: (competition, venue)
        for venue, competitions in table.items()
        for competition, names in competitions.items()
        for session in names
    }


def read_records(root: str | Path, split: str) -> list[Dive]:
    """The records of the published split `train` or `test`, in the order of its file; `video_id` is like "01_001".

    `first_frame` and `last_frame` are those of the coarse annotation, None where that file is not there.

    Args:
        root: the folder that holds `Annotations`, or the files themselves.

    Raises:
        InputError: a file is missing or no such pickle, a dive of the split is not annotated or is there twice, a score
            out of range, a dive that ends before it begins.
    """
    path = find_annotation(Path(root), FOLDERS, ANNOTATIONS, LAYOUT)
    keys_path = find_annotation(Path(root), FOLDERS, (f"{split}_split.pkl",), LAYOUT)
    annotations, keys = read_dives(path, "FineDiving"), read_keys(keys_path, "(session, dive)", "FineDiving")
    coarse = _coarse(Path(root))
    dives = [_record(path, annotations, keys_path, key, split, coarse) for key in keys]
    check_once(keys_path, dives)
    return dives


def _coarse(root: Path) -> Coarse | None:
    try:
        path = find_annotation(root, FOLDERS, (COARSE,), LAYOUT)
    except InputError:  # it is needed for whole sessions alone
        return None
    return Coarse(path, read_dives(path, "FineDiving"))


def _record(path: Path, annotations: Dives, keys_path: Path, key: Any, split: str, coarse: Coarse | None) -> Dive:
    try:
        session, dive = _session(key[0]), whole_number(key[1])
        number, score, difficulty, labels = _fields(annotations[key])
        dive_attributes(number)  # refuses what has not its parts
        runs = [(label, len(list(frames))) for label, frames in groupby(labels)]
        if not 1 <= len(runs) <= MOST_STEPS:
            raise ValueError(f"the labels of its frames are of {len(runs)} steps")
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"{keys_path}: record {shown(key)} is not annotated as expected in {path} ({shown(error)}); "
            "take both files from one release"
        ) from None
    check_points(path, key, score, difficulty, MAX_SCORE)
    first, last = (None, None) if coarse is None else _frames_in_session(coarse, key)
    beginnings = list(accumulate(length for _, length in runs[:-1]))
    flight, entry = (beginnings[at] / (len(labels) - 1) if beginnings else 1.0 for at in (0, -1))
    return Dive(
        video_id=f"{session}_{dive:03d}",
        action=ACTION,
        score=score,
        split=split,
        difficulty=difficulty,
        first_frame=first,
        last_frame=last,
        session=session,
        dive=dive,
        dive_number=number,
        steps=tuple(begin / len(labels) for begin in beginnings),
        stages=(0.0, flight, entry, 1.0),
        sub_actions=tuple(label for label, _ in runs),
    )


def _session(name: Any) -> str:
    """A session's name, which names a folder."""
    if not isinstance(name, str) or not SESSION.fullmatch(name):
        raise ValueError("no name of a session")
    return name


def _fields(found: Any) -> tuple[str, float, float, list[int]]:
    """Dive number, score, difficulty and the labels of the frames, from either kind of file."""
    if isinstance(found, Mapping):
        number, score, difficulty, labels = (found[name] for name in FIELDS)
    else:
        number, score, difficulty, _, labels = found
    return str(number).upper(), float(score), float(difficulty), [int(label) for label in labels]


def _frames_in_session(coarse: Coarse, key: Any) -> tuple[int, int]:
    try:
        first, last = (int(coarse.dives[key][name]) for name in ("start_frame", "end_frame"))
        if not 0 <= first <= last <= LAST_FRAME:
            raise ValueError(f"from frame {first} to {last}")
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"{coarse.path}: record {shown(key)} is not annotated as expected ({shown(error)}); take all files from "
            "one release"
        ) from None
    return first, last
