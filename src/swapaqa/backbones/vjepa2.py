"""V-JEPA 2 (Assran et al., 2025) as transformers has it: a ViT with rotary places, so that clips of any length do."""

from typing import Any

from torch import Tensor, nn

from swapaqa.backbones.libraries import library
from swapaqa.backbones.token_backbone import Feature, TokenBackbone, cells, in_order, middle_of, tokens_of
from swapaqa.models.normalisation import Normalisation

MODULE = "transformers.models.vjepa2.modeling_vjepa2"


class VJEPA2(TokenBackbone):
    """The encoder, without the predictor.

    Args:
        config: transformers' VJEPA2Config.
        feature: `class` is what its attentive pooler gives, with the weights that fine-tuned files have for it.
        normalisation: of the bytes.

    Raises:
        InputError: frames or a size that patches do not cover.
    """

    def __init__(self, config: Any, feature: Feature, normalisation: Normalisation) -> None:
        grid = cells("V-JEPA 2", config.frames_per_clip, config.crop_size, config.tubelet_size, config.patch_size)
        super().__init__(grid, config.frames_per_clip, config.crop_size, feature, normalisation)
        module = library(MODULE, "transformers")
        self.feature_size: int = config.hidden_size
        if feature == "class":
            whole = module.VJEPA2ForVideoClassification(config)
            self.encoder, self.pooler = whole.vjepa2.encoder, whole.pooler
        else:
            self.encoder = module.VJEPA2Model(config).encoder
        self.middle_stage = middle_of(config.num_hidden_layers)

    def stages(self) -> dict[str, nn.Module]:
        return in_order(self.encoder.embeddings.patch_embeddings, self.encoder.layer, self.encoder.layernorm)

    def read_class(self, maps: Tensor) -> Tensor:
        read: Tensor = self.pooler(tokens_of(maps))
        return read
