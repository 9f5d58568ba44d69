"""TECN (Li et al., CIS 2023) and PCLN (Li et al., ECCV 2022): 1-D convolutions read a 2-D network's frames.

TECN is PCLN without its pair branch. Both are of one laboratory, which published PCLN's code; TECN's text has the same
network and a Gaussian loss. Deviations, with the way back where there is one:
- the 2-D network runs in the training, so that the swap reaches it (`backbone=resnet50_frames`, frozen as published);
  theirs is ResNet-50 of Keras, ours torchvision's, with its mean and deviation;
- of a batch the mean is taken over its videos; the published Gaussian loss divides by the full size of a batch always;
- of MTL-AQA PCLN's program compares each video with one other, with the sign; here it is all pairs, as on AQA-7;
- dropout draws by video.
As published dropout drops whole frames, and not channels as its name in Keras; frames behind the end are zeros.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Encoded, Sample
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.i3d import I3D
from swapaqa.models.label_scale import ScaledScorer
from swapaqa.models.sample_dropout import SampleDropout, dropout_by_video
from swapaqa.models.scorer import Predicted, Target

Loss = Literal["gaussian", "squared_error"]
DROPOUT, POOLS = 0.3, 4  # share of the frames; frames that become one
PAIR_CHANNELS, PAIR_COLUMNS = (32, 8), 4


def gaussian_loss(found: Tensor, truth: Tensor, sigma: float) -> Tensor:
    """(N,), (N,) -> (): the mean of 1 - exp(-(found - truth)^2 / (2 sigma^2)), below 1 however far apart they are."""
    return -torch.expm1(-(found - truth).square() / (2 * sigma**2)).mean()


class FrameDropout(nn.Module):
    """Drops whole frames of (N, C, T)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.drop = SampleDropout(share)

    def forward(self, values: Tensor) -> Tensor:
        """(N, C, T) -> the same shape."""
        kept: Tensor = self.drop(values.new_ones(len(values), 1, values.shape[2]))
        return values * kept


class FrameEncoder(nn.Sequential):
    """Two convolutions of single frames, each with a pool over two: (N, in_features, T) -> (N, 2 width, T / 4)."""

    def __init__(self, in_features: int, width: int) -> None:
        super().__init__(
            *(nn.Conv1d(in_features, width, 1), FrameDropout(DROPOUT), nn.ReLU(), nn.MaxPool1d(2)),
            *(nn.Conv1d(width, 2 * width, 1), FrameDropout(DROPOUT), nn.ReLU(), nn.MaxPool1d(2)),
        )


class SequenceHead(nn.Module):
    """The score of a sequence of frames, in 0..1 (92,939,009 parameters as published).

    Args:
        in_features: length of a frame's feature.
        length: frames, a multiple of 4; what a video has fewer are zeros.
        width: of the first convolution, the second has twice as many.
        hidden: of the first fully connected layer, the second has half as many.

    Raises:
        InputError: another length.
    """

    def __init__(self, in_features: int, length: int, width: int, hidden: int) -> None:
        super().__init__()
        if length < POOLS or length % POOLS:
            raise InputError(f"model.length={length}: must be a multiple of {POOLS}")
        self.length = length
        self.encode = FrameEncoder(in_features, width)
        self.regress = nn.Sequential(
            nn.Linear(2 * width * length // POOLS, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden // 2),
            nn.ReLU(),
            nn.Linear(hidden // 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(N, n, in_features) -> scores (N,), sequences (N, 2 width, length / 4). InputError: n above `length`."""
        count = frames.shape[1]
        if count > self.length:
            raise InputError(
                f"data.frames: {count} frames are more than model.length={self.length}; raise it to a multiple of "
                f"{POOLS}, or take shorter windows"
            )
        sequence = self.encode(F.pad(frames.mT, (0, self.length - count)))
        score: Tensor = self.regress(sequence.flatten(1)).squeeze(1)
        return score, sequence


class PairBranch(nn.Module):
    """How far the scores of two videos are apart, in 0..1 (150,361 parameters as published).

    Args:
        channels: of a sequence, a multiple of 64.

    Raises:
        InputError: other channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        if channels % (16 * PAIR_COLUMNS):
            raise InputError(f"model.width={half}: must be a multiple of {8 * PAIR_COLUMNS}")
        first, second = PAIR_CHANNELS
        self.narrow = nn.Conv1d(channels, half, 1)
        self.rows = half // (2 * PAIR_COLUMNS)
        self.compare = nn.Sequential(
            nn.Conv2d(channels, first, 1), nn.MaxPool2d(2), nn.Conv2d(first, second, 1), nn.MaxPool2d(2), nn.Flatten()
        )
        self.regress = nn.Sequential(
            nn.Linear(second * self.rows // 4 * PAIR_COLUMNS // 4, 32),
            nn.ReLU(),
            nn.Linear(32, 8),
            nn.ReLU(),
            nn.Linear(8, 1),
            nn.Sigmoid(),
        )

    def forward(self, sequences: Tensor, one: Tensor, other: Tensor) -> Tensor:
        """Sequences (N, channels, t) and the positions of P pairs among them, (P,) each -> (P,)."""
        narrow = self.narrow(sequences)  # (N, channels / 2, t)
        product = torch.einsum("pct,pdt->pcd", narrow[one], narrow[other])
        image = product.reshape(len(one), sequences.shape[1], self.rows, PAIR_COLUMNS)
        found: Tensor = self.regress(self.compare(image)).squeeze(1)
        return found


class TECN(ScaledScorer):
    """TECN as a method to train.

    Args:
        encoder: see `Scorer`; of a plan whose clips are single frames.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        length, width, hidden: see `SequenceHead`.
        loss: of labels in 0..1.
        sigma: of the Gaussian loss.
    """

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        length: int,
        width: int,
        hidden: int,
        loss: Loss,
        sigma: float,
    ) -> None:
        if isinstance(encoder.network, I3D):
            raise InputError(
                f"backbone=i3d: {type(self).__name__} reads single frames, which I3D does not; say "
                "backbone=resnet50_frames"
            )
        super().__init__(encoder)
        if sigma <= 0:
            raise InputError(f"model.sigma={sigma}: a deviation above 0 is needed")
        self.target, self.loss, self.sigma = target, loss, sigma
        self.head = SequenceHead(encoder.feature_size, length, width, hidden)

    def check_sample(self, sample: Sample) -> None:
        frames = sum(len(plan.starts(sample.video.shape[2])) for plan in self.encoder.plans)
        if frames > self.head.length:
            raise InputError(
                f"data.frames={sample.video.shape[2]}: {frames} clips are more than model.length={self.head.length}; "
                "take shorter windows, or raise it"
            )

    def distance(self, found: Tensor, truth: Tensor) -> Tensor:
        """The loss of values in 0..1, (N,) each."""
        truth = truth.to(found.dtype)
        return gaussian_loss(found, truth, self.sigma) if self.loss == "gaussian" else F.mse_loss(found, truth)

    def read(self, videos: Encoded) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (N,) and sequences of training videos, and their labels (N,), in 0..1."""
        with dropout_by_video(videos.labels.position, self.epoch):
            score, sequence = self.head(videos.feature)
        return score, sequence, videos.labels.label / self.max_label

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        score, _, truth = self.read(videos)
        return {"score": self.distance(score, truth)}

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """The score on the label's scale. The method does not say how sure it is."""
        label = self.head(videos.feature)[0].double() * self.max_label
        return Predicted(label, torch.full_like(label, torch.nan))


class PCLN(TECN):
    """PCLN as a method to train: in training a branch learns the differences of all pairs. Arguments as for `TECN`."""

    couples_batch: ClassVar[bool] = True  # all pairs of a batch

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        length: int,
        width: int,
        hidden: int,
        loss: Loss,
        sigma: float,
    ) -> None:
        super().__init__(encoder, target, length, width, hidden, loss, sigma)
        self.pairs = PairBranch(2 * width)

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        """The scores', that of the branch to the labels' differences, and that of the scores' differences to it."""
        score, sequence, truth = self.read(videos)
        one, other = torch.triu_indices(len(score), len(score), offset=1, device=score.device)
        branch = self.pairs(sequence, one, other)
        apart, differ = ((values[one] - values[other]).abs() for values in (score, truth))
        if not len(one):  # a batch of one video has no pairs
            return {"score": self.distance(score, truth), "pairs": branch.sum(), "agreement": apart.sum()}
        return {
            "score": self.distance(score, truth),
            "pairs": self.distance(branch, differ),
            "agreement": self.distance(apart, branch),
        }
