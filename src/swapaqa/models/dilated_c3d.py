"""The network of MSCADC-MTL (Parmar and Morris, CVPR 2019): a thin C3D whose last convolutions are dilated, not pooled.

Modules are named as in the files that its program saves, `model_CNN_<epoch>.pth`, which are read as they are. The
dropout behind it is the method's.
"""

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.errors import InputError
from swapaqa.models.backbone import Backbone
from swapaqa.models.c3d_weights import read_c3d
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.normalisation import BY_NAME, Named

LAYERS = {"1": 1, "2": 2, "3a": 4, "3b": 4, "4a": 8, "4b": 8, "5a": 8, "5b": 8}  # channels, in those of the first
POOLED = {"1": (1, 2, 2), "2": (2, 2, 2), "3b": (2, 2, 2)}
PADDED = {"5a": (2, 2), "5b": (1, 2)}  # border and dilation; all others 1 and 1
FRAMES = 16


class Normalised(nn.BatchNorm3d):
    """BatchNorm and its ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, t, h, w) -> the same shape."""
        return F.relu(super().forward(x), inplace=True)


class DilatedC3D(Backbone):
    """(N, 3, 16, size, size) -> the maps in one row (N, D), 6,918,720 parameters at a width of 32.

    Attributes:
        map_shape: time, rows and columns of the maps, 2, 20 and 20 at 180 pixels.

    Args:
        width: channels of the first layer; the maps have eight times as many.
        size: rows and columns of a clip.
        normalisation: of the bytes.

    Raises:
        InputError: a size of which nothing is left.
    """

    clip_frames = FRAMES
    gradcam_layer = "conv5b"

    def __init__(self, width: int, size: int, normalisation: Named = "imagenet") -> None:
        super().__init__()
        if size < 24:
            raise InputError(f"backbone.size={size}: this network takes clips of 24 rows and columns or more")
        self.normalisation, self.clip_size = BY_NAME[normalisation], size
        channels = 3
        for name, share in LAYERS.items():
            border, dilation = PADDED.get(name, (1, 1))
            self.add_module(f"conv{name}", nn.Conv3d(channels, share * width, 3, padding=border, dilation=dilation))
            self.add_module(f"bn{name}", Normalised(share * width))
            if name in POOLED:
                self.add_module(f"pool{name[0]}", nn.MaxPool3d(POOLED[name], POOLED[name]))
            channels = share * width
        self.flat = nn.Flatten()
        side = size // 8 - 2
        self.map_shape = (FRAMES // 4 - 2, side, side)
        self.feature_size = channels * self.map_shape[0] * side**2


def dilated_c3d_encoder(
    pretrained: str | None,
    width: int,
    size: int,
    clips: ClipPlan | ClipPlans,
    normalisation: Named,
    freeze_bn: bool,
    learning_rate: float | None,
    clips_per_pass: int | None = None,
) -> VideoEncoder:
    """`DilatedC3D` over the clips of a video, from nothing or with weights from file `pretrained`.

    For the rest see `DilatedC3D` and `VideoEncoder`.

    Raises:
        InputError: what `read_c3d` and `VideoEncoder` refuse.
    """
    network = DilatedC3D(width, size, normalisation)
    if pretrained is not None:
        network.load_state_dict(read_c3d(Path(pretrained), network), strict=False)
    return VideoEncoder(network, clips, freeze_bn, learning_rate, clips_per_pass)
