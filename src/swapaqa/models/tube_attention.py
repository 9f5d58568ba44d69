"""TSA-Net's tube: cells of a backbone's maps in which the athlete is attend to each other, the others stay as they are.

Pure functions and plain modules; the encoder and the method are in `tsa_net.py`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.models.scorer import of_all_processes, process_count

EPS, MOMENTUM = 1e-5, 0.1


def covered_shares(edges: Tensor, grid: tuple[int, int]) -> Tensor:
    """How much of each cell of a grid a box covers.

    Args:
        edges: (..., 4) x1 y1 x2 y2 as shares of the frame, as from `ClipPlan.cut_boxes`; they may lie outside.
        grid: rows and columns.

    Returns:
        (..., rows, columns) from 0 to 1.
    """
    across, down = (_overlap(edges[..., first], edges[..., first + 2], grid[1 - first]) for first in (0, 1))
    return down[..., :, None] * across[..., None, :]


def _overlap(low: Tensor, high: Tensor, cells: int) -> Tensor:
    """(...) shares of a side -> (..., cells), how much of each cell lies between."""
    first = torch.arange(cells, dtype=low.dtype, device=low.device)
    ends = torch.minimum(high[..., None] * cells, first + 1)
    return (ends - torch.maximum(low[..., None] * cells, first)).clamp_min(0)


def tube_of(inside: Tensor, slots: int) -> Tensor:
    """(N, frames, h, w) bool -> (N, slots, h, w) bool: a cell counts where one frame of its slot has the athlete."""
    size = (slots, *inside.shape[2:])
    pooled: Tensor = F.adaptive_max_pool3d(inside[:, None].float(), size)[:, 0]
    return pooled > 0


class TokenNorm(nn.Module):
    """BatchNorm over the tokens of one video at a time; scale and shift begin at 0.

    Running statistics take the videos of a batch in turn, also those of other processes. A video with fewer than two
    tokens has no variance: it takes the running statistics and leaves them as they are.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, videos: list[Tensor]) -> list[Tensor]:
        """Tokens (M, width) of N videos -> the same shapes."""
        live = [self.training and len(tokens) > 1 for tokens in videos]
        moments = [
            torch.var_mean(tokens, dim=0, correction=0) if own else (self.running_var, self.running_mean)
            for tokens, own in zip(videos, live, strict=True)
        ]
        if self.training:
            self._learn(videos, moments, live)
        return [
            (tokens - mean) * (variance + EPS).rsqrt() * self.weight + self.bias
            for tokens, (variance, mean) in zip(videos, moments, strict=True)
        ]

    @torch.no_grad()
    def _learn(self, videos: list[Tensor], moments: list[tuple[Tensor, Tensor]], live: list[bool]) -> None:
        rows = [
            torch.stack([variance * len(tokens) / max(len(tokens) - 1, 1), mean, torch.full_like(mean, float(own))])
            for tokens, (variance, mean), own in zip(videos, moments, live, strict=True)
        ]
        seen = torch.stack(rows)  # (N, 3, width), the variance unbiased
        if process_count() > 1:
            seen = of_all_processes(seen)
        for variance, mean, own in seen:
            self.running_var = self.running_var.lerp(variance, MOMENTUM * own)
            self.running_mean = self.running_mean.lerp(mean, MOMENTUM * own)


class TubeAttention(nn.Module):
    """Self-attention among the tokens of a tube, added to them: nothing changes before it has learnt.

    x <- x + norm(W_z sum_j softmax_j(x . x_j) W_g x_j), without a division by the root of the width; 2 C (C + 2)
    parameters (559,680 at 528 channels).

    Args:
        width: C, channels of the maps.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.value, self.out = nn.Conv1d(width, width, 1), nn.Conv1d(width, width, 1)
        self.norm = TokenNorm(width)

    def forward(self, maps: Tensor, cells: Tensor) -> Tensor:
        """Maps (N, C, T, h, w) of N videos, and their tubes (N, T, h, w) bool, which may be empty -> new maps."""
        places = maps.movedim(1, -1)  # (N, T, h, w, C)
        counts = cells.flatten(1).sum(dim=1).tolist()
        tokens = places[cells].split(counts)
        found = self.norm([self.mixed(one) for one in tokens])
        moved = torch.cat([one + more for one, more in zip(tokens, found, strict=True)])
        enhanced = places.masked_scatter(cells[..., None], moved.to(places.dtype))
        return enhanced.movedim(-1, 1)

    def mixed(self, tokens: Tensor) -> Tensor:
        """(M, C), what each token of one video gets of all, before the normalisation."""
        value = _each(self.value, tokens)
        if len(tokens):
            query = tokens.to(value.dtype)[None]
            value = F.scaled_dot_product_attention(query, query, value[None], scale=1.0)[0]
        return _each(self.out, value)


def _each(layer: nn.Conv1d, tokens: Tensor) -> Tensor:
    """A convolution of single tokens (M, C), of none too."""
    return F.linear(tokens, layer.weight[..., 0], layer.bias)
