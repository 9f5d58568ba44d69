"""The DataModule that every data set shares: from records to augmented batches on the device.

The augmentation is the hook `on_after_batch_transfer`: in training only, on bytes, on whatever device the batch is.
"""

import hashlib
import itertools
import logging
import math
from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, default_collate

from swapaqa.batch import TrainingLabels, channels_first, concatenate, pooled
from swapaqa.data.box_ledger import warn_of_changed
from swapaqa.data.boxes import BoxSource
from swapaqa.data.dataset import EvaluationVideos, Item, SampleReader, TrainingPairs, TrainingVideos
from swapaqa.data.exemplars import ExemplarBank
from swapaqa.data.frame_store import FrameStore, Kind
from swapaqa.data.geometry import Geometry, Window
from swapaqa.data.image_folder import open_folder
from swapaqa.data.pooling import Augmentation, AugmentedData, Preview, describe_shares
from swapaqa.data.records import Label, Record, faults
from swapaqa.data.sampler import KeyedPermutation, WholeBatches
from swapaqa.data.video import Decoding, Reader, frame_count
from swapaqa.data.video_index import index_files
from swapaqa.errors import InputError, for_each, refuse
from swapaqa.seeds import keyed_generator

__all__ = ["Preview", "VideoData", "describe_shares"]

log = logging.getLogger(__name__)

PREVIEW_VIDEOS = 8
Target = Literal["score", "completeness"]


@dataclass(kw_only=True, eq=False)
class VideoData(AugmentedData):
    """Loading, pairing, augmenting. A data set is a subclass that reads its lists and finds its files.

    Attributes:
        root: folder of the data set; None where it is not known.
        frames: length of the window.
        geometry, boxes, augment: what happens to pixels, boxes and batches.
        voters: exemplars that vote at evaluation, or `all` of a video's group; 0 for methods without exemplars, which
            then get single samples.
        batch_size: videos (or pairs) of a batch over all processes.
        workers: loader processes of each training process.
        seed: of the run.
        target: what is regressed: the score, or the completeness (score over difficulty) where the files give it.
        val_fraction: share of train that is cut off as `val`, for a choice of epoch that does not look at test.
        cache: keep decoded frames: `none`, `packed` (JPEG, less disk than the source) or `bytes` (memory-mapped, 36 MB
            for 103 frames of 455x256); see `swapaqa.data.frame_store`.
        video_reader: of video files: `pyav`, `decord` or `opencv`; see `swapaqa.data.video`.
        accept_incomplete: read video files that were cut off or have a hole, by the frames that can be decoded.
        skip_unreadable: decode everything once before training and leave out, with a warning, what is missing or
            cannot be read.
    """

    root: str | None
    frames: int
    geometry: Geometry
    boxes: BoxSource
    augment: Augmentation
    voters: int | Literal["all"]
    batch_size: int
    workers: int
    seed: int
    target: Target
    val_fraction: float
    skip_unreadable: bool
    cache: Kind = "none"
    video_reader: Reader = "pyav"
    accept_incomplete: bool = False
    items: dict[str, list[Item]] = field(init=False, default_factory=dict)
    skipped: list[str] = field(init=False, default_factory=list)

    layout: ClassVar[str]  # for a run without a root: what belongs there, where it comes from, what works without
    test_splits: ClassVar[tuple[str, ...]] = ("test",)
    sides: ClassVar[tuple[str, ...]] = ()  # names of what `read_side` gives of every record

    def __post_init__(self) -> None:
        super().__init__()
        if not 0 <= self.val_fraction < 1:
            raise InputError(f"data.val_fraction={self.val_fraction}: a share below 1 is needed")
        for key, least in (("frames", 1), ("batch_size", 1), ("workers", 0), ("voters", 0)):
            if getattr(self, key) != "all" and getattr(self, key) < least:
                raise InputError(f"data.{key}={getattr(self, key)}: at least {least} is needed")

    @property
    @abstractmethod
    def actions(self) -> list[str]:
        """The actions of this run; a sample's `action` is a position in it."""

    @abstractmethod
    def read_split(self, split: str) -> list[Record]:
        """The records of a split, in the order of the data set's list."""

    def read_splits(self, train: bool = True) -> dict[str, list[Record]]:
        """The records by split, with `train` first. InputError where they do not go together, see `records.faults`."""
        records = {split: self.read_split(split) for split in (*(("train",) if train else ()), *self.test_splits)}
        everything = [record for found in records.values() for record in found]
        refuse(f"{self.folder}: {fault}" for fault in faults(everything, self.shown))
        return records

    def shown(self, record: Record) -> Hashable:
        """What a record shows: two records that show the same are one video under two names, and refused."""
        return record.video_id

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

    def box_files(self, record: Record) -> list[Path]:
        """Where its boxes would be, best first, without a suffix: `<root>/boxes/<video_id>`."""
        return [(Path(self.boxes.root) if self.boxes.root else self.folder / "boxes") / record.video_id]

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

    def group(self, record: Record) -> Hashable:
        """Exemplars of a record come from its group: its action."""
        return record.action

    def wider_groups(self) -> Sequence[Callable[[Record], Hashable]]:
        """Where exemplars come from when no training video is in a record's group, narrowest first."""
        return ()

    def apart(self) -> Callable[[Record], Hashable] | None:
        """What a video and its exemplars never have in common; None: nothing."""
        return None

    def event(self, record: Record) -> str | None:  # noqa: ARG002  others read it from the record
        """The competition that a video is from; None where the data set's files name none."""
        return None

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

    @property
    def folder(self) -> Path:
        """The root as a path. InputError if none was given or it does not exist."""
        if self.root is None:
            raise InputError(f"data.root is not set. {self.layout}")
        folder = Path(self.root).expanduser()
        if not folder.is_dir():
            raise InputError(f"data.root={self.root}: no such folder. {self.layout}")
        return folder

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  one set-up serves all stages
        """Read the lists and find every file, once; nothing is decoded but what `cache` keeps."""
        if self.items:
            return
        tests = self.read_splits()
        train, val = self._cut(tests.pop("train"))
        records = {"train": train} | ({"val": val} if val else {}) | tests
        self.open_reader([record for chosen in records.values() for record in chosen])
        for split, chosen in records.items():
            self.items[split] = self._items(chosen)
        files = (self.boxes.find(item.box_files) for items in self.items.values() for item in items)
        warn_of_changed(path for path in files if path is not None)
        self.bank = self._open_bank() if self.voters else None
        self.reader.store.fill([self.reader.want(item) for items in self.items.values() for item in items])

    @property
    def decoding(self) -> Decoding:
        """How video files are read, by whatever looks at them."""
        return Decoding(self.video_reader, self.accept_incomplete)

    def open_reader(self, records: Sequence[Record]) -> None:
        """Make `reader`, and the index of each video file of `records` that has none yet."""
        size = (self.geometry.height, self.geometry.width)
        store = FrameStore(self.cache, size, *self.decoding, self.geometry.resize)
        self.reader = SampleReader(self.frames, self.geometry, self.boxes, store, self.shift_range, self.read_side)
        index_files(media for media in map(self._media_or_none, records) if media is not None and media.is_file())

    def record_of(self, media: Path) -> Record | None:
        """The record whose file or folder this is; None where the lists are not there or name none or several."""
        try:
            records = [record for split in ("train", *self.test_splits) for record in self.read_split(split)]
        except InputError:
            return None
        found = [r for r in records if (own := self._media_or_none(r)) is not None and own.resolve() == media.resolve()]
        return found[0] if len(found) == 1 else None

    def _media_or_none(self, record: Record) -> Path | None:
        try:
            return self.media(record)
        except InputError:  # said by `item`
            return None

    def _open_bank(self) -> ExemplarBank:
        train = [item.record for item in self.items["train"]]
        bank = ExemplarBank(train, self.group, self.seed, self.wider_groups(), self.apart())
        for split, items in self.items.items():
            strays = bank.note_strays(split, [item.record for item in items])
            if strays:
                log.warning(
                    "%s: %d of %d videos have no training video in their exemplar group, which is widened for them: %s",
                    split, len(strays), len(items), ", ".join(strays),
                )  # fmt: skip
        if self.augment.mixes_targets and len(bank.groups) > 1:
            raise InputError(
                f"this augmentation blends scores, and exemplars are drawn within {len(bank.groups)} groups (of "
                "difficulty or action): a blend of two groups belongs to neither; choose aug=swap, or a method without "
                "exemplars"
            )
        return bank

    def _cut(self, train: list[Record]) -> tuple[list[Record], list[Record]]:
        """Cut `val_fraction` of the training records off, drawn by the seed alone."""
        count = round(self.val_fraction * len(train))
        if self.val_fraction and not 0 < count < len(train):
            raise InputError(f"data.val_fraction={self.val_fraction}: {count} of {len(train)} training videos for val")
        order = torch.randperm(len(train), generator=keyed_generator(self.seed, "val")).tolist()
        chosen = set(order[:count])
        val = [replace(record, split="val") for i, record in enumerate(train) if i in chosen]
        return [record for i, record in enumerate(train) if i not in chosen], val

    def item(self, record: Record) -> Item:
        """The record with its files, its window and its label. InputError naming the file that is missing."""
        files, media = self.box_files(record), self.media(record)
        if media.is_dir():
            open_folder(media).refuse_a_gap()
        self.boxes.find(files)
        if media.is_file():
            frame_count(media, self.accept_incomplete)  # an incomplete one is refused before anything starts
        window = self.window(record, media)
        return Item(record, media, window, files, self.label(record), self.actions.index(record.action))

    def _items(self, records: list[Record]) -> list[Item]:
        if not self.skip_unreadable:
            return for_each(self.item, records)
        kept = []
        for record in track(records, description="reading every video once", transient=True):
            try:
                item = self.item(record)
                self.reader.read(item, 0, self.geometry.centre(), self.shift_range[1])
                kept.append(item)
            except InputError as error:
                log.warning("left out: %s", error)
                self.skipped.append(str(error))
        if not kept:
            raise InputError(f"data.root={self.root}: no readable video is left; first: {self.skipped[0]}")
        return kept

    def records(self) -> dict[str, list[Record]]:
        """The records by split, in the order of a sample's `index`."""
        return {split: [item.record for item in items] for split, items in self.items.items()}

    def training_labels(self) -> TrainingLabels:
        """The training labels, for what a method derives from them; before `setup` from the lists alone."""
        records = self.records().get("train") or self._cut(self.read_split("train"))[0]
        groups = {group: i for i, group in enumerate(dict.fromkeys(self.group(record) for record in records))}
        return TrainingLabels(
            label=torch.tensor([self.label(record).value for record in records], dtype=torch.float64),
            action=torch.tensor([self.actions.index(record.action) for record in records]),
            group=torch.tensor([groups[self.group(record)] for record in records]),
            max_label=self.max_label,
        )

    def fingerprint(self) -> str:
        """A digest of what was trained and tested on: ids, scores and sizes of the files."""
        lines = [
            f"{split} {item.record} {item.media.stat().st_size if item.media.is_file() else ''}"
            for split, items in self.items.items()
            for item in items
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def train_dataloader(self) -> DataLoader:
        rank, world = self.place()
        alone = world == self.batch_size > 1 and not self.bank  # a pair has two videos
        if alone and self.augment.replaces_pixels and self.augment.pool == "local":
            raise InputError(
                f"data.batch_size={self.batch_size}: one video for each of {world} processes, which has nobody to "
                "exchange backgrounds with; say aug.pool=global, or raise data.batch_size"
            )
        sampler = self._batches(rank, world, self.done)
        return DataLoader(self._training_set(), batch_sampler=sampler, num_workers=self.workers, **self._loading())

    def _batches(self, rank: int, world: int, done: tuple[int, int] = (0, 0)) -> WholeBatches:
        """The training batches. A last one must not be a single video that is to be swapped; a pair is two videos."""
        least = 2 if self.augment.replaces_pixels and not self.voters else 1
        if self.augment.pool == "local":
            least *= world
        order = KeyedPermutation(len(self.items["train"]), self.seed)
        return WholeBatches(order, self.batch_size, rank, world, done, least)

    def _training_set(self) -> Dataset:
        videos = TrainingVideos(self.reader, self.items["train"], self.seed, self.shift_range)
        return TrainingPairs(videos, self.bank) if self.bank else videos

    def val_dataloader(self) -> list[DataLoader]:
        """One loader a split; methods that vote also need the training videos, encoded without augmentation."""
        splits = [split for split in self.items if split != "train" or self.bank]
        return [self._evaluation_loader(split) for split in splits]

    def _evaluation_loader(self, split: str) -> DataLoader:
        rank, world = self.place()
        votes = self.bank if split != "train" else None
        count = len(votes.ids) if votes and self.voters == "all" else self.voters
        videos = EvaluationVideos(self.reader, self.items[split], votes, int(count) if votes else 0)
        shard: DistributedSampler | None = None
        if world > 1:
            shard = DistributedSampler(videos, world, rank, shuffle=False)
        size = max(1, 2 * self.batch_size // world)  # no graph is kept, so twice a training batch fits
        return DataLoader(videos, batch_size=size, sampler=shard, num_workers=self.workers, **self._loading())

    def _loading(self) -> dict[str, Any]:
        return {"persistent_workers": self.workers > 0, "pin_memory": torch.cuda.is_available()}

    def preview(self) -> Preview:
        """The first training batches of epoch 0 before and after the augmentation, on the CPU."""
        batches = itertools.islice(self._batches(rank=0, world=1), math.ceil(PREVIEW_VIDEOS / self.batch_size))
        dataset = self._training_set()
        shown = [channels_first(default_collate([dataset[key] for key in batch])) for batch in batches]
        after = [self.augmented(batch, epoch=0, step=step) for step, batch in enumerate(shown)]
        return Preview(concatenate([pooled(batch) for batch in shown]), concatenate([pooled(batch) for batch in after]))

    def check_replaced_share(self, preview: Preview) -> dict[str, float]:
        """The share of pixels that the augmentation replaces in the preview, as mean and per action.

        Raises:
            InputError: below 1 %: the run would be one without augmentation under another name.
        """
        replaced, action = preview.after.replaced, preview.after.labels.action
        shares = {"mean": float(replaced.mean())}
        for position in action.unique().tolist():
            shares[self.actions[position]] = float(replaced[action == position].mean())
        if shares["mean"] < 0.01 and self.augment.replaces_pixels:
            raise InputError(
                f"the augmentation would replace {shares['mean']:.2%} of the pixels, less than 1 %: lower aug.ratio, "
                "choose other boxes (boxes=darklabel), raise data.batch_size above 1, or say aug=none"
            )
        return shares
