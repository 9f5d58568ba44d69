"""Reading one sample, or one pair: frames, boxes or masks, and labels of a video under one drawn crop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch.utils.data import Dataset

from swapaqa.batch import Labels, Pair, Sample
from swapaqa.boxes.source import BoxRequest, BoxSource
from swapaqa.data.exemplars import ExemplarBank
from swapaqa.data.frame_store import NOT_STORED, FrameStore, WantedFrames
from swapaqa.data.geometry import Crop, Geometry, Window, draw_shift
from swapaqa.data.poses import SIDE, PoseFiles, placed
from swapaqa.data.records import Label, Record
from swapaqa.data.region import Region, read_region
from swapaqa.data.sampler import Key
from swapaqa.seeds import keyed_generator
from swapaqa.video.frames import frame_count


@dataclass(frozen=True)
class Located:
    """A record with what is read of it: its video, the window, and where its boxes would be."""

    record: Record
    media: Path
    window: Window
    box_files: list[Path]


@dataclass(frozen=True)
class Item(Located):
    """With its label too: everything that a sample needs, resolved before training starts."""

    label: Label
    action: int


def no_side(record: Record) -> dict[str, torch.Tensor]:  # noqa: ARG001  others read it
    """The side of a data set that has nothing of its own."""
    return {}


@dataclass(frozen=True)
class SampleReader:
    """Reads samples in a worker process: holds settings only, no open file."""

    frames: int
    geometry: Geometry
    boxes: BoxSource
    store: FrameStore = NOT_STORED
    shift_range: tuple[int, int] = (0, 0)  # of the windows in training: what the store has to hold
    side: Callable[[Record], dict[str, torch.Tensor]] = no_side  # see `VideoSource.read_side`
    poses: PoseFiles | None = None

    def want(self, item: Located) -> WantedFrames:
        """Every frame that may be asked of `item`."""
        lowest, highest = self.shift_range
        shifted = [item.window.indices(self.frames, shift) for shift in {lowest, 0, highest}]
        if item.window.stop is None:  # consecutive: what lies between the two ends is asked for too
            return WantedFrames(item.media, tuple(range(min(map(min, shifted)), max(map(max, shifted)) + 1)))
        return WantedFrames(item.media, tuple(sorted({index for indices in shifted for index in indices})))

    def read(
        self,
        item: Item,
        position: int = 0,
        crop: Crop | None = None,
        shift: int = 0,
        voters: Sequence[int] = (),
    ) -> Sample:
        """The sample of `item`, which is number `position` of its split, with its window moved by `shift` frames.

        Without a crop it is the centre, as in evaluation.

        Raises:
            InputError: naming the video or box file that is missing, damaged or too short.
        """
        crop = crop or self.geometry.centre()
        indices = item.window.indices(self.frames, shift)
        frames, size = self.store.read(self.want(item), indices)
        region = self.read_region(item, size, indices, crop)
        return Sample(
            video=torch.from_numpy(self.geometry.crop_frames(frames, crop)),
            boxes=torch.from_numpy(region.boxes),
            mask=torch.from_numpy(region.mask),
            replaced=torch.zeros((), dtype=torch.float32),
            labels=labels_of(item, position, voters),
            side=self.side(item.record) | self.pose(item, size, indices, crop),
            split=item.record.split,
            video_id=item.record.video_id,
        )

    def read_drawn(
        self, item: Item, position: int, seed: int, key: tuple[str | int, ...], shift: tuple[int, int]
    ) -> Sample:
        """The sample of `item` in training: under the crop, and the shift within `shift`, that are drawn for `key`."""
        # "placement" as ever: the word is a part of the key, so that another one would be other crops
        crop = self.geometry.draw(keyed_generator(seed, "placement", *key))
        return self.read(item, position, crop, draw_shift(keyed_generator(seed, "shift", *key), shift))

    def read_region(self, item: Located, size: tuple[int, int], indices: Sequence[int], crop: Crop) -> Region:
        """The boxes, and the masks of a source that has them, as the network sees them; arguments as `request`."""
        return read_region(self.boxes, self.request(item, size, indices), self.geometry, crop)

    def pose(self, item: Located, size: tuple[int, int], indices: Sequence[int], crop: Crop) -> dict[str, torch.Tensor]:
        """The joints as the network sees them, by the name of their side; nothing without pose files."""
        if self.poses is None:
            return {}
        found = self.poses.read(item.record.video_id, item.media, indices, self.store.accept_incomplete)
        return {SIDE: torch.from_numpy(placed(found, size, self.geometry, crop))}

    def request(self, item: Located, size: tuple[int, int], indices: Sequence[int]) -> BoxRequest:
        """What is asked of the source of boxes: frames `indices` of the file, which have `size` (H, W)."""
        span = item.window.indices(self.frames, 0)
        total = partial(frame_count, item.media, self.store.accept_incomplete)
        return BoxRequest(item.box_files, size, indices, item.media, span, total, self.store.decoding)


def labels_of(item: Item, position: int, voters: Sequence[int]) -> Labels:
    """The labels of `item`, which is number `position` of its split; numbers become tensors in collate."""
    record, label = item.record, item.label
    return Labels(
        score=record.score,  # type: ignore[arg-type]
        label=label.value,  # type: ignore[arg-type]
        offset=label.offset,  # type: ignore[arg-type]
        factor=label.factor,  # type: ignore[arg-type]
        difficulty=1.0 if record.difficulty is None else record.difficulty,  # type: ignore[arg-type]
        judges=torch.tensor(record.judge_scores, dtype=torch.float64),
        action=item.action,  # type: ignore[arg-type]
        position=position,  # type: ignore[arg-type]
        voters=torch.tensor(voters, dtype=torch.int64),
    )


class TrainingReader(Protocol):
    """Reads the sample of an item as a training draws it: a `SampleReader`, or one of features."""

    def read_drawn(
        self, item: Item, position: int, seed: int, key: tuple[str | int, ...], shift: tuple[int, int]
    ) -> Sample: ...


class TrainingVideos(Dataset[Sample]):
    """Training samples by (epoch, position), each as drawn for that epoch and video."""

    def __init__(self, reader: TrainingReader, items: list[Item], seed: int, shift: tuple[int, int]) -> None:
        self.reader = reader
        self.items = items
        self.seed = seed
        self.shift = shift

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: Key) -> Sample:
        epoch, position = key
        return self.read(position, epoch, self.items[position].record.video_id)

    def read(self, position: int, epoch: int, query_id: str) -> Sample:
        item = self.items[position]
        return self.reader.read_drawn(item, position, self.seed, (epoch, query_id, item.record.video_id), self.shift)


class TrainingPairs(Dataset[Pair]):
    """Training pairs by (epoch, position): the video at that position, and an exemplar drawn for this epoch."""

    def __init__(self, videos: TrainingVideos, bank: ExemplarBank) -> None:
        self.videos = videos
        self.bank = bank

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: Key) -> Pair:
        epoch, position = key
        query = self.videos.items[position].record
        exemplar = self.bank.draw(query, epoch)
        return Pair(
            query=self.videos[key],
            exemplar=self.videos.read(exemplar, epoch, f"exemplar of {query.video_id}"),
        )


class ItemReader(Protocol):
    """Reads the sample of an item as an evaluation sees it: a `SampleReader`, or a probe that shows something else."""

    def read(self, item: Item, position: int = 0, *, voters: Sequence[int] = ()) -> Sample: ...


class EvaluationVideos(Dataset[Sample]):
    """The samples of one split as they are: centre crop, nothing drawn; with their voters where a method votes."""

    def __init__(self, reader: ItemReader, items: list[Item], bank: ExemplarBank | None, voters: int) -> None:
        self.reader = reader
        self.items = items
        self.bank = bank
        self.voters = voters

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> Sample:
        item = self.items[position]
        chosen = self.bank.voters(item.record, self.voters) if self.bank else []
        padded = chosen + [-1] * (self.voters - len(chosen))
        return self.reader.read(item, position, voters=padded)
