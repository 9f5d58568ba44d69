"""JRG (Pan et al., ICCV 2019; TPAMI 2021) on colour alone: graphs of joints, on what a backbone sees around each.

Named `jrg_rgb`, as the published system looks at optical flow too and reads class scores of patches that were cut out
before; here the backbone's maps are averaged around every joint, so that it trains and the swap reaches it. Poses come
from files (`data.poses=`). The graphs, the relations and both fusions are those of the authors' later codes:
- `fusion=mean`: of the program for continual learning (2024), four hops and a squared error of labels in 0..10;
- `fusion=cells`: of TPAMI's, three hops, and cells joined by operations, a mixture of all that learns
  (`selection=structure`: those whose selector is 1, as its search left them).
Its loss of standardised scores is `loss=standardised`: these have no scale, so that the error of scores means nothing
then. Otherwise than in the codes a joint that nobody saw has the feature 0.
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
from swapaqa.models.encoder import Place, VideoEncoder, channels_after
from swapaqa.models.joint_cells import CellRelations, Selection, standardised_error
from swapaqa.models.joint_graph import JOINTS, MeanRelations
from swapaqa.models.label_scale import ScaledScorer
from swapaqa.models.optimisation import BACKBONE
from swapaqa.models.sample_dropout import dropout_by_video
from swapaqa.models.scorer import Predicted, Target
from swapaqa.models.tube_attention import covered_shares

SIDE = "pose"  # (N, T, JOINTS, 3): x and y on the grid of the videos, and how sure; 0 where nobody was seen
TIMES, LABELS = 12, 10.0  # windows of a video; the scale of the labels

Fusion = Literal["mean", "cells"]
Loss = Literal["squared_error", "standardised"]


class JointEncoder(VideoEncoder):
    """An encoder that gives, of each clip, the mean of the maps and the means around the joints.

    Args:
        whole: its network and plans are taken over.
        stage: of the network, whose maps are looked at; None: its last.
        patch: side of the square around a joint, as a share of the frame's width.

    Raises:
        InputError: no such patch; a network without maps.
    """

    def __init__(self, whole: VideoEncoder, stage: str | None, patch: float) -> None:
        if not whole.plans:
            raise InputError("reader=features: JRG looks around joints in maps, which clip features have none of")
        plans = ClipPlans(**{f"plan_{number}": plan for number, plan in enumerate(whole.plans)})
        super().__init__(whole.network, plans, whole.freeze_bn, whole.learning_rate, whole.clips_per_pass)
        if not 0 < patch <= 1:
            raise InputError(f"model.patch={patch}: a share of the frame's width, above 0 and at most 1")
        self.stage, self.patch = stage, patch
        if stage is not None:
            self.feature_size = channels_after(self.network, stage)
            self.train(self.training)

    def encode(self, videos: Sample, plan: ClipPlan) -> Tensor:
        """(B, n (1 + JOINTS), D): of each clip the whole, then its joints."""
        video, starts = videos.video, plan.starts(videos.video.shape[2])
        squares = joint_squares(videos.side[SIDE], self.patch * video.shape[4])
        cut = plan.cut_boxes(squares.transpose(1, 2).flatten(0, 1), (video.shape[3], video.shape[4]))
        by_joint = cut.unflatten(0, (len(video), JOINTS))  # (B, J, n, frames, 4)

        def features(places: Sequence[Place]) -> Tensor:
            maps: Tensor = self.network(self.clips_at(video, plan, starts, places), until=self.stage)
            if maps.ndim != 5:
                raise InputError(
                    f"backbone: {type(self.network).__name__} gives no maps, in which JRG looks around joints"
                )
            rows, clips = zip(*places, strict=True)
            around = by_joint[list(rows), :, list(clips)]  # (k, J, frames, 4)
            return torch.cat([maps.mean(dim=(2, 3, 4))[:, None], means_around(maps, around)], dim=1)

        return self.by_clip(features, len(video), len(starts)).flatten(1, 2)


def joint_squares(pose: Tensor, side: float) -> Tensor:
    """(N, T, J, 3) -> (N, T, J, 4) squares of `side` pixels around joints, inclusive; empty where nobody was seen."""
    half = (side - 1) / 2
    squares = torch.cat([pose[..., :2] - half, pose[..., :2] + half], dim=-1)
    nowhere = squares.new_tensor([0.0, 0.0, -1.0, -1.0])
    return squares.where(pose[..., 2:] > 0, nowhere)


def means_around(maps: Tensor, around: Tensor) -> Tensor:
    """Means of maps over regions, by how much of each cell these cover; 0 of a region that is nowhere.

    Args:
        maps: (N, D, t, h, w).
        around: (N, J, frames, 4) regions as shares of the frame, on frames in whose turn the t slots follow.

    Returns:
        (N, J, D).
    """
    shares = covered_shares(around.flatten(0, 1), (maps.shape[3], maps.shape[4]))  # (N J, frames, h, w)
    slots = (maps.shape[2], maps.shape[3], maps.shape[4])
    weight = F.adaptive_avg_pool3d(shares[:, None], slots)[:, 0].unflatten(0, around.shape[:2]).to(maps.dtype)
    total = weight.sum(dim=(2, 3, 4))[..., None]
    summed = torch.einsum("ndthw,njthw->njd", maps, weight)
    means: Tensor = summed / total.where(total > 0, 1)
    return means


class JRG(ScaledScorer):
    """JRG on colour as a method to train.

    Args:
        encoder: see `Scorer`; its plan has twelve clips.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        stage, patch: see `JointEncoder`.
        fusion, selection, loss: see the head of this file; `selection` is of the cells.
    """

    needs: ClassVar[tuple[str, ...]] = (SIDE,)
    clip_count: ClassVar[int | None] = TIMES

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        stage: str | None,
        patch: float,
        fusion: Fusion,
        selection: Selection,
        loss: Loss,
    ) -> None:
        super().__init__(JointEncoder(encoder, stage, patch))
        features = self.encoder.feature_size
        self.target, self.loss = target, loss
        self.couples_batch = loss == "standardised"  # type: ignore[misc]  # of this run
        self.head = CellRelations(features, 1, TIMES, selection) if fusion == "cells" else MeanRelations(features, 1)

    def parameter_groups(self) -> dict[str, list[Parameter]]:
        """The graphs are a group of their own, as published at a rate of theirs."""
        graphs = list(self.head.relations.graphs.parameters())
        known = {id(parameter) for parameter in graphs}
        head = [parameter for parameter in self.head.parameters() if id(parameter) not in known]
        return {"head": head, "graphs": graphs, BACKBONE: list(self.encoder.parameters())}

    def forward(self, feature: Tensor) -> Tensor:
        """(N, TIMES (1 + JOINTS), D) -> (N,) scores, in 0..10 where labels are."""
        clips = feature.unflatten(1, (TIMES, 1 + JOINTS))
        score: Tensor = self.head(clips[:, :, 0], clips[:, :, 1:].transpose(1, 2))
        return score

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        with dropout_by_video(videos.labels.position, self.epoch):
            found = self(videos.feature)
        truth = (LABELS * videos.labels.label / self.max_label).to(found.dtype)
        if self.loss == "squared_error":
            return {"squared_error": F.mse_loss(found, truth)}
        alone = len(found) == 1  # of a single score there is no variance
        return {"standardised_error": 0 * found.sum() if alone else standardised_error(found, truth)}

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """The score on the label's scale. The method does not say how sure it is."""
        label = self(videos.feature).double() / LABELS * self.max_label
        return Predicted(label, torch.full_like(label, torch.nan))
