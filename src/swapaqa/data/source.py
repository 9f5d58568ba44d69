"""The interface of a data set: lists, files, windows, labels and groups, and the samples that are read from them.

A data set is a subclass of `VideoSource` in a file of its own, with a yaml in `conf/data` (docs/extend.md). Whoever
only wants to know what a data set is asks it; batches for a training are `swapaqa.data.datamodule.VideoData`'s.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from swapaqa.batch import TrainingLabels
from swapaqa.boxes.source import BoxSource
from swapaqa.data.dataset import Item, Located, SampleReader
from swapaqa.data.exemplar_groups import RULES, Exemplars, ExemplarsFrom, refuse_unknown_groups, wider_rules
from swapaqa.data.exemplars import ExemplarBank
from swapaqa.data.feature_files import FeatureFiles
from swapaqa.data.feature_manifest import copies_there
from swapaqa.data.feature_reader import FeatureItem, FeatureReader
from swapaqa.data.footage import Footage, without_data_set
from swapaqa.data.frame_store import FrameStore, Kind
from swapaqa.data.geometry import Geometry, Window
from swapaqa.data.poses import OWN, PoseFiles
from swapaqa.data.poses import SIDE as POSE
from swapaqa.data.records import Label, Record, faults
from swapaqa.data.splits import Fold, Split, split_by_event
from swapaqa.errors import InputError, refuse
from swapaqa.video.frames import Decoding, Reader, frame_count
from swapaqa.video.image_folder import open_folder
from swapaqa.video.index import index_files

Target = Literal["score", "completeness"]


@dataclass(kw_only=True, eq=False)
class VideoSource(ABC):
    """A data set: what its files say, and how a video of it is read.

    Attributes:
        root: folder of the data set; None where it is not known.
        frames: length of the window.
        geometry, boxes: how frames are placed, and where the athlete is.
        target: what is regressed: the score, or the completeness (score over difficulty) where the files give it.
        split, fold: as published, or folds of whole competitions; see `swapaqa.data.splits`.
        exemplars: what a video and its exemplars have in common, see `swapaqa.data.exemplar_groups`.
        exemplars_from: `other_competitions`: a video is never compared with one of its own competition.
        cache: keep decoded frames: `none`, `packed` (JPEG, less disk than the source) or `bytes` (memory-mapped, 36 MB
            for 103 frames of 455x256); see `swapaqa.data.frame_store`.
        video_reader: of video files: `pyav`, `decord` or `opencv`; see `swapaqa.video.frames`.
        accept_incomplete: read video files that were cut off or have a hole, by the frames that can be decoded.
        features: read these in the place of the videos, which need not be there.
        without: leave out of every split the videos that another data set has too: its name in `data=`.
        poses: a folder of pose files, or `own`, that in the root, `<root>/poses`; None: none are read.
    """

    root: str | None
    frames: int
    geometry: Geometry
    boxes: BoxSource
    target: Target
    split: Split = "published"
    fold: Fold = 0
    exemplars: Exemplars = "any"
    exemplars_from: ExemplarsFrom = "anywhere"
    cache: Kind = "none"
    video_reader: Reader = "pyav"
    accept_incomplete: bool = False
    features: FeatureFiles | None = None
    without: str | None = None
    poses: str | None = None

    layout: ClassVar[str]  # for a run without a root: what belongs there, where it comes from, what works without
    test_splits: ClassVar[tuple[str, ...]] = ("test",)
    sides: ClassVar[tuple[str, ...]] = ()  # names of what `read_side` gives of every record
    shares_with: ClassVar[tuple[str, ...]] = ()  # data sets that `footage` knows to have the same videos
    sides_on_demand: ClassVar[Mapping[str, str]] = {POSE: "data.poses=FOLDER"}  # what a key adds to them

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise InputError(f"data.frames={self.frames}: at least 1 is needed")
        if self.split == "published" and self.fold:
            raise InputError(f"data.fold={self.fold}: the published split has no folds; say data.split=by_event")
        if self.without is not None and self.without not in self.shares_with:
            known = ", ".join(self.shares_with) or "none"
            raise InputError(f"data.without={self.without}: {type(self).__name__} knows what it shares with {known}")
        if self.poses is not None:
            if self.features is not None:
                raise InputError("data.poses: joints are looked for in pixels, which reader=features has none of")
            self.sides = (*self.sides, POSE)  # type: ignore[misc]  # of this data set

    # what a data set says of itself

    @property
    @abstractmethod
    def actions(self) -> list[str]:
        """The actions of this run; a sample's `action` is a position in it."""

    @abstractmethod
    def read_list(self, split: str) -> list[Record]:
        """The records of a published split, in the order of the data set's list."""

    @abstractmethod
    def media(self, record: Record) -> Path:
        """The video file or image folder of a record. InputError if it is not there."""

    @property
    @abstractmethod
    def max_label(self) -> float:
        """The upper end of the label's scale; 0 is the lower one."""

    @abstractmethod
    def score_label(self, record: Record) -> Label:
        """What a method regresses with `data.target=score`: the score on the scale from 0 to `max_label`."""

    @classmethod
    def read_side(cls, record: Record) -> dict[str, Tensor]:  # noqa: ARG003  others read it
        """What this data set alone knows of a video, by the names of `sides`: tensors of one shape for all videos.

        Called in the loader's worker processes, which hold nothing of the data set but its class: what it needs is in
        the record. A method that looks for it names it in `needs`.
        """
        return {}

    def event(self, record: Record) -> str | None:  # noqa: ARG002  others read it from the record
        """The competition that a video is from; None where the data set's files name none."""
        return None

    def shown(self, record: Record) -> Hashable:
        """What a record shows: two records that show the same are one video under two names, and refused."""
        return record.video_id

    def footage(self, record: Record) -> Footage | None:  # noqa: ARG002  others know it
        """Which video a record is, by a name that is the same in every data set that has it; None: nothing is known.

        What training and test have in common is found by it, see `swapaqa.data.footage`.
        """
        return None

    def box_files(self, record: Record) -> list[Path]:
        """Where its boxes would be, best first, without a suffix: `<root>/boxes/<video_id>`."""
        return [self.boxes_folder / record.video_id]

    def window(self, record: Record, media: Path) -> Window:  # noqa: ARG002  others look at the file
        """Which frames of the file are the record's window: from its first one on."""
        return Window(0)

    def window_of_unlisted(self, media: Path) -> Window:  # noqa: ARG002  others look at the file
        """The window of a video that no list has, as a video of this data set that is cut already would be read."""
        return Window(0)

    @property
    def shift_range(self) -> tuple[int, int]:
        """Lowest and highest shift, in frames, that is drawn for the window of a training video; both are drawn."""
        return (0, 0)

    # what follows from it, for whoever asks

    @property
    def folder(self) -> Path:
        """The root as a path. InputError if none was given or it does not exist."""
        if self.root is None:
            raise InputError(f"data.root is not set. {self.layout}")
        folder = Path(self.root).expanduser()
        if not folder.is_dir():
            raise InputError(f"data.root={self.root}: no such folder. {self.layout}")
        return folder

    @property
    def pose_files(self) -> PoseFiles | None:
        """The pose files of this data set; None where none are read."""
        if self.poses is None:
            return None
        return PoseFiles(str(self.folder / "poses") if self.poses == OWN else self.poses)

    @property
    def boxes_folder(self) -> Path:
        """Where the box files of this data set lie: `boxes.root`, else `<data.root>/boxes`."""
        return Path(self.boxes.root).expanduser() if self.boxes.root else self.folder / "boxes"

    def read_split(self, split: str) -> list[Record]:
        """The records of a split under the rule `split`, in the order of the data set's list."""
        if self.split == "published" or split not in ("train", "test"):
            return self._listed(split)
        everything = [record for name in ("train", "test") for record in self._listed(name)]
        return [record for record in split_by_event(everything, self.event, self.fold) if record.split == split]

    def _listed(self, split: str) -> list[Record]:
        """The records of a published split, less those that another data set has, where one is named."""
        records = self.read_list(split)
        if self.without is None:
            return records
        kept = without_data_set(records, self.footage, self.without)
        if not kept:
            raise InputError(f"data.without={self.without}: no video of {split} is left; leave it out")
        return kept

    def read_splits(self, train: bool = True) -> dict[str, list[Record]]:
        """The records by split, with `train` first. InputError where they do not go together, see `records.faults`."""
        records = {split: self.read_split(split) for split in (*(("train",) if train else ()), *self.test_splits)}
        everything = [record for found in records.values() for record in found]
        refuse(f"{self.folder}: {fault}" for fault in faults(everything, self.shown))
        return records

    def record_of(self, media: Path) -> Record | None:
        """The record whose file or folder this is; None where the lists are not there or name none or several."""
        try:
            records = [record for split in ("train", *self.test_splits) for record in self.read_split(split)]
        except InputError:
            return None
        found = [r for r in records if (own := self._media_or_none(r)) is not None and own.resolve() == media.resolve()]
        return found[0] if len(found) == 1 else None

    def label(self, record: Record) -> Label:
        """What a method regresses, `data.target`. Completeness is score / difficulty, so the factor is the difficulty.

        Raises:
            InputError: completeness where the files give no difficulty.
        """
        if self.target == "score":
            return self.score_label(record)
        if record.difficulty is None:
            raise InputError(
                f"data.target=completeness divides the score by the difficulty, and the files of this data set give "
                f"none ({record.video_id}); say data.target=score"
            )
        return Label(record.score / record.difficulty, offset=0.0, factor=record.difficulty)

    def group(self, record: Record) -> Hashable:
        """Exemplars of a record come from its group."""
        return RULES[self.exemplars](record)

    def exemplar_bank(self, train: Sequence[Record], seed: int) -> ExemplarBank:
        """The exemplars among training records, under the rules of this data set.

        Raises:
            InputError: a record is of another split, or does not say what it is grouped or kept apart by.
        """
        refuse_unknown_groups(train, self.exemplars)
        apart: Callable[[Record], Hashable] | None = None
        if self.exemplars_from == "other_competitions":
            apart = self.event
        return ExemplarBank(train, self.group, seed, wider_rules(self.exemplars), apart)

    def training_labels(self, train: Sequence[Record]) -> TrainingLabels:
        """The labels of training records, for what a method derives from them."""
        groups = [self.group(record) for record in train]
        numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
        return TrainingLabels(
            label=torch.tensor([self.label(record).value for record in train], dtype=torch.float64),
            action=torch.tensor([self.actions.index(record.action) for record in train]),
            group=torch.tensor([numbers[group] for group in groups]),
            max_label=self.max_label,
        )

    def locate(self, record: Record) -> Located:
        """The record with its files and its window, for whoever looks at pixels and boxes alone.

        Raises:
            InputError: naming the video that is missing or too short. Its boxes may be missing.
        """
        media = self.media(record)
        return Located(record, media, self.window(record, media), self.box_files(record))

    def item(self, record: Record) -> Item:
        """The record with its files, its window and its label. InputError naming the file that is missing."""
        if self.features is not None:
            return self._feature_item(self.features, record)
        files, media = self.box_files(record), self.media(record)
        if media.is_dir():
            open_folder(media).refuse_a_gap()
        self.boxes.find(files)
        if media.is_file():
            frame_count(media, self.accept_incomplete)  # an incomplete one is refused before anything starts
        if self.pose_files is not None:
            self.pose_files.find(record.video_id)
        window = self.window(record, media)
        return Item(record, media, window, files, self.label(record), self.actions.index(record.action))

    def _feature_item(self, features: FeatureFiles, record: Record) -> FeatureItem:
        path, found = features.find(record.video_id), features.read(record.video_id)
        label, action = self.label(record), self.actions.index(record.action)
        clips = features.clips_in_evaluation(len(found))
        for number in range(self._copies if record.split == "train" else 0):
            features.find(record.video_id, number)
        return FeatureItem(record, path, Window(0), [], label, action, clips=clips, width=found.shape[1])

    @property
    def decoding(self) -> Decoding:
        """How video files are read, by whatever looks at them."""
        return Decoding(self.video_reader, self.accept_incomplete)

    @property
    def reader(self) -> SampleReader | FeatureReader:
        """Reads the samples of this data set, in whatever process."""
        if self.features is not None:
            return FeatureReader(self.features, self._copies, self.read_side)
        return self.pixel_reader

    @property
    def pixel_reader(self) -> SampleReader:
        """Reads its videos, for whoever looks at pixels and boxes alone. InputError where features take their place."""
        if self.features is not None:
            raise InputError("reader=features: there are no pixels to look at; leave it out, and name the videos")
        return SampleReader(
            self.frames, self.geometry, self.boxes, self._store, self.shift_range, self.read_side, self.pose_files
        )

    @cached_property
    def _copies(self) -> int:
        """How many copies of each training video there are to draw from."""
        assert self.features is not None
        return copies_there(self.features.place, self.features.copies, self.read_split("train"))

    @cached_property
    def _store(self) -> FrameStore:
        size = (self.geometry.height, self.geometry.width)
        return FrameStore(self.cache, size, *self.decoding, self.geometry.resize)

    def index(self, records: Sequence[Record]) -> None:
        """Make the index of each video file of `records` that has none yet."""
        index_files(media for media in map(self._media_or_none, records) if media is not None and media.is_file())

    def with_boxes(self, boxes: BoxSource) -> Self:
        """The same data set with other boxes."""
        other = copy(self)
        other.boxes = boxes
        return other

    def _media_or_none(self, record: Record) -> Path | None:
        try:
            return self.media(record)
        except InputError:  # said by `item`
            return None
