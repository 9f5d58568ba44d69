"""The votes of several exemplars on a video."""

from torch import Tensor


def mean_of_some(values: Tensor, chosen: Tensor) -> Tensor:
    """(N,) means over those of each row that are `chosen`, (N, V) both; NaN of a row without any."""
    return values.where(chosen, 0).sum(dim=1) / chosen.sum(dim=1)


def vote_variance(votes: Tensor, voted: Tensor, own: Tensor | None) -> Tensor:
    """Variance (N,) of labels given their votes (N, V), and the variances (N, V) that come with them or None.

    Only what has `voted` (N, V) counts. Without variances of their own: the unbiased variance of the votes, NaN for a
    single one. With them: that of the mixture of V Gaussians, mean of the variances plus variance of the means.
    """
    spread = mean_of_some((votes - mean_of_some(votes, voted)[:, None]).square(), voted)  # (N,)
    if own is not None:
        return mean_of_some(own, voted) + spread
    count = voted.sum(dim=1)
    return spread * count / (count - 1)  # 0 / 0 is NaN
