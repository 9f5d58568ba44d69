"""ResNet-50 over every frame of a clip (He et al., CVPR 2016), 23,508,032 parameters without its classification layer.

Modules are named as in torchvision, whose weight files are read as they are (`resnet50-*.pth`: the stride of a block is
that of its 3x3 convolution). Ours, and no library's: those that have it do not load beside every build of PyTorch.
"""

import logging
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.errors import InputError
from swapaqa.models.c3d_weights import read_state
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.frame_backbone import FrameBackbone
from swapaqa.models.normalisation import BY_NAME, Named
from swapaqa.models.published import BATCH_COUNT

log = logging.getLogger(__name__)

LAYERS = {"layer1": (64, 3), "layer2": (128, 4), "layer3": (256, 6), "layer4": (512, 3)}  # width, blocks
EXPANSION = 4
CLASSIFIER = ("fc.weight", "fc.bias")


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions beside a shortcut.

    Args:
        channels: in.
        width: of the middle; four times as many come out.
        stride: of the 3x3 convolution and of the shortcut.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = EXPANSION * width
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, 4 width, h / stride, w / stride)."""
        shortcut: Tensor = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


class ResNetFrames(FrameBackbone):
    """(N, 3, t, h, w) -> (N, 2048, t, h/32, w/32), rounded up: every frame by itself.

    Args:
        normalisation: of the bytes.
    """

    feature_size = EXPANSION * LAYERS["layer4"][0]

    def __init__(self, normalisation: Named = "imagenet") -> None:
        super().__init__()
        self.normalisation = BY_NAME[normalisation]
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64)
        self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)
        channels = 64
        for name, (width, blocks) in LAYERS.items():
            strides = [1 if name == "layer1" else 2] + [1] * (blocks - 1)
            inputs = [channels] + [EXPANSION * width] * (blocks - 1)
            pairs = zip(inputs, strides, strict=True)
            self.add_module(name, nn.Sequential(*(Bottleneck(own, width, stride) for own, stride in pairs)))
            channels = EXPANSION * width
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def resnet_frames_encoder(
    pretrained: str | None,
    clips: ClipPlan | ClipPlans,
    normalisation: Named,
    frozen: bool,
    freeze_bn: bool,
    learning_rate: float | None,
    clips_per_pass: int | None = None,
) -> VideoEncoder:
    """`ResNetFrames` over the clips of a video, with weights from file `pretrained`, or from nothing with a warning.

    `frozen`: its weights do not train. For the rest see `VideoEncoder`.

    Raises:
        InputError: what `read_resnet` and `VideoEncoder` refuse.
    """
    network = ResNetFrames(normalisation)
    if pretrained is None:
        log.warning(
            "ResNet-50 starts from random weights%s: published results start from ImageNet weights. Name torchvision's "
            "file with backbone.pretrained=: resnet50-0676ba61.pth, or another of the same network",
            " and is frozen, so that it cannot learn" if frozen else "",
        )
    else:
        network.load_state_dict(read_resnet(Path(pretrained), network))
    network.requires_grad_(not frozen)
    return VideoEncoder(network, clips, freeze_bn, learning_rate, clips_per_pass)


def read_resnet(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """The weights of a file of torchvision's ResNet-50, without its classification layer.

    Raises:
        InputError: the file cannot be read, or its weights are not those: missing, strange, of another shape.
    """
    weights, state = read_state(path, "ResNet-50"), network.state_dict()
    needed = {key: value.shape for key, value in state.items() if not key.endswith(BATCH_COUNT)}
    missing = [key for key in needed if key not in weights]
    strange = [key for key in weights if key not in state and key not in CLASSIFIER]
    wrong = [key for key, shape in needed.items() if key in weights and weights[key].shape != shape]
    if missing or strange or wrong:
        some = f"no {missing[0]}" if missing else f"a {strange[0]}" if strange else f"another shape of {wrong[0]}"
        raise InputError(f"{path}: not a ResNet-50, it has {some}; name torchvision's resnet50-*.pth")
    return {key: weights[key] if key in needed else value for key, value in state.items()}
