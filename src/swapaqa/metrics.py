"""Metrics of Action Quality Assessment: pure functions on 1-D tensors, and one Metric that keeps predictions.

All arithmetic is float64. torchmetrics' own Spearman works in float32, answers a plausible number for NaN
predictions and 0 for constant ones, and its rank sums overflow int32 at 1e5 samples with few levels;
`spearman` agrees with SciPy to 1e-12 and refuses NaN.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torchmetrics import SpearmanCorrCoef
from torchmetrics.utilities import dim_zero_cat

ROUNDING = 4 * 2.0**-23  # of the largest value: see `constant`


def constant(lowest: Any, highest: Any) -> Any:
    """Whether values between `lowest` and `highest` differ by rounding only, so that they have no order.

    Networks compute in float32, which rounds each result by up to 2^-24 of its size, a few times on the way from the
    features to the score: predictions less than four of its steps (2^-23) apart are one prediction. That is 0.00005
    at 93.5 points, a two-hundredth of what a judge can tell apart, and it scales with the unit of the scores.

    Args:
        lowest, highest: numbers, tensors or arrays of one shape.

    Returns:
        A truth value of that shape.
    """
    spread = highest - lowest
    return (spread <= ROUNDING * abs(lowest)) | (spread <= ROUNDING * abs(highest))


def why_undefined(pred: Tensor, target: Tensor) -> str | None:
    """Why predictions and truths, (N,) each, have no rank correlation, as the end of a sentence; None if they have one.

    Truths are taken as they are: they are read, not computed.
    """
    for side, values in (("predictions", pred), ("truths", target)):
        found = f"the {values.numel()} {side} are constant"
        if values.numel() < 2 or values.min() == values.max():
            return found
        if values is pred and constant(values.min(), values.max()):
            return f"{found} but for rounding ({values.min():.9g} to {values.max():.9g})"
    return None


def spearman(pred: Tensor, target: Tensor) -> Tensor:
    """Spearman's rank correlation, tied values sharing their average rank.

    Args:
        pred: (N,) predictions.
        target: (N,) truths.

    Returns:
        () float64 in [-1, 1]; NaN, with a warning, where one side is constant, as a single sample is; predictions also
        where they differ by rounding only, see `constant`.

    Raises:
        ValueError: different lengths, or a value that is NaN or infinite.
    """
    pred, target = _checked(pred, target)
    reason = why_undefined(pred, target)
    if reason:
        warnings.warn(f"Spearman is undefined: {reason}", stacklevel=2)
        return pred.new_tensor(torch.nan)
    pred_rank, target_rank = _average_ranks(pred), _average_ranks(target)  # (N,), centred below
    mean_rank = (pred.numel() + 1) / 2
    pred_rank, target_rank = pred_rank - mean_rank, target_rank - mean_rank
    spread = pred_rank.square().sum() * target_rank.square().sum()
    return ((pred_rank * target_rank).sum() / spread.sqrt()).clamp(-1, 1)


def relative_l2(pred: Tensor, target: Tensor) -> Tensor:
    """R-l2 of CoRe (ICCV 2021), not times 100: mean of ((pred - target) / (max - min of the targets))^2.

    The range is that of the evaluated truths, not of the data set's scale.

    Args:
        pred: (N,) predictions.
        target: (N,) truths in the same unit; the result does not depend on it.

    Returns:
        () float64; NaN, with a warning, where the targets are constant.

    Raises:
        ValueError: different lengths, no sample, or a value that is NaN or infinite.
    """
    pred, target = _checked(pred, target)
    if pred.numel() == 0:
        raise ValueError("relative_l2 of no sample")
    span = target.max() - target.min()
    if span == 0:
        warnings.warn(f"R-l2 is undefined: the {target.numel()} truths are constant", stacklevel=2)
        return torch.full_like(span, torch.nan)
    return ((pred - target) / span).square().mean()


def relative_l2_x100(pred: Tensor, target: Tensor) -> Tensor:
    """R-l2 times 100, as the papers' tables print it; see `relative_l2`."""
    return 100 * relative_l2(pred, target)


def fisher_mean(rhos: Tensor) -> Tensor:
    """Average of correlations through Fisher's z: tanh(mean(atanh(rho))), the AQA-7 average of the papers.

    One correlation of exactly 1 makes the mean 1, whatever the others are (atanh(1) is infinite).

    Args:
        rhos: (A,) correlations in [-1, 1], one per action.

    Returns:
        () float64; NaN where one of them is NaN.
    """
    return rhos.double().atanh().mean().tanh()


def pairwise_accuracy(pred: Tensor, target: Tensor) -> Tensor:
    """Share of the pairs with different truths that are ordered correctly; equal predictions count half.

    Predictions that differ by rounding only are equal, see `constant`.

    Args:
        pred: (N,) predictions.
        target: (N,) truths.

    Returns:
        () float64 in [0, 1]; NaN, with a warning, where all truths are equal.

    Raises:
        ValueError: different lengths, or a value that is NaN or infinite.
    """
    pred, target = _checked(pred, target)
    if target.numel() < 2 or target.min() == target.max():
        warnings.warn(f"pairwise accuracy is undefined: {target.numel()} constant truths", stacklevel=2)
        return pred.new_tensor(torch.nan)
    if constant(pred.min(), pred.max()):
        pred = torch.zeros_like(pred)
    agreement, _, pairs = pair_sums(pred.cpu().numpy(), target.cpu().numpy())
    return pred.new_tensor((1 + agreement / pairs) / 2)


def pair_sums(pred: np.ndarray, target: np.ndarray) -> tuple[int, int, int]:
    """What two rankings say of the pairs of N samples, in N log N steps by SciPy's Kendall's tau-b.

    Args:
        pred, target: (N,) float64, finite.

    Returns:
        Pairs that both order alike less those that they order differently; pairs that `pred` tells apart; that `target`
        does.
    """
    told_apart = [
        _pairs(len(side)) - int(_pairs(np.unique(side, return_counts=True)[1]).sum()) for side in (pred, target)
    ]
    if 0 in told_apart:
        return 0, *told_apart
    tau = stats.kendalltau(pred, target).statistic
    return round(tau * math.sqrt(told_apart[0]) * math.sqrt(told_apart[1])), *told_apart


def _pairs(count: Any) -> Any:
    return count * (count - 1) // 2


def interval_coverage(pred: Tensor, target: Tensor, std: Tensor, nominal: float) -> Tensor:
    """Share of the truths inside the central Gaussian interval of `nominal` probability: calibrated if equal to it.

    Args:
        pred: (N,) predictions.
        target: (N,) truths.
        std: (N,) predicted standard deviations in the same unit; NaN for predictions without one, which are left out.
        nominal: probability of the interval, between 0 and 1.

    Returns:
        () float64 in [0, 1]; NaN where no prediction has a standard deviation.
    """
    known = ~std.isnan()
    half = torch.special.ndtri(
        torch.tensor((1 + nominal) / 2, dtype=torch.float64)
    ).item()  # 0.674 at 0.5, 1.645 at 0.9
    inside: Tensor = (pred - target).abs()[known] <= half * std[known]
    return inside.double().mean()


class SpearmanById(SpearmanCorrCoef):
    """Spearman's correlation over samples known by id: a sample seen twice counts once.

    A distributed sampler pads the last round with repeated samples; predictions kept by id make every metric
    independent of the number of processes. `predictions` gives the same merged tensors to the other metrics
    and to the result file, `predicted_std` what goes with them.
    """

    index: list[Tensor]
    std: list[Tensor]

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # The parent warns that it keeps all predictions: here that is the purpose.
            warnings.simplefilter("ignore")
            super().__init__()
        self.add_state("index", default=[], dist_reduce_fx="cat")
        self.add_state("std", default=[], dist_reduce_fx="cat")

    def update(  # type: ignore[override]  # the parent takes no ids
        self, preds: Tensor, target: Tensor, index: Tensor, std: Tensor | None = None
    ) -> None:
        """Keep predictions and truths, (N,) each, in float64 under their samples' ids, (N,) int64.

        `std` (N,) is the standard deviation that the method predicts, NaN or None where it predicts none.
        """
        if not preds.shape == target.shape == index.shape or preds.dim() != 1:
            shapes = f"{tuple(preds.shape)}, {tuple(target.shape)}, {tuple(index.shape)}"
            raise ValueError(f"preds, target and index must be 1-D and of one length, not {shapes}")
        self.preds.append(preds.detach().double())
        self.target.append(target.detach().double())
        self.index.append(index.long())
        self.std.append(torch.full_like(self.preds[-1], torch.nan) if std is None else std.detach().double())

    def compute(self) -> Tensor:
        """() float64: `spearman` over the distinct samples of all processes."""
        _, preds, target = self._by_id()
        return spearman(preds, target)

    def predictions(self) -> tuple[Tensor, Tensor, Tensor]:
        """(index, preds, target), (N,) each: the distinct samples of all processes in the order of their ids.

        Every process must call it (it gathers). Raises ValueError, naming the sample, for a prediction that
        is NaN or infinite.
        """
        with self.sync_context():
            return self._by_id()

    def predicted_std(self) -> Tensor:
        """(N,) float64: the predicted standard deviations in the order of `predictions`; every process must call it."""
        with self.sync_context():
            return dim_zero_cat(self.std)[self._distinct()[1]]

    def sync(
        self,
        dist_sync_fn: Callable[..., Any] | None = None,
        process_group: object = None,
        should_sync: bool = True,
        distributed_available: Callable[[], bool] | None = None,
    ) -> None:
        """Gather the states. A process without samples sends empty states of the type the others send."""
        for name in ("preds", "target", "std", "index"):
            dtype = torch.int64 if name == "index" else torch.float64
            if isinstance(getattr(self, name), list) and not getattr(self, name):
                setattr(self, name, [torch.empty(0, dtype=dtype, device=self.device)])
        super().sync(dist_sync_fn, process_group, should_sync, distributed_available)

    def _by_id(self) -> tuple[Tensor, Tensor, Tensor]:
        index, order = self._distinct()
        preds, target = dim_zero_cat(self.preds)[order], dim_zero_cat(self.target)[order]
        broken = (~preds.isfinite()).nonzero()
        if broken.numel():
            at = broken[0, 0]
            count = f"{len(broken)} of {len(preds)} are not finite"
            raise ValueError(f"the prediction of sample {index[at].item()} is {preds[at].item()} ({count})")
        return index, preds, target

    def _distinct(self) -> tuple[Tensor, Tensor]:
        """The distinct ids in their order, and where the first sample of each was kept."""
        index, order = dim_zero_cat(self.index).sort(stable=True)
        first = torch.ones_like(index, dtype=torch.bool)
        first[1:] = index[1:] != index[:-1]
        return index[first], order[first]

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Self:
        """Follow a change of device, but stay float64 where the parent follows `.to(torch.bfloat16)` too."""
        kept = {name: getattr(self, name) for name in ("preds", "target", "std", "_computed")}
        super()._apply(fn, exclude_state)
        for name in ("preds", "target", "std"):
            setattr(self, name, [values.to(self.device) for values in kept[name]])
        self._computed = None if kept["_computed"] is None else kept["_computed"].to(self.device)
        return self


def _checked(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if pred.dim() != 1 or pred.shape != target.shape:
        shapes = f"{tuple(pred.shape)}, {tuple(target.shape)}"
        raise ValueError(f"expected two 1-D tensors of one length, not {shapes}")
    for name, values in (("prediction", pred), ("truth", target)):
        broken = (~values.isfinite()).nonzero()
        if broken.numel():
            raise ValueError(f"{name} {broken[0].item()} of {len(values)} is {values[broken[0]].item()}")
    return pred.detach().double(), target.detach().double()


def _average_ranks(values: Tensor) -> Tensor:
    """(N,) values -> (N,) float64 ranks from 1; tied values share the mean of the ranks they cover."""
    ordered, order = values.sort()
    _, tie, count = torch.unique_consecutive(ordered, return_inverse=True, return_counts=True)
    mean_rank = count.cumsum(0) - (count.double() - 1) / 2  # last rank of each tie, less half of its extent
    return torch.empty_like(values).index_copy_(0, order, mean_rank[tie])
