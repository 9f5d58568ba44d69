"""TSA of FineDiving's authors (Xu et al., CVPR 2022): two dives are cut into the same parts, and parts are compared.

A network reads where the flight begins and where it ends; take-off, flight and entry of one dive look at the maps of
the same part of another, whose label is known. A vote is the exemplar's label plus the difference. Exemplars and voters
are those of CoRe; as published of the same dive number (`data.exemplars=`).

Deviations from the published code, each with the way back to it:
- the code views maps (clips, channels, places) as another shape without moving axes, which mixes clips, channels and
  places; here they are moved (`mix_axes=true`);
- labels are brought to a range of 30, that of completeness (`label_range=null`: as they are).
In training the parts are the annotated ones for the first `true_epochs` epochs, and those that are found after; at
evaluation always those that are found. A part has one frame at least. Clip features of another length than I3D's are
brought to 1024 by a linear layer, and BatchNorm has the statistics of the whole batch, of all places of the maps for
these.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.batch import Encoded, Sample, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import Place, VideoEncoder
from swapaqa.models.feature_encoder import FeatureEncoder
from swapaqa.models.procedure import CLIPS, FRAMES, Parsed, ProcedureHead, found_transitions
from swapaqa.models.scorer import Target
from swapaqa.models.stages import clip_borders
from swapaqa.models.voting import VotingScorer

SIDE = "stages"  # (N, 4) where jump, drop, entry and what follows begin: 0 the first frame, 1 the last


class PlaceEncoder(VideoEncoder):
    """An encoder that keeps the places of the maps, means over time; takes over network and plans of `whole`."""

    def __init__(self, whole: VideoEncoder) -> None:
        plans = ClipPlans(**{f"plan_{number}": plan for number, plan in enumerate(whole.plans)})
        super().__init__(whole.network, plans, whole.freeze_bn, whole.learning_rate, whole.clips_per_pass)

    def encode(self, videos: Sample, plan: ClipPlan) -> Tensor:
        """(B, n P, feature_size), the P places of one clip after those of another."""
        video, starts = videos.video, plan.starts(videos.video.shape[2])

        def places(clips: Sequence[Place]) -> Tensor:
            maps: Tensor = self.network(self.clips_at(video, plan, starts, clips))
            if maps.ndim == 2:  # of a network without maps: one place
                return maps[:, None]
            return maps.mean(dim=2).flatten(2).mT

        return self.by_clip(places, len(video), len(starts)).flatten(1, 2)


def true_transitions(stages: Tensor) -> Tensor:
    """(N, 4) -> (N, 2) int64: first frames of flight and entry out of FRAMES, such that no part is empty."""
    frame = clip_borders(stages[:, 1:3], FRAMES)
    one = frame[:, 0].clamp(1, FRAMES - 2)
    return torch.stack([one, torch.maximum(frame[:, 1], one + 1).clamp(max=FRAMES - 1)], dim=1)


def transition_loss(transit: Tensor, true: Tensor) -> Tensor:
    """Binary cross-entropy of every frame, mean over all: logits (N, FRAMES, 2), their right frames (N, 2) -> ()."""
    frames = torch.arange(transit.shape[1], device=transit.device)
    return F.binary_cross_entropy_with_logits(transit, (frames[:, None] == true[:, None]).to(transit.dtype))


class TSA(VotingScorer):
    """TSA as a method to train.

    Args:
        encoder: see `Scorer`; its plan has nine clips.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        label_range: length of the scale that labels are brought to; None: as they are.
        true_epochs: in which the parts are the annotated ones.
        mix_axes: see the head of this file.
        voters, store_exemplars: see `VotingScorer`.
    """

    factor: Tensor
    clip_count: ClassVar[int | None] = CLIPS
    couples_batch: ClassVar[bool] = True  # BatchNorm in the head
    votes_per_pass: ClassVar[int] = 1024  # 67 MB of the parts of I3D's maps at 112 pixels
    learns_from = (SIDE,)

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        label_range: float | None,
        true_epochs: int,
        mix_axes: bool,
        voters: int | Literal["all"],
        store_exemplars: bool,
    ) -> None:
        super().__init__(
            encoder if isinstance(encoder, FeatureEncoder) else PlaceEncoder(encoder), voters, store_exemplars
        )
        if true_epochs < 0:
            raise InputError(f"model.true_epochs={true_epochs}: 0 or more epochs with the annotated parts")
        self.target, self.label_range, self.true_epochs = target, label_range, true_epochs
        self.head = ProcedureHead(encoder.feature_size, mix_axes)
        self.register_buffer("factor", torch.ones((), dtype=torch.float64))

    def learn_scale(self, labels: TrainingLabels) -> None:
        super().learn_scale(labels)
        if self.label_range is not None:
            self.factor = self.label_range / self.max_label

    def adopt_published(self) -> None:
        self.factor = torch.ones_like(self.factor)

    def represent(self, videos: Encoded) -> Tensor:
        """(N, PARTS, STEPS (1 + P), WIDTH), of the parts that are found."""
        parsed = self.head.parse(videos.feature)
        return self.head.parts(parsed, found_transitions(parsed.transit))

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:
        assert exemplars is not None
        parsed: Parsed = self.head.parse(torch.cat([videos.feature, exemplars.feature]))
        true = true_transitions(torch.cat([videos.side[SIDE], exemplars.side[SIDE]]))
        found = true if self.epoch < self.true_epochs else found_transitions(parsed.transit)
        one, other = self.head.parts(parsed, found).chunk(2)
        apart = ((videos.labels.label - exemplars.labels.label) * self.factor).to(parsed.transit.dtype)
        return {
            "transitions": transition_loss(parsed.transit, true),
            "difference": F.mse_loss(self.head.difference(one, other), apart),
            "reverse": F.mse_loss(self.head.difference(other, one), -apart),
        }

    def vote(
        self,
        feature: Tensor,
        of_exemplar: Tensor,
        exemplar_label: Tensor,
        action: Tensor,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor | None]:
        return exemplar_label + self.head.difference(feature, of_exemplar).double() / self.factor, None
