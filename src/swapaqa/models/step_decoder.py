"""RICA2's networks: clips that know their neighbours, steps that look at them, and a score along the rubric.

Plain modules; the method is in `rica2.py`. As in the published code channels stand before time, (N, C, L), and what has
no length of its own is a convolution of length 1.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from swapaqa.models.sample_dropout import SampleDropout

ENCODERS, DECODERS, EXPANSION = 2, 2, 4
SCALE = 1e-4  # of a residual at the beginning
EPS = 1e-5


class StepEmbeddings(NamedTuple):
    """What K steps find in N videos of n clips."""

    mean: Tensor  # (N, K, width)
    log_variance: Tensor | None  # (N, K, width); None of the deterministic form
    attention: Tensor  # (N, DECODERS, heads, K, n) over the clips; 0 of a step that the dive has not


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of (N, C, L)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, values: Tensor) -> Tensor:
        centred = values - values.mean(dim=1, keepdim=True)
        spread = (centred.square().mean(dim=1, keepdim=True) + EPS).sqrt()
        normed: Tensor = centred / spread * self.weight + self.bias
        return normed


class ScaledResidual(nn.Module):
    """A residual times a learnt factor of each channel, which some videos leave out in training (stochastic depth)."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, channels, 1), SCALE))
        self.drop = SampleDropout(dropout)

    def forward(self, values: Tensor) -> Tensor:
        kept: Tensor = self.drop(values.new_ones(len(values), 1, 1))
        return values * self.scale * kept


class StepAttention(nn.Module):
    """Attention with several heads, which divide the channels; `out` may be wider than what is looked at."""

    def __init__(self, channels: int, out: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Conv1d(channels, channels, 1) for _ in range(3))
        self.out = nn.Conv1d(channels, out, 1)
        self.thin, self.drop = SampleDropout(dropout), SampleDropout(dropout)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, L), (N, C, S) twice -> (N, out, L), the shares (N, heads, L, S)."""
        split = (
            layer(values).unflatten(1, (self.heads, -1))
            for layer, values in ((self.query, query), (self.key, key), (self.value, value))
        )
        queries, keys, values = split  # (N, heads, C / heads, L or S)
        share = (queries.mT @ keys / queries.shape[2] ** 0.5).softmax(dim=-1)
        found = (self.thin(share) @ values.mT).mT.flatten(1, 2)  # (N, C, L)
        return self.drop(self.out(found)), share


class ClipLayer(nn.Module):
    """Clips look at each other, queries, keys and values each after a convolution over three clips of its own."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = ChannelNorm(channels), ChannelNorm(channels)
        self.near = nn.ModuleList(depthwise(channels) for _ in range(3))
        self.norms = nn.ModuleList(ChannelNorm(channels) for _ in range(3))
        self.attention = StepAttention(channels, channels, heads, dropout)
        self.mlp = feed_forward(channels, channels, dropout)
        self.add_attention, self.add_mlp = (ScaledResidual(channels, dropout) for _ in range(2))

    def forward(self, clips: Tensor) -> Tensor:
        """(N, C, n) -> the same shape."""
        normed = self.norm_attention(clips)
        query, key, value = (norm(near(normed)) for near, norm in zip(self.near, self.norms, strict=True))
        clips = clips + self.add_attention(self.attention(query, key, value)[0])
        found: Tensor = clips + self.add_mlp(self.mlp(self.norm_mlp(clips)))
        return found


class ClipEncoder(nn.Module):
    """Two convolutions over three clips, and two layers of attention among them.

    Args:
        in_features: length of a clip's feature.
        width, heads, dropout: see `StepDecoder`.
        dropout_at_test: leave the dropout between the convolutions on in evaluation, as the published code does.
    """

    def __init__(self, in_features: int, width: int, heads: int, dropout: float, dropout_at_test: bool) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Conv1d(size, width, 3, padding=1) for size in (in_features, width))
        self.drop, self.dropout_at_test = SampleDropout(dropout), dropout_at_test
        self.layers = nn.ModuleList(ClipLayer(width, heads, dropout) for _ in range(ENCODERS))
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d):
                nn.init.normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, clips: Tensor) -> Tensor:
        """(N, n, in_features) -> (N, width, n)."""
        first, second = self.embed
        self.drop.train(self.training or self.dropout_at_test)
        found: Tensor = second(self.drop(first(clips.mT).relu())).relu()
        for layer in self.layers:
            found = layer(found)
        return found


class StepLayer(nn.Module):
    """Steps look at the clips, which give each a factor and a shift, and pass a feed-forward part."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_steps, self.norm_clips, self.norm_near = (ChannelNorm(width) for _ in range(3))
        self.near = depthwise(width)
        self.attention = StepAttention(width, 2 * width, heads, dropout)
        self.norm_mlp, self.mlp = ChannelNorm(width), feed_forward(width, EXPANSION * width, dropout)
        self.add_mlp = ScaledResidual(width, dropout)

    def forward(self, steps: Tensor, present: Tensor, clips: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, K), 1 or 0 (N, 1, K), (N, C, n) -> steps, shares of the clips (N, heads, K, n)."""
        steps = steps * present
        query = self.norm_near(self.near(self.norm_steps(steps)) * present)
        memory = self.norm_clips(clips)
        found, share = self.attention(query, memory, memory)
        factor, shift = found.chunk(2, dim=1)
        steps = steps * factor + shift
        steps = steps + self.add_mlp(self.mlp(self.norm_mlp(steps)) * present)
        return steps, share * present[..., None]


class StepDecoder(nn.Module):
    """Texts of steps look at the clips.

    Args:
        texts: (K, T), what stands for the K texts; it does not train.
        width: of the steps, a multiple of `heads`.
        heads: of the attention.
        dropout: share, of everything that has one.
    """

    def __init__(self, texts: Tensor, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(StepLayer(width, heads, dropout) for _ in range(DECODERS))
        self.norm = ChannelNorm(width)
        for weight in self.parameters():  # those of normalisation and of residuals too, as published
            if weight.dim() > 1:
                nn.init.xavier_uniform_(weight)
        self.texts = nn.Parameter(texts, requires_grad=False)
        self.project = nn.Linear(texts.shape[1], width)

    def forward(self, clips: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (N, width, n), which steps there are (N, K) -> steps (N, K, width), see `StepEmbeddings.attention`."""
        steps = self.project(self.texts).mT.expand(len(clips), -1, -1)
        there, shares = present[:, None].to(clips.dtype), []
        for layer in self.layers:
            steps, share = layer(steps, there, clips)
            shares.append(share)
        return self.norm(steps).mT, torch.stack(shares, dim=1)


def depthwise(channels: int) -> nn.Conv1d:
    """A convolution over three places, of every channel by itself."""
    return nn.Conv1d(channels, channels, 3, padding=1, groups=channels, bias=False)


def feed_forward(channels: int, hidden: int, dropout: float) -> nn.Sequential:
    """(N, C, L) -> (N, C, L)."""
    return nn.Sequential(
        nn.Conv1d(channels, hidden, 1), nn.GELU(), SampleDropout(dropout), nn.Conv1d(hidden, channels, 1),
        SampleDropout(dropout),
    )  # fmt: skip
