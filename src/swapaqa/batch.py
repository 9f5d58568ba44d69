"""What travels from the loader to the loss, and the letters used for its shapes everywhere.

    B  videos in a batch        C  channels (RGB)         T  frames of a video's window
    H  rows, W  columns         N  clips or videos in a pass        D  feature length
    J  judges                   V  exemplars that vote (voters)     K  leaves or bins

A batch is a NamedTuple, so that PyTorch's collate and pinning and Lightning's transfer handle it without code of
ours. No field is optional: a data set without judges has J = 0, one without difficulty says 1.0, and where boxes say
where the athlete is, the mask has no frames.
"""

from typing import NamedTuple

from torch import Tensor


class Sample(NamedTuple):
    """One video, or after collating a batch of B of them (shapes are given with B).

    `score = offset + factor * label` for every sample: `score` is what the data set publishes, in points, and
    `label` what the method regresses (AQA-7: 0 to 100 within the action's range; MTL-AQA with difficulty: the
    completeness, so that `factor` is the difficulty).
    """

    video: Tensor  # (B, T, H, W, C) uint8 from the loader; (B, C, T, H, W) uint8 (a view) after the transfer
    boxes: Tensor  # (B, T, 4) float32, x1 y1 x2 y2: inclusive pixel indices on the grid of `video`
    mask: Tensor  # (B, T, H, W) bool on the grid of `video`, True on the athlete; (B, 0, H, W) from a source of boxes
    score: Tensor  # (B,) float64, points
    label: Tensor  # (B,) float64
    offset: Tensor  # (B,) float64
    factor: Tensor  # (B,) float64
    difficulty: Tensor  # (B,) float64
    judges: Tensor  # (B, J) float64
    action: Tensor  # (B,) int64, position in the data set's list of actions
    position: Tensor  # (B,) int64, in its split's list of records
    voters: Tensor  # (B, V) int64, positions in the train list, -1 where there are fewer; V = 0 without voting
    replaced: Tensor  # (B,) float32, share of the pixels that the augmentation took from another video
    split: str | list[str]  # the split's name, B times
    video_id: str | list[str]

    @property
    def region(self) -> Tensor:
        """Where the athlete is, for whatever keeps or measures pixels: `mask` where there is one, else `boxes`."""
        return self.mask if self.mask.shape[-3] else self.boxes


class Pair(NamedTuple):
    """A training pair of CoRe: `query` (the video to score) and its `exemplar`, each a batch of B."""

    query: Sample
    exemplar: Sample


class TrainingLabels(NamedTuple):
    """The labels of the N training videos: all that a method may derive constants from before training."""

    label: Tensor  # (N,) float64
    action: Tensor  # (N,) int64
    group: Tensor  # (N,) int64: exemplars are drawn within a group
    max_label: float  # upper end of the label's scale; 0 is the lower one
