"""GDLT (Xu et al., CVPR 2022): learned grades look at a video's clips, and their responses weight fixed grade values.

Published on features extracted once (Rhythmic Gymnastics, Fis-V); here the backbone trains with the head, so that the
swap reaches it. Its arithmetic is kept but for two points: where all responses vanish the published quotient is 0 / 0,
and ours its limit; a batch of one video with one clip, which BatchNorm refuses, takes the running statistics. Dropout
draws by video. So there is no preset "as published". No clip knows its place: the score does not depend on their order.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Encoded
from swapaqa.errors import InputError
from swapaqa.models.batch_norm import BatchNorm
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.label_scale import ScaledScorer
from swapaqa.models.sample_dropout import dropout_by_video
from swapaqa.models.scorer import Predicted
from swapaqa.models.transformer import Transformer


def grade_mean(logits: Tensor, values: Sequence[float] | None = None) -> Tensor:
    """The mean of fixed values of K grades, each weighted by its response, the sigmoid of its logit.

    Args:
        logits: (N, K).
        values: K; by default 0, 1 / (K - 1), ..., 1.

    Returns:
        (N,) between the least and the greatest of the values.
    """
    weight = F.logsigmoid(logits).softmax(dim=1)  # response / sum of responses, also where all of them round to 0
    if values is None:
        return weight @ torch.linspace(0, 1, logits.shape[1], dtype=logits.dtype, device=logits.device)
    return torch.stack([value * share for value, share in zip(values, weight.unbind(1), strict=True)]).sum(0)


def hardest_triplet_loss(embedding: Tensor, margin: float, same_grade: bool = True) -> Tensor:
    """The same grade of all videos lies together, other grades apart: the hardest triplet of each, by cosine distance.

    Args:
        embedding: (N, K, D), what each of K grades found in N videos.
        margin: by which the nearest other grade has to be farther away than the farthest of the same.
        same_grade: False: every embedding is of a kind of its own, apart from all others.

    Returns:
        (): mean over the N * K embeddings. Of a single video the first distance is 0.
    """
    videos, grades, _ = embedding.shape
    rows = F.normalize(embedding.flatten(0, 1), dim=1)
    distance = 1 - rows @ rows.T
    itself = torch.eye(videos * grades, dtype=torch.bool, device=rows.device)
    grade = torch.arange(grades, device=rows.device).repeat(videos)
    same = grade[:, None] == grade if same_grade else itself
    farthest = distance.masked_fill(~same | itself, 0).amax(dim=1)
    nearest = distance.masked_fill(same, torch.inf).amin(dim=1)
    return (farthest - nearest + margin).relu().mean()


class GradeTrunk(nn.Module):
    """Projection, encoder over the clips, decoder with a query for each grade.

    Args:
        in_features: length of a clip's feature.
        width: of the transformer; its feed-forward layers are three times as wide.
        heads, encoder_layers, decoder_layers, grades: their numbers; `grades` at least 2.
        dropout: of the transformer.

    Raises:
        InputError: a single grade, or a width that the heads do not divide.
    """

    def __init__(
        self, in_features: int, width: int, heads: int, encoder_layers: int, decoder_layers: int, grades: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        if grades < 2:
            raise InputError(f"model.grades={grades}: at least 2 are needed, as a score is a mean of their values")
        if width % heads:
            raise InputError(f"model.width={width}: must be a multiple of model.heads={heads}")
        self.project = nn.Sequential(
            nn.Conv1d(in_features, in_features // 2, 1),
            BatchNorm(in_features // 2),
            nn.ReLU(),
            nn.Conv1d(in_features // 2, width, 1),
            BatchNorm(width),
        )
        self.transformer = Transformer(width, heads, encoder_layers, decoder_layers, dropout)
        self.grades = nn.Embedding(grades, width)

    def embed(self, clips: Tensor) -> Tensor:
        """(N, n, in_features) -> what each grade found (N, K, width)."""
        source = self.project(clips.mT).mT
        embedding: Tensor = self.transformer(source, self.grades.weight.expand(len(clips), -1, -1))
        return embedding


class GradeHead(GradeTrunk):
    """The trunk with GDLT's readout (3,163,396 parameters as published). Arguments as for `GradeTrunk`."""

    def __init__(
        self, in_features: int, width: int, heads: int, encoder_layers: int, decoder_layers: int, grades: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__(in_features, width, heads, encoder_layers, decoder_layers, grades, dropout)
        self.respond = nn.Linear(width, grades)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """(N, n, in_features) -> logits of the responses (N, K), embedding of each grade (N, K, width)."""
        embedding = self.embed(clips)
        return own_response(self.respond(embedding)), embedding


def own_response(readout: Tensor) -> Tensor:
    """(N, K, K) of each grade's embedding the response to every grade -> (N, K) to its own."""
    return readout.diagonal(dim1=1, dim2=2)


class GDLT(ScaledScorer):
    """GDLT as a method to train, on labels of the unit scale, for which its two terms are balanced.

    Args:
        encoder: see `Scorer`.
        width, heads, encoder_layers, decoder_layers, grades, dropout: see `GradeTrunk`.
        margin: see `hardest_triplet_loss`.
        triplet_weight: of that term.
    """

    couples_batch: ClassVar[bool] = True  # the triplet term compares the videos of a batch

    def __init__(  # noqa: PLR0913  one parameter for each key of the yaml
        self,
        encoder: VideoEncoder,
        width: int,
        heads: int,
        encoder_layers: int,
        decoder_layers: int,
        grades: int,
        dropout: float,
        margin: float,
        triplet_weight: float,
    ) -> None:
        super().__init__(encoder)
        self.margin, self.triplet_weight = margin, triplet_weight
        self.head = GradeHead(encoder.feature_size, width, heads, encoder_layers, decoder_layers, grades, dropout)

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        with dropout_by_video(videos.labels.position, self.epoch):
            logits, embedding = self.head(videos.feature)
        share = (videos.labels.label / self.max_label).to(logits.dtype)
        return {
            "squared_error": F.mse_loss(grade_mean(logits), share),
            "triplet": self.triplet_weight * hardest_triplet_loss(embedding, self.margin),
        }

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """The mean grade on the label's scale. The method does not say how sure it is."""
        label = grade_mean(self.head(videos.feature)[0]).double() * self.max_label
        return Predicted(label, torch.full_like(label, torch.nan))
