"""A hidden layer on a video's mean feature: the least that is called a network, beside the heads of AQA."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Encoded
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.label_scale import ScaledScorer
from swapaqa.models.sample_dropout import SampleDropout, dropout_by_video
from swapaqa.models.scorer import Predicted


class MLP(ScaledScorer):
    """The squared error of the label in 0..1.

    Args:
        encoder: see `Scorer`.
        width: of the hidden layer.
        dropout: behind it.
    """

    def __init__(self, encoder: VideoEncoder, width: int, dropout: float) -> None:
        super().__init__(encoder)
        layers = (nn.Linear(encoder.feature_size, width), nn.ReLU(), SampleDropout(dropout), nn.Linear(width, 1))
        self.head = nn.Sequential(*layers)

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        with dropout_by_video(videos.labels.position, self.epoch):
            share = self.head(videos.mean_feature)[:, 0]
        return {"squared_error": F.mse_loss(share, (videos.labels.label / self.max_label).to(share.dtype))}

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        label = self.head(videos.mean_feature)[:, 0].double() * self.max_label
        return Predicted(label, torch.full_like(label, torch.nan))
