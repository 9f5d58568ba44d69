"""BatchNorm's statistics: frozen or live, and the settings that are no weights."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

CANNOT_LEARN = "an I3D that starts from random weights under frozen BatchNorm cannot learn: see backbone.pretrained="


class _OneValueToo(_BatchNorm):
    """BatchNorm that takes a batch of one value a channel by the running statistics.

    Of a single value there is no variance, and PyTorch refuses it: the last batch of an epoch may be one video.
    """

    def forward(self, values: Tensor) -> Tensor:
        if self.training and values.numel() == self.num_features:
            return F.batch_norm(values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(values)


class BatchNorm(_OneValueToo, nn.BatchNorm1d):
    """Of (N, C, n) or (N, C)."""


class BatchNorm3d(_OneValueToo, nn.BatchNorm3d):
    """Of (N, C, t, h, w)."""


def freeze_batch_norm_statistics(module: nn.Module) -> None:
    """Put every BatchNorm in `module` in eval mode: running statistics are used and kept.

    Scale and shift still train. The next `module.train()` undoes it, so it has to follow every one;
    `VideoEncoder(freeze_bn=True)` does that.
    """
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def has_live_batch_norm(module: nn.Module) -> bool:
    """Whether a forward pass through `module` would use and update batch statistics."""
    return any(isinstance(layer, _BatchNorm) and layer.training for layer in module.modules())


def batch_norm_settings(module: nn.Module) -> dict[str, list[float]]:
    """Epsilon and momentum of every BatchNorm by name: they decide what weights mean, and are not among them."""
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, _BatchNorm)}
    return {name: [layer.eps, layer.momentum or 0.0] for name, layer in layers.items()}


def restore_batch_norm_settings(module: nn.Module, settings: dict[str, list[float]]) -> None:
    """Set what `batch_norm_settings` found."""
    for name, (eps, momentum) in settings.items():
        layer = cast(_BatchNorm, module.get_submodule(name))
        layer.eps, layer.momentum = eps, momentum
