"""C3D: eight 3x3x3 convolutions (Tran et al., ICCV 2015), in the form that AQA methods have it from Sports-1M.

Modules are named as in the file that these start from (`c3d.pickle`), which is read as it is. Deviation from their
code: convolutions begin at He's variance, as nothing is normalised and PyTorch's own would leave no signal; a file
replaces it.
"""

import logging
from pathlib import Path
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.errors import InputError
from swapaqa.models.backbone import Backbone
from swapaqa.models.c3d_weights import read_c3d
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.i3d import I3D
from swapaqa.models.normalisation import BY_NAME, Named

log = logging.getLogger(__name__)

Feature = Literal["mean", "pool5", "fc6"]
CHANNELS = {  # in, out
    "conv1": (3, 64),
    "conv2": (64, 128),
    "conv3a": (128, 256),
    "conv3b": (256, 256),
    "conv4a": (256, 512),
    "conv4b": (512, 512),
    "conv5a": (512, 512),
    "conv5b": (512, 512),
}
CLIP_FRAMES, FC6 = 16, 4096


class Convolution(nn.Conv3d):
    """3x3x3 with a border of zeros, and its ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, t, h, w) -> (N, out_channels, t, h, w)."""
        return F.relu(super().forward(x), inplace=True)


class Fc6(nn.Linear):
    """The first fully connected layer, with its ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, 4096)."""
        return F.relu(super().forward(x), inplace=True)


class C3D(Backbone):
    """The convolutions, 27,655,936 parameters: (N, 3, T, H, W) -> (N, 512, T/16, H/32 + 1/2, W/32 + 1/2), rounded down.

    Args:
        feature: of a clip: `mean` of the last pool's places (512); `pool5`, all of them (8192 of a clip of 112 pixels);
            `fc6`, 4096 of these, with 33,558,528 parameters more.
        size: rows and columns of a clip, where its feature is not the mean.
        normalisation: of the bytes.

    Raises:
        InputError: a size of which the fourth pool leaves nothing.
    """

    gradcam_layer = "conv5b"

    def __init__(self, feature: Feature, size: int, normalisation: Named = "imagenet") -> None:
        super().__init__()
        if size < 16:
            raise InputError(f"backbone.size={size}: C3D takes clips of 16 rows and columns or more")
        self.normalisation = BY_NAME[normalisation]
        places = (size // 16 // 2 + 1) ** 2
        for name, channels in CHANNELS.items():
            self.add_module(name, Convolution(*channels))
            if name in ("conv1", "conv2", "conv3b", "conv4b"):
                shape = (1 if name == "conv1" else 2, 2, 2)
                self.add_module(f"pool{name[4]}", nn.MaxPool3d(shape, shape))
        self.pool5 = nn.MaxPool3d(2, 2, padding=(0, 1, 1))
        self.feature_size = CHANNELS["conv5b"][1]
        if feature != "mean":
            self.feature_size *= places
            self.flat = nn.Flatten()
            self.clip_frames, self.clip_size = CLIP_FRAMES, size
        if feature == "fc6":
            self.fc6 = Fc6(self.feature_size, FC6)
            self.feature_size = FC6


def c3d_encoder(
    pretrained: str | None,
    feature: Feature,
    size: int,
    clips: ClipPlan | ClipPlans,
    normalisation: Named,
    frozen: bool,
    learning_rate: float | None,
    clips_per_pass: int | None = None,
) -> VideoEncoder:
    """`C3D` over the clips of a video, with weights from file `pretrained`, or from nothing with a warning.

    `frozen`: its weights do not train. For the rest see `C3D` and `VideoEncoder`.

    Raises:
        InputError: what `read_c3d` and `VideoEncoder` refuse.
    """
    network = C3D(feature, size, normalisation)
    if pretrained is None:
        log.warning(
            "C3D starts from random weights%s: all published results start from Sports-1M weights. Name their file "
            "with backbone.pretrained=: c3d.pickle, which the authors of C3D-LSTM link to",
            " and is frozen, so that it cannot learn" if frozen else "",
        )
    else:
        network.load_state_dict(read_c3d(Path(pretrained), network))
    network.requires_grad_(not frozen)
    return VideoEncoder(network, clips, freeze_bn=True, learning_rate=learning_rate, clips_per_pass=clips_per_pass)


def refuse_i3d(encoder: VideoEncoder, model: str, reduced: str, own: str = "c3d") -> None:
    """InputError where a method that stands on C3D is given I3D: that is another system, with a name of its own.

    Args:
        encoder: of the method.
        model, reduced: what `model=` calls the method, and its form on any backbone.
        own: what `backbone=` calls the network of the method.
    """
    if isinstance(encoder.network, I3D):
        raise InputError(
            f"backbone=i3d: model={model} stands on C3D; say backbone={own}, or model={reduced}, its form on I3D"
        )
