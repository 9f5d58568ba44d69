"""Rhythmic Gymnastics (Zeng et al., ACM MM 2020): 1000 routines with ball, clubs, hoop and ribbon, 250 each.

Layout, as GDLT's authors give the lists, and the features in a folder beside them:

    <root>/train.txt, test.txt          also rg_train.txt, rg_test.txt; 800 and 200 routines
                                        Video_Name Difficulty_Score Execution_Score Total_Score Penalty Video_length
    <root>/videos/Ball_001.mp4          or a folder of images, or in the root
    <features>/Ball_001.npy             (n, 1024), `data.features.root=`

Scores. `data.score_type=total` is difficulty + execution - penalty, to the cent in all lines; `difficulty` and
`execution` are the others. The scale ends at 25 for each, as GDLT's code has it; the highest total is 24.0. GDLT trains
one apparatus at a time, 200 routines, and crops or fills to 68 clips: `data.features.length=68`.

The lists name neither gymnast nor competition, so floors by these and splits by competition cannot be made. Lists were
read as they are in circulation; the videos and GDLT's features were not at hand.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from swapaqa.command import spelled
from swapaqa.data.annotation_files import check_once
from swapaqa.data.records import Record
from swapaqa.data.routines import Routines
from swapaqa.data.score_lists import first_of, points, read_lines
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import shown

Apparatus = Literal["ball", "clubs", "hoop", "ribbon"]
ScoreType = Literal["total", "difficulty", "execution"]
APPARATUS: tuple[Apparatus, ...] = ("ball", "clubs", "hoop", "ribbon")
COLUMNS = ("Video_Name", "Difficulty_Score", "Execution_Score", "Total_Score", "Penalty", "Video_length")
NAME = re.compile(r"(Ball|Clubs|Hoop|Ribbon)_\d{1,6}")
HIGHEST = 25.0
LONGEST = 36_000.0  # seconds
CENT = 0.011  # numbers have two decimals
LAYOUT = (
    "Rhythmic Gymnastics is looked for in the folder that RG_ROOT or data.root= names; expected there: train.txt and "
    "test.txt, and videos/Ball_001.mp4 or, with reader=features, Ball_001.npy in data.features.root=. Lists and "
    f"features are at github.com/xuangch/CVPR22_GDLT. To see the project work without it: {spelled('train')}"
)


@dataclass(frozen=True, kw_only=True)
class Routine(Record):
    """A record of Rhythmic Gymnastics. `length`: of its video, in seconds; `penalty`: in points."""

    length: float
    penalty: float


def read_records(root: str | Path, split: str, score_type: ScoreType = "total") -> list[Routine]:
    """The routines of all apparatus of the published split `train` or `test`, in the order of its list.

    Raises:
        InputError: no list, or a line that is wrong: its cells, the name, a score, a total that does not add up; a
            routine that is there twice.
    """
    path = first_of(Path(root), ("",), (f"{split}.txt", f"rg_{split}.txt"), LAYOUT)
    routines = [_routine(line.place, line.cells, split, score_type) for line in read_lines(path, COLUMNS, True)]
    check_once(path, routines, "routine")
    return routines


def _routine(place: str, cells: list[str], split: str, score_type: ScoreType) -> Routine:
    name = cells[0]
    if not NAME.fullmatch(name):
        raise InputError(f"{place}: {shown(name)} is no name of a routine; they are like Ball_001")
    difficulty, execution, total, penalty = (
        points(place, column, cell, HIGHEST) for column, cell in zip(COLUMNS[1:5], cells[1:5], strict=True)
    )
    if abs(difficulty + execution - penalty - total) > CENT:
        raise InputError(
            f"{place}: difficulty {difficulty:g} and execution {execution:g} less {penalty:g} do not add up to the "
            f"total, {total:g}; correct the list"
        )
    return Routine(
        video_id=name,
        action=name.partition("_")[0].lower(),
        score={"total": total, "difficulty": difficulty, "execution": execution}[score_type],
        split=split,
        length=points(place, COLUMNS[5], cells[5], LONGEST),
        penalty=penalty,
    )


@dataclass(kw_only=True, eq=False)
class RhythmicGymnastics(Routines):
    """Rhythmic Gymnastics: one apparatus, or `all` four in one model.

    Attributes beside those of `VideoSource`: `action`, the apparatus; `score_type`, which score is predicted.
    """

    action: Apparatus | Literal["all"]
    score_type: ScoreType = "total"

    layout: ClassVar[str] = LAYOUT
    option: ClassVar[str] = "rg"
    media_folders: ClassVar[tuple[str, ...]] = ("videos", "frames", "")

    @property
    def max_label(self) -> float:
        return HIGHEST

    @property
    def actions(self) -> list[str]:
        return list(APPARATUS) if self.action == "all" else [self.action]

    def read_list(self, split: str) -> list[Record]:
        routines = read_records(self.folder, split, self.score_type)
        found: list[Record] = [routine for routine in routines if routine.action in self.actions]
        if not found:
            raise InputError(f"{self.folder}: the {split} list has no routine of data.action={self.action}")
        return found
