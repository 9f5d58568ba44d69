"""TSA-Net (Wang et al., ACM MM 2021): between two halves of the backbone the athlete's tube attends to itself.

The boxes are those of the swap, whatever their source: they follow crop and flip, and a swapped video keeps those of
its foreground. A cell of the maps belongs to the tube where a box covers more than `coverage` of it in one of its
frames; a source of masks says it more finely.

Public code is there for another task (falls in figure skating), and for AQA the paper's words. As in the paper: the
block after Mixed_4e, ten clips, a squared error on MTL-AQA, and for AQA-7, where it is compared with USDL, USDL's
distribution (`readout=distribution`). As its public code has it: `stage=pool_4a`, `coverage=0.0` (every touched cell).
Deviations from that code, in which these are faults: the second half gets the clips in their order, and not maps of
several clips mixed; boxes go through the frames' own crop; a tube of one cell or none is no error.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn import functional as F

from swapaqa.batch import Encoded, Sample
from swapaqa.errors import InputError
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import Place, VideoEncoder, channels_after, pooled
from swapaqa.models.label_scale import ScaledScorer
from swapaqa.models.optimisation import BACKBONE
from swapaqa.models.score_distribution import (
    Reduction,
    ScoreDistributionHead,
    decode_score,
    distribution_loss,
    expected_score,
    score_distribution,
    score_std,
)
from swapaqa.models.scorer import Predicted, Target
from swapaqa.models.tube_attention import TubeAttention, covered_shares, tube_of

Readout = Literal["regression", "distribution"]


class TubeEncoder(VideoEncoder):
    """An encoder that is cut in two, with the tube's attention between the halves.

    Args:
        whole: the encoder; its network and plans are taken over.
        stage: of the network, after which the attention comes; None for the network's own `middle_stage`.
        coverage: share of a cell, from 0 to below 1, of which a box has to cover more.

    Raises:
        InputError: no such stage, none where the network names none, or another coverage.
    """

    def __init__(self, whole: VideoEncoder, stage: str | None, coverage: float) -> None:
        plans = ClipPlans(**{f"plan_{number}": plan for number, plan in enumerate(whole.plans)})
        super().__init__(whole.network, plans, whole.freeze_bn, whole.learning_rate, whole.clips_per_pass)
        named = stage or getattr(whole.network, "middle_stage", None)
        cut = getattr(whole.network, "stages", None)
        if cut is not None and not cut():
            kind = type(whole.network).__name__
            raise InputError(f"backbone: {kind} is not cut open into maps, between which TSA-Net looks for a tube")
        if named is None:
            raise InputError(f"model.stage: name one of {type(whole.network).__name__}, after which the tube attends")
        if not 0 <= coverage < 1:
            raise InputError(f"model.coverage={coverage}: a share from 0 to below 1 is needed")
        self.stage, self.coverage, self.frozen = named, coverage, whole.frozen
        self.tube = TubeAttention(channels_after(self.network, named))
        self.train(self.training)

    def encode(self, videos: Sample, plan: ClipPlan) -> Tensor:
        """(B, n, feature_size). The tokens of all clips of a video meet; clips keep their order."""
        video, starts = videos.video, plan.starts(videos.video.shape[2])
        count = len(starts)

        def first_half(places: Sequence[Place]) -> Tensor:
            return self._maps(self.clips_at(video, plan, starts, places), until=self.stage)

        maps = self.by_clip(first_half, len(video), count)  # (B, n, C, t, h, w)
        cells = self.cells(videos, plan, (maps.shape[3], maps.shape[4], maps.shape[5]))
        enhanced = self.tube(maps.transpose(1, 2).flatten(2, 3), cells)
        apart = enhanced.unflatten(2, (count, -1)).transpose(1, 2)  # (B, n, C, t, h, w)

        def second_half(places: Sequence[Place]) -> Tensor:
            rows, clips = zip(*places, strict=True)
            return pooled(self._maps(apart[list(rows), list(clips)], after=self.stage))

        return self.by_clip(second_half, len(video), count)

    def cells(self, videos: Sample, plan: ClipPlan, size: tuple[int, int, int]) -> Tensor:
        """(B, n t, h, w) bool, the tube of each video on maps of t slots, h rows and w columns a clip."""
        slots, grid = size[0], (size[1], size[2])
        if videos.mask.shape[1]:
            length, total = plan.length(videos.mask.shape[1]), videos.mask.shape[1]
            cut = torch.stack([videos.mask[:, at : at + length] for at in plan.starts(total)], dim=1)
            shares = F.adaptive_avg_pool2d(cut.flatten(0, 1).float(), grid)  # (B n, frames, h, w)
        else:
            rows, columns = videos.video.shape[3:]
            shares = covered_shares(plan.cut_boxes(videos.boxes, (rows, columns)).flatten(0, 1), grid)
        by_clip: Tensor = tube_of(shares > self.coverage, slots).unflatten(0, (len(videos.video), -1))
        return by_clip.flatten(1, 2)

    def _maps(self, given: Tensor, after: str | None = None, until: str | None = None) -> Tensor:
        maps: Tensor = self.network(given, after=after, until=until)
        if maps.ndim != 5:
            raise InputError(
                f"backbone: {type(self.network).__name__} gives no maps, in which TSA-Net looks for a tube"
            )
        return maps


class TSANet(ScaledScorer):
    """TSA-Net as a method to train.

    Args:
        encoder: see `Scorer`.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        stage, coverage: see `TubeEncoder`.
        readout: one number, the share of the label's scale, or USDL's distribution over it.
        num_bins, std, reduction: of the distribution; see `USDL`.
    """

    reads_boxes: ClassVar[bool] = True
    encoder: TubeEncoder

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        stage: str | None,
        coverage: float,
        readout: Readout,
        num_bins: int,
        std: float,
        reduction: Reduction,
    ) -> None:
        super().__init__(TubeEncoder(encoder, stage, coverage))
        self.target, self.readout = target, readout
        self.num_bins, self.std, self.reduction = num_bins, std, reduction
        self.head = ScoreDistributionHead(encoder.feature_size, num_bins if readout == "distribution" else 1)

    def parameter_groups(self) -> dict[str, list[Parameter]]:
        """The tube's attention learns with the head."""
        head = [*self.head.parameters(), *self.encoder.tube.parameters()]
        return {"head": head, BACKBONE: list(self.encoder.network.parameters())}

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        if self.readout == "regression":
            share = self.share(videos)
            return {"squared_error": F.mse_loss(share, (videos.labels.label / self.max_label).to(share.dtype))}
        label = score_distribution(videos.labels.label, self.num_bins, self.max_label, self.std)
        return {"divergence": distribution_loss(self.head(videos.mean_feature), label, self.reduction)}

    def share(self, videos: Encoded) -> Tensor:
        """(N,) predicted labels as shares of their scale, float32 at least."""
        logit: Tensor = self.head.layers(videos.mean_feature)[:, 0]
        return logit.to(torch.promote_types(logit.dtype, torch.float32)).sigmoid()

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """One number, of which the method does not say how sure it is, or the most probable bin, as USDL."""
        if self.readout == "regression":
            label = self.share(videos).double() * self.max_label
            return Predicted(label, torch.full_like(label, torch.nan))
        probs, max_label = self.head(videos.mean_feature).exp(), float(self.max_label)
        return Predicted(decode_score(probs, max_label), score_std(probs, max_label))

    def differentiable_label(self, videos: Encoded, exemplars: Encoded | None) -> Tensor:
        if self.readout == "regression":
            return self.score(videos, exemplars).label
        return expected_score(self.head(videos.mean_feature).exp(), float(self.max_label))
