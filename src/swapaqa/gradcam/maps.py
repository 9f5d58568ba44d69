"""Grad-CAM of test videos under a checkpoint: the map of every video, and the share of its mass in the athlete's box.

Three numbers belong together: the share itself, that of a map which is the same everywhere (the box's part of the
pixels: chance), and that of a map which knows the box as well as the network's coarse grid allows.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from swapaqa.augment import region
from swapaqa.batch import Encoded, Sample, channels_first, concatenate, map_columns
from swapaqa.data.datamodule import VideoData
from swapaqa.data.dataset import EvaluationVideos
from swapaqa.models.gradcam import Explained, explain, mass_share, through_grid
from swapaqa.models.scorer import Scorer


class Inside(NamedTuple):
    """The part of a volume that lies in the boxes of its frames, in [0, 1]."""

    share: float  # of the map's mass; NaN where the map is zero everywhere
    chance: float  # of a map that is the same everywhere
    on_grid: float  # of the box itself as the network's grid shows it, see `through_grid`


class MapStatistics(NamedTuple):
    """One test video under one checkpoint, in numbers."""

    true: float  # points
    predicted: float  # points
    box: Inside
    scaled_box: Inside


class VideoMap(NamedTuple):
    """The same with its pixels, on the CPU."""

    statistics: MapStatistics
    video: Tensor  # (3, T, H, W) uint8
    boxes: Tensor  # (T, 4), not scaled, or a mask (T, H, W) bool
    map: Tensor  # (T, H, W), not negative


def video_maps(
    model: Scorer, data: VideoData, split: str, exemplars: Encoded | None, ratio: float
) -> Iterator[VideoMap]:
    """The videos of a test split one after the other, with a progress bar. `ratio`: of the scaled box."""
    for batch in batches(data, split, model, f"looking at {split}"):
        found = explain(model, batch, exemplars)
        box, scaled = (inside(found, batch.region, factor) for factor in (1.0, ratio))
        statistics = MapStatistics(float(batch.labels.score), found.score, box, scaled)
        yield VideoMap(statistics, batch.video[0].cpu(), batch.region[0].cpu(), found.map.cpu())


def inside(found: Explained, boxes: Tensor, ratio: float) -> Inside:
    """How much of a map lies in the boxes (1, T, 4), or the mask (1, T, H, W) bool, grown by `ratio` as in the swap."""
    size = (found.map.shape[1], found.map.shape[2])
    pixels = region.inside(region.region_pixels(boxes, ratio, size), size)[0, 0]  # (T, H, W)
    on_grid = mass_share(through_grid(pixels, found.clips), pixels) if pixels.any() else 0.0
    return Inside(mass_share(found.map, pixels), float(pixels.float().mean()), on_grid)


def encode_exemplars(model: Scorer, data: VideoData) -> Encoded | None:
    """The training videos by position for a method that votes, stored in its checkpoint or read again; else None."""
    if not data.voters:
        return None
    if model.exemplars is not None:
        return map_columns(model.exemplars, lambda column: column.to(model.device))
    with torch.no_grad():
        return concatenate(
            [model.encode(batch) for batch in batches(data, "train", model, "encoding the training videos")]
        )


def batches(data: VideoData, split: str, model: Scorer, words: str) -> Iterator[Sample]:
    """The videos of a split, each a batch of one on the model's device, with their voters if it is a test split."""
    bank = data.bank if data.voters and split != "train" else None
    voters = 0 if bank is None else len(bank.ids) if data.voters == "all" else data.voters
    videos = EvaluationVideos(data.reader, data.items[split], bank, voters)
    loader = DataLoader(videos, batch_size=1, num_workers=data.workers)
    for batch in track(loader, description=words, total=len(videos), transient=True):
        yield channels_first(map_columns(batch, lambda column: column.to(model.device)))  # as after the transfer
