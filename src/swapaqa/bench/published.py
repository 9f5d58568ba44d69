"""The published form of an encoding, which the measures of docs/performance.md are compared with.

A plain float32 loop as CoRe's code has it: a video becomes floats, is divided by 255 and normalised as a whole; its
clips are copied out and go through the network in one pass, whose whole graph is kept; max pools are padded explicitly,
BatchNorm is a layer of its own in evaluation mode, a ReLU writes a new tensor, memory is channels first, the optimiser
is Adam as torch has it. Written for the bench, with the weights of the network that it is compared with.
"""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Sample
from swapaqa.models import i3d
from swapaqa.models.batch_norm import freeze_batch_norm_statistics, has_live_batch_norm
from swapaqa.models.encoder import VideoEncoder, pooled
from swapaqa.models.max_pool import Sizes
from swapaqa.models.normalisation import Normalisation


def published_floats(video: Tensor, normalisation: Normalisation, dtype: torch.dtype = torch.float32) -> Tensor:
    """(..., 3, T, H, W) bytes -> the same shape in floats, normalised, contiguous."""
    shift, scale = (torch.tensor(v, dtype=dtype, device=video.device).view(3, 1, 1, 1) for v in normalisation)
    return video.contiguous().to(dtype).div(255).sub_(shift).div_(scale)


def published_adam(optimiser: torch.optim.Optimizer) -> torch.optim.Adam:
    """Adam over the same parameters at the same rates, as torch does it where nothing else is asked for."""
    kept = ("params", "lr", "weight_decay")
    return torch.optim.Adam([{key: group[key] for key in kept} for group in optimiser.param_groups])


class PublishedEncoder(nn.Module):
    """Normalised videos to their clips' features, in one pass of all clips.

    With live BatchNorm statistics one clip position at a time, as MUSDL. A network for which nothing is published is
    taken as it is.
    """

    def __init__(self, encoder: VideoEncoder) -> None:
        super().__init__()
        network = encoder.network
        self.network: nn.Module = PublishedInception(network) if isinstance(network, i3d.I3D) else network
        self.feature_size, self.learning_rate = encoder.feature_size, encoder.learning_rate
        self.plans, self.freeze_bn = encoder.plans, encoder.freeze_bn
        self.normalisation: Normalisation = network.normalisation  # type: ignore[assignment]
        self.train(encoder.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.freeze_bn:
            freeze_batch_norm_statistics(self.network)
        return self

    def forward(self, videos: Sample) -> Tensor:
        """Videos (B, 3, T, H, W) normalised -> (B, n, D)."""
        clips = [  # n times (B, 3, t, H, W)
            videos.video[:, :, start : start + plan.length(videos.video.shape[2])]
            for plan in self.plans
            for start in plan.starts(videos.video.shape[2])
        ]
        if has_live_batch_norm(self.network):
            return torch.stack([pooled(self.network(clip)) for clip in clips], dim=1)
        features = pooled(self.network(torch.cat(clips)))  # (n * B, D)
        by_clip: Tensor = features.unflatten(0, (len(clips), len(videos.video)))  # (n, B, D)
        return by_clip.transpose(0, 1)


class PublishedInception(nn.Module):
    """I3D with explicit padding, unfolded BatchNorm and fresh outputs of ReLU; a copy of the weights of `network`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        for name, layer in network.named_children():
            self.add_module(name, _published(layer))

    def forward(self, clips: Tensor) -> Tensor:
        """(N, 3, T, H, W) -> (N, 1024)."""
        for layer in self.children():
            clips = layer(clips)
        return clips.mean(dim=(2, 3, 4))


class PaddedConv(nn.Module):
    """Padding, convolution, BatchNorm, ReLU."""

    def __init__(self, conv3d: nn.Conv3d, batch3d: nn.BatchNorm3d) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(conv3d.in_channels, conv3d.out_channels, conv3d.kernel_size, conv3d.stride, bias=False)  # type: ignore[arg-type]
        self.batch3d = nn.BatchNorm3d(batch3d.num_features, batch3d.eps, batch3d.momentum)
        self.to(conv3d.weight)
        self.conv3d.load_state_dict(conv3d.state_dict())
        self.batch3d.load_state_dict(batch3d.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.conv3d.kernel_size, self.conv3d.stride
        sides = _same(x, kernel, stride)  # type: ignore[arg-type]
        if all(front == back for front, back in sides):  # which a convolution pads itself
            weight, padding = self.conv3d.weight, tuple(front for front, _ in sides)
            return F.relu(self.batch3d(F.conv3d(x, weight, stride=stride, padding=padding)))
        return F.relu(self.batch3d(self.conv3d(_pad(x, sides))))


class PaddedPool(nn.Module):
    """Zeros all round, then a max pool without padding."""

    def __init__(self, kernel: Sizes, stride: Sizes) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(_pad(x, _same(x, self.kernel, self.stride)), self.kernel, self.stride)


class Branches(nn.Module):
    """The four branches of an Inception block, concatenated."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        for name, branch in block.named_children():
            self.add_module(name, _published(branch))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], dim=1)


def _published(layer: nn.Module) -> nn.Module:
    """The published form of a layer, with the same weights under the same names."""
    if isinstance(layer, i3d.ConvUnit):
        return PaddedConv(layer.conv3d, layer.batch3d)
    if isinstance(layer, i3d.SamePool):
        return PaddedPool(layer.kernel, layer.stride)
    if isinstance(layer, i3d.Mixed):
        return Branches(layer)
    assert isinstance(layer, nn.Sequential), type(layer)
    return nn.Sequential(*(_published(inner) for inner in layer))


def _same(x: Tensor, kernel: Sizes, stride: Sizes) -> list[tuple[int, int]]:
    """Zeros (front, back) of each dimension of SAME padding: the odd one at the back."""
    total = [max((-(-size // s) - 1) * s + k - size, 0) for size, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    return [(zeros // 2, zeros - zeros // 2) for zeros in total]


def _pad(x: Tensor, sides: list[tuple[int, int]]) -> Tensor:
    return F.pad(x, [zeros for both in reversed(sides) for zeros in both])  # F.pad starts at W
