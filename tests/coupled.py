"""A method whose loss compares all videos of a batch, for processes that share one."""

import torch
from torch import Tensor, nn

from swapaqa.batch import Encoded
from swapaqa.models.core import CoRe


class Coupled(CoRe):
    """CoRe with a term over all pairs of videos and exemplars, by features that BatchNorm scales by their batch."""

    couples_batch = True

    def __init__(self, **given: object) -> None:
        super().__init__(**given)
        self.norm = nn.BatchNorm1d(self.encoder.feature_size)

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:
        assert exemplars is not None
        feature = self.norm(torch.cat([videos.mean_feature, exemplars.mean_feature]))  # (2N, D)
        label = torch.cat([videos.labels.label, exemplars.labels.label]) / self.max_label
        apart = (feature[:, None] - feature).square().mean(dim=2)  # (2N, 2N)
        wanted = (label[:, None] - label).abs()
        return super().losses(videos, exemplars) | {"apart": (apart - wanted).square().mean()}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Steps as long as gradients are: Adam's would enlarge the rounding of small ones."""
        return torch.optim.SGD(self.parameters(), lr=1e-2)
