"""FineFS (Ji et al., ACM MM 2023): 1167 programmes of figure skating, 729 short ones and 438 of free skating.

Layout, as its authors' README describes it:

    <root>/annotation/0.json ... 1166.json     0 to 728 short programmes, 729 to 1166 free skating
    <root>/video/0.mp4 ...                     25 frames a second, from the start of the music to its end
    <root>/video_features/0.pkl ...            features of a Video Swin Transformer: data.features.root=

`annotation` may also lie in `<root>/data`. Of a file are read `total_element_score`,
`total_program_component_score(factored)` and, where it is there, `competition` ("WC2019_Men"). Elements, their times
and the skeletons are not read.

Scores. `data.action=short_program_tes`, `short_program_pcs`, `free_skating_tes` or `free_skating_pcs`: a model and a
column of tables each. Their scales end at 70, 50, 130 and 100 points, as public code on it has them.

Split. The README says how many (583 and 146 short ones, 350 and 88 of free skating) and not which. Public code draws
them: `numpy.random.seed(42)`, then a shuffle of the numbers of a programme, of which the first are train.
`data.split_seed=` draws others.

Not seen: neither annotations nor videos were at hand, so layout and keys are those of README and public code, and the
tests are on files that were made by them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from swapaqa.command import spelled
from swapaqa.data.records import Record
from swapaqa.data.routines import Routines
from swapaqa.data.score_lists import in_range
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_json, shown

Program = Literal["short_program", "free_skating"]
Action = Literal["short_program_tes", "short_program_pcs", "free_skating_tes", "free_skating_pcs"]
NUMBERS: dict[Program, range] = {"short_program": range(729), "free_skating": range(729, 1167)}
TRAIN: dict[Program, int] = {"short_program": 583, "free_skating": 350}
HIGHEST: dict[Action, float] = {
    "short_program_tes": 70.0,
    "short_program_pcs": 50.0,
    "free_skating_tes": 130.0,
    "free_skating_pcs": 100.0,
}
KEYS = {"tes": "total_element_score", "pcs": "total_program_component_score(factored)"}
FOLDERS = ("annotation", "data/annotation")
LAYOUT = (
    "FineFS is looked for in the folder that FINEFS_ROOT or data.root= names; expected there: annotation/0.json to "
    "1166.json, and video/0.mp4 or, with reader=features, 0.pkl in data.features.root=. It is distributed by its "
    f"authors at github.com/yanliji/FineFS-dataset. To see the project work without it: {spelled('train')}"
)


@dataclass(frozen=True, kw_only=True)
class Programme(Record):
    """A record of FineFS. `competition`: None where the annotation names none."""

    competition: str | None


@cache
def drawn(program: Program, split: str, seed: int) -> tuple[int, ...]:
    """The numbers of the programmes in `train` or `test`, in the order of the draw."""
    numbers = np.array(NUMBERS[program])
    np.random.RandomState(seed).shuffle(numbers)  # NumPy keeps its stream as it was
    chosen = numbers[: TRAIN[program]] if split == "train" else numbers[TRAIN[program] :]
    return tuple(chosen.tolist())


def program_of(action: Action) -> Program:
    """The programme of an action."""
    return "short_program" if action.startswith("short_program") else "free_skating"


def read_record(path: Path, split: str, action: Action) -> Programme:
    """One annotation. InputError where the file is missing, damaged, or a score is no number of its scale."""
    if not path.is_file():
        program = program_of(action)
        raise InputError(f"{path}: no such file; there are {len(NUMBERS[program])} of {program}, a number each")
    found = read_json(path, "download it again")
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds no annotation of a programme; download it again")
    key = KEYS[action.rpartition("_")[2]]
    score = found.get(key)
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise InputError(f"{path}: {key} is {shown(score)} and no number; download it again")
    competition = found.get("competition")
    return Programme(
        video_id=path.stem,
        action=action,
        score=in_range(str(path), key, float(score), HIGHEST[action]),
        split=split,
        competition=competition if isinstance(competition, str) and competition else None,
    )


@dataclass(kw_only=True, eq=False)
class FineFS(Routines):
    """FineFS, one score of one of its two programmes.

    Attributes beside those of `VideoSource`: `action`, the programme and the score that is predicted; `split_seed`,
    which draws the split.
    """

    action: Action
    split_seed: int = 42

    layout: ClassVar[str] = LAYOUT
    option: ClassVar[str] = "finefs"
    media_folders: ClassVar[tuple[str, ...]] = ("video", "data/video", "videos", "")

    @property
    def max_label(self) -> float:
        return HIGHEST[self.action]

    @property
    def actions(self) -> list[str]:
        return [self.action]

    def read_list(self, split: str) -> list[Record]:
        folder = next((self.folder / name for name in FOLDERS if (self.folder / name).is_dir()), None)
        if folder is None:
            raise InputError(f"{self.folder / FOLDERS[0]}: no such folder. {LAYOUT}")
        numbers = drawn(program_of(self.action), split, self.split_seed)
        return [read_record(folder / f"{number}.json", split, self.action) for number in numbers]

    def event(self, record: Record) -> str | None:
        return record.competition if isinstance(record, Programme) else None

    def names(self, record: Record) -> tuple[str, Sequence[str]]:
        return "", [record.video_id]
