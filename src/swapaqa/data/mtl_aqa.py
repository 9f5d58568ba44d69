"""MTL-AQA (Parmar and Morris, CVPR 2019): 1412 dives of 15 competitions with difficulty and seven judges' scores.

Layout, as in circulation:

    <root>/info/final_annotations_dict_with_dive_number.pkl    as CoRe ships it; or
    <root>/info/augmented_final_annotations_dict.pkl           as MUSDL ships it
    <root>/info/train_split_0.pkl, test_split_0.pkl            (competition, dive) of 1059 and 353 dives
    <root>/info/final_captions_dict.pkl, vocab.json            words of 1416 captions and their numbers; only read for
                                                               methods that learn from them (`data.captions`)
    <root>/new/new_total_frames_256s/18/00000001.jpg ...       frames of the whole competition, from number 1; or
    <root>/videos/18.mp4                                       the whole competition as one file; or
    <root>/frames/18_67/*.jpg                                  one folder a dive, in any width of the numbers

`info/` may be missing (the files then lie in the root), videos and frames may lie in the root or in any of
`MEDIA_FOLDERS`. Where whole competitions are there, pre-cut folders are not looked at.

Window. In a whole competition it is the last `data.frames` frames up to the annotated end frame, moved by the shift
(CoRe: -3 to 3 in training, 0 at test). A pre-cut folder with a shift from `low` to `high` is read from frame
shift - min(low, 0) on: with [-3, 3] evaluation reads the middle of 109 frames, with [0, 6] (MUSDL) the first 103.

Splits. `data.split=published`: split 0, which everyone reports; each of its test dives is from a competition that is
also in training. `data.split=by_event`: the same 1412 dives in four folds of whole competitions, of 339, 361, 359 and
353 (`swapaqa.data.splits`). A difficulty or dive number that no training dive has is handled by one rule: an exemplar
group (`swapaqa.data.exemplar_groups`) is widened, to the dive's difficulty and then to all dives (counted, logged, in
result.json), and a mean over a group, as in `swapaqa.probing.baselines`, is that of all training dives; groups of fewer
than `voters` vote with what they have. `data.exemplars_from=other_competitions` never compares two dives of one
competition, in training neither.

Labels. `data.target=completeness`: score / difficulty, 0 to 30 (three judges' highest scores), as CoRe with
difficulty. `data.target=score`: 0 to 104.5, the highest score of the data; CoRe without difficulty as published says
100 there, which scores exceed.

Known faults: the copy of MUSDL has one judge's 45.0 for 4.5 (record (4, 49)), corrected here. For 30 dives the score
is not difficulty x the middle three judges (penalties); scores are kept as they are.
"""

import logging
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from swapaqa.command import spelled
from swapaqa.data.annotation_files import (
    check_once,
    check_points,
    find_annotation,
    read_dives,
    read_keys,
    whole_number,
)
from swapaqa.data.captions import CAPTIONS, NO_CAPTIONS, VOCABULARY, read_captions
from swapaqa.data.dive_numbers import dive_attributes, dive_class, dive_number
from swapaqa.data.dives_in_common import AQA7, mtl_aqa_footage
from swapaqa.data.footage import Footage
from swapaqa.data.geometry import Window
from swapaqa.data.records import Label, Record
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import shown
from swapaqa.video.frames import VIDEO_SUFFIXES, say_which_is_read
from swapaqa.video.image_folder import open_folder

log = logging.getLogger(__name__)

ACTION = "diving"
ANNOTATIONS = (  # best first
    "final_annotations_dict_with_dive_number.pkl",
    "augmented_final_annotations_dict.pkl",
    "final_annotations_dict.pkl",
)
FOLDERS = ("info", "")  # of annotations
MEDIA_FOLDERS = ("new/new_total_frames_256s", "new/new_total_frames", "whole_videos_frames", "frames", "videos", "")
LAST_FRAME = 99_999_999  # of a competition's video; the longest has 290,000
JUDGES = 7
MAX_SCORE = 104.5
MAX_COMPLETENESS = 30.0
CORRUPTED = (4, 49)  # in MUSDL's copy one judge gave 45.0; CoRe's copy says 4.5

LAYOUT = (
    "MTL-AQA is looked for in the folder that MTL_AQA_ROOT or data.root= names; expected there: "
    "info/final_annotations_dict_with_dive_number.pkl (or augmented_final_annotations_dict.pkl), "
    "info/{train,test}_split_0.pkl, and the frames as new/new_total_frames_256s/<competition>/00000001.jpg, "
    "videos/<competition>.mp4 or frames/<competition>_<dive>/*.jpg. It is distributed by its authors at "
    f"github.com/ParitoshParmar/MTL-AQA. To see the project work without it: {spelled('train')}"
)

Key = tuple[int, int]  # competition, dive


@dataclass(frozen=True, kw_only=True)
class Dive(Record):
    """A record of MTL-AQA. `dive_number` is that of World Aquatics ("5253B"); its first digit is the dive's group."""

    competition: int
    dive_number: str
    caption: tuple[int, ...] = ()  # numbers of the words; none where captions are not read


def read_records(root: str | Path, split: str) -> list[Dive]:
    """The records of one part (`train`, `test`) of split 0, in the order of its file; `video_id` is like "18_067".

    `first_frame` and `last_frame` are the annotated ends of the dive in its competition's video, from number 1.

    Args:
        root: the folder that holds `info`, or the files themselves.

    Raises:
        InputError: a file is missing or no such pickle, a dive of the split is not annotated or is there twice, a score
            out of range, a dive that ends before it begins.
    """
    path = find_annotation(Path(root), FOLDERS, ANNOTATIONS, LAYOUT)
    keys_path = find_annotation(Path(root), FOLDERS, (f"{split}_split_0.pkl",), LAYOUT)
    annotations, keys = read_dives(path, "MTL-AQA"), read_keys(keys_path, "(competition, dive)", "MTL-AQA")
    dives = [_record(path, annotations, keys_path, key, split) for key in keys]
    check_once(keys_path, dives)
    return dives


def with_captions(dives: Sequence[Dive], root: Path) -> list[Dive]:
    """The dives with their captions. InputError where a file or a dive's caption is missing."""
    captions = read_captions(
        find_annotation(root, FOLDERS, (CAPTIONS,), LAYOUT), find_annotation(root, FOLDERS, (VOCABULARY,), LAYOUT)
    )
    keys = [(dive.competition, int(dive.video_id.partition("_")[2])) for dive in dives]
    missing = next((dive.video_id for dive, key in zip(dives, keys, strict=True) if key not in captions), None)
    if missing is not None:
        raise InputError(
            f"{root}: {CAPTIONS} has no caption of dive {missing}; take it from the authors' release, or {NO_CAPTIONS}"
        )
    return [replace(dive, caption=captions[key]) for dive, key in zip(dives, keys, strict=True)]


def _record(path: Path, annotations: Mapping[Any, Any], keys_path: Path, key: Any, split: str) -> Dive:
    try:
        found, (competition, dive) = annotations[key], map(whole_number, key)
        score, difficulty = float(found["final_score"]), float(found["difficulty"])
        judges = _judges(path, key, [float(judge) for judge in found["judge_scores"]])
        first, last = int(found["start_frame"]), int(found["end_frame"])
        number = str(found["dive_number"]) if "dive_number" in found else dive_number(found)
        dive_attributes(number)  # refuses what has not its parts
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"{keys_path}: record {shown(key)} is not annotated as expected in {path} ({shown(error)}); "
            "take both files from one release"
        ) from None
    check_points(path, key, score, difficulty, MAX_SCORE)
    if not 1 <= first <= last <= LAST_FRAME:
        raise InputError(
            f"{path}: record {key} is annotated from frame {shown(first)} to {shown(last)}; expected are two "
            "numbers from 1 on, the first one first; correct the file"
        )
    return Dive(
        video_id=f"{competition:02d}_{dive:03d}",
        action=ACTION,
        score=score,
        split=split,
        difficulty=difficulty,
        judge_scores=judges,
        first_frame=first,
        last_frame=last,
        competition=competition,
        dive_number=number,
    )


def _judges(path: Path, key: Key, judges: list[float]) -> tuple[float, ...]:
    """The judges' scores, with the one known error corrected."""
    if key == CORRUPTED and 45.0 in judges:
        judges[judges.index(45.0)] = 4.5
        log.info("%s: record %s has a judge's score of 45.0, corrected to 4.5", path, key)
    if len(judges) != JUDGES or not all(0 <= judge <= 10 for judge in judges):
        raise InputError(
            f"{path}: record {key} has judges' scores {shown(judges)}; expected are {JUDGES} from 0 to 10; correct the "
            "file"
        )
    return tuple(judges)


@dataclass(kw_only=True, eq=False)
class MTLAQA(VideoSource):
    """MTL-AQA.

    Attributes beside those of `VideoSource`: `shift`, lowest and highest shift of the window in training, [low, high],
    both drawn; evaluation has none; `captions`, whether they are read. See the head of this file for `split`, `fold`,
    `exemplars` and `exemplars_from`.
    """

    shift: list[int]
    captions: bool = False

    layout: ClassVar[str] = LAYOUT
    shares_with: ClassVar[tuple[str, ...]] = (AQA7,)
    sides: ClassVar[tuple[str, ...]] = ("dive", "announced", "dive_class", "caption")

    @classmethod
    def read_side(cls, record: Record) -> dict[str, Tensor]:
        """What the annotations say of a dive.

        `dive`, and `announced`, what is known of it before: (5,) int64, see `dive_attributes`. `dive_class`: () int64,
        see `dive_class`. `caption`: (100,) int64, see `read_captions`. Nothing of a video that no list has.
        """
        if not isinstance(record, Dive):
            return {}
        captions = {"caption": torch.tensor(record.caption)} if record.caption else {}
        parts, number = torch.tensor(dive_attributes(record.dive_number)), torch.tensor(dive_class(record.dive_number))
        return {"dive": parts, "announced": parts, "dive_class": number} | captions

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.captions:
            self.sides = ("dive", "announced", "dive_class")  # type: ignore[misc]  # of this data set
        if len(self.shift) != 2 or self.shift[0] > self.shift[1]:
            raise InputError(f"data.shift={list(self.shift)}: the lowest and the highest shift are needed, [-3, 3]")

    @property
    def actions(self) -> list[str]:
        return [ACTION]

    @property
    def max_label(self) -> float:
        return MAX_SCORE if self.target == "score" else MAX_COMPLETENESS

    @property
    def shift_range(self) -> tuple[int, int]:
        return self.shift[0], self.shift[1]

    def read_list(self, split: str) -> list[Record]:
        dives = read_records(self.folder, split)
        return list(with_captions(dives, self.folder) if self.captions else dives)

    def event(self, record: Record) -> str | None:
        return f"{record.competition:02d}" if isinstance(record, Dive) else None

    def shown(self, record: Record) -> Hashable:
        """The end of the dive in its competition: annotated twice, under two numbers, it is one dive."""
        return self.event(record), record.last_frame

    def footage(self, record: Record) -> Footage | None:
        """By competition and dive."""
        competition, dive = (int(number) for number in record.video_id.split("_"))
        return mtl_aqa_footage(competition, dive)

    def score_label(self, record: Record) -> Label:
        return Label(record.score, offset=0.0, factor=1.0)

    @cached_property
    def found_media(self) -> dict[tuple[int, ...], Path]:
        """Folders and files by (competition,) or, where none is of a whole competition, by (competition, dive)."""
        found: dict[tuple[int, ...], Path] = {}
        for folder in (self.folder / name for name in MEDIA_FOLDERS):
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                name = re.fullmatch(r"(\d+)(?:_(\d+))?", path.stem)
                if name and (path.is_dir() or (path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())):
                    key = tuple(int(number) for number in name.groups() if number)
                    if found.setdefault(key, path) != path:
                        say_which_is_read(found[key], path)
        whole: dict[tuple[int, ...], Path] = {key: path for key, path in found.items() if len(key) == 1}
        log.info("%s: %s", self.folder, "frames of whole competitions" if whole else "one folder or file a dive")
        return whole or found

    def media(self, record: Record) -> Path:
        competition, dive = (int(number) for number in record.video_id.split("_"))
        for key in ((competition,), (competition, dive)):
            if key in self.found_media:
                return self.found_media[key]
        raise InputError(
            f"{self.folder}: no frames of dive {record.video_id}: neither a folder or video file "
            f"{competition:02d} of the whole competition nor {record.video_id} of the dive in "
            f"{', '.join(name or 'the root' for name in MEDIA_FOLDERS)}; complete the folder that MTL_AQA_ROOT or "
            "data.root= names, or take the dive out of its split"
        )

    def window(self, record: Record, media: Path) -> Window:
        """See the head of this file. InputError where the frames do not suffice for every shift."""
        lowest, highest = self.shift_range
        if "_" in media.stem:  # cut already
            start = -min(lowest, 0)
        else:
            assert record.last_frame is not None
            start = record.last_frame - self.frames  # number n is index n - 1
        needed = start + max(highest, 0) + self.frames
        there = self._frames_of(media) if media.is_dir() else needed  # counting would decode; reading checks it
        if start + min(lowest, 0) < 0 or there < needed:
            raise InputError(
                f"{media}: has {there} frames, and dive {record.video_id} needs frames {start + min(lowest, 0) + 1} to "
                f"{needed} with data.frames={self.frames} and data.shift={list(self.shift)}; "
                "narrow data.shift, lower data.frames or extract the frames again"
            )
        return Window(start)

    def window_of_unlisted(self, media: Path) -> Window:  # noqa: ARG002
        return Window(-min(self.shift_range[0], 0))

    def _frames_of(self, folder: Path) -> int:
        if folder not in self._counted:
            self._counted[folder] = count_frames(folder)
        return self._counted[folder]

    @cached_property
    def _counted(self) -> dict[Path, int]:
        return {}


def count_frames(folder: Path) -> int:
    """The number of images, whose names count on without a gap, from 1 on in the folder of a whole competition.

    Raises:
        InputError: a gap, after which every frame would be taken for one before it, and whatever else is wrong.
    """
    images = open_folder(folder)
    images.refuse_a_gap()
    if "_" not in folder.name and images.first != 1:
        raise InputError(
            f"{folder}: the images of a whole competition are numbered from 1, and the first one is {images[0].name}; "
            "extract them again"
        )
    return len(images)
