"""T2CR's networks: what two samplings of a video's clips show of its target, and how it compares with another's.

Plain modules; the method is in `t2cr.py`. Clips stand where images have channels: convolutions run along the feature.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.models.batch_norm import BatchNorm

FULL, THIN = 10, 8  # clips of the two samplings; the second is brought to as many tokens as the first has
WIDTH, HIDDEN, HEADS, LAYERS, REDUCTION = 64, 256, 8, 3, 16


class Paths(NamedTuple):
    """What the attention finds in N videos, of the full sampling and then of the thin one."""

    tokens: Tensor  # (N, 2 FULL, WIDTH)
    score: Tensor  # (N, 2)
    dive: Tensor  # (N, 2, dives) logits

    @property
    def full(self) -> Tensor:
        """(N, FULL, WIDTH)."""
        return self.tokens[:, :FULL]

    @property
    def thin(self) -> Tensor:
        """(N, FULL, WIDTH)."""
        return self.tokens[:, FULL:]


class FeatureGate(nn.Module):
    """Squeeze and excitation (Hu et al., CVPR 2018): every feature is weighted, by its mean over the tokens."""

    def __init__(self, features: int) -> None:
        super().__init__()
        narrow = max(features // REDUCTION, 1)
        self.narrow, self.widen = nn.Linear(features, narrow, bias=False), nn.Linear(narrow, features, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L, features) -> the same shape."""
        weight = self.widen(self.narrow(tokens.mean(dim=1)).relu()).sigmoid()
        gated: Tensor = tokens * weight[:, None]
        return gated


class ClipGate(nn.Module):
    """Weights of the clips, from each clip's greatest and mean value."""

    def __init__(self, clips: int) -> None:
        super().__init__()
        self.narrow, self.widen = nn.Conv1d(clips, 1, 1, bias=False), nn.Conv1d(1, clips, 1, bias=False)

    def forward(self, clips: Tensor) -> Tensor:
        """(N, n, D) -> (N, n, 1)."""
        found = (self.widen(self.narrow(pooled).relu()) for pooled in (clips.amax(2, True), clips.mean(2, True)))
        weight: Tensor = sum(found, start=clips.new_zeros(())).sigmoid()
        return weight


class PlaceGate(nn.Module):
    """Weights of the places along the feature, from the greatest and the mean value over the clips."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 1, 3, padding=1)

    def forward(self, clips: Tensor) -> Tensor:
        """(N, n, D) -> (N, 1, D)."""
        pooled = torch.cat([clips.amax(1, True), clips.mean(1, True)], dim=1)
        weight: Tensor = self.conv(pooled).sigmoid()
        return weight


class TargetAttention(nn.Module):
    """Two gates over features, clips and places, and a readout (422,594 parameters at 1024 features and 58 dives).

    8,212 of them are in no formula of the published code: they are kept, without a gradient, so that its files fit.

    Args:
        in_features: length of a clip's feature.
        dives: dive numbers that are told apart.
    """

    def __init__(self, in_features: int, dives: int) -> None:
        super().__init__()
        self.stretch = nn.Sequential(
            nn.Conv1d(THIN, FULL, 3, padding=1), BatchNorm(FULL), nn.ReLU(),
            nn.Conv1d(FULL, FULL, 3, padding=1), BatchNorm(FULL), nn.ReLU(),
        )  # fmt: skip
        self.features, self.clips, self.places = FeatureGate(in_features), ClipGate(FULL), PlaceGate()
        self.layers = nn.Sequential(nn.Linear(in_features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, WIDTH), nn.ReLU())
        self.score, self.dive = nn.Linear(WIDTH, 1), nn.Linear(WIDTH, dives)
        square = [nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2)]
        self.unused = nn.ModuleList([*square, ClipGate(FULL)]).requires_grad_(False)

    def forward(self, clips: Tensor) -> Paths:
        """(N, FULL + THIN, in_features) -> what is found in N videos."""
        tokens = [self.tokens(clips[:, :FULL]), self.tokens(self.stretch(clips[:, FULL:]))]
        mean = torch.stack([path.mean(dim=1) for path in tokens], dim=1)  # (N, 2, WIDTH): the readouts are linear
        found = (torch.cat(tokens, dim=1), self.score(mean)[..., 0], self.dive(mean))
        return Paths(*(value.to(torch.promote_types(value.dtype, torch.float32)) for value in found))

    def tokens(self, clips: Tensor) -> Tensor:
        """(N, FULL, in_features) -> (N, FULL, WIDTH), none below 0."""
        clips = self.features(clips)
        attended = clips * self.clips(clips)
        found: Tensor = self.layers(attended * self.places(attended) + clips)
        return found


class SeparableAttention(nn.Module):
    """MobileViTv2's self-attention (Mehta and Rastegari, 2022): every token is weighted by one weighted mean of all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(width, 1)
        self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(3))
        for layer in (self.weigh, self.key, self.value, self.out):
            nn.init.normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L, width) -> the same shape."""
        context = (self.weigh(tokens).softmax(dim=1) * self.key(tokens)).sum(dim=1, keepdim=True)
        found: Tensor = self.out(self.value(tokens) * context)
        return found


class CrossLayer(nn.Module):
    """Tokens look at a memory and pass a feed-forward part four times as wide; both are normalised before."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_query, self.norm_memory, self.norm = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.forward_part = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor, memory: Tensor) -> Tensor:
        """(N, L, width) that look at (N, S, width) -> (N, L, width)."""
        memory = self.norm_memory(memory)
        split = (
            found.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for found in (self.query(self.norm_query(tokens)), self.key(memory), self.value(memory))
        )
        found = F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
        tokens = tokens + self.out(found)
        looked: Tensor = tokens + self.forward_part(self.norm(tokens))
        return looked


class PairDecoder(nn.Module):
    """How the tokens of one video, or sampling, look at those of another (162,525 parameters)."""

    def __init__(self) -> None:
        super().__init__()
        self.mix_full, self.mix_thin = nn.Conv1d(FULL, FULL, 1), nn.Conv1d(FULL, FULL, 1)
        self.attention = SeparableAttention(WIDTH)
        self.layers = nn.ModuleList(CrossLayer(WIDTH, HEADS) for _ in range(LAYERS))

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Both samplings of two videos, (N, 2 FULL, WIDTH) each: the first looks at the second -> the same shape."""
        return self._look(self._mixed(one), self._mixed(other))

    def within(self, tokens: Tensor) -> Tensor:
        """(N, 2 FULL, WIDTH), whose full sampling looks at the thin one -> (N, FULL, WIDTH)."""
        return self._look(*self._mixed(tokens).chunk(2, dim=1))

    def _mixed(self, tokens: Tensor) -> Tensor:
        full, thin = tokens.chunk(2, dim=1)
        return torch.cat([self.mix_full(full), self.mix_thin(thin)], dim=1)

    def _look(self, tokens: Tensor, memory: Tensor) -> Tensor:
        tokens, memory = tokens + self.attention(tokens), memory + self.attention(memory)
        for layer in self.layers:
            tokens = layer(tokens, memory)
        return tokens


class TokenRegressor(nn.Module):
    """A number for every token (33,665 parameters)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, WIDTH), nn.ReLU())
        self.features, self.last = FeatureGate(WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L, WIDTH) -> (N,) means over the tokens, float32 up."""
        number: Tensor = self.last(self.features(self.layers(tokens))).mean(dim=(1, 2))
        return number.to(torch.promote_types(number.dtype, torch.float32))


class TwoPathHead(nn.Module):
    """All of T2CR but its backbone (618,784 parameters as published). Arguments as for `TargetAttention`."""

    def __init__(self, in_features: int, dives: int) -> None:
        super().__init__()
        self.attention = TargetAttention(in_features, dives)
        self.decoder, self.regress = PairDecoder(), TokenRegressor()

    def difference(self, one: Tensor, other: Tensor) -> Tensor:
        """(N,) how far the label of one video lies above that of another, of their tokens (N, 2 FULL, WIDTH) each."""
        found: Tensor = self.regress(self.decoder(one, other))
        return found
