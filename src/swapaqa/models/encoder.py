"""The encoder: videos of bytes to the features of their clips; nothing else calls a backbone."""

from collections.abc import Callable, Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn

from swapaqa.batch import Sample
from swapaqa.errors import InputError
from swapaqa.models.batch_norm import batch_norm_settings, freeze_batch_norm_statistics, has_live_batch_norm
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.normalisation import normalise
from swapaqa.models.recompute import recomputed_in_groups, refuse_to_recompute

Place = tuple[int, int]  # of a clip in a batch: which video, and which of its clips


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

    Attributes:
        frozen: whether the network stays in evaluation mode through every `train()`: a network that does not learn
            draws no random numbers either, and its features are those that are extracted once.

    `clips_per_pass` changes results by rounding only, unless the network draws random numbers: it draws them group by
    group.

    Raises:
        InputError: `clips_per_pass` below 1, or with a network that cannot be computed clip by clip; a plan that the
            network does not take.
    """

    frozen = False

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
        places = [f"clips.{name}" for name in clips.names] if isinstance(clips, ClipPlans) else ["clips"]
        self.freeze_bn = freeze_bn
        self.learning_rate = learning_rate
        self.clips_per_pass = clips_per_pass
        self.train(self.training)  # freezes from the first step on
        if clips_per_pass is not None:
            if clips_per_pass < 1:
                raise InputError(f"backbone.clips_per_pass={clips_per_pass}: at least 1, or null for all clips at once")
            refuse_to_recompute(network)
        for place, plan in zip(places, self.plans, strict=True):
            self._check(plan, place)

    def _check(self, plan: ClipPlan, place: str) -> None:
        """InputError where the network takes no clips of this plan, whose keys are below `place`."""
        kind = type(self.network).__name__
        keys = (
            ("frames", getattr(self.network, "clip_frames", None)),
            ("size", getattr(self.network, "clip_size", None)),
        )
        wrong = [(key, only) for key, only in keys if only is not None and getattr(plan, key) != only]
        if wrong:
            key, only = wrong[0]
            remedy = " ".join(f"{place}.{key}={only}" for key, only in wrong)
            raise InputError(f"{place}.{key}={getattr(plan, key)}: {kind} takes clips of {only} only; say {remedy}")

    @property
    def live_statistics(self) -> bool:
        """Whether the network has BatchNorm that trains with the statistics of the batch."""
        return not (self.freeze_bn or self.frozen) and bool(batch_norm_settings(self.network))

    def train(self, mode: bool = True) -> Self:
        """Set training mode, but for a frozen network and for BatchNorm statistics where they are frozen."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
        if self.freeze_bn:
            freeze_batch_norm_statistics(self.network)
        return self

    def forward(self, videos: Sample) -> Tensor:
        """Videos (B, 3, T, H, W) uint8 -> (B, n, feature_size), the clips of one plan after those of another."""
        features = [self.encode(videos, plan) for plan in self.plans]
        return features[0] if len(features) == 1 else torch.cat(features, dim=1)

    def encode(self, videos: Sample, plan: ClipPlan) -> Tensor:
        """The clips of one plan: (B, n, feature_size). What TSA-Net's kind overrides."""
        video, starts = videos.video, plan.starts(videos.video.shape[2])

        def features(places: Sequence[Place]) -> Tensor:
            return self.features(self.clips_at(video, plan, starts, places))

        return self.by_clip(features, len(video), len(starts))

    def by_clip(self, function: Callable[[Sequence[Place]], Tensor], videos: int, clips: int) -> Tensor:
        """`function` of every clip of every video, in passes that share statistics, or memory.

        Args:
            function: k places -> (k, ...), each row of its own place.
            videos, clips: B, and n of each video.

        Returns:
            (B, n, ...).
        """
        if has_live_batch_norm(self.network) or getattr(self.network, "mixes_clips", False):
            # One clip position at a time, as MUSDL (CVPR 2020): what shares a pass shares statistics.
            return torch.stack([function([(row, clip) for row in range(videos)]) for clip in range(clips)], dim=1)
        places = [(row, clip) for row in range(videos) for clip in range(clips)]
        whole: Tensor = self._in_groups(function, places).unflatten(0, (videos, clips))
        return whole

    def _in_groups(self, function: Callable[[Sequence[Place]], Tensor], places: list[Place]) -> Tensor:
        """All places at once, or `clips_per_pass` at a time."""
        if self.clips_per_pass is None or self.clips_per_pass >= len(places):
            return function(places)
        if any(parameter.requires_grad for parameter in self.network.parameters()):
            return recomputed_in_groups(function, places, self.clips_per_pass)
        groups = (places[first : first + self.clips_per_pass] for first in range(0, len(places), self.clips_per_pass))
        return torch.cat([function(group) for group in groups])  # nothing is computed again: hooks may look in

    def clips_at(self, video: Tensor, plan: ClipPlan, starts: list[int], places: Sequence[Place]) -> Tensor:
        """Some clips of videos (B, 3, T, H, W) -> (k, 3, frames, h, w) as the network takes them."""
        wanted = sorted({clip for _, clip in places})
        if len(places) == len(video) * len(wanted):  # of every video the same
            return self.clips_of(video, plan, [starts[clip] for clip in wanted])
        clips = [plan.at(video[row : row + 1], [starts[clip]]) for row, clip in places]
        return self.floats(torch.cat(clips).flatten(0, 1))

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


def channels_after(network: nn.Module, stage: str) -> int:
    """Channels of the maps of a stage, by one pass over a small clip that leaves no trace."""
    frames, size = getattr(network, "clip_frames", None) or 16, getattr(network, "clip_size", None) or 64
    training, like = network.training, next(network.parameters(), torch.zeros(()))
    with torch.no_grad():
        maps = network.eval()(like.new_zeros(1, 3, frames, size, size), until=stage)
    network.train(training)
    return int(maps.shape[1])
