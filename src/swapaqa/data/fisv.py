"""Fis-V (Xu et al., TCSVT 2020): 500 short programmes of figure skating, ladies' singles, with two scores.

Layout, as the lists are in circulation with GDLT's features:

    <root>/train_dataset.txt, test_dataset.txt     also train.txt or fisv_train_dataset.txt; 400 and 100 programmes:
                                                   number, TES, PCS, deductions; a line of column names may come first
    <root>/scores.csv                              also fisv_scores.csv; optional: number, skater, year, event
    <root>/videos/1.mp4                            or a folder of images, or in the root
    <features>/1.npy                               (n, 1024), `data.features.root=`

Scores. `data.action=tes` is the total element score, `pcs` the program component score, a model and a column of tables
each; the scale ends at 45 and 40, as the published code of methods on it has it. Deductions are of neither.

Skaters. With `scores.csv`, `data.events=skater` (or `competition`, year and event) is what `data.split=by_event`,
`baseline=event` and `data.exemplars_from=other_competitions` go by: 87 of 100 test skaters have programmes in training.
The mean of a skater's training programmes has a Spearman of 0.835 with the PCS of the test programmes, 0.576 with TES.

Lists and scores were read as they are in circulation, the skaters numbered in the place of names; the videos and
features were not at hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from swapaqa.command import spelled
from swapaqa.data.annotation_files import check_once
from swapaqa.data.records import Record
from swapaqa.data.routines import Routines
from swapaqa.data.score_lists import first_of, points, read_lines
from swapaqa.data.table import Row, read_cells
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import shown

Action = Literal["tes", "pcs"]
Events = Literal["skater", "competition"]
COLUMNS = ("number", "TES", "PCS", "deductions")
HIGHEST: dict[Action, float] = {"tes": 45.0, "pcs": 40.0}
MOST_DEDUCTIONS = 20.0
SKATERS = ("scores.csv", "fisv_scores.csv")
LAYOUT = (
    "Fis-V is looked for in the folder that FISV_ROOT or data.root= names; expected there: train_dataset.txt and "
    "test_dataset.txt, and videos/1.mp4 or, with reader=features, 1.npy in data.features.root=. Videos are at "
    "github.com/chmxu/MS_LSTM, lists and features at github.com/xuangch/CVPR22_GDLT. To see the project work without "
    f"it: {spelled('train')}"
)


@dataclass(frozen=True, kw_only=True)
class Programme(Record):
    """A record of Fis-V. `skater` and `competition` are None where they are not known."""

    skater: str | None
    competition: str | None


def read_records(root: str | Path, split: str, action: Action) -> list[Programme]:
    """The programmes of the published split `train` or `test`, in the order of its list.

    Raises:
        InputError: no list, or a line that is wrong: its cells, the number, a score; a programme that is there twice.
    """
    names = (f"{split}_dataset.txt", f"fisv_{split}_dataset.txt", f"{split}.txt")
    path = first_of(Path(root), ("",), names, LAYOUT)
    skaters = read_skaters(Path(root))
    found = []
    for place, (number, tes, pcs, deductions) in read_lines(path, COLUMNS, False):
        if not (number.isascii() and number.isdigit()):
            raise InputError(f"{place}: {shown(number)} is no number of a programme; they are like 17")
        scores = {"tes": points(place, "TES", tes, HIGHEST["tes"]), "pcs": points(place, "PCS", pcs, HIGHEST["pcs"])}
        points(place, "deductions", deductions, MOST_DEDUCTIONS)
        skater, competition = skaters.get(int(number), (None, None))
        found.append(
            Programme(
                video_id=str(int(number)),
                action=action,
                score=scores[action],
                split=split,
                skater=skater,
                competition=competition,
            )
        )
    check_once(path, found, "programme")
    return found


def read_skaters(root: Path) -> Mapping[int, tuple[str | None, str | None]]:
    """Skater and competition by number; empty where there is no such table.

    Raises:
        InputError: it has no columns `number` and `skater`, or a line that is wrong, or a number twice.
    """
    path = next((root / name for name in SKATERS if (root / name).is_file()), None)
    if path is None:
        return {}
    table = read_cells(path)
    if table.faults:
        raise InputError(table.faults[0])
    missing = [name for name in ("number", "skater") if name not in table.columns]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]}; expected are number, skater and, if known, year, event")
    found: dict[int, tuple[str | None, str | None]] = {}
    for row in table.rows:
        number = row.cells["number"]
        if not (number.isascii() and number.isdigit()):
            raise InputError(f"{row.place}: {shown(number)} is no number of a programme; they are like 17")
        if int(number) in found:
            raise InputError(f"{row.place}: names programme {number} again; once is right")
        found[int(number)] = (row.cells["skater"] or None, _competition(row))
    return found


def _competition(row: Row) -> str | None:
    year, event = (row.cells.get(name, "") for name in ("year", "event"))
    return f"{event} {year}" if year and event else None


@dataclass(kw_only=True, eq=False)
class FisV(Routines):
    """Fis-V.

    Attributes beside those of `VideoSource`: `action`, which score is predicted; `events`, what counts as a
    competition, see the head of this file.
    """

    action: Action
    events: Events = "skater"

    layout: ClassVar[str] = LAYOUT
    option: ClassVar[str] = "fisv"
    media_folders: ClassVar[tuple[str, ...]] = ("videos", "frames", "")

    @property
    def max_label(self) -> float:
        return HIGHEST[self.action]

    @property
    def actions(self) -> list[str]:
        return [self.action]

    def read_list(self, split: str) -> list[Record]:
        return list(read_records(self.folder, split, self.action))

    def event(self, record: Record) -> str | None:
        """By `events`; None where `scores.csv` does not say."""
        if not isinstance(record, Programme):
            return None
        return record.skater if self.events == "skater" else record.competition

    def names(self, record: Record) -> tuple[str, Sequence[str]]:
        return "", [record.video_id, f"{int(record.video_id):03d}"]
