"""Any network of images that timm has, on every frame of a clip: maps of its last layer. Weights from a local file."""

import copy
import difflib
from typing import Any

import torch
from torch import Tensor, nn

from swapaqa.backbones.libraries import library
from swapaqa.backbones.making import encoder_over, existing, refuse_batch_norm
from swapaqa.backbones.weight_files import load_weights, read_tensors
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import reason
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.frame_backbone import FrameBackbone
from swapaqa.models.normalisation import BY_NAME, Named, Normalisation


class TimmFrames(FrameBackbone):
    """(N, 3, t, h, w) -> (N, D, t, h', w'), what timm's `forward_features` gives of every frame, without class tokens.

    Args:
        whole: timm's network, without a classification layer.
        normalisation: of the bytes; None for its own.

    Attributes:
        unused: names of parameters of its that belong to a classification layer's preparation.

    Raises:
        InputError: one that gives no maps.
    """

    def __init__(self, whole: Any, normalisation: Normalisation | None) -> None:
        super().__init__()
        own = whole.pretrained_cfg
        self.whole, self.feature_size = whole, int(whole.num_features)
        self.normalisation = normalisation or Normalisation(tuple(own["mean"]), tuple(own["std"]))
        if getattr(getattr(whole, "patch_embed", None), "strict_img_size", False):
            self.clip_size = int(whole.patch_embed.img_size[0])
        self.unused = self._tried(self.clip_size or max(own["input_size"][1:]))

    def _tried(self, size: int) -> list[str]:
        """One pass on a copy without memory: whether maps come out, and which parameters they depend on."""
        bare = copy.deepcopy(self).to("meta").eval()
        parameters = dict(bare.whole.named_parameters())
        maps = bare(torch.zeros(1, 3, 1, size, size, device="meta"))
        found = torch.autograd.grad(maps, list(parameters.values()), torch.zeros_like(maps), allow_unused=True)
        return [name for name, gradient in zip(parameters, found, strict=True) if gradient is None]

    def stages(self) -> dict[str, nn.Module]:
        return {}

    def of_frames(self, frames: Tensor, after: str | None, until: str | None) -> Tensor:
        self._between(after, until)
        if self.clip_size is not None:
            self.refuse_other_clips(frames[:, :, None])
        given: Tensor = self.whole.forward_features(frames)
        if given.ndim == 4 and getattr(self.whole, "output_fmt", None) == "NHWC":
            given = given.movedim(-1, 1)
        elif given.ndim == 3 and hasattr(self.whole, "num_prefix_tokens"):
            grid = self.whole.patch_embed.dynamic_feat_size(tuple(frames.shape[-2:]))
            given = given[:, self.whole.num_prefix_tokens :].mT.unflatten(2, grid)
        if given.ndim != 4 or given.shape[1] != self.feature_size:
            raise InputError(
                f"backbone.name: timm's {type(self.whole).__name__} gives {tuple(given.shape)} of a frame, and no maps "
                f"of {self.feature_size} channels; name another network"
            )
        return given


def timm_encoder(  # noqa: PLR0913  one parameter for each key of the yaml
    name: str,
    pretrained: str | None,
    size: int | None,
    drop_path_rate: float | None,
    clips: ClipPlan | ClipPlans,
    normalisation: Named | None,
    frozen: bool,
    learning_rate: float | None,
    freeze_bn: bool | None = None,
    fold_bn: bool | None = None,
    clips_per_pass: int | None = None,
) -> VideoEncoder:
    """A network of timm over the clips of a video, with weights of a file, or from nothing with a warning.

    Args:
        name: in timm, without a hub's.
        pretrained: a file of its weights.
        size: rows and columns, of networks that are made for one size; None for what they are made for.
        drop_path_rate: stochastic depth; None for networks that have none.
        clips, learning_rate, clips_per_pass: see `VideoEncoder`.
        normalisation: of the bytes; None for the network's own.
        frozen: its weights do not train.
        freeze_bn: see `VideoEncoder`; None for true where there is BatchNorm.
        fold_bn: of none of them.

    Raises:
        InputError: the library is missing or has no such network; weights that are others; what `VideoEncoder` and
            the network refuse.
    """
    timm = library("timm", "timm")
    names = timm.list_models()
    if name not in names:  # nor `hf-hub:` and `local-dir:`
        near = ", ".join(difflib.get_close_matches(name, names, n=3))
        raise InputError(f"backbone.name={name}: timm has no such network" + (f"; there are {near}" if near else ""))
    asked = {"img_size": size, "drop_path_rate": drop_path_rate}
    given = {key: value for key, value in asked.items() if value is not None}
    try:
        whole = timm.create_model(name, pretrained=False, num_classes=0, **given)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise InputError(f"backbone.name={name}: timm does not make it so ({reason(error)})") from error
    network = TimmFrames(whole, None if normalisation is None else BY_NAME[normalisation])
    refuse_batch_norm(network, freeze_bn, fold_bn)
    if pretrained is not None:
        path = existing(pretrained)
        classifier = str(whole.pretrained_cfg.get("classifier", "head.fc")).partition(".")[0]
        load_weights(whole, read_tensors(path, name), path, ignored=rf"{classifier}\.|head\.|fc\.|classifier\.")
    encoder = encoder_over(network, clips, pretrained, frozen, freeze_bn, learning_rate, clips_per_pass)
    for unused in network.unused:  # several processes would wait for its gradient
        network.whole.get_parameter(unused).requires_grad_(False)
    return encoder
