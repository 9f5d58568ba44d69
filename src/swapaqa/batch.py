"""Batches from the loader to the loss, and the letters of their shapes in every docstring.

    B  videos in a batch        C  channels (RGB)         T  frames of a video's window
    H  rows, W  columns         N  videos in a pass       n  clips of a video, D  length of a clip's feature
    J  judges                   V  exemplars that vote (voters)     K  leaves or bins

A batch is a NamedTuple, so that PyTorch's collate and pinning and Lightning's transfer handle it without code of
ours. No field is optional: a data set without judges has J = 0, one without difficulty says 1.0, one without anything
of its own an empty `side`, and where boxes say where the athlete is, the mask has no frames.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

Tree = TypeVar("Tree")  # a tensor or ids, or a NamedTuple or dictionary of trees


class Labels(NamedTuple):
    """What is known of a video's score; shapes are those of a batch.

    `score = offset + factor * label` for every video: `score` is what the data set publishes, in points, and `label`
    what the method regresses (AQA-7: 0 to 100 within the action's range; MTL-AQA with difficulty: the completeness, so
    that `factor` is the difficulty).
    """

    score: Tensor  # (B,) float64, points
    label: Tensor  # (B,) float64
    offset: Tensor  # (B,) float64
    factor: Tensor  # (B,) float64
    difficulty: Tensor  # (B,) float64
    judges: Tensor  # (B, J) float64
    action: Tensor  # (B,) int64, position in the data set's list of actions
    position: Tensor  # (B,) int64, in its split's list of records
    voters: Tensor  # (B, V) int64, positions in the train list, -1 where there are fewer; V = 0 without voting


class Sample(NamedTuple):
    """One video, or after collating a batch of B of them (shapes are given with B)."""

    video: Tensor  # (B, T, H, W, C) uint8 from the loader; (B, C, T, H, W) uint8 (a view) after the transfer
    boxes: Tensor  # (B, T, 4) float32, x1 y1 x2 y2: inclusive pixel indices on the grid of `video`
    mask: Tensor  # (B, T, H, W) bool on the grid of `video`, True on the athlete; (B, 0, H, W) from a source of boxes
    replaced: Tensor  # (B,) float32, share of the pixels that the augmentation took from another video
    labels: Labels
    side: dict[str, Tensor]  # what one data set alone has, by name, (B, ...) each; see `VideoSource.read_side`
    split: str | list[str]  # the split's name, B times
    video_id: str | list[str]

    @property
    def region(self) -> Tensor:
        """Where the athlete is, for whatever keeps or measures pixels: `mask` where there is one, else `boxes`."""
        return self.mask if self.mask.shape[-3] else self.boxes


class Pair(NamedTuple):
    """A training pair: `query` (the video to score) and its `exemplar`, each a batch of B."""

    query: Sample
    exemplar: Sample


class PaceClip(NamedTuple):
    """A clip of a pretraining, one of whose segments runs at another pace; see `swapaqa.data.pace`."""

    video: Tensor  # (B, T, H, W, C) uint8 from the loader; (B, C, T, H, W) uint8 (a view) after the transfer
    pace: Tensor  # (B,) int64, from 0
    segment: Tensor  # (B,) int64, from 0
    position: Tensor  # (B,) int64, in the epoch


class Encoded(NamedTuple):
    """N videos after the backbone, all that a method sees of them: in training with a graph, in evaluation without."""

    feature: Tensor  # (N, n, D) features of the clips, of several plans one after the other
    labels: Labels
    side: dict[str, Tensor]  # (N, ...) each
    video_id: list[str]

    @property
    def mean_feature(self) -> Tensor:
        """(N, D): the mean of a video's clips, which is all that most methods look at."""
        return self.feature.mean(dim=1)


Videos = TypeVar("Videos", bound=Sample | Pair)


class TrainingLabels(NamedTuple):
    """The labels of the N training videos: all that a method may derive constants from before training."""

    label: Tensor  # (N,) float64
    action: Tensor  # (N,) int64
    group: Tensor  # (N,) int64: exemplars are drawn within a group
    max_label: float  # upper end of the label's scale; 0 is the lower one


def unchanged(ids: Any) -> Any:
    """`ids` themselves."""
    return ids


def map_columns(batch: Tree, of_tensor: Callable[[Tensor], Any], of_ids: Callable[[Any], Any] = unchanged) -> Tree:
    """A batch, or a part of one, with every tensor and every list of ids changed."""
    return _joined([batch], lambda column: of_tensor(column[0]), lambda column: of_ids(column[0]))


def take_rows(batch: Tree, rows: slice | Sequence[int]) -> Tree:
    """Some of the videos of a batch, on whatever device it is."""

    def of_ids(ids: Sequence[str]) -> list[str]:
        return list(ids[rows]) if isinstance(rows, slice) else [ids[row] for row in rows]

    def of_tensor(column: Tensor) -> Tensor:
        return column[rows if isinstance(rows, slice) else torch.as_tensor(rows, device=column.device)]

    return map_columns(batch, of_tensor, of_ids)


def concatenate(batches: Sequence[Tree]) -> Tree:
    """The videos of several batches as one."""
    return _joined(batches, torch.cat, lambda columns: [one for ids in columns for one in ids])


def _joined(
    parts: Sequence[Tree], of_tensors: Callable[[list[Tensor]], Any], of_ids: Callable[[list[Any]], Any]
) -> Tree:
    """Trees of the same form as one, joined column by column."""
    first: Any = parts[0]
    if isinstance(first, Tensor):
        tensor: Tree = of_tensors(cast(list[Tensor], list(parts)))
        return tensor
    if isinstance(first, Mapping):
        return cast(Tree, {key: _joined([part[key] for part in cast(Any, parts)], of_tensors, of_ids) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        columns = zip(*cast(Any, parts), strict=True)
        return cast(Tree, type(first)(*(_joined(column, of_tensors, of_ids) for column in columns)))
    ids: Tree = of_ids(list(parts))
    return ids


def pooled(batch: Sample | Pair) -> Sample:
    """N queries, then their N exemplars."""
    return concatenate([batch.query, batch.exemplar]) if isinstance(batch, Pair) else batch


def unpooled(pool: Sample) -> Pair:
    """The inverse of `pooled` for a pair."""
    half = len(pool.video) // 2
    return Pair(take_rows(pool, slice(half)), take_rows(pool, slice(half, None)))


def map_samples(batch: Videos, change: Callable[[Sample], Sample]) -> Videos:
    """The batch with its videos, or queries and exemplars, changed."""
    changed = change(batch) if isinstance(batch, Sample) else Pair(change(batch.query), change(batch.exemplar))
    return cast(Videos, changed)


def channels_first(batch: Videos) -> Videos:
    """(B, T, H, W, C) -> (B, C, T, H, W) as a view: the bytes stay channels last."""
    return map_samples(batch, lambda sample: sample._replace(video=sample.video.movedim(-1, 1)))
