"""What the multi-task methods of MTL-AQA have in common (Parmar and Morris, CVPR 2019): the score's unit, the terms of
the loss, and the side information that they learn from and do not need to score.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Encoded
from swapaqa.models.attributes import attribute_losses
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.sample_dropout import dropout_by_video
from swapaqa.models.scorer import Predicted, Scorer, Target

CAPTION = (512, 512, 0.5)  # of both methods, as published: width, length of a word, dropout


class MultiTask(Scorer):
    """Base of the multi-task methods.

    Args:
        encoder: see `Scorer`.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        unit: points that the score is regressed in.
        attributes, captions: whether they are learnt; the data set has to give them then.
        caption_weight: of the captions' term.
        words: of the captions' vocabulary.
    """

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        unit: float,
        attributes: bool,
        captions: bool,
        caption_weight: float,
        words: int,
    ) -> None:
        super().__init__(encoder)
        self.target, self.unit, self.caption_weight, self.words = target, unit, caption_weight, words
        sides = {"dive": attributes, "caption": captions}
        self.learns_from = tuple(name for name, wanted in sides.items() if wanted)
        self.head = self.build_head(encoder.feature_size, attributes, captions)

    @abstractmethod
    def build_head(self, in_features: int, attributes: bool, captions: bool) -> nn.Module:
        """Everything behind the clips' features."""

    def look(self, videos: Encoded) -> Tensor:
        """What all heads see: the clips' features (N, n, D), or what a method makes of them."""
        return videos.feature

    @abstractmethod
    def read(self, seen: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Score (N,) in units, and the logits of the attributes, none if they are not learnt."""

    @abstractmethod
    def tell(self, seen: Tensor, caption: Tensor) -> Tensor:
        """() the captions' term, unweighted."""

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        labels = videos.labels
        with dropout_by_video(labels.position, self.epoch):
            seen = self.look(videos)
            score, logits = self.read(seen)
            target = ((labels.offset + labels.factor * labels.label) / self.unit).to(score.dtype)
            terms = {"squared_error": F.mse_loss(score, target), "absolute_error": F.l1_loss(score, target)}
            if logits:
                terms |= attribute_losses(logits, videos.side["dive"])
            if "caption" in self.learns_from:
                terms["caption"] = self.caption_weight * self.tell(seen, videos.side["caption"])
        return terms

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """The output in points, as a label. The method does not say how sure it is."""
        points = self.read(self.look(videos))[0].double() * self.unit
        label = (points - videos.labels.offset) / videos.labels.factor
        return Predicted(label, torch.full_like(label, torch.nan))
