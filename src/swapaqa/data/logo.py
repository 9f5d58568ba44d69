"""LOGO (Zhang et al., CVPR 2023): 200 routines of artistic swimming by eight swimmers at 26 events.

Layout, as its authors' README and loader describe it:

    <root>/anno_dict.pkl                       by (event, number): kind of routine (tech, free), score, a value that the
                                               README does not explain, ends of the actions, action of every frame
    <root>/train_split3.pkl, test_split3.pkl   (event, number) of each
    <root>/LOGO/WorldChampionship2019_free_final/0/00000.jpg ...
    <features>                                 one file by key (event, number), or <event>_<number>.npy

The annotations may lie in `Annotations` or `Anno_result`, without the number of the split too.

Scores are points from 0 to 100, as GOAT's loader takes them. Exemplars are of the same kind of routine, as there.
`side["routine"]` is 1 of a technical routine, 0 of a free one. Actions and formations of the frames are not read.

An event is a folder: `data.split=by_event`, `baseline=event` and `data.exemplars_from=other_competitions` go by it.

Not seen: neither annotations nor frames were at hand, so layout, keys and types are those of README and loader, and the
tests are on files that were made by them.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from swapaqa.command import spelled
from swapaqa.data.annotation_files import check_once, find_annotation, read_dives, read_keys, whole_number
from swapaqa.data.exemplar_groups import RULES
from swapaqa.data.records import Record
from swapaqa.data.routines import Routines
from swapaqa.data.score_lists import in_range
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import shown

ACTION = "artistic_swimming"
KINDS = ("free", "tech")  # by their number
HIGHEST = 100.0
FOLDERS = ("", "Annotations", "Anno_result")
ANNOTATIONS = ("anno_dict.pkl", "anno dict.pkl")
EVENT = re.compile(r"[A-Za-z0-9][\w-]{0,120}")
LAYOUT = (
    "LOGO is looked for in the folder that LOGO_ROOT or data.root= names; expected there: anno_dict.pkl, "
    "train_split3.pkl, test_split3.pkl, and LOGO/<event>/<number>/00000.jpg or, with reader=features, one file by key "
    "in data.features.root=. It is distributed by its authors at github.com/shiyi-zh0408/LOGO. To see the project work "
    f"without it: {spelled('train')}"
)


@dataclass(frozen=True, kw_only=True)
class Routine(Record):
    """A record of LOGO. `competition`: the event that its folder names; `kind`: one of KINDS."""

    competition: str
    number: int
    kind: str


def read_records(root: str | Path, split: str) -> list[Routine]:
    """The routines of the published split `train` or `test`, in the order of its file.

    Raises:
        InputError: a file is missing or no such pickle, a routine is not annotated as expected or is there twice, a
            score out of range.
    """
    path = find_annotation(Path(root), FOLDERS, ANNOTATIONS, LAYOUT)
    keys_path = find_annotation(Path(root), FOLDERS, (f"{split}_split3.pkl", f"{split}_split.pkl"), LAYOUT)
    annotations, keys = read_dives(path, "LOGO"), read_keys(keys_path, "(event, number)", "LOGO")
    routines = [_record(path, annotations, keys_path, key, split) for key in keys]
    check_once(keys_path, routines, "routine")
    return routines


def _record(path: Path, annotations: Mapping[Any, Any], keys_path: Path, key: Any, split: str) -> Routine:
    try:
        event, number = _event(key[0]), whole_number(key[1])
        found = annotations[key if isinstance(key, tuple) else tuple(key)]
        kind, score = found[0], float(found[1])
        if kind not in KINDS:
            raise ValueError(f"its kind is {shown(kind)}, and {' or '.join(KINDS)} is expected")
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"{keys_path}: record {shown(key)} is not annotated as expected in {path} ({shown(error)}); "
            "take all files from one release"
        ) from None
    return Routine(
        video_id=f"{event}_{number}",
        action=ACTION,
        score=in_range(f"{path}, record {shown(key)}", "the score", score, HIGHEST),
        split=split,
        competition=event,
        number=number,
        kind=kind,
    )


def _event(name: Any) -> str:
    """An event's name, which names a folder."""
    if not isinstance(name, str) or not EVENT.fullmatch(name):
        raise ValueError("no name of an event")
    return name


@dataclass(kw_only=True, eq=False)
class LOGO(Routines):
    """LOGO."""

    layout: ClassVar[str] = LAYOUT
    option: ClassVar[str] = "logo"
    media_folders: ClassVar[tuple[str, ...]] = ("LOGO", "Video_result", "frames", "videos", "")
    sides: ClassVar[tuple[str, ...]] = ("routine",)

    @classmethod
    def read_side(cls, record: Record) -> dict[str, Tensor]:
        """`routine`: () int64, 1 of a technical routine and 0 of a free one."""
        return {"routine": torch.tensor(KINDS.index(cast(Routine, record).kind))}

    @property
    def max_label(self) -> float:
        return HIGHEST

    @property
    def actions(self) -> list[str]:
        return [ACTION]

    def read_list(self, split: str) -> list[Record]:
        return list(read_records(self.folder, split))

    def event(self, record: Record) -> str | None:
        return record.competition if isinstance(record, Routine) else None

    def group(self, record: Record) -> Hashable:
        """Of one kind of routine, as GOAT's loader; exemplars that a checkpoint stores do not say it."""
        own = RULES[self.exemplars](record)
        return (*own, record.kind) if isinstance(record, Routine) else own

    def names(self, record: Record) -> tuple[str, Sequence[str]]:
        routine = cast(Routine, record)
        return routine.competition, [str(routine.number)]
