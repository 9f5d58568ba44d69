"""Video transformers of the library transformers as backbones: built from the configuration, weights from a local file.

The library's image processors are not used: clips, sizes and normalisation are those of the method and the yaml.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from swapaqa.backbones.making import encoder_over, refuse_batch_norm
from swapaqa.backbones.timesformer import AttentionBy, TimeSformer
from swapaqa.backbones.token_backbone import Feature, TokenBackbone
from swapaqa.backbones.transformers_layout import Layout, load_pretrained, made_config
from swapaqa.backbones.videomae import VideoMAE
from swapaqa.backbones.vjepa2 import VJEPA2
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import reason
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.normalisation import BY_NAME, Named, Normalisation

Kind = Literal["videomae", "timesformer", "vjepa2"]
VIT = ("hidden_size", "num_hidden_layers", "num_attention_heads", "patch_size", "hidden_act", "layer_norm_eps")
LAYOUTS: Mapping[Kind, Layout] = {
    "videomae": Layout(
        "videomae",
        "VideoMAEConfig",
        (*VIT, "intermediate_size", "tubelet_size", "qv_bias", "use_mean_pooling"),
        {"frames": "num_frames", "size": "image_size"},
        learnt_places=False,
        prefix="videomae.",
        ignored=r"classifier\.|fc_norm\.|decoder\.|encoder_to_decoder\.|mask_token|(embeddings\.)?position_embeddings",
        renamed=(  # of files before transformers 5
            (r"attention\.attention\.q_bias", "attention.attention.query.bias"),
            (r"attention\.attention\.v_bias", "attention.attention.value.bias"),
        ),
        aliases={"qv_bias": "qkv_bias"},
    ),
    "timesformer": Layout(
        "timesformer",
        "TimesformerConfig",
        (*VIT, "intermediate_size", "qkv_bias", "attention_type"),
        {"frames": "num_frames", "size": "image_size"},
        learnt_places=True,
        prefix="timesformer.",
        ignored=r"classifier\.",
    ),
    "vjepa2": Layout(
        "vjepa2",
        "VJEPA2Config",
        (*VIT, "mlp_ratio", "tubelet_size", "qkv_bias", "num_pooler_layers"),
        {"frames": "frames_per_clip", "size": "crop_size"},
        learnt_places=False,
        prefix="vjepa2.",
        ignored=r"classifier\.|pooler\.|predictor\.",
    ),
}
Maker = Callable[[Any, Feature, Normalisation, AttentionBy], TokenBackbone]
MAKERS: Mapping[Kind, Maker] = {
    "videomae": lambda config, feature, normalisation, _: VideoMAE(config, feature, normalisation),
    "timesformer": TimeSformer,
    "vjepa2": lambda config, feature, normalisation, _: VJEPA2(config, feature, normalisation),
}


def video_transformer_encoder(  # noqa: PLR0913  one parameter for each key of the yaml
    kind: Kind,
    pretrained: str | None,
    architecture: dict[str, bool | int | float | str],
    frames: int,
    size: int,
    feature: Feature,
    attention: AttentionBy,
    clips: ClipPlan | ClipPlans,
    normalisation: Named,
    frozen: bool,
    learning_rate: float | None,
    freeze_bn: bool | None = None,
    fold_bn: bool | None = None,
    clips_per_pass: int | None = None,
) -> VideoEncoder:
    """A video transformer over the clips of a video, with weights of `pretrained`, or from nothing with a warning.

    Args:
        kind: which.
        pretrained: a file of tensors, or a folder in transformers' layout, whose `config.json` has to agree.
        architecture: values of the library's configuration.
        frames, size: of a clip.
        feature: `mean` of the tokens, or what its classification layer reads.
        attention: `sdpa`, PyTorch's own, or `eager`, written out.
        clips, learning_rate, clips_per_pass: see `VideoEncoder`.
        normalisation: of the bytes.
        frozen: its weights do not train.
        freeze_bn, fold_bn: there is no BatchNorm.

    Raises:
        InputError: the library is missing or refuses the architecture; weights that are others; what `VideoEncoder` and
            the network refuse.
    """
    layout = LAYOUTS[kind]
    config = made_config(layout, architecture, {"frames": frames, "size": size})
    config._attn_implementation = attention if kind != "timesformer" else "eager"  # the library's only one there
    try:
        network = MAKERS[kind](config, feature, BY_NAME[normalisation], attention)
    except (ValueError, TypeError, KeyError, RuntimeError, ArithmeticError) as error:
        raise InputError(f"backbone.architecture: no network of transformers ({reason(error)})") from error
    refuse_batch_norm(network, freeze_bn, fold_bn)
    if pretrained is not None:
        load_pretrained(network, pretrained, layout, config)
    return encoder_over(network, clips, pretrained, frozen, False, learning_rate, clips_per_pass)
