"""The scale of the labels, learned from the training videos and kept with the weights."""

import torch
from torch import Tensor

from swapaqa.batch import TrainingLabels
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.scorer import Scorer


class ScaledScorer(Scorer):
    """A method that predicts on the scale of its labels.

    Attributes:
        max_label: the upper end of the scale, a scalar of float64, 1 until it is learned or loaded.
    """

    max_label: Tensor

    def __init__(self, encoder: VideoEncoder) -> None:
        super().__init__(encoder)
        self.register_buffer("max_label", torch.ones((), dtype=torch.float64))

    def learn_scale(self, labels: TrainingLabels) -> None:
        self.max_label = torch.tensor(labels.max_label, dtype=torch.float64)
