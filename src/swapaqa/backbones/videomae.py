"""VideoMAE (Tong et al., NeurIPS 2022) as transformers has it: a ViT over tubes of two frames.

Its layers are the library's, so that its weights have their names. The sinusoidal places are no weights: a table of so
many places as the clip has; it is kept where the network is, and the library copies it there in every pass.
"""

from typing import Any

from torch import Tensor, nn

from swapaqa.backbones.libraries import library
from swapaqa.backbones.token_backbone import Feature, TokenBackbone, cells, in_order, middle_of
from swapaqa.models.normalisation import Normalisation


class PatchesWithPlaces(nn.Module):
    """(N, 3, frames, size, size) -> (N, t h w, D): patches, and where they are. `theirs`: of the library."""

    places: Tensor

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self.patch_embeddings = theirs.patch_embeddings
        self.register_buffer("places", theirs.position_embeddings.detach(), persistent=False)

    def forward(self, clips: Tensor) -> Tensor:
        patches: Tensor = self.patch_embeddings.projection(clips).flatten(2).mT
        return patches + self.places.to(patches.dtype)


class VideoMAE(TokenBackbone):
    """The encoder, without a decoder or a classification layer.

    Args:
        config: transformers' VideoMAEConfig.
        feature: `class` is the normalised mean of the tokens, with the weights that fine-tuned files have for it.
        normalisation: of the bytes.

    Raises:
        InputError: frames or a size that patches do not cover.
    """

    def __init__(self, config: Any, feature: Feature, normalisation: Normalisation) -> None:
        grid = cells("VideoMAE", config.num_frames, config.image_size, config.tubelet_size, config.patch_size)
        super().__init__(grid, config.num_frames, config.image_size, feature, normalisation)
        whole = library("transformers", "transformers").VideoMAEModel(config)
        self.feature_size: int = config.hidden_size
        self.embeddings = PatchesWithPlaces(whole.embeddings)
        self.encoder, self.layernorm = whole.encoder, whole.layernorm
        self.middle_stage = middle_of(config.num_hidden_layers)
        if feature == "class":
            self.fc_norm = nn.LayerNorm(config.hidden_size)  # whose epsilon the library leaves as it is

    def stages(self) -> dict[str, nn.Module]:
        return in_order(self.embeddings, self.encoder.layer, self.layernorm)

    def read_class(self, maps: Tensor) -> Tensor:
        mean: Tensor = self.fc_norm(maps.mean(dim=(2, 3, 4)))
        return mean
