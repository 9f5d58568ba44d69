"""The DataModule that every data set shares: from records to augmented batches on the device.

The augmentation is the hook `on_after_batch_transfer`: in training only, on bytes, on whatever device the batch is.
"""

import hashlib
import logging
from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, Trainer
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, default_collate

from swapaqa.batch import Pair, Sample, TrainingLabels
from swapaqa.data.boxes import BoxSource
from swapaqa.data.dataset import EvaluationVideos, Item, SampleReader, TrainingPairs, TrainingVideos
from swapaqa.data.exemplars import ExemplarBank
from swapaqa.data.geometry import Geometry
from swapaqa.data.records import Label, Record
from swapaqa.data.sampler import KeyedPermutation, WholeBatches
from swapaqa.errors import InputError
from swapaqa.seeds import keyed_generator

log = logging.getLogger(__name__)

PREVIEW_VIDEOS = 8


class Augmentation(Protocol):
    """What an augmentation of a batch of videos offers; `swapaqa.augment` has several."""

    mixes_targets: ClassVar[bool]  # blends labels too, which has no meaning for every method
    replaces_pixels: ClassVar[bool]  # False only for the one that does nothing

    @property
    def pool(self) -> Literal["local", "global"]: ...  # donors from this process's videos, or from all of the batch

    def draw(self, batch_size: int, generator: torch.Generator) -> Any: ...

    def apply(
        self, video: Tensor, boxes: Tensor, targets: dict[str, Tensor], plan: Any
    ) -> tuple[Tensor, dict[str, Tensor]]: ...

    def replaced_share(self, boxes: Tensor, size: tuple[int, int], plan: Any) -> Tensor: ...


class Preview(NamedTuple):
    """A few training videos before and after the augmentation, (B, C, T, H, W)."""

    before: Sample
    after: Sample


@dataclass(kw_only=True, eq=False)
class VideoData(LightningDataModule):
    """Loading, pairing, augmenting. A data set is a subclass that reads its lists and finds its files.

    Attributes:
        root: folder of the data set; None where it is not known.
        frames: length of the window.
        geometry, boxes, augment: what happens to pixels, boxes and batches.
        voters: exemplars that vote at evaluation; 0 for methods without exemplars, which then get single samples.
        batch_size: videos (or pairs) of a batch over all processes.
        workers: loader processes of each training process.
        seed: of the run.
        val_fraction: share of train that is cut off as `val`, for a choice of epoch that does not look at test.
        skip_unreadable: decode everything once before training and leave out, with a warning, what cannot be read.
    """

    root: str | None
    frames: int
    geometry: Geometry
    boxes: BoxSource
    augment: Augmentation
    voters: int
    batch_size: int
    workers: int
    seed: int
    val_fraction: float
    skip_unreadable: bool
    items: dict[str, list[Item]] = field(init=False, default_factory=dict)
    skipped: list[str] = field(init=False, default_factory=list)

    max_label: ClassVar[float]
    home: ClassVar[str]  # the environment variable that names the root
    layout: ClassVar[str]  # for a run without a root: what belongs there, where it comes from, what works without
    test_splits: ClassVar[tuple[str, ...]] = ("test",)

    def __post_init__(self) -> None:
        super().__init__()
        if not 0 <= self.val_fraction < 1:
            raise InputError(f"data.val_fraction={self.val_fraction}: a share below 1 is needed")
        for key, least in (("frames", 1), ("batch_size", 1), ("workers", 0), ("voters", 0)):
            if getattr(self, key) < least:
                raise InputError(f"data.{key}={getattr(self, key)}: at least {least} is needed")

    @property
    @abstractmethod
    def actions(self) -> list[str]:
        """The actions of this run; a sample's `action` is a position in it."""

    @abstractmethod
    def read_split(self, split: str) -> list[Record]:
        """The records of a split, in the order of the data set's list."""

    @abstractmethod
    def media(self, record: Record) -> Path:
        """The video file or image folder of a record. InputError if it is not there."""

    @abstractmethod
    def box_files(self, record: Record) -> list[Path]:
        """Where its boxes would be, best first, without a suffix."""

    @abstractmethod
    def label(self, record: Record) -> Label:
        """What a method regresses."""

    @abstractmethod
    def group(self, record: Record) -> Hashable:
        """Exemplars of a record come from its group."""

    @property
    def folder(self) -> Path:
        """The root as a path. InputError if none was given or it does not exist."""
        if self.root is None:
            raise InputError(f"{self.home} and data.root: neither is set. {self.layout}")
        folder = Path(self.root).expanduser()
        if not folder.is_dir():
            raise InputError(f"data.root={self.root}: no such folder. {self.layout}")
        return folder

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  one set-up serves all stages
        """Read the lists and find every file, once; nothing is decoded."""
        if self.items:
            return
        train, val = self._cut(self.read_split("train"))
        records = {"train": train} | ({"val": val} if val else {})
        records |= {split: self.read_split(split) for split in self.test_splits}
        for split, chosen in records.items():
            self.items[split] = self._readable([self._item(record) for record in chosen])
        self.reader = SampleReader(self.frames, self.geometry, self.boxes)
        train_records = [item.record for item in self.items["train"]]
        self.bank = ExemplarBank(train_records, self.group, self.seed) if self.voters else None

    def _cut(self, train: list[Record]) -> tuple[list[Record], list[Record]]:
        """Cut `val_fraction` of the training records off, drawn by the seed alone."""
        count = round(self.val_fraction * len(train))
        order = torch.randperm(len(train), generator=keyed_generator(self.seed, "val")).tolist()
        chosen = set(order[:count])
        val = [Record(**vars(r) | {"split": "val"}) for i, r in enumerate(train) if i in chosen]
        return [record for i, record in enumerate(train) if i not in chosen], val

    def _item(self, record: Record) -> Item:
        files = self.box_files(record)
        self.boxes.find(files)
        return Item(record, self.media(record), files, self.label(record), self.actions.index(record.action))

    def _readable(self, items: list[Item]) -> list[Item]:
        if not self.skip_unreadable:
            return items
        kept = []
        reader = SampleReader(self.frames, self.geometry, self.boxes)
        for item in track(items, description="reading every video once", transient=True):
            try:
                reader.read(item, 0, self.geometry.centre())
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
        """The training labels, for what a method derives from them."""
        items = self.items["train"]
        groups = {group: i for i, group in enumerate(dict.fromkeys(self.group(item.record) for item in items))}
        return TrainingLabels(
            label=torch.tensor([item.label.value for item in items], dtype=torch.float64),
            action=torch.tensor([item.action for item in items]),
            group=torch.tensor([groups[self.group(item.record)] for item in items]),
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
        rank, world = self._place()
        sampler = WholeBatches(KeyedPermutation(len(self.items["train"]), self.seed), self.batch_size, rank, world)
        return DataLoader(self._training_set(), batch_sampler=sampler, num_workers=self.workers, **self._loading())

    def _training_set(self) -> Dataset:
        videos = TrainingVideos(self.reader, self.items["train"], self.seed)
        return TrainingPairs(videos, self.bank) if self.bank else videos

    def val_dataloader(self) -> list[DataLoader]:
        """One loader a split; methods that vote also need the training videos, encoded without augmentation."""
        splits = [split for split in self.items if split != "train" or self.bank]
        return [self._evaluation_loader(split) for split in splits]

    def _evaluation_loader(self, split: str) -> DataLoader:
        rank, world = self._place()
        votes = self.bank if split != "train" else None
        videos = EvaluationVideos(self.reader, self.items[split], votes, self.voters if votes else 0)
        shard: DistributedSampler | None = None
        if world > 1:
            shard = DistributedSampler(videos, world, rank, shuffle=False)
        size = max(1, 2 * self.batch_size // world)  # no graph is kept, so twice a training batch fits
        return DataLoader(videos, batch_size=size, sampler=shard, num_workers=self.workers, **self._loading())

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loading(self) -> dict[str, Any]:
        return {"persistent_workers": self.workers > 0, "pin_memory": torch.cuda.is_available()}

    def on_after_batch_transfer(self, batch: Sample | Pair, dataloader_idx: int) -> Sample | Pair:  # noqa: ARG002
        """Bytes as (B, C, T, H, W); in training, augmented. Pairs are pooled: 2N videos exchange backgrounds."""
        trainer = self.trainer
        if trainer is None or not trainer.training:
            return _channels_first(batch)
        step = trainer.fit_loop.batch_idx + 1  # Lightning counts a batch after its transfer
        return self.augmented(_channels_first(batch), trainer.current_epoch, step)

    def augmented(self, batch: Sample | Pair, epoch: int, step: int) -> Sample | Pair:
        """The batch under the augmentation drawn for (seed, epoch, step); videos (B, C, T, H, W)."""
        generator = keyed_generator(self.seed, "augment", epoch, step)
        rank, world = self._place()
        if self.augment.pool == "local" or world == 1 or self.trainer is None:
            return self._apply(batch, generator)
        whole = self._apply(self._gathered(batch, self.trainer), generator)
        return _map(whole, lambda sample: Sample(*(column[rank::world] for column in sample)))  # type: ignore[arg-type]

    def _apply(self, batch: Sample | Pair, generator: torch.Generator) -> Sample | Pair:
        pool = batch if isinstance(batch, Sample) else _pooled(batch)
        plan = self.augment.draw(len(pool.video), generator)
        targets = {name: getattr(pool, name) for name in ("score", "label", "judges")}
        video, targets = self.augment.apply(pool.video, pool.boxes, targets, plan)
        size = (pool.video.shape[3], pool.video.shape[4])
        share = self.augment.replaced_share(pool.boxes, size, plan)
        pool = pool._replace(video=video, replaced=share)._replace(**targets)  # type: ignore[arg-type]
        return pool if isinstance(batch, Sample) else _unpooled(pool)

    def _gathered(self, batch: Sample | Pair, trainer: Trainer) -> Sample | Pair:
        """The batch of all processes, in the order that one process would have: process r holds every world-th row.

        Videos travel as bytes. Every process then swaps the whole batch and keeps its rows: the swap is so cheap
        beside the network that sending the results round would cost more.
        """

        def whole(column: Tensor | str | list[str]) -> Tensor | list[str]:
            if not isinstance(column, Tensor):  # others' ids are not needed to augment: ours stand in their places
                return [own for own in column for _ in range(world)]
            gathered = trainer.strategy.all_gather(column.contiguous())  # (world, B, ...)
            return gathered.transpose(0, 1).flatten(0, 1)

        def gather(sample: Sample) -> Sample:
            channels_last = sample._replace(video=sample.video.movedim(1, -1))  # as it lies in memory
            gathered = Sample(*(whole(column) for column in channels_last))  # type: ignore[arg-type]
            return gathered._replace(video=gathered.video.movedim(-1, 1))

        world = trainer.world_size
        return _map(batch, gather)

    def preview(self) -> Preview:
        """The first training videos of epoch 0 before and after the augmentation, on the CPU."""
        keys = list(KeyedPermutation(len(self.items["train"]), self.seed))[: max(PREVIEW_VIDEOS, self.batch_size)]
        dataset = self._training_set()
        batches = [keys[i : i + self.batch_size] for i in range(0, len(keys), self.batch_size)]
        shown = [_channels_first(default_collate([dataset[key] for key in batch])) for batch in batches]
        after = [self.augmented(batch, epoch=0, step=step) for step, batch in enumerate(shown)]
        return Preview(_joined(shown), _joined(after))

    def check_replaced_share(self, preview: Preview) -> dict[str, float]:
        """The share of pixels that the augmentation replaces in the preview, as mean and per action.

        Raises:
            InputError: below 1 %: the run would be one without augmentation under another name.
        """
        replaced, action = preview.after.replaced, preview.after.action
        shares = {"mean": float(replaced.mean())}
        for position in action.unique().tolist():
            shares[self.actions[position]] = float(replaced[action == position].mean())
        if shares["mean"] < 0.01 and self.augment.replaces_pixels:
            raise InputError(
                f"the augmentation would replace {shares['mean']:.2%} of the pixels, less than 1 %: lower aug.ratio, "
                "choose other boxes (boxes=darklabel), raise data.batch_size above 1, or say aug=none"
            )
        return shares


def _map(batch: Sample | Pair, change: Callable[[Sample], Sample]) -> Sample | Pair:
    return change(batch) if isinstance(batch, Sample) else Pair(change(batch.query), change(batch.exemplar))


def _channels_first(batch: Sample | Pair) -> Sample | Pair:
    """(B, T, H, W, C) -> (B, C, T, H, W) as a view: the bytes stay channels last."""
    return _map(batch, lambda sample: sample._replace(video=sample.video.movedim(-1, 1)))


def _concatenated(samples: Sequence[Sample]) -> Sample:
    fields = []
    for values in zip(*samples, strict=True):
        joined = torch.cat(values) if isinstance(values[0], Tensor) else [v for part in values for v in part]
        fields.append(joined)
    return Sample(*fields)  # type: ignore[arg-type]  # in the order of the fields


def _pooled(pair: Pair) -> Sample:
    """N queries, then their N exemplars."""
    return _concatenated([pair.query, pair.exemplar])


def _unpooled(pool: Sample) -> Pair:
    half = len(pool.video) // 2
    queries, exemplars = [f[:half] for f in pool], [f[half:] for f in pool]
    return Pair(Sample(*queries), Sample(*exemplars))  # type: ignore[arg-type]


def _joined(batches: Sequence[Sample | Pair]) -> Sample:
    return _concatenated([b if isinstance(b, Sample) else _pooled(b) for b in batches])


def describe_shares(shares: dict[str, float]) -> str:
    """`mean 71.3 % (diving 71.3 %)`."""
    per_action = ", ".join(f"{name} {share:.1%}" for name, share in shares.items() if name != "mean")
    return f"{np.round(100 * shares['mean'], 1):g} % ({per_action})"
