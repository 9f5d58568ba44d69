"""FineDiving (Xu et al., CVPR 2022): 3000 dives of 135 sessions with steps, dive numbers, difficulties and judges.

Layout, as its authors describe it, and with frames or files of whole sessions:

    <root>/Annotations/fine-grained_annotation_aqa.pkl         or FineDiving_fine-grained_annotation.pkl
    <root>/Annotations/train_split.pkl, test_split.pkl         (session, dive) of 2251 and 749 dives
    <root>/Annotations/FineDiving_coarse_annotation.pkl        first and last frame in the session's video
    <root>/FineDiving/<session>/<dive>/00489.jpg ...           one folder a dive, its names starting anywhere; or
    <root>/FineDiving/<session>/<dive>.mp4                     one file a dive; or
    <root>/FineDiving/<session>/00001.jpg ..., <session>.mp4   the whole session, which needs the coarse annotation

`Annotations/` may be missing (the files then lie in the root), and sessions may lie in any of `MEDIA_FOLDERS`. Where a
dive is there for itself, it is read and not the session.

Window. `data.frames` frames (96 as published) spread evenly over the dive, its first and last included, places between
two frames rounded down as its authors do. There is no shift.

Sessions, competitions, venues. The name of a session (`FINADivingWorldCup2021_Men10m_final_r3`) is that of one round:
the other rounds of the same final, with the same divers, have names of their own, and the semi-final has others. The
published split draws single dives, and every test dive's session is in training. `data.events` says what an event is:
`session` (135), `competition` (35: a discipline at one meet) or `venue` (18), by finediving_sessions.yaml, which was
made from the names. By it `data.split=by_event` cuts four folds, `baseline=` takes its means, and
`data.exemplars_from=other_competitions` keeps dives apart.

FineDiving contains MTL-AQA: the sessions 01 to 26 are its competitions, and the 1,369 dives in them have the ids that
`data=mtl_aqa` gives them, "01_001". Who trains on one data set and tests on the other tests on training videos.

Steps are read from the labels of the frames. In ten dives the annotated transitions say something else, -1 among them.

Labels. `data.target=completeness`: score / difficulty, 0 to 30; `score`: 0 to 114.8, the highest score of the data.

Judges. There are 7, 3 or 5 a dive, and a batch needs as many of every video: records have none, so MUSDL is refused.

Known fault, kept: the difficulty of dive 164 of session 17 is 2.0 here and 3.4 in the coarse file; its score is 0.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
import yaml
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
from swapaqa.data.dive_numbers import dive_attributes
from swapaqa.data.geometry import Window
from swapaqa.data.records import Label, Record
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import shown
from swapaqa.video.frames import entries, find_media, frame_count
from swapaqa.video.image_folder import IMAGE_SUFFIXES, open_folder

ACTION = "diving"
FOLDERS = ("Annotations", "")
ANNOTATIONS = (  # best first; the first has lists, the second the same by name
    "fine-grained_annotation_aqa.pkl",
    "fine-grained_annotation_for_aqa.pkl",
    "FineDiving_fine-grained_annotation.pkl",
)
FIELDS = ("action_type", "dive_score", "difficulty", "frames_labels")
COARSE = "FineDiving_coarse_annotation.pkl"
MEDIA_FOLDERS = ("FineDiving", "FINADiving_MTL_256s", "Trimmed_Video_Frames", "frames", "videos", "")
SESSION = re.compile(r"[A-Za-z0-9][\w-]{0,120}")
LAST_FRAME = 99_999_999  # of a session's video
MOST_STEPS = 5
MAX_SCORE = 114.8
MAX_COMPLETENESS = 30.0
LAYOUT = (
    "FineDiving is looked for in the folder that FINEDIVING_ROOT or data.root= names; expected there: "
    "Annotations/fine-grained_annotation_aqa.pkl, Annotations/{train,test}_split.pkl, and the frames as "
    "FineDiving/<session>/<dive>/00001.jpg. It is distributed by its authors at github.com/xujinglin/FineDiving. To "
    f"see the project work without it: {spelled('train')}"
)

Dives = Mapping[Any, Any]  # by session and dive; values as the files have them
Events = Literal["session", "competition", "venue"]


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


@dataclass(kw_only=True, eq=False)
class FineDiving(VideoSource):
    """FineDiving.

    Attributes beside those of `VideoSource`: `events`, what counts as a competition; see the head of this file.
    """

    events: Events = "competition"

    layout: ClassVar[str] = LAYOUT
    sides: ClassVar[tuple[str, ...]] = ("dive", "steps", "sub_actions", "stages")

    @classmethod
    def read_side(cls, record: Record) -> dict[str, Tensor]:
        """What the annotations say of a dive.

        `dive`: (5,) int64, see `dive_attributes`. `steps`: (4,) float32, where each step after the first begins, as a
        share of the dive; 1 for steps that it has not. `sub_actions`: (5,) int64 by step; 0 for steps that it has not.
        `stages`: (4,) float32, see `swapaqa.data.dive_stages`: the take-off counts as jump from the first frame on, the
        last step as entry, and nothing follows; without the second step there is no drop. Nothing of a video that no
        list has.
        """
        if not isinstance(record, Dive):
            return {}
        return {
            "dive": torch.tensor(dive_attributes(record.dive_number)),
            "steps": torch.tensor(_filled(record.steps, MOST_STEPS - 1, 1.0), dtype=torch.float32),
            "sub_actions": torch.tensor(_filled(record.sub_actions, MOST_STEPS, 0)),
            "stages": torch.tensor(record.stages),
        }

    @property
    def actions(self) -> list[str]:
        return [ACTION]

    @property
    def max_label(self) -> float:
        return MAX_SCORE if self.target == "score" else MAX_COMPLETENESS

    def read_list(self, split: str) -> list[Record]:
        return list(read_records(self.folder, split))

    def event(self, record: Record) -> str | None:
        """By `events`; None of a session that the table has not."""
        if not isinstance(record, Dive):
            return None
        if self.events == "session":
            return record.session
        competition, venue = sessions().get(record.session, (None, None))
        return competition if self.events == "competition" else venue

    def overlap(self, records: Sequence[Record]) -> str | None:
        """The dives of MTL-AQA among them."""
        count = Counter(record.split for record in records if cast(Dive, record).session.isdigit())
        if not count:
            return None
        parts = " and ".join(f"{number} of {split}" for split, number in count.items())
        return (
            f"{parts} are dives of MTL-AQA too, with its ids: who trains on one and tests on the other tests on videos "
            "of the training"
        )

    def score_label(self, record: Record) -> Label:
        return Label(record.score, offset=0.0, factor=1.0)

    def media(self, record: Record) -> Path:
        """The dive for itself, else its whole session."""
        dive = cast(Dive, record)
        own = [f"{dive.dive:0{width}d}" for width in (1, 2, 3)]
        for folder in self._media_folders:
            if (found := _found(folder / dive.session, own)) is not None:
                return found
        for folder in self._media_folders:
            found = _found(folder, [dive.session])
            if found is not None and (found.is_file() or _has_images(found)):
                return found
        raise InputError(
            f"{self.folder}: no frames of dive {dive.video_id}: neither {dive.session}/{dive.dive} nor the whole "
            f"session in {', '.join(name or 'the root' for name in MEDIA_FOLDERS)}; complete the folder that "
            "FINEDIVING_ROOT or data.root= names, or take the dive out of its split"
        )

    @property
    def _media_folders(self) -> list[Path]:
        return [folder for name in MEDIA_FOLDERS if (folder := self.folder / name).is_dir()]

    def window(self, record: Record, media: Path) -> Window:
        """The whole of a dive that is there for itself; in a session, the annotated frames.

        Raises:
            InputError: the session's frames are not known, or not all there.
        """
        frames = frame_count(media, self.accept_incomplete)
        dive = cast(Dive, record)
        if media.stem != dive.session:
            return Window(0, frames, down=True)
        if record.first_frame is None or record.last_frame is None:
            raise InputError(
                f"{self.folder / FOLDERS[0] / COARSE}: no such file, and it says which frames of {media} are dive "
                f"{dive.video_id}; add it, or extract the dives for themselves"
            )
        before = open_folder(media).first if media.is_dir() else 1  # as images are numbered that are made of a file
        start, stop = record.first_frame - before, record.last_frame + 1 - before
        if not 0 <= start < stop <= frames:
            raise InputError(
                f"{media}: has frames {before} to {before + frames - 1}, and dive {dive.video_id} is annotated from "
                f"{record.first_frame} to {record.last_frame}; extract the session's frames again"
            )
        return Window(start, stop, down=True)

    def window_of_unlisted(self, media: Path) -> Window:
        return Window(0, frame_count(media, self.accept_incomplete), down=True)


def _found(folder: Path, names: Sequence[str]) -> Path | None:
    try:
        return find_media(folder, names)
    except InputError:  # said by `media`, of all places at once
        return None


def _has_images(folder: Path) -> bool:
    return any(name.lower().endswith(IMAGE_SUFFIXES) for name in entries(folder))


def _filled(values: Sequence[float], length: int, rest: float) -> list[float]:
    return [*values, *[rest] * (length - len(values))]
