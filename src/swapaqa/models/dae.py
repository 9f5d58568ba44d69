"""DAE: distribution auto-encoder for action quality assessment (Zhang et al., arXiv 2111.11029).

The network predicts a Gaussian over the score, mean and logarithm of the variance, and learns both from a
likelihood. DAE-MT predicts the score before the difficulty is multiplied in; DAE-CoRe is in `dae_core`.

The body of the paper was not available when this was written, and neither published code can train with its
likelihood loss as written (it squares ln(variance) in place of the deviation, and reads it from detached
numbers). So, with the way back to the code that ran:
- the loss is the weighted Gaussian likelihood that the abstract and the constants 0.6 and 0.4 describe;
  `loss="squared_error_pair"` is what the authors' later code trains with;
- the prediction is the mean; the published code draws a sample, at test time too (`predict="sample"`);
- the logarithm of the variance is bounded to [-10, 10];
- the mean starts at the training labels' mean (`initial_mean=0`: where its layer starts, as published).
As published: the head's second output is ln(variance); hidden layers 256 and 128 (a figure in the repository
has a further one of 512); a sample is mean + deviation * noise (the figure multiplies by the variance).
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from swapaqa.batch import Encoded, Sample, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.scorer import Predicted, Scorer, Target, from_points, process_count
from swapaqa.seeds import keyed_generator

Loss = Literal["likelihood", "squared_error_pair"]
Predict = Literal["mean", "sample"]

LOG_VARIANCE_BOUND = 10.0


def gaussian_likelihood_loss(
    mean: Tensor, log_variance: Tensor, target: Tensor, alpha: float = 0.6, beta: float = 0.4
) -> Tensor:
    """Weighted negative log-likelihood of a Gaussian: mean over the batch of `likelihood_terms`.

    Args:
        mean, log_variance, target: (B,); the target in the unit of the mean.
        alpha, beta: weights; 1/2 and 1/2 are the exact likelihood without its constant.

    Returns:
        () scalar.
    """
    return likelihood_terms(mean, log_variance, target, alpha, beta).mean()


def likelihood_terms(
    mean: Tensor, log_variance: Tensor, target: Tensor, alpha: float = 0.6, beta: float = 0.4
) -> Tensor:
    """alpha * (target - mean)^2 / variance + beta * ln(variance), elementwise over shapes that broadcast.

    Its minimum over the variance is at alpha / beta times the squared error; see `calibrated_std`.
    """
    return alpha * (target - mean).square() * (-log_variance).exp() + beta * log_variance


def squared_error_pair_loss(mean: Tensor, sample: Tensor, target: Tensor) -> Tensor:
    """The loss of the authors' later code: sum over the batch of the squared errors of sample and mean.

    Its expectation, 2 (mean - target)^2 + variance per sample, drives the variance to 0.
    """
    return (sample - target).square().sum() + (mean - target).square().sum()


def sample_score(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Reparameterised sample, mean + standard deviation * noise: (B,) each, the noise standard normal."""
    return mean + (log_variance / 2).exp() * noise


def calibrated_std(log_variance: Tensor, alpha: float = 0.6, beta: float = 0.4) -> Tensor:
    """Standard deviation of the residuals: the learned one times sqrt(beta / alpha)."""
    return (log_variance / 2).exp() * (beta / alpha) ** 0.5


def scale_by_difficulty(mean: Tensor, log_variance: Tensor, difficulty: Tensor) -> tuple[Tensor, Tensor]:
    """DAE-MT: the Gaussian of difficulty * completeness, (mean * d, ln variance + 2 ln d); (B,) each."""
    return mean * difficulty, log_variance + 2 * difficulty.log()


class GaussianHead(nn.Module):
    """Three linear layers to a Gaussian over the score (295,554 parameters at 1024).

    Args:
        in_features: length of the video's feature.
        initial_mean: see `start_at`.
    """

    def __init__(self, in_features: int, initial_mean: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_features, 256), nn.ReLU(inplace=True), nn.Linear(256, 128), nn.ReLU(inplace=True)
        )
        self.mean = nn.Linear(128, 1)
        self.log_variance = nn.Linear(128, 1)
        self.start_at(initial_mean)

    def start_at(self, mean: float) -> None:
        """Predict about `mean` at first: the likelihood divides a squared error of 80 points by a variance near 1."""
        with torch.no_grad():
            self.mean.bias.add_(mean)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, in_features) -> mean, log_variance: (B,) each, float32 at least."""
        hidden = self.layers(features)  # (B, 128)
        mean, log_variance = self.mean(hidden).squeeze(-1), self.log_variance(hidden).squeeze(-1)
        wide = torch.promote_types(mean.dtype, torch.float32)
        return mean.to(wide), bounded(log_variance.to(wide))


class DAE(Scorer):
    """DAE-MLP: a Gaussian over the label.

    Args:
        encoder: see `Scorer`.
        target: what the label should be where the data set knows the difficulty; the data set reads it.
        loss: `likelihood`, or `squared_error_pair` as in the authors' later code, which leaves no useful variance.
        alpha, beta: weights of the likelihood.
        predict: the `mean`, or a random `sample` as published.
        initial_mean: about where the prediction starts; None for the mean of the training labels.
    """

    def __init__(
        self,
        encoder: VideoEncoder,
        target: Target,
        loss: Loss,
        alpha: float,
        beta: float,
        predict: Predict,
        initial_mean: float | None,
    ) -> None:
        super().__init__(encoder)
        self.target = target
        self.loss, self.alpha, self.beta, self.predict = loss, alpha, beta, predict
        self.initial_mean = initial_mean
        self.head = GaussianHead(encoder.feature_size, initial_mean or 0.0)

    def learn_scale(self, labels: TrainingLabels) -> None:
        if self.initial_mean is None:
            self.head.start_at(float(labels.label.mean()))

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        mean, log_variance = self.gaussian(videos)
        truth = self.truth(videos).to(mean.dtype)
        if self.loss == "likelihood":
            return {"likelihood": gaussian_likelihood_loss(mean, log_variance, truth, self.alpha, self.beta)}
        sample = sample_score(mean, log_variance, self.noise(videos.video_id, mean))
        loss = squared_error_pair_loss(mean, sample, truth)
        return {"squared_error_pair": process_count() * loss}  # a sum over the rows of all processes, not their mean

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """Mean or sample, with the deviation that fits the residuals under the likelihood's weights."""
        mean, log_variance = self.gaussian(videos)
        if self.predict == "sample":
            mean = sample_score(mean, log_variance, self.noise(videos.labels.position.tolist(), mean))
        weights = (self.alpha, self.beta) if self.loss == "likelihood" else (0.5, 0.5)
        return self.as_label(mean.double(), calibrated_std(log_variance, *weights).double(), videos)

    def noise(self, videos: Sequence[str | int], like: Tensor) -> Tensor:
        """(B,) standard normal, drawn for the epoch of the weights and each video: a resumed run, any process and an
        evaluation of a checkpoint draw the same."""
        seed = torch.initial_seed()  # the run's: it was seeded with it
        keys = (keyed_generator(seed, "score", self.epoch, video) for video in videos)
        drawn = torch.stack([torch.randn((), generator=generator) for generator in keys])
        return drawn.to(like, non_blocking=True)

    def gaussian(self, videos: Encoded) -> tuple[Tensor, Tensor]:
        """Mean and ln(variance), (N,) each, of what `truth` gives."""
        return self.head(videos.mean_feature)

    def truth(self, videos: Encoded) -> Tensor:
        """(N,) what the Gaussian is over: the label."""
        return videos.labels.label

    def as_label(self, mean: Tensor, std: Tensor, videos: Encoded) -> Predicted:  # noqa: ARG002
        return Predicted(mean, std)


class DAEMT(DAE):
    """DAE-MT as in the script that its authors removed: the head models the completeness, score / difficulty.

    Its Gaussian is multiplied by the difficulty before the loss, which is against the final score in points. Under the
    likelihood the gradients are those of the loss on the completeness. Arguments as for `DAE`; `initial_mean` is of
    the completeness and has to be given, as labels may be something else.
    """

    needs_difficulty: ClassVar[bool] = True

    def check_sample(self, sample: Sample) -> None:
        if (sample.labels.difficulty == 1).all():
            raise InputError(
                "DAE-MT multiplies what it predicts by the difficulty, and these videos have none: take model=dae, "
                "or a data set with difficulty"
            )

    def learn_scale(self, labels: TrainingLabels) -> None:  # noqa: ARG002  they may be something else
        if self.initial_mean is None:
            raise InputError("model.initial_mean=null: DAE-MT needs a number, about the mean of score / difficulty")

    def gaussian(self, videos: Encoded) -> tuple[Tensor, Tensor]:
        mean, log_variance = super().gaussian(videos)
        return scale_by_difficulty(mean, log_variance, videos.labels.difficulty.to(mean.dtype))

    def truth(self, videos: Encoded) -> Tensor:
        return videos.labels.score

    def as_label(self, mean: Tensor, std: Tensor, videos: Encoded) -> Predicted:
        return from_points(mean, std, videos)


def bounded(log_variance: Tensor) -> Tensor:
    """The logarithm of a variance, of any shape, in [-10, 10]."""
    return log_variance.clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)
