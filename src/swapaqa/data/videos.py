"""One's own videos: a folder and a table, no code.

    python -m src.train data=videos data.root=my_videos data.table=videos.csv

The table is CSV with a line of column names and one line a video, in any form that spreadsheets save
(`swapaqa.data.table`):

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
- Videos and box files lie below data.root, unless data.outside_root=true. One video under two names is refused.
- Without `split`, groups are drawn in an order of `data.split_seed` and go to test while that brings its share closer
  to `data.test_fraction`. The run's seed does not matter, so that runs stay comparable.
- With `group`, `+data.split=by_event +data.fold=0` (to 3) tests on one of four folds of whole groups, whatever `split`
  says, and `+data.exemplars_from=other_competitions` never compares two videos of one group.
"""

import logging
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from swapaqa.data.clips import LAYOUT, Clip, cut_test, read_table
from swapaqa.data.geometry import Window
from swapaqa.data.records import Label, Record, scaled_label
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.video.frames import find_media, frame_count

log = logging.getLogger(__name__)

BOX_SUFFIXES = (".txt", ".csv", ".xml", ".zip")


@dataclass(kw_only=True, eq=False)
class Videos(VideoSource):
    """Videos in a folder, scored by a table.

    Attributes beside those of `VideoSource`: `table`, relative to the root or to the working directory;
    `test_fraction` and `split_seed` of the cut for a table without a split; `outside_root`: whether the table may name
    files that do not lie below the root.
    """

    table: str
    test_fraction: float
    split_seed: int
    outside_root: bool = False

    layout: ClassVar[str] = LAYOUT

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.test_fraction < 1:
            raise InputError(f"data.test_fraction={self.test_fraction}: a share between 0 and 1 is needed")

    @cached_property
    def clips(self) -> list[Clip]:
        """All lines of the table, with their split."""
        beside = self.folder / self.table
        table = beside if beside.exists() else Path(self.table).expanduser()
        if not table.exists():
            raise InputError(f"data.table={self.table}: no such file. {LAYOUT}")
        clips = read_table(table, self.folder, self.outside_root)
        if not clips[0].split:
            clips = cut_test(clips, self.test_fraction, self.split_seed)
            tests = sum(clip.split == "test" for clip in clips)
            log.info("%s has no split: %d of %d videos were cut off as test", self.table, tests, len(clips))
        return clips

    @cached_property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest training score by action."""
        scores = defaultdict(list)
        for record in self.read_split("train"):
            scores[record.action].append(record.score)
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
        return max(self.label(record).value for record in self.read_split("train"))

    def index(self, records: Sequence[Record]) -> None:
        super().index(records)
        named = [clip for clip in self.clips if clip.box_file]
        if named and not self._reads_files(named[0]):
            log.warning("%s names box files, and this box source reads none; say boxes=darklabel", self.table)

    def _reads_files(self, clip: Clip) -> bool:
        try:
            return self.boxes.find(self.box_files(clip)) is not None
        except InputError:  # a missing file is said by `item`
            return True

    def read_list(self, split: str) -> list[Record]:
        records: list[Record] = [clip for clip in self.clips if clip.split == split]
        if not records:
            raise InputError(f"{self.table}, column 'split': no video of '{split}'; train and test are both needed")
        return records

    def event(self, record: Record) -> str | None:
        """Its group, where the table has that column."""
        return record.group if isinstance(record, Clip) and record.group != record.media else None

    def score_label(self, record: Record) -> Label:
        low, high = self.ranges[record.action]
        return scaled_label(record.score, low, high)

    def media(self, record: Record) -> Path:
        assert isinstance(record, Clip)
        path = self.folder / record.media
        if path.is_file():
            return path
        try:
            return find_media(path.parent, [path.name])
        except InputError as error:
            raise InputError(f"{record.place}, column 'video': {error}") from error

    def shown(self, record: Record) -> Hashable:
        """The file itself, whatever names lead to it, and the frames of it."""
        try:
            file = self.media(record).stat()
        except (InputError, OSError):  # a missing video is said where it is looked for
            return record.video_id
        return file.st_dev, file.st_ino, record.first_frame, record.last_frame

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
            return [(self.boxes_folder if self.boxes.root else self.folder) / file]
        return super().box_files(record)
