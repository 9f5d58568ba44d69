"""ResNet of every frame as transformers has it (He et al., CVPR 2016): 18 to 152 layers, of one yaml.

ResNet-50 of torchvision's files needs no library: `backbone=resnet50_frames` (`swapaqa.models.resnet_frames`), where
the stride is in the 3x3 convolution, as here with `downsample_in_bottleneck=false`.
"""

from typing import Any

from torch import nn

from swapaqa.backbones.libraries import library
from swapaqa.backbones.making import encoder_over
from swapaqa.backbones.transformers_layout import Layout, load_pretrained, made_config
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import reason
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.frame_backbone import FrameBackbone
from swapaqa.models.normalisation import BY_NAME, Named, Normalisation

LAYOUT = Layout(
    "resnet",
    "ResNetConfig",
    ("embedding_size", "hidden_sizes", "depths", "layer_type", "hidden_act", "downsample_in_first_stage",
     "downsample_in_bottleneck"),
    {},
    learnt_places=False,
    prefix="resnet.",
    ignored=r"classifier\.",
)  # fmt: skip


class ResNet(FrameBackbone):
    """(N, 3, t, h, w) -> (N, D, t, h / 32, w / 32), rounded up.

    Args:
        config: transformers' ResNetConfig.
        normalisation: of the bytes.
    """

    def __init__(self, config: Any, normalisation: Normalisation) -> None:
        super().__init__()
        whole = library("transformers", "transformers").ResNetModel(config)
        self.feature_size, self.normalisation = int(config.hidden_sizes[-1]), normalisation
        self.embedder, self.encoder = whole.embedder, whole.encoder

    def stages(self) -> dict[str, nn.Module]:
        later = {f"stages.{number}": stage for number, stage in enumerate(self.encoder.stages)}
        return {"embedder": self.embedder} | later


def resnet_encoder(
    pretrained: str | None,
    architecture: dict[str, bool | int | str | list[int]],
    clips: ClipPlan | ClipPlans,
    normalisation: Named,
    frozen: bool,
    freeze_bn: bool,
    learning_rate: float | None,
    clips_per_pass: int | None = None,
) -> VideoEncoder:
    """`ResNet` over the clips of a video, with weights of `pretrained`, or from nothing with a warning.

    Args:
        pretrained: a file of tensors, or a folder in transformers' layout, whose `config.json` has to agree.
        architecture: values of the library's configuration.
        clips, freeze_bn, learning_rate, clips_per_pass: see `VideoEncoder`.
        normalisation: of the bytes.
        frozen: its weights do not train.

    Raises:
        InputError: the library is missing or refuses the architecture; weights that are others; what `VideoEncoder`
            refuses.
    """
    config = made_config(LAYOUT, architecture, {})
    try:
        network = ResNet(config, BY_NAME[normalisation])
    except (ValueError, TypeError, KeyError, RuntimeError, ArithmeticError) as error:
        raise InputError(f"backbone.architecture: no network of transformers ({reason(error)})") from error
    if pretrained is not None:
        load_pretrained(network, pretrained, LAYOUT, config)
    return encoder_over(network, clips, pretrained, frozen, freeze_bn, learning_rate, clips_per_pass)
