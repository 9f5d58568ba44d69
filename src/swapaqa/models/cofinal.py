"""CoFInAl (Zhou et al., IJCAI 2024; the swap's paper prints CoFInAI): coarse grades, then one among fine prototypes.

GDLT's grades, read twice: once toward the score's first two decimals, once toward what is left to 1. The two decimals
after them choose one of 100 fixed prototypes, a simplex in 100 dimensions, toward which a fine branch is trained.
Published on features extracted once; here the backbone trains with the head, so that the swap reaches it. Deviations
from the published code, with the way back to it (`experiment=cofinal_as_published`):
- the fine branch attends over a video's grades; the published one, given samples where its layer expects a sequence,
  over the videos of a batch, and at test time, with one video, over nothing (`fine_attention="videos"`: in training
  over the batch, in evaluation each video alone, as its test program ran, so that no score depends on another video);
- the nearest prototype is each video's own; the published argmax over a whole batch is right for a batch of one only;
- a label is cut into decimals after rounding to 10^-10: 0.83 is 0.83 and no 0.8299;
- GDLT's (`swapaqa.models.gdlt`).
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Encoded
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.gdlt import GradeTrunk, grade_mean, hardest_triplet_loss, own_response
from swapaqa.models.label_scale import ScaledScorer
from swapaqa.models.sample_dropout import dropout_by_video
from swapaqa.models.scorer import Predicted
from swapaqa.models.transformer import Attention

FineAttention = Literal["grades", "videos"]
Alike = Literal["grade", "none"]
PROTOTYPES = 100  # two decimals
FINE_HEADS = 4


def simplex(count: int, seed: int = 0) -> Tensor:
    """(count, count) float64: columns of length 1 with cosines of -1 / (count - 1), an equiangular tight frame.

    The published one is that of seed 0, up to signs that a LAPACK chooses: a checkpoint carries it.
    """
    drawn = np.random.RandomState(seed).random_sample((count, count))
    rotation = torch.tensor(np.linalg.qr(drawn)[0])
    centred = torch.eye(count, dtype=torch.float64) - 1 / count
    found: Tensor = rotation @ centred * (count / (count - 1)) ** 0.5
    return found


def cut_into_decimals(share: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (N,) in 0..1 -> their first two decimals (N,), the next two as a whole number (N,) int64 of 0..99."""
    cells = (share * PROTOTYPES**2).round(decimals=6).floor().long()
    return (cells // PROTOTYPES).to(share.dtype) / PROTOTYPES, cells % PROTOTYPES


class FineHead(nn.Module):
    """What K grades found -> a direction in the space of the prototypes.

    Args:
        width: of an embedding.
        grades: K.
        attend: see `fine_attention` of `CoFInAl`.
    """

    def __init__(self, width: int, grades: int, attend: FineAttention) -> None:
        super().__init__()
        self.attend = attend
        self.attention = Attention(width, FINE_HEADS)
        self.layers = nn.Sequential(nn.Linear(grades * width, width), nn.Linear(width, PROTOTYPES))

    def forward(self, embedding: Tensor) -> Tensor:
        """(N, K, width) -> (N, PROTOTYPES), rows of length 1."""
        found = (
            self.attention(embedding, embedding, embedding) if self.attend == "grades" else self._over_videos(embedding)
        )
        return F.normalize(self.layers(found.flatten(1)), dim=1)

    def _over_videos(self, embedding: Tensor) -> Tensor:
        """Of each grade over the videos of a training batch; in evaluation every video stands alone."""
        if self.training:
            by_grade = embedding.transpose(0, 1)  # (K, N, width)
            found: Tensor = self.attention(by_grade, by_grade, by_grade).transpose(0, 1)
            return found
        alone = embedding.flatten(0, 1)[:, None]  # (N K, 1, width)
        found = self.attention(alone, alone, alone).view_as(embedding)
        return found


class CoarseFineHead(GradeTrunk):
    """GDLT's trunk with two coarse readouts and the fine one (3,715,692 parameters as published).

    Args:
        fine_attention: see `CoFInAl`.
        The rest: see `GradeTrunk`.
    """

    prototypes: Tensor

    def __init__(
        self, in_features: int, width: int, heads: int, encoder_layers: int, decoder_layers: int, grades: int,
        dropout: float, fine_attention: FineAttention,
    ) -> None:  # fmt: skip
        super().__init__(in_features, width, heads, encoder_layers, decoder_layers, grades, dropout)
        self.respond, self.respond_reverse = nn.Linear(width, grades), nn.Linear(width, grades)
        self.fine = FineHead(width, grades, fine_attention)
        self.register_buffer("prototypes", simplex(PROTOTYPES))  # (PROTOTYPES, PROTOTYPES), in columns

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, n, in_features) -> logits of both coarse readouts (N, K), fine (N, 100), embedding (N, K, width)."""
        embedding = self.embed(clips)
        coarse, reverse = own_response(self.respond(embedding)), own_response(self.respond_reverse(embedding))
        return coarse, reverse, self.fine(embedding), embedding

    def nearest(self, fine: Tensor) -> Tensor:
        """(N, PROTOTYPES) -> (N,) int64, the prototype nearest to each."""
        return (fine @ self.prototypes.to(fine.dtype)).argmax(dim=1)


class CoFInAl(ScaledScorer):
    """CoFInAl as a method to train.

    Args:
        encoder: see `Scorer`.
        width, heads, encoder_layers, decoder_layers, dropout: see `GradeTrunk`.
        values, reverse_values: of the grades, for the score and for what is left to 1; as many as grades.
        fine_attention: over the `grades` of a video, or over `videos` as published.
        margin: see `hardest_triplet_loss`.
        triplet_weight: of that term.
        alike: embeddings that should lie together: of one `grade`, or `none`.
    """

    couples_batch: ClassVar[bool] = True  # the triplet term compares the videos of a batch

    def __init__(  # noqa: PLR0913  one parameter for each key of the yaml
        self,
        encoder: VideoEncoder,
        width: int,
        heads: int,
        encoder_layers: int,
        decoder_layers: int,
        values: list[float],
        reverse_values: list[float],
        dropout: float,
        fine_attention: FineAttention,
        margin: float,
        triplet_weight: float,
        alike: Alike,
    ) -> None:
        super().__init__(encoder)
        self.values, self.reverse_values = tuple(values), tuple(reverse_values)
        if len(self.values) != len(self.reverse_values):
            raise InputError(f"model.reverse_values={reverse_values}: as many as model.values={values} are needed")
        self.margin, self.triplet_weight, self.alike = margin, triplet_weight, alike
        self.head = CoarseFineHead(
            encoder.feature_size, width, heads, encoder_layers, decoder_layers, len(values), dropout, fine_attention
        )

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        with dropout_by_video(videos.labels.position, self.epoch):
            coarse, reverse, fine, embedding = self.head(videos.feature)
        terms = target_losses(
            coarse, reverse, fine, videos.labels.label / self.max_label, self.head.prototypes, self.values,
            self.reverse_values,
        )  # fmt: skip
        triplet = hardest_triplet_loss(embedding, self.margin, self.alike == "grade")
        return terms | {"triplet": self.triplet_weight * triplet}

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """The mean of both coarse readings and the decimals of the nearest prototype, on the label's scale.

        The method does not say how sure it is. Its gradient is that of the coarse readings.
        """
        coarse, reverse, fine, _ = self.head(videos.feature)
        share = decoded(
            grade_mean(coarse, self.values), grade_mean(reverse, self.reverse_values), self.head.nearest(fine)
        )
        label = share.double() * self.max_label
        return Predicted(label, torch.full_like(label, torch.nan))


def target_losses(
    coarse: Tensor, reverse: Tensor, fine: Tensor, share: Tensor, prototypes: Tensor, values: Sequence[float],
    reverse_values: Sequence[float],
) -> dict[str, Tensor]:  # fmt: skip
    """How far the three readings are from what they should be.

    Args:
        coarse, reverse: logits (N, K).
        fine: (N, PROTOTYPES).
        share: (N,) float64, labels in 0..1.
        prototypes: (PROTOTYPES, PROTOTYPES), in columns.
        values, reverse_values: of the grades, K each.

    Returns:
        `coarse` and `reverse`: mean squared errors; `fine`: mean absolute error over all elements.
    """
    decimals, cell = cut_into_decimals(share)
    truth = decimals.to(coarse.dtype)
    return {
        "coarse": F.mse_loss(grade_mean(coarse, values), truth),
        "reverse": F.mse_loss(grade_mean(reverse, reverse_values), 1 - truth),
        "fine": F.l1_loss(fine, prototypes.T[cell].to(fine.dtype)),
    }


def decoded(coarse: Tensor, reverse: Tensor, cell: Tensor) -> Tensor:
    """Readings (N,) and prototypes (N,) -> scores (N,): the mean of the first and 1 less the second, with decimals."""
    return (coarse + 1 - reverse) / 2 + cell.to(coarse.dtype) / PROTOTYPES**2
