"""The encoder: videos of bytes to the features of their clips; nothing else calls a backbone."""

from collections.abc import Sequence
from functools import partial
from typing import Self, cast

import torch
from torch import Tensor, nn

from swapaqa.batch import Sample
from swapaqa.errors import InputError
from swapaqa.models.batch_norm import batch_norm_settings, freeze_batch_norm_statistics, has_live_batch_norm
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.normalisation import normalise
from swapaqa.models.recompute import recomputed_in_groups, refuse_to_recompute


class VideoEncoder(nn.Module):
    """Videos of bytes to the features of their clips.

    A method that looks into the backbone, or at the boxes, is a subclass with an `encode` of its own: `clips_of` cuts
    and normalises, `network(..., until=stage)` and `network(..., after=stage)` are its two halves, and
    `plan.cut_boxes` gives the boxes of the clips.

    Args:
        network: see `swapaqa.models.backbone`.
        clips: which clips: one plan, or several, whose features follow each other.
        freeze_bn: keep BatchNorm statistics frozen through every `train()`, Lightning's included.
        learning_rate: the network's own rate where it starts from nothing; None means the method's rate for a
            pretrained backbone. Only kept here, the optimiser reads it.
        clips_per_pass: clips that are in memory at a time, whatever the batch: each is computed once more in the
            backward pass, see `recomputed_in_groups`. None: all clips of the batch, each once.

    The last changes results by rounding only, unless the network draws random numbers, which it draws group by group.

    Raises:
        InputError: `clips_per_pass` below 1, or with a network that cannot be computed clip by clip; a plan that the
            network does not take.
    """

    def __init__(
        self,
        network: nn.Module,
        clips: ClipPlan | ClipPlans,
        freeze_bn: bool,
        learning_rate: float | None,
        clips_per_pass: int | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.feature_size = cast(int, network.feature_size)
        self.plans = clips.plans if isinstance(clips, ClipPlans) else (clips,)
        self.freeze_bn = freeze_bn
        self.learning_rate = learning_rate
        self.clips_per_pass = clips_per_pass
        self.train(self.training)  # freezes from the first step on
        if clips_per_pass is not None:
            if clips_per_pass < 1:
                raise InputError(f"backbone.clips_per_pass={clips_per_pass}: at least 1, or null for all clips at once")
            refuse_to_recompute(network)
        for plan in self.plans:
            self._check(plan)

    def _check(self, plan: ClipPlan) -> None:
        """InputError where the network takes no clips of this plan."""
        kind = type(self.network).__name__
        for key, needed in (("frames", "clip_frames"), ("size", "clip_size")):
            only, given = getattr(self.network, needed, None), getattr(plan, key)
            if only is not None and given != only:
                raise InputError(f"clips.{key}={given}: {kind} takes clips of {only} only; say clips.{key}={only}")

    @property
    def live_statistics(self) -> bool:
        """Whether the network has BatchNorm that trains with the statistics of the batch."""
        return not self.freeze_bn and bool(batch_norm_settings(self.network))

    def train(self, mode: bool = True) -> Self:
        """Set training mode, BatchNorm statistics excepted where they are frozen."""
        super().train(mode)
        if self.freeze_bn:
            freeze_batch_norm_statistics(self.network)
        return self

    def forward(self, videos: Sample) -> Tensor:
        """Videos (B, 3, T, H, W) uint8 -> (B, n, feature_size), the clips of one plan after those of another."""
        features = [self.encode(videos, plan) for plan in self.plans]
        return features[0] if len(features) == 1 else torch.cat(features, dim=1)

    def encode(self, videos: Sample, plan: ClipPlan) -> Tensor:
        """The clips of one plan: (B, n, feature_size). What TSA-Net's kind overrides."""
        video = videos.video
        starts = plan.starts(video.shape[2])
        if has_live_batch_norm(self.network) or getattr(self.network, "mixes_clips", False):
            # One clip position at a time, as MUSDL (CVPR 2020): what shares a pass shares statistics.
            positions = [self.features(self.clips_of(video, plan, [start])) for start in starts]  # n times (B, D)
            return torch.stack(positions, dim=1)
        features: Tensor = self._features(video, plan, starts).unflatten(0, (len(video), len(starts)))
        return features

    def _features(self, video: Tensor, plan: ClipPlan, starts: list[int]) -> Tensor:
        """(B, 3, T, H, W) -> (B * n, D): of the n clips of the first video, then of the second, ..."""
        count = len(video) * len(starts)
        if self.clips_per_pass is None or self.clips_per_pass >= count:
            return self.features(self.clips_of(video, plan, starts))
        places = [(video[row : row + 1], start) for row in range(len(video)) for start in starts]
        function = partial(self._features_at, plan)
        if any(parameter.requires_grad for parameter in self.network.parameters()):
            return recomputed_in_groups(function, places, self.clips_per_pass)
        groups = (places[first : first + self.clips_per_pass] for first in range(0, count, self.clips_per_pass))
        return torch.cat([function(group) for group in groups])  # nothing is computed again: hooks may look in

    def _features_at(self, plan: ClipPlan, places: Sequence[tuple[Tensor, int]]) -> Tensor:
        """Clips of several videos, each (1, 3, T, H, W) with a start -> (n, D)."""
        clips = torch.cat([plan.at(video, [start]) for video, start in places]).flatten(0, 1)
        return self.features(self.floats(clips))

    def clips_of(self, video: Tensor, plan: ClipPlan, starts: list[int] | None = None) -> Tensor:
        """(B, 3, T, H, W) bytes -> (B * n, 3, frames, h, w) as the network takes them; by default all of the plan."""
        clips = plan.cut(video) if starts is None else plan.at(video, starts)
        return self.floats(clips.flatten(0, 1))  # bytes are cheaper to copy than what becomes of them

    def floats(self, clips: Tensor) -> Tensor:
        """(N, 3, t, h, w) bytes -> the numbers that the network expects, in the type in which it computes."""
        return normalise(clips, self.network.normalisation, self._input_dtype(clips))  # type: ignore[arg-type]

    def features(self, clips: Tensor) -> Tensor:
        """(N, 3, t, h, w) normalised -> (N, feature_size)."""
        return pooled(self.network(clips))

    def _input_dtype(self, clips: Tensor) -> torch.dtype:
        """Under autocast its type, so that no wider copy is kept."""
        device = clips.device.type
        if torch.is_autocast_enabled(device):
            return torch.get_autocast_dtype(device)
        return next(self.network.parameters()).dtype


def pooled(maps: Tensor) -> Tensor:
    """(N, D, t, h, w) maps -> (N, D), their mean; (N, D) vectors stay as they are."""
    return maps if maps.ndim == 2 else maps.mean(dim=(2, 3, 4))
