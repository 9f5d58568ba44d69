"""Coverage and RICA2's calibration tau: by hand, against SciPy, and against the published way written out."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from swapaqa.errors import InputError
from swapaqa.measures.calibration_tau import calibration_tau, decile, mean_errors, tau_of_bins
from swapaqa.measures.coverage import coverage
from swapaqa.measures.record import Scores
from swapaqa.recording.evaluation import Evaluation

TAU = calibration_tau()


def with_errors(errors: np.ndarray, deviation: np.ndarray) -> Scores:
    true = np.linspace(40, 90, len(errors))
    signs = np.where(np.arange(len(errors)) % 2, 1, -1)
    return Scores(true + signs * errors, true, deviation)


def as_published(scores: Scores) -> float:
    """Ten bins between percentiles of the deviations, and Kendall's tau of their mean errors with their order."""
    ends = [np.percentile(scores.deviation, q) for q in range(0, 100, 10)] + [np.inf]
    inside = [(scores.deviation >= low) & (scores.deviation < high) for low, high in pairwise(ends)]
    means = [np.abs(scores.predicted - scores.true)[chosen].mean() for chosen in inside]
    return float(stats.kendalltau(means, np.arange(10)).statistic)


def test_the_calibration_tau_by_hand() -> None:
    """Twenty videos, two a bin: the mean errors are 1, 2, ..., 10 but for the last two, which are exchanged."""
    errors = np.repeat([1.0, 2, 3, 4, 5, 6, 7, 8, 10, 9], 2) + np.tile([-0.5, 0.5], 10)
    scores = with_errors(errors, np.arange(1.0, 21))
    assert mean_errors(scores) == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8, 10, 9])
    assert TAU.of(scores) == pytest.approx((44 - 1) / 45)
    assert TAU.of(scores._replace(deviation=-scores.deviation)) == pytest.approx(-(44 - 1) / 45)
    assert TAU.of(scores._replace(deviation=np.exp(scores.deviation))) == TAU.of(scores)  # whatever its unit


@pytest.mark.parametrize("videos", [23, 57, 354])  # no percentile falls on a video but the outer ones
def test_the_calibration_tau_is_the_published_one(videos: int) -> None:
    rng = np.random.default_rng(videos)
    deviation = np.round(rng.uniform(1, 9, videos), 1 if videos > 100 else 6)  # of many videos some tie
    scores = with_errors(np.abs(deviation * rng.normal(size=videos)), deviation)
    assert TAU.of(scores) == pytest.approx(as_published(scores), abs=1e-12)
    assert tau_of_bins(scores) == pytest.approx(TAU.of(scores), abs=1e-12)


def test_equal_deviations_share_a_bin_and_an_empty_one_leaves_it_undefined() -> None:
    assert decile(np.array([1.0, 1, 1, 2, 3, 3])).tolist() == [4, 4, 4, 6, 9, 9]
    few = with_errors(np.arange(1.0, 7), np.arange(1.0, 7))
    assert TAU.why_undefined(few) == "4 of the 10 bins of the 6 predicted deviations are empty"
    assert tau_of_bins(few) == 1  # of the six that are not, as in a draw
    unknown = with_errors(np.arange(1.0, 31), np.append(np.nan, np.arange(1.0, 30)))
    assert TAU.why_undefined(unknown) == "1 of the 30 videos have no predicted deviation"
    equal = with_errors(np.full(30, 2.0), np.arange(1.0, 31))
    assert TAU.why_undefined(equal._replace(predicted=equal.true)) == "the errors in all bins are equal"


def test_a_calibrated_method_is_told_from_one_that_is_not() -> None:
    rng = np.random.default_rng(4)
    deviation = rng.uniform(1, 9, 400)
    errors = np.abs(deviation * rng.normal(size=400))
    assert TAU.of(with_errors(errors, deviation)) > 0.8
    assert abs(TAU.of(with_errors(errors, rng.permutation(deviation)))) < 0.6


def test_the_coverage_by_hand() -> None:
    """Half the interval of 90 % is 1.645 deviations, of 50 % 0.674."""
    scores = with_errors(np.array([0.6, 1.6, 1.7, 3.0]), np.array([1.0, 1, 1, 4]))
    assert coverage(0.9).of(scores) == 0.75
    assert coverage(0.5).of(scores) == 0.25
    assert coverage(0.9).of_draws(scores.at(np.array([[0, 0, 1, 2], [2, 2, 2, 2]])), scores).tolist() == [0.75, 0]


def test_videos_without_a_deviation_are_left_out() -> None:
    scores = with_errors(np.array([0.6, 1.6, 1.7]), np.array([1.0, np.nan, 1]))
    assert coverage(0.9).of(scores) == 0.5
    drawn = coverage(0.9).of_draws(scores.at(np.array([[0, 1, 1], [1, 1, 1]])), scores)
    assert drawn[0] == 1
    assert np.isnan(drawn[1])


def test_a_coverage_is_of_a_share() -> None:
    assert coverage(0.8).name == "coverage_80"
    for nominal in (0, 1, 90, 0.005, -0.5):
        with pytest.raises(InputError, match="between 0 and 1"):
            coverage(nominal)


def test_the_calibration_of_a_result_is_that_of_the_records() -> None:
    import torch

    scores = with_errors(np.array([0.6, 1.6, 1.7, 3.0]), np.array([1.0, 1, 1, 4]))
    predicted, true, std = (torch.tensor(column) for column in scores)
    found = Evaluation(0, {"test": (torch.arange(4), predicted, true)}, {"test": std}).calibration("test")
    assert found == {"coverage_50": 0.25, "coverage_90": 0.75, "mean_std": 1.75}
