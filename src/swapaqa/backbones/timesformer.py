"""TimeSformer (Bertasius et al., ICML 2021) as transformers has it: attention over time, then over space.

Its attention is written out in the library, with a matrix of all pairs in memory. Here it is PyTorch's
(`scaled_dot_product_attention`), the same to rounding; `attention=eager` is the library's.

A class token goes with the patches through every layer, so that it cannot be cut open into maps.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.backbones.libraries import library
from swapaqa.backbones.token_backbone import Feature, TokenBackbone, cells
from swapaqa.errors import InputError
from swapaqa.models.normalisation import Normalisation

AttentionBy = Literal["sdpa", "eager"]


class FusedAttention(nn.Module):
    """The library's attention by PyTorch's own. `theirs`: whose weights it has."""

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self.num_heads, self.qkv, self.dropout = theirs.num_heads, theirs.qkv, theirs.attn_drop.p

    def forward(self, tokens: Tensor, output_attentions: bool = False) -> tuple[Tensor]:  # noqa: ARG002  as called
        """(N, S, D) -> the same."""
        count, length, width = tokens.shape
        heads = self.qkv(tokens).view(count, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        found = F.scaled_dot_product_attention(query, key, value, dropout_p=self.dropout if self.training else 0.0)
        return (found.transpose(1, 2).reshape(count, length, width),)


class TimeSformer(TokenBackbone):
    """The network without a classification layer.

    Args:
        config: transformers' TimesformerConfig.
        feature: `class` is the class token, which its classification layer reads; Grad-CAM then looks at what the last
            layer is given, as the patches that it gives count for nothing.
        normalisation: of the bytes.
        attention: whose.

    Raises:
        InputError: a size that patches do not cover.
    """

    def __init__(self, config: Any, feature: Feature, normalisation: Normalisation, attention: AttentionBy) -> None:
        grid = cells("TimeSformer", config.num_frames, config.image_size, 1, config.patch_size)
        super().__init__(grid, config.num_frames, config.image_size, feature, normalisation)
        if config.attention_type == "space_only":
            raise InputError("backbone.architecture.attention_type=space_only: no network of clips")
        whole = library("transformers", "transformers").TimesformerModel(config)
        self.feature_size: int = config.hidden_size
        self.embeddings, self.encoder, self.layernorm = whole.embeddings, whole.encoder, whole.layernorm
        if attention == "sdpa":
            for layer in self.encoder.layer:
                for owner in filter(None, (layer.attention, getattr(layer, "temporal_attention", None))):
                    owner.attention = FusedAttention(owner.attention)

    def stages(self) -> dict[str, nn.Module]:
        return {}

    def forward(self, clips: Tensor, after: str | None = None, until: str | None = None) -> Tensor:
        self._between(after, until)
        self.refuse_other_clips(clips)
        tokens = self.embeddings(clips.movedim(1, 2))  # (N, 1 + h w t, D)
        *layers, last = self.encoder.layer
        for layer in layers:
            (tokens,) = layer(tokens)
        if self.feature == "class":
            seen = self.maps(self.patches(tokens))
            (tokens,) = last(torch.cat([tokens[:, :1], seen.permute(0, 3, 4, 2, 1).flatten(1, 3)], dim=1))
            token: Tensor = self.layernorm(tokens[:, 0])
            return token
        (tokens,) = last(tokens)
        maps: Tensor = self.maps(self.patches(self.layernorm(tokens)))
        return maps

    def patches(self, tokens: Tensor) -> Tensor:
        """(N, 1 + h w t, D) -> (N, D, t, h, w)."""
        slots, rows, columns = self.grid
        by_place: Tensor = tokens[:, 1:].unflatten(1, (rows, columns, slots))
        return by_place.permute(0, 4, 3, 1, 2)
