"""From a network to the encoder of a configuration: what all backbones of libraries have in common."""

import logging
from pathlib import Path

from torch import nn

from swapaqa.errors import InputError
from swapaqa.models.batch_norm import batch_norm_settings
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder

log = logging.getLogger(__name__)


def existing(pretrained: str) -> Path:
    """The path of weights; InputError where there is none, as with a name on a hub, from which nothing is fetched."""
    path = Path(pretrained)
    if not path.exists():
        raise InputError(
            f"backbone.pretrained={pretrained}: no such file or folder; weights come from a local one, nothing "
            "is fetched (docs/backbones.md)"
        )
    return path


def refuse_batch_norm(network: nn.Module, freeze_bn: bool | None, fold_bn: bool | None) -> None:
    """InputError where BatchNorm is to be frozen or folded and the network has none."""
    if not batch_norm_settings(network):
        for key, value in (("freeze_bn", freeze_bn), ("fold_bn", fold_bn)):
            if value:
                raise InputError(
                    f"backbone.{key}=true: {type(network).__name__} has no BatchNorm; say backbone.{key}=null"
                )


def encoder_over(
    network: nn.Module,
    clips: ClipPlan | ClipPlans,
    pretrained: str | None,
    frozen: bool,
    freeze_bn: bool | None,
    learning_rate: float | None,
    clips_per_pass: int | None,
) -> VideoEncoder:
    """`network` over the clips of a video, with a warning where it starts from random weights.

    `frozen`: its weights do not train, and it stays in evaluation mode. `freeze_bn`: None for true. For the rest see
    `VideoEncoder`.
    """
    if pretrained is None:
        log.warning(
            "%s starts from random weights%s: name its weights with backbone.pretrained= (docs/backbones.md)",
            type(network).__name__,
            " and is frozen, so that it cannot learn" if frozen else "",
        )
    network.requires_grad_(not frozen)
    encoder = VideoEncoder(network, clips, freeze_bn is not False, learning_rate, clips_per_pass)
    encoder.frozen = frozen
    return encoder.train(encoder.training)
