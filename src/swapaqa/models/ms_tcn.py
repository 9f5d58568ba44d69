"""MS-TCN (Abu Farha and Gall, CVPR 2019): classes of a sequence, refined stage by stage with dilated convolutions."""

import torch
from torch import Tensor, nn

from swapaqa.models.sample_dropout import SampleDropout

STAGES, LAYERS, MAPS = 4, 10, 64
DROPOUT, SMOOTHING, LARGEST = 0.5, 0.15, 4.0  # the last two: weight of the smoothing, and the step it is cut at


class DilatedResidual(nn.Module):
    """A dilated convolution of three clips and one of single clips, added to what comes in."""

    def __init__(self, maps: int, dilation: int) -> None:
        super().__init__()
        self.dilated = nn.Conv1d(maps, maps, 3, padding=dilation, dilation=dilation)
        self.single, self.drop = nn.Conv1d(maps, maps, 1), SampleDropout(DROPOUT)

    def forward(self, values: Tensor) -> Tensor:
        """(N, maps, n) -> the same shape."""
        found: Tensor = values + self.drop(self.single(self.dilated(values).relu()))
        return found


class Refinement(nn.Sequential):
    """One stage: (N, in_channels, n) -> (N, classes, n) logits."""

    def __init__(self, in_channels: int, classes: int) -> None:
        dilated = (DilatedResidual(MAPS, 2**layer) for layer in range(LAYERS))
        super().__init__(nn.Conv1d(in_channels, MAPS, 1), *dilated, nn.Conv1d(MAPS, classes, 1))


class MSTCN(nn.Module):
    """What each clip of a video shows.

    Args:
        in_features: length of a clip's feature.
        classes: that are told apart.
    """

    def __init__(self, in_features: int, classes: int) -> None:
        super().__init__()
        widths = (in_features, *[classes] * (STAGES - 1))
        self.stages = nn.ModuleList(Refinement(width, classes) for width in widths)

    def forward(self, clips: Tensor) -> Tensor:
        """(N, n, in_features) -> (N, stages, n, classes) logits, the last stage's the answer."""
        values, found = clips.mT, list[Tensor]()
        for stage in self.stages:
            logits = stage(values)
            values = logits.softmax(dim=1)
            found.append(logits.mT)
        whole = torch.stack(found, dim=1)
        return whole.to(torch.promote_types(whole.dtype, torch.float32))


def segmentation_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy and smoothing (a truncated squared step of the log-probabilities between clips) of all stages.

    Args:
        logits: (N, S, n, K).
        classes: (N, n) int64.

    Returns:
        (): the sum over stages of means.
    """
    log_prob = logits.log_softmax(dim=3)
    wanted = classes[:, None, :, None].expand(-1, logits.shape[1], -1, 1)
    step = log_prob[:, :, 1:] - log_prob[:, :, :-1].detach()  # as in its code the later clip is moved
    smoothing = step.square().clamp(max=LARGEST**2)
    entropy = -log_prob.gather(3, wanted).mean(dim=(0, 2, 3))
    of_stages: Tensor = entropy + SMOOTHING * smoothing.mean(dim=(0, 2, 3))
    return of_stages.sum()
