"""RICA2 (Majeedi et al., ECCV 2024): steps that a dive is known to have are looked for among its clips, by their texts.

Each step becomes a Gaussian, which are pooled along a rubric (take-off, flight, entry) into a score without exemplars.
MTL-AQA's form has 24 steps, by the dive number; that of FineDiving 29, by its sub-actions (`model.rubric=sub_actions`,
`experiment=rica2_finediving`). Deviations from the published code (MIT licence), with the way back to it
(`experiment=rica2_as_published`):
- its files have a T5 embedding for each text (`texts=MTL_t5_xxl_text_embeddings.npy`); without one, texts are sums of
  a random vector for each word, as no language model is carried here;
- on MTL-AQA every part of a dive is told by the step whose text names it. The code takes the annotations' numbers for
  another order: back, forward, inward and reverse dives look with the texts of inward, reverse, backward and forward
  ones, tuck and pike are exchanged, and four and a half somersaults are half a twist (`step_order=published`);
- the score is that of the means; the code's is the mean of twenty samples (`predict=samples`);
- the deviation is that of the scores of samples, in points; the code reports the harmonic mean of the embedding's
  deviations, which has no unit: it orders videos, and a coverage of it means nothing (`uncertainty=embedding`);
- dropout between the first convolutions is off at test time (`dropout_at_test=true`: the code leaves it on);
- labels are brought to a range of 30, that of MTL-AQA's completeness, for which the terms are balanced, and their mean
  to 0 (`label_range=null`, `centred=false`: as they are);
- of a group without a step the code's mean is 0 / 0, and here 0.
Dropout and stochastic depth draw by video. As published: normalisation in the decoder starts at small random weights.
Not built: FineDiving's training videos without up to three frames at either end; JIGSAWS and its rubrics.
"""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.batch import Encoded, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.files.array_file import read_arrays
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.hgcn import weight_of_label
from swapaqa.models.keyed_noise import keyed_noise
from swapaqa.models.label_scale import ScaledScorer
from swapaqa.models.rubric import RUBRICS, Order, Rubric, steps_present, word_vectors
from swapaqa.models.rubric_head import RubricHead
from swapaqa.models.sample_dropout import dropout_by_video
from swapaqa.models.scorer import Predicted, Target, process_count, sum_over_processes
from swapaqa.models.step_decoder import StepEmbeddings

MARGIN = 1.0  # clips between the centres of steps that follow each other
GROWTH_FROM, GROWTH_EVERY = 30, 10  # epochs


def read_texts(path: str | None, rubric: Rubric, width: int) -> Tensor:
    """(K, width) float32: the embeddings of a `.npy` of K texts, or without one `word_vectors`.

    Raises:
        InputError: the file is no such array.
    """
    if path is None:
        return word_vectors(rubric.texts, width)
    found, shape = read_arrays(Path(path).expanduser()), (len(rubric.texts), width)
    if isinstance(found, dict) or found.dtype.kind != "f" or found.squeeze().shape != shape:
        raise InputError(
            f"model.texts={path}: an array of {shape} numbers is needed, a row for each step; say model.texts_width= "
            "where only the rows are longer or shorter"
        )
    return torch.from_numpy(found.squeeze()).float()


def order_losses(attention: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Steps come one after the other, and each is short.

    Args:
        attention: see `StepEmbeddings`; over the clips 1 to n.
        present: (N, K) bool, at least one of each video.

    Returns:
        `ranking`: hinges between the centres of consecutive steps that there are, the mean of all pairs of the batch,
        and of the first to clip 1 and the last to clip n, means over N. `sparsity`: mean distance of the attention from
        its centre, over all K steps; those that there are not count as 0.
    """
    clips = attention.shape[-1]
    place = torch.arange(1, clips + 1, dtype=attention.dtype, device=attention.device)
    centre = (attention * place).sum(-1)  # (N, layers, heads, K)
    spread = ((place - centre[..., None]).abs() * attention).sum(-1)
    last_before = (present * torch.arange(1, present.shape[1] + 1, device=present.device)).cummax(dim=1).values - 1
    previous = F.pad(last_before, (1, 0), value=-1)[:, :-1]  # (N, K) the step before, -1 for none
    before = centre.gather(3, previous.clamp_min(0)[:, None, None].expand_as(centre))
    follows = present & (previous >= 0)
    pairs = sum_over_processes(follows.sum()).clamp_min(1) / process_count()
    apart = ((MARGIN - centre + before).relu().mean(dim=(1, 2)) * follows).sum() / pairs
    first, last = present.int().argmax(dim=1), last_before[:, -1]
    ends = [
        centre.gather(3, which[:, None, None, None].expand(*centre.shape[:3], 1))[..., 0] for which in (first, last)
    ]
    ranking = apart + (MARGIN - ends[0] + 1).relu().mean() + (MARGIN - clips + ends[1]).relu().mean()
    return ranking, spread.mean()


def divergence(found: StepEmbeddings, present: Tensor) -> Tensor:
    """() of each step's Gaussian from the standard one: mean over videos and channels, sum over the steps there are."""
    assert found.log_variance is not None
    terms = (found.mean.square() + found.log_variance.exp() - found.log_variance - 1) / 2
    loss: Tensor = (terms.mean(-1) * present).sum(dim=1).mean()
    return loss


def deviation_of_embedding(log_variance: Tensor, present: Tensor) -> Tensor:
    """(N, K, W), (N, K) -> (N, W): the root of the mean variance of the steps that there are."""
    there = present[..., None]
    deviation: Tensor = ((log_variance.exp() * there).sum(1) / there.sum(1)).sqrt()
    return deviation


class RICA2(ScaledScorer):
    """RICA2 as a method to train.

    Args:
        encoder: see `Scorer`.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        rubric: one of `RUBRICS`.
        step_order: see `steps_present`; of `rubric=dive_number`.
        texts: a `.npy` of embeddings of the steps' texts; None: see `word_vectors`.
        texts_width: length of an embedding.
        width, heads, dropout, stochastic, dropout_at_test: see `RubricHead`.
        label_range: length of the scale that labels are brought to; None: its length stays as it is.
        centred: bring the mean of the training labels to 0.
        divergence_weight: of the Gaussians' divergence, see `weight_of_divergence`.
        divergence_growth, divergence_limit: see there.
        ranking_weight, sparsity_weight: of the terms of `order_losses`.
        predict, uncertainty: see the head of this file; without `stochastic` there is no deviation.
        samples: how many are drawn.
    """

    centre: Tensor
    factor: Tensor

    def __init__(  # noqa: PLR0913  one parameter for each key of the yaml
        self,
        encoder: VideoEncoder,
        target: Target,
        rubric: Literal["dive_number", "sub_actions"],
        step_order: Order,
        texts: str | None,
        texts_width: int,
        width: int,
        heads: int,
        dropout: float,
        stochastic: bool,
        dropout_at_test: bool,
        label_range: float | None,
        centred: bool,
        divergence_weight: float,
        divergence_growth: float,
        divergence_limit: float,
        ranking_weight: float,
        sparsity_weight: float,
        predict: Literal["mean", "samples"],
        uncertainty: Literal["samples", "embedding"],
        samples: int,
    ) -> None:
        super().__init__(encoder)
        if width % 2 or width % heads:
            raise InputError(f"model.width={width}: must be even and a multiple of model.heads={heads}")
        if samples < 2:
            raise InputError(f"model.samples={samples}: at least 2 are needed, as they tell a deviation")
        self.target, self.rubric, self.step_order = target, RUBRICS[rubric], step_order
        self.needs = (self.rubric.side,)  # type: ignore[misc]  # of this rubric
        self.label_range, self.centred = label_range, centred
        self.divergence = (divergence_weight, divergence_growth, divergence_limit)
        self.ranking_weight, self.sparsity_weight = ranking_weight, sparsity_weight
        self.predict, self.uncertainty, self.samples = predict, uncertainty, samples
        read = read_texts(texts, self.rubric, texts_width)
        self.head = RubricHead(
            encoder.feature_size, width, heads, dropout, read, self.rubric.groups, stochastic, dropout_at_test
        )
        self.register_buffer("centre", torch.zeros((), dtype=torch.float64))
        self.register_buffer("factor", torch.ones((), dtype=torch.float64))

    def learn_scale(self, labels: TrainingLabels) -> None:
        super().learn_scale(labels)
        if self.centred:
            self.centre = labels.label.mean()
        if self.label_range is not None:
            self.factor = self.label_range / self.max_label

    def adopt_published(self) -> None:
        self.centre, self.factor = torch.zeros_like(self.centre), torch.ones_like(self.factor)

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        present = self.steps(videos)
        with dropout_by_video(videos.labels.position, self.epoch):
            found = self.head(videos.feature, present)
        embedding = found.mean
        if found.log_variance is not None:
            noise = keyed_noise(self.epoch, videos.video_id, found.mean)
            embedding = found.mean + (found.log_variance / 2).exp() * noise
        score = self.head.score(embedding, present)
        label = ((videos.labels.label - self.centre) * self.factor).to(score.dtype)
        error = (score - label) * weight_of_label(videos.labels).to(score.dtype)
        ranking, sparsity = order_losses(found.attention, present)
        terms = {
            "squared_error": error.square().mean(),
            "ranking": self.ranking_weight * ranking,
            "sparsity": self.sparsity_weight * sparsity,
        }
        if found.log_variance is not None:
            terms["divergence"] = weight_of_divergence(self.epoch, *self.divergence) * divergence(found, present)
        return terms

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """The score of the means or of samples on the label's scale; the deviation as `uncertainty` says."""
        present = self.steps(videos)
        with dropout_by_video(videos.labels.position, self.epoch):  # of `dropout_at_test`
            found: StepEmbeddings = self.head(videos.feature, present)
        if found.log_variance is None:
            score = self.as_label(self.head.score(found.mean, present))
            return Predicted(score, torch.full_like(score, torch.nan))
        of_samples = self.as_label(self.head.score(self.drawn(found, videos), present))  # (samples, N)
        score = of_samples.mean(0)
        if self.predict == "mean":
            score = self.as_label(self.head.score(found.mean, present))
        if self.uncertainty == "samples":
            return Predicted(score, of_samples.detach().std(0))
        deviation = deviation_of_embedding(found.log_variance.detach(), present).double()
        harmonic = 1 / (1 / deviation).mean(dim=1)
        return Predicted(score, harmonic / videos.labels.factor)  # times the factor, in points: as it is

    def drawn(self, found: StepEmbeddings, videos: Encoded) -> Tensor:
        """(samples, N, K, W) of the Gaussians, the same in every evaluation of these weights."""
        assert found.log_variance is not None
        many = found.mean.new_empty(len(found.mean), self.samples, *found.mean.shape[1:])
        noise = keyed_noise(self.epoch, videos.labels.position.tolist(), many).transpose(0, 1)
        return found.mean + (found.log_variance / 2).exp() * noise

    def as_label(self, score: Tensor) -> Tensor:
        """(..., N) scores of the head -> labels, float64."""
        return score.double() / self.factor + self.centre

    def steps(self, videos: Encoded) -> Tensor:
        """(N, K) bool, the steps that each dive has."""
        return steps_present(self.rubric, videos.side[self.rubric.side], self.step_order)


def weight_of_divergence(epoch: int, weight: float, growth: float, limit: float) -> float:
    """`weight` times `growth` for each tenth epoch that is done after the thirtieth, and then `limit` at most."""
    grown = max(0, (epoch - 1) // GROWTH_EVERY - GROWTH_FROM // GROWTH_EVERY)
    return min(weight * growth**grown, limit) if grown else weight
