"""MSRN: four stages of a dive, what each of them costs, and the score as what is left of the highest one.

The public code of the university that SSPR (Huang and Li, Applied Intelligence 2024) is from; SSPR itself has an
abstract alone, and its row of the paper's Table 1 stands under this name. A network of clips (MS-TCN) cuts a dive into
its stages; the features of each pass three convolutions, and their greatest values become a number; the deduction is a
linear function of the four: of completeness 30 minus the sum of the judges' marks, and score = (30 - deduction) x
difficulty.

Deviations, each with the way back where there is one:
- stages are those of the annotation in training; the network that finds them learns beside, on the same features,
  moves nothing else, and says at evaluation where they are (`stages_at_test=annotated`: the data's). Its own code
  trains it first and freezes it; it gives one class after the other, here the most probable order of all five;
- labels are brought to a range of 30, whatever the data's (`label_range=null`: as they are);
- the weights of the numbers begin within (0, 2 / inputs); as published within (0, 0.05) (`start=published`), which is
  the same at 40 inputs, and 25 times as large at 1024;
- 26 clips a video, and two of them a jump, where its code has one around every frame and five
  (`clips.count=null model.jump=5`); the backbone trains with it, where its features were extracted once.
All three are in `experiment=msrn_as_published`. `density_power` weighs the squared error as SSPR's abstract says, see
`swapaqa.models.density_weights`.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from swapaqa.batch import Encoded, Sample, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.density_weights import density_weights, mean_power, weighted_squared_error
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.label_scale import ScaledScorer
from swapaqa.models.ms_tcn import MSTCN, segmentation_loss
from swapaqa.models.sample_dropout import dropout_by_video
from swapaqa.models.scorer import Predicted, Target
from swapaqa.models.stages import CLASSES, STAGES, clip_borders, clip_classes, ordered_borders, stage_clips

CHANNELS, HIDDEN = (128, 32), (512, 64, 16)
SIDE = "stages"  # (N, 4) where jump, drop, entry and what follows begin: 0 the first frame, 1 the last

Start = Literal["scaled", "published"]
StagesAtTest = Literal["found", "annotated"]


class FeatureLink(nn.Module):
    """Three convolutions over the clips of one stage (997,536 parameters at 2048 features)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        widths = (features, *CHANNELS, features)
        self.layers = nn.ModuleList(nn.Conv1d(one, other, 3, padding=1) for one, other in pairwise(widths))

    def forward(self, clips: Tensor, chosen: Tensor) -> Tensor:
        """Clips (N, n, D) of which (N, n) are `chosen`, as if there were no others -> (N, D), the greatest of each."""
        kept = chosen[:, None].to(clips.dtype)
        values = clips.mT * kept
        for layer in self.layers:
            values = layer(values) * kept
        greatest: Tensor = values.relu().amax(dim=2)
        return greatest


class StageNumber(nn.Sequential):
    """What a stage is worth: (N, D) -> (N, 1), not below 0."""

    def __init__(self, features: int, start: Start) -> None:
        widths = (features, *HIDDEN, 1)
        layers = [nn.Linear(one, other) for one, other in pairwise(widths)]
        for layer in layers:
            nn.init.uniform_(layer.weight, 0, 0.05 if start == "published" else 2 / layer.in_features)
        super().__init__(*(part for layer in layers for part in (layer, nn.ReLU())))


class DeductionHead(nn.Module):
    """The deduction of a dive from the clips of its stages.

    Args:
        features: length of a clip's feature.
        start: see the head of this file.
    """

    def __init__(self, features: int, start: Start) -> None:
        super().__init__()
        self.links = nn.ModuleList(FeatureLink(features) for _ in range(STAGES))
        self.numbers = nn.ModuleList(StageNumber(features, start) for _ in range(STAGES))
        self.sum = nn.Linear(STAGES, 1)

    def forward(self, clips: Tensor, chosen: Tensor) -> Tensor:
        """Clips (N, n, D), which of them are in each stage (N, STAGES, n) -> (N,) deductions, float32 up."""
        stages = zip(self.links, self.numbers, chosen.unbind(dim=1), strict=True)
        numbers = torch.cat([number(link(clips, some)) for link, number, some in stages], dim=1)
        deduction: Tensor = self.sum(numbers)[:, 0]
        return deduction.to(torch.promote_types(deduction.dtype, torch.float32))


class MSRN(ScaledScorer):
    """MSRN as a method to train.

    Args:
        encoder: see `Scorer`; its clips lie evenly in the window, five of them at least.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        jump: clips of the first stage, the last ones before the drop.
        stages_at_test: those that a network finds, or the data's, without which nothing is scored then.
        label_range: length of the scale that labels are brought to; None: as they are.
        density_power: see `density_weights`.
        start: see the head of this file.

    Raises:
        InputError: no clip of the jump.
    """

    known_labels: Tensor
    mean_density: Tensor

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        jump: int,
        stages_at_test: StagesAtTest,
        label_range: float | None,
        density_power: float,
        start: Start,
    ) -> None:
        super().__init__(encoder)
        if jump < 1:
            raise InputError(f"model.jump={jump}: at least one clip before the drop is needed")
        self.target, self.jump, self.stages_at_test = target, jump, stages_at_test
        self.label_range, self.density_power = label_range, density_power
        self.learns_from = (SIDE,)
        self.needs = (SIDE,) if stages_at_test == "annotated" else ()  # type: ignore[misc]  # of this run
        self.segment = MSTCN(encoder.feature_size, len(CLASSES))
        self.head = DeductionHead(encoder.feature_size, start)
        self.register_buffer("known_labels", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("mean_density", torch.ones((), dtype=torch.float64))

    def learn_scale(self, labels: TrainingLabels) -> None:
        super().learn_scale(labels)
        self.known_labels = labels.label.double()
        self.mean_density = mean_power(self.known_labels, self.density_power)

    def check_sample(self, sample: Sample) -> None:
        frames, plans = sample.video.shape[2], self.encoder.plans
        clips = sum(len(plan.starts(frames)) for plan in plans) if plans else frames
        if clips < len(CLASSES):
            raise InputError(
                f"clips: {clips} a video, and {type(self).__name__} tells {len(CLASSES)} parts of a dive apart; say "
                "clips=around_frames, or take features of more clips"
            )

    @property
    def factor(self) -> Tensor:
        """By which labels are brought to their range."""
        return self.max_label.new_ones(()) if self.label_range is None else self.label_range / self.max_label

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        clips = videos.feature.shape[1]
        borders = clip_borders(videos.side[SIDE], clips)
        with dropout_by_video(videos.labels.position, self.epoch):
            logits = self.segment(videos.feature.detach())
        found = self.head(videos.feature, stage_clips(borders, clips, self.jump))
        label = videos.labels.label
        weight = density_weights(label, self.known_labels, self.density_power, self.mean_density)
        truth = ((self.max_label - label) * self.factor).to(found.dtype)
        return {
            "deduction": weighted_squared_error(found, truth, weight),
            "stages": segmentation_loss(logits, clip_classes(borders, clips)),
        }

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """What is left of the highest label. The method does not say how sure it is."""
        chosen = stage_clips(self.borders(videos), videos.feature.shape[1], self.jump)
        label = self.max_label - self.head(videos.feature, chosen).double() / self.factor
        return Predicted(label, torch.full_like(label, torch.nan))

    def borders(self, videos: Encoded) -> Tensor:
        """(N, STAGES) the first clips of the stages, as an evaluation takes them."""
        if self.stages_at_test == "annotated":
            return clip_borders(videos.side[SIDE], videos.feature.shape[1])
        return ordered_borders(self.segment(videos.feature)[:, -1].log_softmax(dim=2))
