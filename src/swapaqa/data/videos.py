"""One's own videos: a folder and a table, no code.

    python -m src.train data=videos data.root=my_videos data.table=videos.csv

The table is CSV (comma, semicolon or tab; UTF-8) with a line of column names and one line a video:

    video         file or folder of images, relative to data.root; the suffix may be left out
    score         a number; higher is better
    split         train or test                                                   if absent, a split is cut
    group         what must not lie on both sides of that cut: an athlete, an event
    action        several actions are one model with exemplars, borders and metrics per action
    difficulty    a number above 0; with it, data.target=completeness works
    judges        numbers separated by blanks, as many on every line
    first_frame, last_frame    the action within a longer video, frames counted from 1; empty: the video's ends
    boxes         box file relative to data.root; empty: boxes/<video>; read by boxes=darklabel and the others

A column that is there is filled on every line, but for the last three. Rules:

- The window's `data.frames` frames are spread evenly over the video, its first and last frame included; a shorter
  video repeats frames.
- Labels are 0 to 100 from the lowest to the highest training score of the action. Test labels may lie outside.
- Without `split`, groups are drawn in an order of `data.split_seed` and go to test while that brings its share closer
  to `data.test_fraction`. The run's seed does not matter, so that runs stay comparable.
"""

import csv
import io
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch

from swapaqa.data.datamodule import VideoData
from swapaqa.data.geometry import Window
from swapaqa.data.records import Label, Record, scaled_label
from swapaqa.data.video import VIDEO_SUFFIXES, find_media, frame_count
from swapaqa.errors import InputError
from swapaqa.seeds import keyed_generator

log = logging.getLogger(__name__)

REQUIRED = ("video", "score")
OPTIONAL = ("split", "group", "action", "difficulty", "judges", "first_frame", "last_frame", "boxes")
MAY_BE_EMPTY = ("first_frame", "last_frame", "boxes")
BOX_SUFFIXES = (".txt", ".csv", ".xml", ".zip")
ONE_ACTION = "video"  # the action's name where the table has none

LAYOUT = (
    "data=videos needs data.root=<folder of the videos> and data.table=<table.csv> with the columns video,score "
    f"and, if you like, {','.join(OPTIONAL)}"
)


@dataclass(frozen=True, kw_only=True)
class Clip(Record):
    """A line of the table. `media` and `box_file` as written there; `group` is the video itself where none is given."""

    media: str
    group: str
    box_file: str
    place: str  # "videos.csv, line 7", for messages


def read_table(path: Path) -> list[Clip]:
    """The lines of a table, in its order; `split` is empty where the table has none.

    Raises:
        InputError: naming the file, the line and the column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable text file in UTF-8 ({error}). {LAYOUT}") from error
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    columns = [name.strip().lower() for name in next(rows, [])]
    _check_columns(path, columns)
    clips = []
    for row in rows:
        if any(cell.strip() for cell in row):
            clips.append(_parse(f"{path}, line {rows.line_num}", columns, [cell.strip() for cell in row]))
    _check_table(path, clips)
    return clips


def _check_columns(path: Path, columns: list[str]) -> None:
    for name in REQUIRED:
        if name not in columns:
            raise InputError(f"{path}, line 1: no column '{name}' but {','.join(columns) or 'nothing'}. {LAYOUT}")
    for name in columns:
        if name not in REQUIRED + OPTIONAL or columns.count(name) > 1:
            problem = "is there twice" if columns.count(name) > 1 else "is none that is known"
            raise InputError(f"{path}, line 1: column '{name}' {problem}; rename or remove it. {LAYOUT}")


def _parse(place: str, columns: list[str], row: list[str]) -> Clip:
    if len(row) != len(columns):
        raise InputError(f"{place}: {len(row)} cells for {len(columns)} columns; quote texts that contain a separator")
    cells = dict(zip(columns, row, strict=True))
    for name, cell in cells.items():
        if not cell and name not in MAY_BE_EMPTY:
            raise InputError(f"{place}, column '{name}': empty; fill it on every line or remove the column")
    split = cells.get("split", "").lower()
    if split not in ("train", "test", ""):
        raise InputError(f"{place}, column 'split': '{split}'; it is train or test (data.val_fraction cuts val)")
    return Clip(
        video_id=_without_suffix(cells["video"]),
        action=cells.get("action", ONE_ACTION),
        score=_number(place, cells, "score", float),
        split=split,
        difficulty=_number(place, cells, "difficulty", float, least=1e-9) if "difficulty" in cells else None,
        judge_scores=tuple(
            _number(place, {"judges": word}, "judges", float) for word in cells.get("judges", "").split()
        ),
        first_frame=_number(place, cells, "first_frame", int, least=1) if cells.get("first_frame") else None,
        last_frame=_number(place, cells, "last_frame", int, least=1) if cells.get("last_frame") else None,
        media=cells["video"],
        group=cells.get("group", cells["video"]),
        box_file=cells.get("boxes", ""),
        place=place,
    )


def _without_suffix(video: str) -> str:
    path = Path(video)
    return str(path.with_suffix("") if path.suffix.lower() in VIDEO_SUFFIXES else path)


def _number(
    place: str, cells: dict[str, str], column: str, kind: type[int] | type[float], least: float = -math.inf
) -> Any:
    try:
        value = kind(cells[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < least:
        expected = "a whole number" if kind is int else "a number with a decimal point"
        above = "" if least == -math.inf else " above 0"
        raise InputError(f"{place}, column '{column}': '{cells[column]}' is not {expected}{above}")
    return value


def _check_table(path: Path, clips: list[Clip]) -> None:
    if not clips:
        raise InputError(f"{path}: no videos in it. {LAYOUT}")
    ids: dict[str, Clip] = {}
    for clip in clips:
        twin = ids.setdefault(clip.video_id, clip)
        if twin is not clip:
            raise InputError(f"{clip.place}, column 'video': {clip.media} is listed before, on {twin.place}")
        if len(clip.judge_scores) != len(clips[0].judge_scores):
            raise InputError(
                f"{clip.place}, column 'judges': {len(clip.judge_scores)} numbers, but the first video has "
                f"{len(clips[0].judge_scores)}; as many on every line are needed"
            )
        if clip.last_frame is not None and clip.last_frame < (clip.first_frame or 1):
            raise InputError(f"{clip.place}, column 'last_frame': {clip.last_frame} lies before the first frame")


def cut_test(clips: Sequence[Clip], test_fraction: float, seed: int) -> list[Clip]:
    """The clips with `split` set, every group as a whole on one side; see the head of this file for the rule.

    Raises:
        InputError: there are fewer than two groups.
    """
    sizes = Counter(clip.group for clip in clips)
    if len(sizes) < 2:
        raise InputError(f"{clips[0].place}: all videos are of one group, so no test can be cut; add a column 'split'")
    names = sorted(sizes)
    order = torch.randperm(len(names), generator=keyed_generator(seed, "split")).tolist()
    wanted, test = test_fraction * len(clips), set[str]()
    taken = 0
    for name in (names[i] for i in order):
        closer = abs(taken + sizes[name] - wanted) < abs(taken - wanted)
        if (closer or not test) and len(test) < len(names) - 1:
            test.add(name)
            taken += sizes[name]
    return [replace(clip, split="test" if clip.group in test else "train") for clip in clips]


@dataclass(kw_only=True, eq=False)
class Videos(VideoData):
    """Videos in a folder, scored by a table.

    Attributes beside those of `VideoData`: `table`, relative to the root or to the working directory;
    `test_fraction` and `split_seed` of the cut for a table without a split.
    """

    table: str
    test_fraction: float
    split_seed: int

    layout: ClassVar[str] = LAYOUT

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.test_fraction < 1:
            raise InputError(f"data.test_fraction={self.test_fraction}: a share between 0 and 1 is needed")

    @cached_property
    def clips(self) -> list[Clip]:
        """All lines of the table, with their split."""
        beside = self.folder / self.table
        clips = read_table(beside if beside.is_file() else Path(self.table).expanduser())
        if not clips[0].split:
            clips = cut_test(clips, self.test_fraction, self.split_seed)
            tests = sum(clip.split == "test" for clip in clips)
            log.info("%s has no split: %d of %d videos were cut off as test", self.table, tests, len(clips))
        return clips

    @cached_property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest training score by action."""
        scores = defaultdict(list)
        for clip in self.clips:
            if clip.split == "train":
                scores[clip.action].append(clip.score)
        for clip in self.clips:
            values = scores.get(clip.action, [])
            if len(set(values)) < 2:
                raise InputError(
                    f"{clip.place}: its action '{clip.action}' has {len(values)} training videos with "
                    f"{len(set(values))} different scores; at least two are needed for a scale"
                )
        return {action: (min(values), max(values)) for action, values in scores.items()}

    @property
    def actions(self) -> list[str]:
        return sorted(self.ranges)

    @property
    def max_label(self) -> float:
        """100; of completeness the highest of the training videos."""
        if self.target == "score":
            return 100.0
        return max(self.label(clip).value for clip in self.clips if clip.split == "train")

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        named = [clip for clip in self.clips if clip.box_file]
        if named and self.boxes.find(self.box_files(named[0])) is None:
            log.warning("%s names box files, and this box source reads none; say boxes=darklabel", self.table)

    def read_split(self, split: str) -> list[Record]:
        records: list[Record] = [clip for clip in self.clips if clip.split == split]
        if not records:
            raise InputError(f"{self.table}, column 'split': no video of '{split}'; train and test are both needed")
        return records

    def score_label(self, record: Record) -> Label:
        low, high = self.ranges[record.action]
        return scaled_label(record.score, low, high)

    def media(self, record: Record) -> Path:
        assert isinstance(record, Clip)
        path = self.folder / record.media
        if path.exists():
            return path
        try:
            return find_media(path.parent, [path.name])
        except InputError as error:
            raise InputError(f"{record.place}, column 'video': {error}") from error

    def window(self, record: Record, media: Path) -> Window:
        assert isinstance(record, Clip)
        frames = frame_count(media, self.accept_incomplete)
        first, last = record.first_frame or 1, record.last_frame or frames
        if not first <= last <= frames:
            raise InputError(f"{record.place}: frames {first} to {last} are asked for, and {media} has {frames}")
        return Window(first - 1, last)

    def window_of_unlisted(self, media: Path) -> Window:
        return Window(0, frame_count(media, self.accept_incomplete))

    def box_files(self, record: Record) -> list[Path]:
        assert isinstance(record, Clip)
        if record.box_file:
            file = Path(record.box_file)  # the box source says the suffix, as everywhere
            file = file.with_suffix("") if file.suffix.lower() in BOX_SUFFIXES else file
            return [(Path(self.boxes.root) if self.boxes.root else self.folder) / file]
        return super().box_files(record)
