"""HGCN (Zhou et al., TCSVT 2023): clips are refined into shots and pooled into scenes, each of which adds to the score.

Every scene has a Gaussian; the score is the sum of what they give. Deviations from the published code, with the way
back to it (`experiment=hgcn_as_published`):
- the prediction is the sum of the means; the published code draws a sample, at test time too (`predict="sample"`);
- the mean starts at the training labels' mean (`initial_mean=0`: where its layer starts, as published);
- the logarithm of a variance is bounded to [-10, 10].
As published: training is on the sample, by the sum of squared errors of the score, where the label is the completeness
times the difficulty. Its expectation, the squared error of the mean plus the variance, drives the deviation toward 0:
what is predicted of it says little. The weights into a clip do not sum to 1 (the softmax runs over the clips that are
told, not those that tell), clips that are no neighbours count less and not nothing, and the causal mask of the variant
"graph" leaves later scenes the weight of e^0. A mix of mean and sample in the loss, which is off in the code, is not
built: it would mix the samples of a batch.
"""

from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from swapaqa.batch import Encoded, Labels, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.gaussian_score import bounded, sample_score
from swapaqa.models.keyed_noise import keyed_noise
from swapaqa.models.scorer import Predicted, Scorer, Target, process_count

Sequence = Literal["plain", "graph"]
Predict = Literal["mean", "sample"]
CLIPS, SCENES = 10, 7


def band(clips: int, width: int) -> Tensor:
    """(clips, clips) 1 where two clips are less than `width` apart, else 0."""
    place = torch.arange(clips)
    return ((place[:, None] - place).abs() < width).float()


class Relation(nn.Module):
    """Which of n clips or scenes looks at which: a scaled product of queries and keys, and a learnt matrix.

    Args:
        channels: of a clip; queries and keys have a quarter.
        nodes: n.
        groups: of the channels.
    """

    def __init__(self, channels: int, nodes: int, groups: int) -> None:
        super().__init__()
        self.query = nn.Conv1d(channels, channels // 4, 1, groups=groups, bias=False)
        self.key = nn.Conv1d(channels, channels // 4, 1, groups=groups, bias=False)
        self.gain = nn.Parameter(torch.ones(1, 1))
        self.learnt = nn.Parameter(torch.eye(nodes))

    def forward(self, clips: Tensor) -> Tensor:
        """(N, channels, n) -> (N, n, n)."""
        query, key = self.query(clips), self.key(clips)
        relation: Tensor = self.gain * (query.mT @ key) / query.shape[1] ** 0.5 + self.learnt
        return relation


class Refinement(nn.Module):
    """Clips tell their neighbours how they differ: (N, D, n) -> shots (N, D / 2, n)."""

    def __init__(self, in_features: int, clips: int, groups: int) -> None:
        super().__init__()
        self.state = nn.Conv1d(in_features, in_features // 4, 1, groups=groups)
        self.mix = nn.Conv1d(in_features, in_features // 2, 1, groups=groups)
        self.register_buffer("neighbours", band(clips, 2), persistent=False)
        self.register_buffer("itself", torch.eye(clips), persistent=False)

    def forward(self, clips: Tensor) -> Tensor:
        state = self.state(clips).relu()
        change = (state[..., :, None] - state[..., None, :]).tanh().mean(dim=1)  # (N, n, n)
        shots: Tensor = self.mix(clips @ ((change + self.itself) * self.neighbours)).relu()
        return shots


class Neighbours(nn.Module):
    """Shots mixed by their relation and their nearness in time: (N, channels, n) -> (N, out, n)."""

    def __init__(self, channels: int, out: int, clips: int, groups: int, mixing_groups: int) -> None:
        super().__init__()
        self.relate = Relation(channels, clips, groups)
        self.mix = nn.Conv1d(channels, out, 1, groups=mixing_groups)
        self.register_buffer("near", band(clips, 3), persistent=False)

    def forward(self, shots: Tensor) -> Tensor:
        mixed: Tensor = self.mix(shots @ (self.near + self.relate(shots)).softmax(dim=-1)).relu()
        return mixed


class Scenes(nn.Module):
    """Shots pooled into scenes: (N, channels, n) -> (N, channels / 2, m)."""

    def __init__(self, channels: int, clips: int, scenes: int, groups: int) -> None:
        super().__init__()
        self.shots = Neighbours(channels, channels // 2, clips, groups, groups)
        self.assign = Neighbours(channels, scenes, clips, 1, 1)
        self.share = nn.Parameter(torch.ones(scenes, clips))
        self.gain = nn.Parameter(torch.ones(1, 1))

    def forward(self, shots: Tensor) -> Tensor:
        share = self.share + self.gain * self.assign(shots)  # (N, m, n)
        scenes: Tensor = self.shots(shots) @ share.mT
        return scenes


class Causal(nn.Module):
    """Scenes mixed with those before them, in the published sense: (N, channels, m) -> (N, channels, m)."""

    def __init__(self, channels: int, scenes: int, groups: int) -> None:
        super().__init__()
        self.relate = Relation(channels, scenes, groups)
        self.register_buffer("before", torch.ones(scenes, scenes).tril(), persistent=False)

    def forward(self, scenes: Tensor) -> Tensor:
        mixed: Tensor = scenes @ (self.before * self.relate(scenes)).softmax(dim=-1)
        return mixed


class SceneHead(nn.Module):
    """Clips to a Gaussian for each scene (at 1024, 4 groups: plain 406,682 parameters, graph 414,924).

    Args:
        in_features: length of a clip's feature, a multiple of 32.
        groups: into which channels are divided.
        sequence: `graph` mixes the scenes before they are read.
        clips, scenes: their numbers.

    Raises:
        InputError: groups that do not divide the channels.
    """

    def __init__(
        self, in_features: int, groups: int, sequence: Sequence, clips: int = CLIPS, scenes: int = SCENES
    ) -> None:
        super().__init__()
        self.clips, quarter = clips, in_features // 4
        smallest = quarter // 4 if sequence == "graph" else in_features // 8
        if groups < 1 or smallest % groups or in_features % 8:
            raise InputError(
                f"model.groups={groups}: the {smallest} channels of HGCN on features of {in_features} must be a "
                "multiple of it"
            )
        self.refine = Refinement(in_features, clips, groups)
        self.scene = Scenes(in_features // 2, clips, scenes, groups)
        self.sequence = Causal(quarter, scenes, groups) if sequence == "graph" else nn.Identity()
        self.read = nn.Conv1d(quarter, in_features // 8, 1, groups=groups)
        self.mean = nn.Conv1d(in_features // 8, 1, 1)
        self.log_variance = nn.Conv1d(in_features // 8, 1, 1)

    def start_at(self, mean: float) -> None:
        """Predict about `mean` at first."""
        with torch.no_grad():
            cast(Tensor, self.mean.bias).add_(mean / len(self.scene.share))

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """(N, n, in_features) -> mean and log-variance of each scene, (N, m) both, float32 at least.

        Raises:
            InputError: another number of clips than that of the graph.
        """
        if clips.shape[1] != self.clips:
            raise InputError(f"clips: the graph has {self.clips}, and {clips.shape[1]} came; say clips=ten_of_any")
        scenes = self.scene(self.refine(clips.mT))
        video = self.read(self.sequence(scenes)).relu()  # (N, in_features / 8, m)
        wide = torch.promote_types(video.dtype, torch.float32)
        return self.mean(video)[:, 0].to(wide), bounded(self.log_variance(video)[:, 0].to(wide))


def weight_of_label(labels: Labels) -> Tensor:
    """(N,) by how much an error of the label counts: the difficulty where it is the completeness, else 1."""
    completeness = (labels.factor == labels.difficulty) & (labels.offset == 0)
    return labels.difficulty.where(completeness, 1)


class HGCN(Scorer):
    """HGCN as a method to train.

    Args:
        encoder: see `Scorer`; its plan has ten clips.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        groups, sequence: see `SceneHead`.
        predict: the `mean`, or a random `sample` as published.
        initial_mean: about where the prediction starts; None for the mean of the training labels.
    """

    clip_count: ClassVar[int | None] = CLIPS

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        groups: int,
        sequence: Sequence,
        predict: Predict,
        initial_mean: float | None,
    ) -> None:
        super().__init__(encoder)
        self.target, self.predict, self.initial_mean = target, predict, initial_mean
        self.head = SceneHead(encoder.feature_size, groups, sequence)
        self.head.start_at(initial_mean or 0.0)

    def learn_scale(self, labels: TrainingLabels) -> None:
        if self.initial_mean is None:
            self.head.start_at(float(labels.label.mean()))

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        """The sum over the rows of all processes, not their mean."""
        mean, log_variance = self.head(videos.feature)
        label = sample_score(mean, log_variance, keyed_noise(self.epoch, videos.video_id, mean)).sum(dim=1)
        error = (label - videos.labels.label.to(label.dtype)) * weight_of_label(videos.labels).to(label.dtype)
        return {"squared_error": process_count() * error.square().sum()}

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """Sum of the means or of samples, with the deviation of the sum of the scenes' Gaussians."""
        mean, log_variance = self.head(videos.feature)
        if self.predict == "sample":
            noise = keyed_noise(self.epoch, videos.labels.position.tolist(), mean)
            mean = sample_score(mean, log_variance, noise)
        return Predicted(mean.sum(dim=1).double(), log_variance.exp().sum(dim=1).sqrt().double())
