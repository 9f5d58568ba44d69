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

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor

from swapaqa.data.dive_numbers import dive_attributes
from swapaqa.data.dives_in_common import AQA7, MTL_AQA, mtl_aqa_footage
from swapaqa.data.finediving_annotations import (
    ACTION,
    COARSE,
    FOLDERS,
    LAYOUT,
    MAX_SCORE,
    MOST_STEPS,
    Dive,
    read_records,
    sessions,
)
from swapaqa.data.footage import Footage
from swapaqa.data.geometry import Window
from swapaqa.data.records import Label, Record
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.video.frames import entries, find_media, frame_count
from swapaqa.video.image_folder import IMAGE_SUFFIXES, open_folder

MEDIA_FOLDERS = ("FineDiving", "FINADiving_MTL_256s", "Trimmed_Video_Frames", "frames", "videos", "")
MAX_COMPLETENESS = 30.0

Events = Literal["session", "competition", "venue"]


@dataclass(kw_only=True, eq=False)
class FineDiving(VideoSource):
    """FineDiving.

    Attributes beside those of `VideoSource`: `events`, what counts as a competition; see the head of this file.
    """

    events: Events = "competition"

    layout: ClassVar[str] = LAYOUT
    shares_with: ClassVar[tuple[str, ...]] = (MTL_AQA, AQA7)
    sides: ClassVar[tuple[str, ...]] = ("dive", "announced", "steps", "sub_actions", "stages")

    @classmethod
    def read_side(cls, record: Record) -> dict[str, Tensor]:
        """What the annotations say of a dive.

        `dive`, `announced`: (5,) int64, see `dive_attributes`. `steps`: (4,) float32, where each step after the first
        begins, as a share of the dive; 1 for steps that it has not. `sub_actions`: (5,) int64 by step; 0 for steps that
        it has not. `stages`: (4,) float32, see `swapaqa.data.dive_stages`: the take-off counts as jump from the first
        frame on, the last step as entry, and nothing follows; without the second step there is no drop. Nothing of a
        video that no list has.
        """
        if not isinstance(record, Dive):
            return {}
        parts = torch.tensor(dive_attributes(record.dive_number))
        return {
            "dive": parts,
            "announced": parts,
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

    def footage(self, record: Record) -> Footage | None:
        """Of a session with a number, a competition of MTL-AQA, that data set's."""
        dive = cast(Dive, record)
        if dive.session.isdigit():
            found = mtl_aqa_footage(int(dive.session), dive.dive)
            return found._replace(also_in=(MTL_AQA, *found.also_in))
        return Footage(f"finediving/{record.video_id}")

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
