"""Video networks of torchvision as backbones: Video Swin (Liu et al., CVPR 2022), MViT v2 (Li et al., CVPR 2022),
R(2+1)D (Tran et al., CVPR 2018), S3D (Xie et al., ECCV 2018). Weights are torchvision's files, from a local path.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from swapaqa.backbones.libraries import library
from swapaqa.backbones.making import encoder_over, existing, refuse_batch_norm
from swapaqa.backbones.token_backbone import Feature, maps_of, tokens_of
from swapaqa.backbones.weight_files import load_weights, read_tensors
from swapaqa.errors import InputError
from swapaqa.models.backbone import Backbone
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.normalisation import BY_NAME, Named

Name = Literal["swin3d_t", "swin3d_s", "swin3d_b", "mvit_v2_s", "r2plus1d_18", "s3d"]
MVIT_FRAMES, MVIT_SIZE = 16, 224  # for which alone torchvision makes its MViT v2
CLASSIFIER = r"(fc|head|classifier)\."


class VideoSwin(Backbone):
    """(N, 3, t, h, w) -> (N, D, t / 2, h / 32, w / 32), rounded up. `whole`: torchvision's network, any of them."""

    gradcam_layer = "maps"
    middle_stage = "features.4"  # the long third stage

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.feature_size = int(whole.num_features)
        self.patch_embed, self.pos_drop, self.features, self.norm = (
            whole.patch_embed, whole.pos_drop, whole.features, whole.norm
        )  # fmt: skip
        self.maps = nn.Identity()  # what Grad-CAM looks at

    def stages(self) -> dict[str, nn.Module]:
        numbered = {f"features.{number}": stage for number, stage in enumerate(self.features)}
        return {"patch_embed": self.patch_embed, "pos_drop": self.pos_drop} | numbered | {"norm": self.norm}

    def forward(self, clips: Tensor, after: str | None = None, until: str | None = None) -> Tensor:
        cells = clips if after is None else clips.movedim(1, -1)  # (N, t, h, w, C) behind the first stage
        for stage in self._between(after, until):
            cells = stage(cells)
        maps = cells.movedim(-1, 1)
        result: Tensor = maps if until is not None else self.maps(maps)
        return result


class MViT(Backbone):
    """(N, 3, t, size, size) -> (N, D, t / 2, size / 32, size / 32), or (N, D).

    A class token goes with the patches through every block, so that it cannot be cut open into maps.

    Args:
        whole: torchvision's network.
        frames, size: of the clips that it was made for.
        feature: `mean` of the patches, or the class token, which its classification layer reads; Grad-CAM then looks at
            what the last block is given.
    """

    gradcam_layer = "maps"

    def __init__(self, whole: Any, frames: int, size: int, feature: Feature) -> None:
        super().__init__()
        self.clip_frames, self.clip_size, self.feature = frames, size, feature
        self.feature_size = int(whole.norm.normalized_shape[0])
        self.conv_proj, self.pos_encoding = whole.conv_proj, whole.pos_encoding
        self.blocks, self.norm = whole.blocks, whole.norm
        self.maps = nn.Identity()  # what Grad-CAM looks at

    def stages(self) -> dict[str, nn.Module]:
        return {}

    def forward(self, clips: Tensor, after: str | None = None, until: str | None = None) -> Tensor:
        self._between(after, until)
        self.refuse_other_clips(clips)
        tokens = self.pos_encoding(self.conv_proj(clips).flatten(2).mT)
        grid = (self.pos_encoding.temporal_size, *self.pos_encoding.spatial_size)
        *blocks, last = self.blocks
        for block in blocks:
            tokens, grid = block(tokens, grid)
        if self.feature == "class":
            seen = self.maps(maps_of(tokens[:, 1:], grid))
            tokens, grid = last(torch.cat([tokens[:, :1], tokens_of(seen)], dim=1), grid)
            token: Tensor = self.norm(tokens)[:, 0]
            return token
        tokens, grid = last(tokens, grid)
        maps: Tensor = self.maps(maps_of(self.norm(tokens)[:, 1:], grid))
        return maps


class Convolutions(Backbone):
    """A 3-D convolutional network of torchvision.

    Args:
        parts: in order, by the names that their weights have; of `features` each part is a stage.
        feature_size: channels of the last one.
        middle_stage: two thirds of the way.
        fewest: frames of a clip of which something remains.
    """

    gradcam_layer = "maps"

    def __init__(self, parts: Mapping[str, nn.Module], feature_size: int, middle_stage: str, fewest: int) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.feature_size, self.middle_stage, self.fewest = feature_size, middle_stage, fewest
        self.maps = nn.Identity()  # what Grad-CAM looks at

    def stages(self) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {}
        for name, part in self.named_children():
            if name == "features":
                found |= {f"features.{number}": inner for number, inner in enumerate(part.children())}
            elif name != "maps":
                found[name] = part
        return found

    def forward(self, clips: Tensor, after: str | None = None, until: str | None = None) -> Tensor:
        if after is None and clips.shape[2] < self.fewest:
            raise InputError(f"clips.frames={clips.shape[2]}: this network takes clips of {self.fewest} frames or more")
        maps = super().forward(clips, after, until)
        result: Tensor = maps if until is not None else self.maps(maps)
        return result


def r2plus1d(whole: Any) -> Convolutions:
    """(N, 3, t, h, w) -> (N, 512, t / 8, h / 16, w / 16), rounded up. `whole`: torchvision's network."""
    names = ("stem", "layer1", "layer2", "layer3", "layer4")
    return Convolutions({name: getattr(whole, name) for name in names}, int(whole.fc.in_features), "layer3", 1)


def s3d(whole: Any) -> Convolutions:
    """(N, 3, t, h, w) -> (N, 1024, t / 8, h / 32, w / 32). `whole`: torchvision's network."""
    return Convolutions({"features": whole.features}, int(whole.classifier[1].in_channels), "features.11", 8)


def torchvision_encoder(  # noqa: PLR0913  one parameter for each key of the yaml
    name: Name,
    pretrained: str | None,
    clips: ClipPlan | ClipPlans,
    normalisation: Named,
    frozen: bool,
    learning_rate: float | None,
    feature: Feature = "mean",
    freeze_bn: bool | None = None,
    fold_bn: bool | None = None,
    clips_per_pass: int | None = None,
) -> VideoEncoder:
    """A video network of torchvision over the clips of a video, with weights of a file, or from nothing with a warning.

    Args:
        name: of torchvision's function that makes it.
        pretrained: a file of its weights, as torchvision ships them.
        clips, freeze_bn, learning_rate, clips_per_pass: see `VideoEncoder`.
        normalisation: of the bytes.
        frozen: its weights do not train.
        feature: see `MViT`; of the others the mean is what their classification layer reads.
        fold_bn: of none of them.

    Raises:
        InputError: the library is missing; weights that are others; what `VideoEncoder` and the network refuse.
    """
    video = library("torchvision.models.video", "torchvision")
    network: Backbone = {
        "mvit_v2_s": lambda whole: MViT(whole, MVIT_FRAMES, MVIT_SIZE, feature), "r2plus1d_18": r2plus1d, "s3d": s3d,
    }.get(name, VideoSwin)(getattr(video, name)())  # fmt: skip
    network.normalisation = BY_NAME[normalisation]
    refuse_batch_norm(network, freeze_bn, fold_bn)
    if pretrained is not None:
        path = existing(pretrained)
        load_weights(network, read_tensors(path, name), path, ignored=CLASSIFIER)
    return encoder_over(network, clips, pretrained, frozen, freeze_bn, learning_rate, clips_per_pass)
