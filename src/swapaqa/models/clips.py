"""From a video of bytes to one feature: clips, normalisation, frozen BatchNorm statistics.

All methods of this project cut 103 frames into ten overlapping clips of 16 and average the ten clip features.
CoRe as published ends with frames 86 to 101 and never sees the last frame; MUSDL, DAE and the default here
end with frames 87 to 102 (`last_start`).
"""

from collections.abc import Sequence
from typing import Literal, Self, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from swapaqa.errors import InputError
from swapaqa.models.recompute import in_groups, refuse_to_recompute

Normalisation = Literal["imagenet", "pm1"]

CANNOT_LEARN = "an I3D that starts from random weights under frozen BatchNorm cannot learn: see backbone.pretrained="

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB, of values in [0, 1]
IMAGENET_STD = (0.229, 0.224, 0.225)


def clip_starts(frames: int, length: int, stride: int, last_start: int | None = None) -> list[int]:
    """First frames of the clips that cover a video: 0, stride, 2 stride, ... and the last possible start.

    Args:
        frames: frames of the video.
        length: frames of a clip.
        stride: frames between two starts.
        last_start: start of the last clip; None means `frames - length`, so that the last frame is seen.

    Raises:
        InputError: the video is shorter than a clip, or `last_start` leaves a clip without its frames.
    """
    if length < 1 or stride < 1:
        raise InputError(f"clips of {length} frames every {stride}: both must be at least 1")
    if frames < length:
        raise InputError(f"a video of {frames} frames is shorter than a clip of {length}: use shorter clips")
    last = frames - length if last_start is None else last_start
    if not 0 <= last <= frames - length:
        raise InputError(f"last_start={last}: clips of {length} in {frames} frames start at 0..{frames - length}")
    return [*range(0, last, stride), last]


def cut_clips(video: Tensor, starts: list[int], length: int) -> Tensor:
    """(B, C, T, H, W) -> (B * n, C, length, H, W): the n clips of the first video, then of the second, ...

    The result lies in memory as frames do, channels last; a clip that is the whole video is not copied where it does.
    """
    frames = video.movedim(1, -1)  # (B, T, H, W, C)
    if starts == [0] and length == video.shape[2]:
        return frames.contiguous().movedim(-1, 1)
    clips = torch.stack([frames[:, start : start + length] for start in starts], dim=1)
    return clips.flatten(0, 1).movedim(-1, 1)  # from (B, n, length, H, W, C)


def normalise(video: Tensor, convention: Normalisation, dtype: torch.dtype = torch.float32) -> Tensor:
    """Bytes to the numbers a network expects.

    Args:
        video: (..., 3, T, H, W) uint8, RGB.
        convention: `imagenet`: (p / 255 - mean) / std per channel, as every AQA method feeds it; `pm1`:
            2 p / 255 - 1, what the Kinetics weights were trained on.
        dtype: floating type of the result; the arithmetic is float32 at least.

    Returns:
        Same shape and stride order.
    """
    if video.dtype != torch.uint8:
        raise TypeError(f"normalise takes bytes (uint8), not {video.dtype}")
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if convention == "imagenet" else ((0.5,) * 3, (0.5,) * 3)
    working = torch.promote_types(dtype, torch.float32)
    shift, scale = (
        torch.tensor(values, dtype=working).mul(255).to(video.device, non_blocking=True) for values in (mean, std)
    )
    rows = video.movedim(-4, -1)  # (..., T, H, W, 3)
    if not rows.is_contiguous():
        return video.to(working).sub_(shift.view(3, 1, 1, 1)).div_(scale.view(3, 1, 1, 1)).to(dtype)
    # Whole rows of pixels: on a CPU an operation along an axis of three takes twice the time.
    width = rows.shape[-2]
    wide = rows.flatten(-2).to(working).sub_(shift.repeat(width)).div_(scale.repeat(width)).to(dtype)
    return wide.unflatten(-1, (width, 3)).movedim(-1, -4)


def freeze_batch_norm_statistics(module: nn.Module) -> None:
    """Put every BatchNorm in `module` in eval mode: running statistics are used and kept.

    Scale and shift still train. The next `module.train()` undoes it, so it has to follow every one;
    `VideoEncoder(freeze_bn=True)` does that.
    """
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def has_live_batch_norm(module: nn.Module) -> bool:
    """Whether a forward pass through `module` would use and update batch statistics."""
    return any(isinstance(layer, _BatchNorm) and layer.training for layer in module.modules())


def batch_norm_settings(module: nn.Module) -> dict[str, list[float]]:
    """Epsilon and momentum of every BatchNorm by name: they decide what weights mean, and are not among them."""
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, _BatchNorm)}
    return {name: [layer.eps, layer.momentum or 0.0] for name, layer in layers.items()}


def restore_batch_norm_settings(module: nn.Module, settings: dict[str, list[float]]) -> None:
    """Set what `batch_norm_settings` found."""
    for name, (eps, momentum) in settings.items():
        layer = cast(_BatchNorm, module.get_submodule(name))
        layer.eps, layer.momentum = eps, momentum


class VideoEncoder(nn.Module):
    """A video of bytes to the mean of its clips' features.

    Args:
        network: (N, 3, clip_frames, H, W) float -> (N, feature_size), with the attribute `feature_size`; with
            `attention_layer`, the name of its last block with rows and columns, it can be looked into, and
            `attention_origin` says where that block's first cell lies; see `swapaqa.models.attention`.
        clip_frames: frames of a clip.
        clip_stride: frames between two clips.
        last_start: start of the last clip, None for the end of the video; see `clip_starts`.
        normalisation: `imagenet` or `pm1`; see `normalise`.
        freeze_bn: keep BatchNorm statistics frozen through every `train()`, Lightning's included.
        learning_rate: the network's own rate where it starts from nothing; None means the method's rate for a
            pretrained backbone. Only kept here, the optimiser reads it.
        clips_per_pass: clips that are in memory at a time, whatever the batch: each is computed once more in the
            backward pass, see `in_groups`. None: all clips of the batch, each once.

    The last changes results by rounding only, unless the network draws random numbers, which it draws group by group.
    It has a default so that older checkpoints can be evaluated.

    Raises:
        InputError: `clips_per_pass` below 1, or with a network that cannot be computed clip by clip.
    """

    def __init__(
        self,
        network: nn.Module,
        clip_frames: int,
        clip_stride: int,
        last_start: int | None,
        normalisation: Normalisation,
        freeze_bn: bool,
        learning_rate: float | None,
        clips_per_pass: int | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.feature_size = cast(int, network.feature_size)
        self.clip_frames = clip_frames
        self.clip_stride = clip_stride
        self.last_start = last_start
        self.normalisation = normalisation
        self.freeze_bn = freeze_bn
        self.learning_rate = learning_rate
        self.clips_per_pass = clips_per_pass
        self.train(self.training)  # freezes from the first step on
        if clips_per_pass is not None:
            if clips_per_pass < 1:
                raise InputError(f"backbone.clips_per_pass={clips_per_pass}: at least 1, or null for all clips at once")
            refuse_to_recompute(network)

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

    def forward(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) uint8 -> (B, feature_size)."""
        starts = self.starts(video.shape[2])
        if has_live_batch_norm(self.network):
            # One clip position at a time, as MUSDL (CVPR 2020): what shares a pass shares statistics.
            positions = [self.network(self._clips(video, [start])) for start in starts]  # n times (B, D)
            return torch.stack(positions, dim=1).mean(dim=1)
        features = self._features(video, starts)  # (B * n, D)
        return features.unflatten(0, (len(video), len(starts))).mean(dim=1)  # (B, D)

    def _features(self, video: Tensor, starts: list[int]) -> Tensor:
        """(B, 3, T, H, W) -> (B * n, D): of the n clips of the first video, then of the second, ..."""
        count = len(video) * len(starts)
        if self.clips_per_pass is None or self.clips_per_pass >= count:
            return cast(Tensor, self.network(self._clips(video, starts)))
        places = [(video[row : row + 1], start) for row in range(len(video)) for start in starts]
        return in_groups(self._features_at, places, self.clips_per_pass)

    def _features_at(self, places: Sequence[tuple[Tensor, int]]) -> Tensor:
        """Clips of several videos, each (1, 3, T, H, W) with a start -> (n, D)."""
        clips = torch.cat([cut_clips(video, [start], self.clip_frames) for video, start in places])
        return cast(Tensor, self.network(normalise(clips, self.normalisation, self._input_dtype(clips))))

    def _clips(self, video: Tensor, starts: list[int]) -> Tensor:
        """(B, 3, T, H, W) bytes -> (B * n, 3, clip_frames, H, W) as the network takes them."""
        clips = cut_clips(video, starts, self.clip_frames)  # bytes are cheaper to copy than what becomes of them
        return normalise(clips, self.normalisation, self._input_dtype(clips))

    def starts(self, frames: int) -> list[int]:
        """First frames of the clips of a video of `frames`; see `clip_starts`."""
        return clip_starts(frames, self.clip_frames, self.clip_stride, self.last_start)

    def _input_dtype(self, video: Tensor) -> torch.dtype:
        """The type in which the network computes: under autocast its type, so that no wider copy is kept."""
        device = video.device.type
        if torch.is_autocast_enabled(device):
            return torch.get_autocast_dtype(device)
        return next(self.network.parameters()).dtype
