"""Kendall's tau-b and the pairwise accuracy: by hand, and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from swapaqa.measures.kendall import kendall_tau, tau_b
from swapaqa.measures.ours import PAIRWISE_ACCURACY
from swapaqa.measures.pairs import pair_sums
from swapaqa.measures.pairwise import share_of_pairs
from swapaqa.measures.record import Scores


def test_by_hand_with_ties_on_both_sides() -> None:
    """Of the ten pairs one has equal truths, one equal predictions; seven of the others agree and one does not."""
    true = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    predicted = np.array([1.0, 3.0, 2.0, 2.0, 5.0])
    # pairs (first, second): 01 right, 02 right, 03 right, 04 right, 12 truths tied, 13 wrong, 14 right, 23 predictions
    # tied, 24 right, 34 right
    scores = Scores(predicted, true)
    assert kendall_tau().of(scores) == pytest.approx((7 - 1) / np.sqrt(9 * 9))
    assert PAIRWISE_ACCURACY.of(scores) == pytest.approx((7 + 0.5) / 9)
    assert pair_sums(predicted, true) == (6, 9, 9)
    assert tau_b(predicted, true) == pytest.approx(6 / 9)
    assert share_of_pairs(predicted, true) == pytest.approx(7.5 / 9)


@pytest.mark.parametrize("levels", [0, 2, 5])
def test_tau_is_scipys(levels: int) -> None:
    rng = np.random.default_rng(levels)
    predicted, true = rng.normal(size=(2, 8, 31))
    if levels:
        predicted, true = (np.round(side * levels / 3) for side in (predicted, true))
    expected = [stats.kendalltau(p, t, variant="b").statistic for p, t in zip(predicted, true, strict=True)]
    assert tau_b(predicted, true) == pytest.approx(expected, abs=1e-12)
    of_record = [kendall_tau().of(Scores(p, t)) for p, t in zip(predicted, true, strict=True)]
    assert of_record == expected


def test_draws_of_several_axes_are_each_by_itself() -> None:
    predicted, true = np.random.default_rng(0).normal(size=(2, 3, 7, 12))
    whole = pair_sums(predicted, true)
    for place in np.ndindex(3, 7):
        assert pair_sums(predicted[place], true[place]) == tuple(sums[place] for sums in whole)


def test_truths_that_all_draws_share_need_not_be_repeated() -> None:
    rng = np.random.default_rng(0)
    predicted, true = rng.normal(size=(4, 9)), rng.normal(size=9)
    np.testing.assert_array_equal(tau_b(predicted, true), tau_b(predicted, np.tile(true, (4, 1))))


def test_predictions_that_differ_by_rounding_only_are_tied() -> None:
    true = np.arange(4.0)
    predicted = np.array([93.519283, 93.519284, 93.519285, 93.519285])
    assert tau_b(predicted, true) == 0
    assert share_of_pairs(predicted, true) == 0.5
    assert np.isnan(kendall_tau().of_draws(Scores(predicted, true), Scores(predicted, true)))


def test_constant_draws_have_no_order() -> None:
    predicted, true = np.array([[1.0, 1, 1], [1, 2, 3]]), np.array([1.0, 2, 3])
    assert tau_b(predicted, true).tolist() == [0, 1]
    assert share_of_pairs(predicted, true).tolist() == [0.5, 1]
    assert share_of_pairs(true, np.ones(3)) == 0.5
