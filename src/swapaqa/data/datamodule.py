"""The DataModule of every data set: batches for training and evaluation, augmented on the device.

The augmentation is the hook `on_after_batch_transfer`: in training only, on bytes, on whatever device the batch is.
What a data set is, its lists, files and labels, is its `source`'s: `swapaqa.data.source`.
"""

import hashlib
import itertools
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, final

import torch
from pytorch_lightning import LightningDataModule
from rich.progress import track
from torch.utils.data import DataLoader, Dataset, DistributedSampler, default_collate

from swapaqa.batch import Pair, Sample, TrainingLabels, channels_first, concatenate, map_samples, pooled, take_rows
from swapaqa.boxes.ledger import warn_of_changed
from swapaqa.boxes.source import BoxSource
from swapaqa.data.dataset import EvaluationVideos, Item, ItemReader, TrainingPairs, TrainingVideos
from swapaqa.data.exemplars import ExemplarBank
from swapaqa.data.feature_reader import FeatureReader, has_lengths, refuse_mixed
from swapaqa.data.footage import Seen, names_of, unseen
from swapaqa.data.pooling import Augmentation, Preview, augmented, gathered
from swapaqa.data.records import Record
from swapaqa.data.sampler import Key, KeyedPermutation, WholeBatches
from swapaqa.data.source import VideoSource
from swapaqa.data.splits import cut_val
from swapaqa.data.upload import Upload
from swapaqa.errors import InputError, for_each
from swapaqa.seeds import keyed_generator

log = logging.getLogger(__name__)

PREVIEW_VIDEOS = 8


@final
@dataclass(kw_only=True, eq=False)
class VideoData(LightningDataModule):
    """Loading, pairing, augmenting the videos of a source.

    Attributes:
        source: the data set.
        augment: what happens to training batches.
        voters: exemplars that vote at evaluation, or `all` of a video's group; 0 for methods without exemplars, which
            then get single samples.
        batch_size: videos (or pairs) of a batch over all processes.
        workers: loader processes of each training process.
        seed: of the run.
        val_fraction: share of train that is cut off as `val`, for a choice of epoch that does not look at test.
        skip_unreadable: decode everything once before training and leave out, with a warning, what is missing or
            cannot be read.
        items: by split, once it is set up; a sample's `position` is one in it.
        reader: of the samples in evaluation.
        bank: the exemplars of a method that votes.
        seen: what the weights were trained on before, set ahead of the set-up; see `swapaqa.data.footage`.
        left_out: ids by test split of the videos that were left out as the weights were trained on them.
        done: epoch, and its batches before the run was cut off.
    """

    source: VideoSource
    augment: Augmentation
    voters: int | Literal["all"]
    batch_size: int
    workers: int
    seed: int
    val_fraction: float
    skip_unreadable: bool
    items: dict[str, list[Item]] = field(init=False, default_factory=dict)
    skipped: list[str] = field(init=False, default_factory=list)
    bank: ExemplarBank | None = field(init=False, default=None)
    seen: list[Seen] = field(init=False, default_factory=list)
    left_out: dict[str, list[str]] = field(init=False, default_factory=dict)
    done: tuple[int, int] = field(init=False, default=(0, 0))

    def __init_subclass__(cls) -> None:
        raise TypeError(
            f"{cls.__name__}: a data set is a subclass of swapaqa.data.source.VideoSource, and read_split is called "
            "read_list there (docs/extend.md)"
        )

    def __post_init__(self) -> None:
        super().__init__()
        if not 0 <= self.val_fraction < 1:
            raise InputError(f"data.val_fraction={self.val_fraction}: a share below 1 is needed")
        for key, least in (("batch_size", 1), ("workers", 0), ("voters", 0)):
            if getattr(self, key) != "all" and getattr(self, key) < least:
                raise InputError(f"data.{key}={getattr(self, key)}: at least {least} is needed")
        self.upload = Upload()

    @cached_property
    def reader(self) -> ItemReader:  # a probe sets another
        return self.source.reader

    # the lists

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  one set-up serves all stages
        """Read the lists and find every file, once; nothing is decoded but what `cache` keeps."""
        if self.items:
            return
        tests = self.source.read_splits()
        train, val = cut_val(tests.pop("train"), self.val_fraction, self.seed)
        if self.voters:
            self._refuse_blended_groups(self.source.exemplar_bank(train, self.seed))  # before a file is looked at
        self._find({"train": train} | ({"val": val} if val else {}) | self._unseen(tests))
        if self.voters:
            self.bank = self.source.exemplar_bank(self.records()["train"], self.seed)
            self._note_strays(self.bank)
        self._fill()

    def setup_tests(self, bank: ExemplarBank | None) -> None:
        """As `setup`, with the test splits alone: for a method that does not vote, or has its exemplars in `bank`."""
        self._find(self._unseen(self.source.read_splits(train=False)))
        self.bank = bank
        self._fill()

    def _unseen(self, tests: dict[str, list[Record]]) -> dict[str, list[Record]]:
        """The test splits without videos that the weights were trained on; refused where `seen` does not allow it."""
        for seen in self.seen:
            tests, left_out = unseen(tests, self.source.footage, seen)
            for split, ids in left_out.items():
                self.left_out.setdefault(split, []).extend(ids)
                log.warning("%s %d videos of %s, which are left out", seen.who, len(ids), split)
        return tests

    def _find(self, records: Mapping[str, list[Record]]) -> None:
        """Find the files of all splits."""
        if self.source.features is None:
            self.source.index([record for chosen in records.values() for record in chosen])
        for split, chosen in records.items():
            self.items[split] = self._items(chosen)
        if self.source.features is not None:
            refuse_mixed(self.source.features, self.items, bool(self.voters))
            return
        files = (self.source.boxes.find(item.box_files) for items in self.items.values() for item in items)
        warn_of_changed(path for path in files if path is not None)

    def _fill(self) -> None:
        reader = self.source.reader
        if isinstance(reader, FeatureReader):
            return
        reader.store.fill([reader.want(item) for items in self.items.values() for item in items])

    def cached_bytes(self) -> int:
        """What `data.cache` keeps of these videos on the disk, once it is set up."""
        reader = self.source.reader
        if isinstance(reader, FeatureReader):
            return 0
        return reader.store.size_of({reader.want(item) for items in self.items.values() for item in items})

    def take_boxes(self, boxes: BoxSource) -> None:
        """Read the test videos with other boxes from now on, which training videos need not have: their items stay.

        Raises:
            InputError: a test video has none.
        """
        self.source = self.source.with_boxes(boxes)
        self.reader = self.source.reader
        for split in self.source.test_splits:
            self.items[split] = [self.source.item(item.record) for item in self.items[split]]

    def _items(self, records: list[Record]) -> list[Item]:
        if not self.skip_unreadable:
            return for_each(self.source.item, records)
        kept = []
        for record in track(records, description="reading every video once", transient=True):
            try:
                item = self.source.item(record)
                self.source.reader.read(item, shift=self.source.shift_range[1])
                kept.append(item)
            except InputError as error:
                log.warning("left out: %s", error)
                self.skipped.append(str(error))
        if not kept:
            raise InputError(f"data.root={self.source.root}: no readable video is left; first: {self.skipped[0]}")
        return kept

    def _note_strays(self, bank: ExemplarBank) -> None:
        for split, items in self.items.items():
            strays = bank.note_strays(split, [item.record for item in items])
            if strays:
                log.warning(
                    "%s: %d of %d videos have no training video in their exemplar group, which is widened for them: %s",
                    split, len(strays), len(items), ", ".join(strays),
                )  # fmt: skip

    def _refuse_blended_groups(self, bank: ExemplarBank) -> None:
        if self.augment.mixes_targets and len(bank.groups) > 1:
            raise InputError(
                f"this augmentation blends scores, and exemplars are drawn within {len(bank.groups)} groups (of "
                "difficulty or action): a blend of two groups belongs to neither; choose aug=swap, or a method without "
                "exemplars"
            )

    def records(self) -> dict[str, list[Record]]:
        """The records by split, in the order of a sample's `index`."""
        return {split: [item.record for item in items] for split, items in self.items.items()}

    def training_labels(self) -> TrainingLabels:
        """The training labels, for what a method derives from them; before `setup` from the lists alone."""
        records = self.records().get("train")
        if not records:
            records, _ = cut_val(self.source.read_split("train"), self.val_fraction, self.seed)
        return self.source.training_labels(records)

    def trained_on(self) -> frozenset[str]:
        """The footage of weights that are trained here: that of the training videos, and what they were trained on."""
        return names_of(self.records()["train"], self.source.footage).union(*(seen.names for seen in self.seen))

    def fingerprint(self) -> str:
        """A digest of what was trained and tested on: ids, scores and sizes of the files."""
        lines = [
            f"{split} {item.record} {item.media.stat().st_size if item.media.is_file() else ''}"
            for split, items in self.items.items()
            for item in items
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    # the loaders

    def train_dataloader(self) -> DataLoader[Any]:
        rank, world_size = self.rank_and_world_size()
        alone = world_size == self.batch_size > 1 and not self.bank  # a pair has two videos
        if alone and self.augment.replaces_pixels and self.augment.pool == "local":
            raise InputError(
                f"data.batch_size={self.batch_size}: one video for each of {world_size} processes, which has nobody to "
                "exchange backgrounds with; say aug.pool=global, or raise data.batch_size"
            )
        sampler = self._batches(rank, world_size, self.done)
        return DataLoader(self.training_set(), batch_sampler=sampler, num_workers=self.workers, **self._loading())

    def _batches(self, rank: int, world_size: int, done: tuple[int, int] = (0, 0)) -> WholeBatches:
        """The training batches. A last one must not be a single video that is to be swapped; a pair is two videos."""
        least = 2 if self.augment.replaces_pixels and not self.voters else 1
        if self.augment.pool == "local":
            least *= world_size
        order = KeyedPermutation(len(self.items["train"]), self.seed)
        return WholeBatches(order, self.batch_size, rank, world_size, done, least)

    def training_batches(self, epoch: int) -> list[list[Key]]:
        """The keys of an epoch's batches, of all processes together."""
        batches = self._batches(rank=0, world_size=1)
        batches.sampler.set_epoch(epoch)
        return list(batches)

    def training_set(self) -> Dataset[Any]:
        """The training samples, or pairs, by (epoch, position)."""
        videos = TrainingVideos(self.source.reader, self.items["train"], self.seed, self.source.shift_range)
        return TrainingPairs(videos, self.bank) if self.bank else videos

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """One loader a split; methods that vote also need the training videos, encoded without augmentation."""
        splits = [split for split in self.items if split != "train" or self.bank]
        return [self._evaluation_loader(split) for split in splits]

    def _evaluation_loader(self, split: str) -> DataLoader[Any]:
        rank, world_size = self.rank_and_world_size()
        votes = self.bank if split != "train" else None
        count = len(votes.ids) if votes and self.voters == "all" else self.voters
        videos = EvaluationVideos(self.reader, self.items[split], votes, int(count) if votes else 0)
        shard: DistributedSampler[Any] | None = None
        if world_size > 1:
            shard = DistributedSampler(videos, world_size, rank, shuffle=False)
        size = max(1, 2 * self.batch_size // world_size)  # no graph is kept, so twice a training batch fits
        if has_lengths(self.items[split]):
            size = 1
        return DataLoader(videos, batch_size=size, sampler=shard, num_workers=self.workers, **self._loading())

    def _loading(self) -> dict[str, Any]:
        return {"persistent_workers": self.workers > 0, "pin_memory": torch.cuda.is_available()}

    # a batch on the device

    def transfer_batch_to_device(
        self,
        batch: Sample | Pair,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> Sample | Pair:
        return self.upload(batch, device)

    def on_after_batch_transfer(self, batch: Sample | Pair, dataloader_idx: int) -> Sample | Pair:  # noqa: ARG002
        """Bytes as (B, C, T, H, W); in training, augmented. Pairs are pooled: 2N videos exchange backgrounds."""
        trainer = self.trainer
        if trainer is None or not trainer.training:
            return channels_first(batch)
        step = trainer.fit_loop.batch_idx + 1  # Lightning counts a batch after its transfer
        return self.augmented(channels_first(batch), trainer.current_epoch, step)

    def augmented(self, batch: Sample | Pair, epoch: int, step: int) -> Sample | Pair:
        """The batch under the augmentation drawn for (seed, epoch, step); videos (B, C, T, H, W)."""
        generator = keyed_generator(self.seed, "augment", epoch, step)
        rank, world_size = self.rank_and_world_size()
        if self.augment.pool == "local" or world_size == 1 or self.trainer is None:
            return augmented(batch, self.augment, generator)
        whole = augmented(gathered(batch, self.trainer.strategy.all_gather, world_size), self.augment, generator)
        return map_samples(whole, lambda sample: take_rows(sample, slice(rank, None, world_size)))

    def rank_and_world_size(self) -> tuple[int, int]:
        """Rank of this process, and number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def state_dict(self) -> dict[str, Any]:
        """Where in an epoch a checkpoint is."""
        assert self.trainer is not None
        return {"epoch": self.trainer.current_epoch, "batches": self.trainer.fit_loop.batch_idx + 1}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.done = (state_dict["epoch"], state_dict["batches"])

    # what the augmentation does

    def preview(self) -> Preview:
        """The first training batches of epoch 0 before and after the augmentation, on the CPU."""
        batches = itertools.islice(self._batches(rank=0, world_size=1), math.ceil(PREVIEW_VIDEOS / self.batch_size))
        dataset = self.training_set()
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
            shares[self.source.actions[position]] = float(replaced[action == position].mean())
        if shares["mean"] < 0.01 and self.augment.replaces_pixels:
            raise InputError(
                f"the augmentation would replace {shares['mean']:.2%} of the pixels, less than 1 %: lower aug.ratio, "
                "choose other boxes (boxes=darklabel), raise data.batch_size above 1, or say aug=none"
            )
        return shares
