"""TPT's parts: learnt queries find the phases of an action among a video's clips, in their order.

Pure functions and plain modules; the method is in `tpt.py`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.models.sample_dropout import SampleDropout
from swapaqa.models.transformer import Attention

HEADS, DROPOUT, TEMPERATURE, HIDDEN = 8, 0.1, 0.07, 128


class Parts(NamedTuple):
    """What K queries found in N videos of n clips."""

    feature: Tensor  # (N, K, width)
    attention: Tensor  # (N, layers, n, K), over the clips; of a layer and a query it sums to 1


class PartLayer(nn.Module):
    """Queries look at the clips, pass a feed-forward part, and in the first layer look at each other.

    Args:
        in_features: length of a clip's feature.
        width, hidden: of the queries and of the feed-forward part.
        first: whether it is the first layer.
    """

    def __init__(self, in_features: int, width: int, hidden: int, first: bool) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(TEMPERATURE))
        self.key, self.value = nn.Linear(in_features, width), nn.Linear(in_features, width)
        self.query = nn.Linear(width, width)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = SampleDropout(DROPOUT)
        self.first = first
        if first:
            self.self_attn, self.norm3 = Attention(width, HEADS, DROPOUT), nn.LayerNorm(width)

    def forward(self, clips: Tensor, parts: Tensor, names: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (N, n, in_features), parts (N, K, width), names of queries (K, width) -> parts, attention (N, n, K)."""
        key = self.key(clips)
        logits = key @ self.query(parts + names).mT / key.shape[-1] / self.temperature
        attention = logits.softmax(dim=1)
        parts = self.norm1(parts + self.dropout(attention.mT @ self.value(clips)))
        parts = self.norm2(parts + self.dropout(self.linear2(self.dropout(self.linear1(parts).relu()))))
        if self.first:
            named = parts + names
            parts = self.norm3(parts + self.dropout(self.self_attn(named, named, parts)))
        return parts, attention


class PartDecoder(nn.Module):
    """Two layers of queries (4,733,442 parameters at 1024, 512, 512 and 5 parts).

    Args:
        in_features, width, hidden: see `PartLayer`.
        parts: K.
    """

    def __init__(self, in_features: int, width: int, hidden: int, parts: int) -> None:
        super().__init__()
        self.names = nn.Embedding(parts, width)
        self.layers = nn.ModuleList(PartLayer(in_features, width, hidden, first) for first in (True, False))
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.xavier_uniform_(weight)

    def forward(self, clips: Tensor) -> Parts:
        """(N, n, in_features) -> the parts of N videos."""
        parts = self.names.weight.new_zeros(len(clips), *self.names.weight.shape)
        attentions = []
        for layer in self.layers:
            parts, attention = layer(clips, parts, self.names.weight)
            attentions.append(attention)
        return Parts(parts, torch.stack(attentions, dim=1))


class PartComparison(nn.Module):
    """Parts of two videos, side by side, to the interval of the difference of their labels and the place in it.

    Args:
        width: of a part.
        intervals: their number.
    """

    def __init__(self, width: int, intervals: int) -> None:
        super().__init__()
        self.pair = nn.Sequential(
            nn.Linear(2 * width, width), nn.ReLU(), SampleDropout(DROPOUT), nn.Linear(width, width)
        )
        self.classify = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, intervals))
        self.regress = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, intervals))

    def forward(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """(P, K, 2 width) -> log-probabilities of intervals and offsets in them, (P, intervals) each, float32 up."""
        both = self.pair(pairs).mean(dim=1)
        logits, offset = self.classify(both), self.regress(both).sigmoid()
        wide = torch.promote_types(logits.dtype, torch.float32)
        return F.log_softmax(logits.to(wide), dim=1), offset.to(wide)


def part_order_losses(attention: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Parts come one after the other, and each is short.

    Args:
        attention: (N, layers, n, K), over the clips 1 to n.
        margin: in clips, by which the centre of a part should follow that of the one before, the first clip and, of the
            last part, should come before the last clip.

    Returns:
        `order`: the hinges of all K + 1 gaps; `spread`: mean distance of the attention from its centre. Means over N,
        sums over layers. With (K + 1) margin > n - 1 the first cannot vanish.
    """
    clip = torch.arange(1, attention.shape[2] + 1, dtype=attention.dtype, device=attention.device)[:, None]  # (n, 1)
    centre = (clip * attention).sum(dim=2)  # (N, layers, K)
    ends = [torch.full_like(centre[..., :1], float(end)) for end in (1, attention.shape[2])]
    gaps = torch.cat([ends[0], centre, ends[1]], dim=2).diff(dim=2)
    distance = ((clip - centre[:, :, None]).abs() * attention).sum(dim=2)  # (N, layers, K)
    return (margin - gaps).relu().mean(dim=0).sum(), distance.mean(dim=(0, 2)).sum()
