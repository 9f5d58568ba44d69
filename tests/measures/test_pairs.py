"""Kendall's tau-b and the pairwise accuracy: by hand, and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from swapaqa import metrics
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


@pytest.mark.parametrize("levels", [0, 1, 4, 40])
@pytest.mark.parametrize("videos", [1, 2, 3, 7, 60])
def test_the_sums_are_those_of_every_pair(levels: int, videos: int) -> None:
    """The oracle looks at every pair twice, once from each side."""
    rng = np.random.default_rng(levels)
    predicted, true = rng.normal(size=(2, videos))
    if levels:
        predicted, true = np.round(predicted * levels), np.round(true * levels / 2)
    signs = [np.sign(side[:, None] - side) for side in (predicted, true)]
    expected = tuple(int(total.sum()) // 2 for total in (signs[0] * signs[1], signs[0] ** 2, signs[1] ** 2))
    assert metrics.pair_sums(predicted, true) == expected


def test_the_pairs_of_many_videos_need_no_table_of_pairs() -> None:
    """A table of 60,000 videos' pairs would have 3.6 GB a side."""
    true = np.arange(60_000.0)
    swapped = true.copy()
    swapped[[0, -1]] = swapped[[-1, 0]]  # wrong: the two, and each of the others with both
    agreement, *told_apart = metrics.pair_sums(swapped, true)
    assert told_apart == [60_000 * 59_999 // 2] * 2
    assert agreement == told_apart[0] - 2 * (2 * 59_998 + 1)


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
