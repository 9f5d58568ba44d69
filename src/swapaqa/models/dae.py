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

from typing import ClassVar, Literal

from torch import Tensor

from swapaqa.batch import Encoded, Sample, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.gaussian_score import (
    GaussianHead,
    calibrated_std,
    gaussian_likelihood_loss,
    sample_score,
    scale_by_difficulty,
    squared_error_pair_loss,
)
from swapaqa.models.keyed_noise import keyed_noise
from swapaqa.models.scorer import Predicted, Scorer, Target, from_points, process_count

Loss = Literal["likelihood", "squared_error_pair"]
Predict = Literal["mean", "sample"]


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
        sample = sample_score(mean, log_variance, keyed_noise(self.epoch, videos.video_id, mean))
        loss = squared_error_pair_loss(mean, sample, truth)
        return {"squared_error_pair": process_count() * loss}  # a sum over the rows of all processes, not their mean

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        """Mean or sample, with the deviation that fits the residuals under the likelihood's weights."""
        mean, log_variance = self.gaussian(videos)
        if self.predict == "sample":
            noise = keyed_noise(self.epoch, videos.labels.position.tolist(), mean)
            mean = sample_score(mean, log_variance, noise)
        weights = (self.alpha, self.beta) if self.loss == "likelihood" else (0.5, 0.5)
        return self.as_label(mean.double(), calibrated_std(log_variance, *weights).double(), videos)

    def gaussian(self, videos: Encoded) -> tuple[Tensor, Tensor]:
        """Mean and ln(variance), (N,) each, of what `truth` gives."""
        found: tuple[Tensor, Tensor] = self.head(videos.mean_feature)
        return found

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
