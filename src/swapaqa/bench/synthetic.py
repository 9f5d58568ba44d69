"""Batches of the true shapes without a data set, and their videos as `data.cache=bytes` keeps them on the disk."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from swapaqa.batch import Labels, Pair, Sample, map_samples, pooled
from swapaqa.data.datamodule import VideoData
from swapaqa.data.demo import Demo
from swapaqa.data.demo_files import write_video
from swapaqa.data.frame_store import FrameStore, WantedFrames
from swapaqa.data.poses import JOINTS, SIDE
from swapaqa.data.records import Record
from swapaqa.data.source import VideoSource

JUDGES, JUDGED, DIFFICULTY = 7, 8.0, 3.0


def moving_boxes(batch: int, frames: int, size: int, generator: torch.Generator) -> Tensor:
    """(B, T, 4) boxes that move at random, of about 13 % of the frame once doubled by the swap."""
    side = 0.18 * size * (0.8 + 0.4 * torch.rand(batch, frames, 2, generator=generator))
    centre = size * (0.3 + 0.4 * torch.rand(batch, frames, 2, generator=generator))
    return torch.cat([centre - side / 2, centre + side / 2], dim=-1)


def moving_joints(batch: int, frames: int, size: int, generator: torch.Generator) -> Tensor:
    """(B, T, JOINTS, 3) joints anywhere in the frame, all of them seen."""
    place = size * torch.rand(batch, frames, JOINTS, 2, generator=generator)
    return torch.cat([place, torch.ones_like(place[..., :1])], dim=-1)


def make_batch(data: VideoData) -> Sample | Pair:
    """A training batch as the loader would hand it on: random bytes, moving boxes, random labels.

    Pairs for methods with exemplars. Videos are (B, T, H, W, C).
    """
    generator = torch.Generator().manual_seed(0)
    query = make_sample(data.source, data.batch_size, generator)
    return Pair(query, make_sample(data.source, data.batch_size, generator)) if data.voters else query


def make_sample(source: VideoSource, count: int, generator: torch.Generator) -> Sample:
    """A batch of `count` videos."""
    size = source.geometry.crop
    label = source.max_label * torch.rand(count, dtype=torch.float64, generator=generator)
    ones, none = torch.ones_like(label), torch.zeros(count, dtype=torch.int64)
    return Sample(
        video=torch.randint(0, 256, (count, source.frames, size, size, 3), dtype=torch.uint8, generator=generator),
        boxes=moving_boxes(count, source.frames, size, generator),
        mask=torch.empty(count, 0, size, size, dtype=torch.bool),
        replaced=torch.zeros(count),
        labels=Labels(
            score=label,
            label=label,
            offset=torch.zeros_like(label),
            factor=ones,
            difficulty=DIFFICULTY * ones,
            judges=10 * torch.rand(count, JUDGES, dtype=torch.float64, generator=generator),
            action=none,
            position=none,
            voters=torch.empty(count, 0, dtype=torch.int64),
        ),
        side=made_side(source, count, generator),
        split=["train"] * count,
        video_id=[str(row) for row in range(count)],
    )


def made_side(source: VideoSource, count: int, generator: torch.Generator) -> dict[str, Tensor]:
    """What a source knows besides, by name: moving joints, and of the rest what the demo says of one dive."""
    dive = Record("made", "diving", 3 * DIFFICULTY * JUDGED, "train", DIFFICULTY, JUDGES * (JUDGED,))
    found = {name: value.expand(count, *value.shape) for name, value in Demo.read_side(dive).items()}
    found[SIDE] = moving_joints(count, source.frames, source.geometry.crop, generator)
    return {name: value.clone() for name, value in found.items() if name in source.sides}


class CachedVideos:
    """Videos of noise, one for each of a batch, in the folder of `data.cache=bytes` (SWAPAQA_CACHE).

    `load` does what one loader process does of a batch: maps each file, copies the crop drawn for it and puts them
    together. The files have just been written, so they come from the page cache.
    """

    def __init__(self, batch: Sample | Pair, source: VideoSource, room: Path) -> None:
        self.batch = batch
        self.geometry = source.geometry
        self.store = FrameStore("bytes", (self.geometry.height, self.geometry.width), "opencv")
        self.generator = torch.Generator().manual_seed(0)
        count = len(pooled(batch).video)
        self.wants = [WantedFrames(room / f"{number}.avi", tuple(range(source.frames))) for number in range(count)]
        rng = np.random.default_rng(0)
        for want in self.wants:
            shape = (source.frames, self.geometry.height, self.geometry.width, 3)
            write_video(want.media, rng.integers(0, 256, shape, dtype=np.uint8))
        self.store.fill(self.wants)

    def load(self) -> Sample | Pair:
        """The batch with its videos read anew."""
        wants = iter(self.wants)

        def filled(sample: Sample) -> Sample:
            return sample._replace(video=torch.stack([self._read(next(wants)) for _ in sample.video]))

        return map_samples(self.batch, filled)

    def _read(self, want: WantedFrames) -> Tensor:
        frames = self.store.read(want, want.indices).frames
        return torch.from_numpy(self.geometry.crop_frames(frames, self.geometry.draw(self.generator)))
