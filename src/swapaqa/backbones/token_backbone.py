"""What video transformers have in common: a clip becomes tokens, one a patch, and these are the cells of its maps."""

from collections.abc import Iterable
from typing import Literal

from torch import Tensor, nn

from swapaqa.errors import InputError
from swapaqa.models.backbone import Backbone
from swapaqa.models.normalisation import Normalisation

Feature = Literal["mean", "class"]
Grid = tuple[int, int, int]


class TokenBackbone(Backbone):
    """(N, 3, frames, size, size) -> (N, D, frames / tubelet, size / patch, size / patch), or (N, D).

    Args:
        grid: slots, rows and columns of the tokens.
        frames, size: of a clip, the only ones that it takes.
        feature: `mean`: maps, whose mean is a clip's feature. `class`: what its classification layer reads.
        normalisation: of the bytes.
    """

    gradcam_layer = "maps"

    def __init__(self, grid: Grid, frames: int, size: int, feature: Feature, normalisation: Normalisation) -> None:
        super().__init__()
        self.clip_frames, self.clip_size, self.grid = frames, size, grid
        self.feature, self.normalisation = feature, normalisation
        self.maps = nn.Identity()  # what Grad-CAM looks at

    def forward(self, clips: Tensor, after: str | None = None, until: str | None = None) -> Tensor:
        if after is None:
            self.refuse_other_clips(clips)
        tokens = clips if after is None else tokens_of(clips)
        for stage in self._between(after, until):
            found = stage(tokens)
            tokens = found[0] if isinstance(found, tuple) else found  # some layers give their attention too
        maps = maps_of(tokens, self.grid)
        if until is not None:
            return maps
        seen: Tensor = self.maps(maps)
        return seen if self.feature == "mean" else self.read_class(seen)

    def read_class(self, maps: Tensor) -> Tensor:
        """(N, D, t, h, w) -> (N, D), what the classification layer reads; of networks that have `feature=class`."""
        raise NotImplementedError


def in_order(embeddings: nn.Module, layers: Iterable[nn.Module], norm: nn.Module | None) -> dict[str, nn.Module]:
    """The stages of a transformer by name."""
    numbered = {f"layers.{number}": layer for number, layer in enumerate(layers)}
    return {"embeddings": embeddings} | numbered | ({} if norm is None else {"norm": norm})


def middle_of(layers: int) -> str:
    """The stage after two thirds of the layers, as mixed_4e lies in I3D."""
    return f"layers.{max(2 * layers // 3 - 1, 0)}"


def maps_of(tokens: Tensor, grid: Grid) -> Tensor:
    """(N, t h w, D) -> (N, D, t, h, w), without a copy."""
    maps: Tensor = tokens.mT.unflatten(2, grid)
    return maps


def tokens_of(maps: Tensor) -> Tensor:
    """(N, D, t, h, w) -> (N, t h w, D)."""
    return maps.flatten(2).mT


def cells(kind: str, frames: int, size: int, tubelet: int, patch: int) -> Grid:
    """The grid of the tokens of a clip; InputError where patches do not cover it."""
    for key, value, unit in (("frames", frames, tubelet), ("size", size, patch)):
        if value < unit or value % unit:
            raise InputError(f"backbone.{key}={value}: {kind} takes a multiple of {unit}")
    return frames // tubelet, size // patch, size // patch
