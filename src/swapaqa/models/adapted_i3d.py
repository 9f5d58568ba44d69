"""I3D with adapters, as PECoP pretrains it (Dadashzadeh et al., WACV 2024): a small 3-D bottleneck behind every block.

A block's output x becomes x + s P(ReLU(D(x))): D a grouped 3x3x3 convolution to a quarter of the channels, P a
convolution of 1x1x1 back to all of them, s a scale for each channel. Nine adapters, 1,109,068 parameters, named as in
the files of the authors' program. As published they begin as PyTorch draws convolutions, so that an I3D with fresh
adapters is another network than without; `identity_start` begins with P = 0, which leaves it as it was.

`python -m src.pretrain` trains the adapters (`swapaqa.models.segment_pace`), and its file is read with
`backbone.pretrained=`. In a host's training adapters and I3D train alike, at the host's rate of the backbone: how the
authors fine-tune was not published but for that they take the hosts' codes.
"""

import logging
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.i3d import I3D, Mixed, SamePool, i3d_network, refuse_folding
from swapaqa.models.i3d_weights import ADAPTER, renamed
from swapaqa.models.normalisation import Named

log = logging.getLogger(__name__)

REDUCTION = 4  # channels of a block to one of its adapter, and input channels of a group of its first convolution


class Adapter(nn.Module):
    """x + s P(ReLU(D(x))), of `channels` that 4 divides."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = channels // REDUCTION
        self.conv1 = nn.Conv3d(channels, width, 3, padding=1, groups=width)
        self.conv2 = nn.Conv3d(width, channels, 1)
        self.se = nn.Parameter(nn.init.ones_(self.conv2.weight.new_empty(1, channels, 1, 1, 1)))

    def begin_as_identity(self) -> None:
        """P = 0: the result is x, and the first step changes P."""
        nn.init.zeros_(self.conv2.weight)
        if self.conv2.bias is not None:
            nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, t, h, w) -> the same shape."""
        adapted: Tensor = x + self.se * self.conv2(F.relu(self.conv1(x), inplace=True))
        return adapted


class AdaptedMixed(Mixed):
    """An Inception block and its adapter."""

    def __init__(self, *channels: int) -> None:
        super().__init__(*channels)
        make_signed(self)
        _, first, _, second, _, third, fourth = channels
        self.tuning_module = Adapter(first + second + third + fourth)

    def forward(self, x: Tensor) -> Tensor:
        """As `Mixed`."""
        adapted: Tensor = self.tuning_module(super().forward(x))
        return adapted


def make_signed(network: nn.Module) -> None:
    """Let the pools of a network take what adapters give, which is negative too."""
    for layer in network.modules():
        if isinstance(layer, SamePool):
            layer.signed = not layer.activate


class AdaptedI3D(I3D):
    """I3D with nine adapters, 13,396,332 parameters. Shapes and arguments as of `I3D`.

    Attributes:
        adapters_are_fresh: whether they are as they were drawn, and not read from a file.
    """

    adapters_are_fresh = True

    def __init__(self, bn_eps: float = 1e-3, bn_momentum: float = 0.01) -> None:
        super().__init__(bn_eps, bn_momentum)
        make_signed(self)

    def block(self, *channels: int) -> Mixed:
        return AdaptedMixed(*channels)

    def adapters(self) -> list[Adapter]:
        """The nine, in the order in which a clip meets them."""
        return [layer for layer in self.modules() if isinstance(layer, Adapter)]

    def load_published(self, path: Path, weights: dict[str, Tensor], piergiaj: bool) -> None:
        """Load an I3D's weights, with those of adapters or without: then these stay as they are."""
        own = self.state_dict()
        self.adapters_are_fresh = not any(ADAPTER in key for key in weights)
        kept = {key: value for key, value in own.items() if self.adapters_are_fresh and ADAPTER in key}
        wanted = {key: value for key, value in own.items() if key not in kept}
        self.load_state_dict(kept | renamed(path, weights, wanted, piergiaj))


def adapted_i3d_encoder(  # noqa: PLR0913  one parameter for each key of the yaml
    pretrained: str | None,
    bn_eps: float | None,
    identity_start: bool,
    clips: ClipPlan | ClipPlans,
    normalisation: Named,
    freeze_bn: bool,
    learning_rate: float | None,
    fold_bn: bool = False,
    compact_pools: bool = False,
    clips_per_pass: int | None = None,
) -> VideoEncoder:
    """`AdaptedI3D` over the clips of a video.

    Args:
        pretrained: a file of `swapaqa pretrain` or of PECoP's program, or one of I3D's weights without adapters.
        identity_start: fresh adapters leave I3D as it was.
        bn_eps, normalisation, fold_bn, compact_pools: see `i3d_network`.
        clips, freeze_bn, learning_rate, clips_per_pass: see `VideoEncoder`.

    Raises:
        InputError: what `i3d_network` and `VideoEncoder` refuse.
    """
    refuse_folding(fold_bn, freeze_bn)
    network = i3d_network(pretrained, bn_eps, normalisation, fold_bn, compact_pools, AdaptedI3D)
    if network.adapters_are_fresh and identity_start:
        for adapter in network.adapters():
            adapter.begin_as_identity()
    if network.adapters_are_fresh and pretrained is not None:
        log.warning("%s has no adapters: they begin untrained, and `pretrain` is what trains them", pretrained)
    return VideoEncoder(network, clips, freeze_bn, learning_rate, clips_per_pass)
