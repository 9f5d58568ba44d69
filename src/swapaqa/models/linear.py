"""Ridge regression and the linear SVR on a video's mean feature: what every head of AQA has to beat on given features.

Both are solved, not descended: the training videos of an epoch are kept, and before every evaluation the weights become
those of the optimum. They need features that stay as they are, so a backbone that trains is refused. `SVR` is what
Pirsiavash et al. (ECCV 2014) and C3D-SVR (Parmar and Morris, CVPRW 2017) put on theirs, in the form of LIBLINEAR: the
intercept is penalised like a weight, after the labels are centred at their median.
"""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Encoded, Sample, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.scorer import Predicted, Scorer

Line = tuple[Tensor, Tensor]  # weights (D,) and intercept ()


class LinearFit(Scorer):
    """A linear readout of the mean feature whose optimum is computed; `losses` tells how far the last one was off."""

    couples_batch: ClassVar[bool] = True  # every process keeps the videos of all

    def __init__(self, encoder: VideoEncoder) -> None:
        super().__init__(encoder)
        self.readout = nn.Linear(encoder.feature_size, 1)
        self._seen: dict[int, tuple[Tensor, float]] = {}  # by position: (D,) and label of the newest epoch
        self._videos = 0

    @abstractmethod
    def solve(self, features: Tensor, labels: Tensor) -> Line:
        """The line through features (N, D) and labels (N,), in float64."""

    def learn_scale(self, labels: TrainingLabels) -> None:
        self._videos = len(labels.label)

    def check_sample(self, sample: Sample) -> None:  # noqa: ARG002  the encoder is what is looked at
        if any(parameter.requires_grad for parameter in self.encoder.parameters()):
            raise InputError(
                f"model: {type(self).__name__} fits features that stay as they are, and this backbone trains; extract "
                "them and say reader=features data.features.root= (docs/features.md)"
            )

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002  needs none
        feature = videos.mean_feature
        rows = zip(videos.labels.position.tolist(), feature.detach().double().cpu(), strict=True)
        for (position, row), label in zip(rows, videos.labels.label.tolist(), strict=True):
            self._seen[position] = (row, label)
        label = videos.labels.label.to(feature.dtype)
        return {"squared_error": F.mse_loss(self.readout(feature)[:, 0], label)}

    def on_validation_epoch_start(self) -> None:
        """Fit what was seen; a checkpoint that is evaluated saw nothing and keeps its weights."""
        if not self._seen:
            return
        if len(self._seen) < self._videos:
            raise InputError(
                f"{len(self._seen)} of {self._videos} training videos were seen: a fit needs a whole epoch; start the "
                "run anew, without trainer.limit_train_batches and trainer.max_steps"
            )
        features = torch.stack([row for row, _ in self._seen.values()])
        labels = torch.tensor([label for _, label in self._seen.values()], dtype=torch.float64)
        weights, intercept = self.solve(features, labels)
        with torch.no_grad():
            self.readout.weight.copy_(weights[None])
            self.readout.bias.copy_(intercept[None])

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002  needs none
        label = self.readout(videos.mean_feature)[:, 0].double()
        return Predicted(label, torch.full_like(label, torch.nan))


class Ridge(LinearFit):
    """Ridge regression.

    Args:
        encoder: see `Scorer`.
        penalty: lambda, of the squared weights beside the sum of squared errors over the videos.
    """

    def __init__(self, encoder: VideoEncoder, penalty: float) -> None:
        super().__init__(encoder)
        if penalty <= 0:
            raise InputError(f"model.penalty={penalty}: a number above 0 is needed")
        self.penalty = penalty

    def solve(self, features: Tensor, labels: Tensor) -> Line:
        return ridge_line(features, labels, self.penalty)


class SVR(LinearFit):
    """Support vector regression with a linear kernel.

    Args:
        encoder: see `Scorer`.
        cost: C, of an error beyond `epsilon`, beside half the squared weights.
        epsilon: error that costs nothing, in the label's unit.
    """

    def __init__(self, encoder: VideoEncoder, cost: float, epsilon: float) -> None:
        super().__init__(encoder)
        if cost <= 0 or epsilon < 0:
            raise InputError(f"model.cost={cost} model.epsilon={epsilon}: above 0, and at least 0, are needed")
        self.cost, self.epsilon = cost, epsilon

    def solve(self, features: Tensor, labels: Tensor) -> Line:
        return svr_line(features, labels, self.cost, self.epsilon)


def ridge_line(features: Tensor, labels: Tensor, penalty: float) -> Line:
    """argmin over w, b of sum_i (w x_i + b - y_i)^2 + penalty |w|^2, by the N equations of its dual."""
    centre, mean = features.mean(dim=0), labels.mean()
    centred = features - centre
    kernel = centred @ centred.T
    kernel.diagonal().add_(penalty)
    weights = centred.T @ torch.linalg.solve(kernel, labels - mean)
    return weights, mean - weights @ centre


def svr_line(features: Tensor, labels: Tensor, cost: float, epsilon: float) -> Line:
    """argmin over w, b of (|w|^2 + b^2) / 2 + cost sum_i max(|w x_i + b - y_i| - epsilon, 0).

    x and y are centred, at mean and median. Solved by its dual, whose variables lie within -cost and cost:
    b^T (K + 1) b / 2 - y^T b + epsilon |b|_1, as the difference of two that are not below 0.
    """
    centre, middle = features.mean(dim=0), labels.median()
    centred = (features - centre).numpy()
    kernel, target = centred @ centred.T + 1, (labels - middle).numpy()
    count = len(target)

    def objective(halves: np.ndarray) -> tuple[float, np.ndarray]:
        dual = halves[:count] - halves[count:]
        product = kernel @ dual
        value = dual @ product / 2 - target @ dual + epsilon * halves.sum()
        slope = product - target
        return float(value), np.concatenate([slope, -slope]) + epsilon

    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-14, "gtol": 1e-8}
    start, bounds = np.zeros(2 * count), [(0.0, cost)] * (2 * count)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    dual = found.x[:count] - found.x[count:]
    weights = torch.from_numpy(centred.T @ dual)
    return weights, middle + float(dual.sum()) - weights @ centre
