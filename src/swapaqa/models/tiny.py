"""A small 3-D convolutional network for the demo and for tests: no weights to fetch, trains on a CPU."""

from torch import nn

from swapaqa.models.backbone import Backbone
from swapaqa.models.normalisation import BY_NAME, Named


class TinyBackbone(Backbone):
    """Four 3x3x3 convolutions, each halving space; the feature is the average over what remains.

    GroupNorm instead of BatchNorm: no statistics over the batch, so the same in training and evaluation.

    Args:
        width: channels of the first layer; the feature has 4 times as many.
        normalisation: of the bytes.
    """

    middle_stage = "layers.2"
    gradcam_layer = "layers.3"
    gradcam_origin = (0.0, 0.0, 0.0)

    def __init__(self, width: int, normalisation: Named = "imagenet") -> None:
        super().__init__()
        self.feature_size, self.normalisation = 4 * width, BY_NAME[normalisation]
        self.layers = nn.Sequential(
            _block(3, width, stride=(1, 2, 2)),
            _block(width, 2 * width, stride=(2, 2, 2)),
            _block(2 * width, 4 * width, stride=(2, 2, 2)),
            _block(4 * width, 4 * width, stride=(1, 2, 2)),
        )

    def stages(self) -> dict[str, nn.Module]:
        return {f"layers.{number}": block for number, block in enumerate(self.layers)}


def _block(in_channels: int, out_channels: int, stride: tuple[int, int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(num_groups=1, num_channels=out_channels),
        nn.ReLU(inplace=True),
    )
