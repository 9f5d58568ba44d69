"""Transformer layers that normalise after each part, as `torch.nn.Transformer`'s, with dropout that videos draw.

Weights have PyTorch's names and its initial values, and what is computed is the same; only the draws of dropout are
`SampleDropout`'s, which also reach the attention weights.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.models.sample_dropout import SampleDropout


class Attention(nn.MultiheadAttention):
    """Attention of queries to keys, whose weights `SampleDropout` thins; batch first, weights of PyTorch's module."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__(width, heads, batch_first=True)
        self.thin = SampleDropout(dropout)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:  # type: ignore[override]
        """Queries (N, L, width), and keys and values of what they look at (N, S, width) -> (N, L, width)."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        split = (
            F.linear(tokens, weight, bias).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for tokens, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        queries, keys, values = split  # (N, heads, L or S, width / heads)
        share = (queries @ keys.mT / queries.shape[-1] ** 0.5).softmax(dim=-1)
        found: Tensor = self.out_proj((self.thin(share) @ values).transpose(1, 2).flatten(2))
        return found


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward part, each added to its input and normalised.

    Args:
        width: of the tokens.
        heads: of the attention.
        hidden: width of the feed-forward part.
        dropout: share.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, dropout)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = SampleDropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L, width) -> (N, L, width)."""
        tokens = self.norm1(tokens + self.dropout(self.self_attn(tokens, tokens, tokens)))
        found: Tensor = self.norm2(tokens + self.dropout(self.feed_forward(tokens)))
        return found

    def feed_forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.linear2(self.dropout(self.linear1(tokens).relu()))
        return found


class DecoderLayer(EncoderLayer):
    """Between the two parts an attention to the encoder's tokens. Arguments as for `EncoderLayer`."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__(width, heads, hidden, dropout)
        self.multihead_attn = Attention(width, heads, dropout)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, memory: Tensor) -> Tensor:  # type: ignore[override]
        """Tokens (N, L, width) that look at themselves and at memory (N, S, width) -> (N, L, width)."""
        tokens = self.norm1(tokens + self.dropout(self.self_attn(tokens, tokens, tokens)))
        tokens = self.norm2(tokens + self.dropout(self.multihead_attn(tokens, memory, memory)))
        found: Tensor = self.norm3(tokens + self.dropout(self.feed_forward(tokens)))
        return found


class Stack(nn.Module):
    """Layers one after the other, and a normalisation."""

    def __init__(self, layers: list[EncoderLayer], width: int) -> None:
        super().__init__()
        self.layers, self.norm = nn.ModuleList(layers), nn.LayerNorm(width)

    def forward(self, tokens: Tensor, *memory: Tensor) -> Tensor:
        for layer in self.layers:
            tokens = layer(tokens, *memory)
        found: Tensor = self.norm(tokens)
        return found


class Transformer(nn.Module):
    """An encoder over tokens and a decoder with queries that look at them; feed-forward parts three times as wide.

    Args:
        width, heads, dropout: see `EncoderLayer`.
        encoder_layers, decoder_layers: their numbers.
    """

    def __init__(self, width: int, heads: int, encoder_layers: int, decoder_layers: int, dropout: float) -> None:
        super().__init__()
        layer = (width, heads, 3 * width, dropout)
        self.encoder = Stack([EncoderLayer(*layer) for _ in range(encoder_layers)], width)
        self.decoder = Stack([DecoderLayer(*layer) for _ in range(decoder_layers)], width)
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.xavier_uniform_(weight)

    def forward(self, tokens: Tensor, queries: Tensor) -> Tensor:
        """Tokens (N, S, width), queries (N, L, width) -> (N, L, width)."""
        found: Tensor = self.decoder(queries, self.encoder(tokens))
        return found
