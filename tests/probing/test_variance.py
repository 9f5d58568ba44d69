"""Variance components against slow oracles: exact expectations, dense least squares, and models at both ends."""

import numpy as np
import pytest

from swapaqa.probing.variance import Cells, Components, average_shares, shares, variance_components


def circle(videos: int, backgrounds: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(athlete, background) of every video with the backgrounds of those that follow it in a random circle."""
    order = np.random.default_rng(seed).permutation(videos)
    follow = np.stack([np.roll(order, -step) for step in range(1, backgrounds + 1)])
    return np.tile(order, backgrounds), follow.ravel()


def ragged() -> tuple[np.ndarray, np.ndarray]:
    """A design with rows and columns of different lengths."""
    athlete, background = circle(9, 4)
    kept = np.random.default_rng(1).random(len(athlete)) < 0.8
    return athlete[kept], background[kept]


@pytest.mark.parametrize("design", [circle(8, 3), circle(5, 4), ragged()], ids=["circle", "all pairs", "ragged"])
def test_each_component_is_unbiased_exactly(design: tuple[np.ndarray, np.ndarray]) -> None:
    """The estimates are quadratic forms: the expectation over independent effects of variance 1 is the sum over unit
    vectors."""
    athlete, background = design
    videos = np.unique(athlete)
    for expected, effects in (
        ((1, 0, 0), [background == video for video in np.unique(background)]),
        ((0, 1, 0), [athlete == video for video in videos]),
        ((0, 0, 1), np.eye(len(athlete))),
    ):
        found = [variance_components(Cells(athlete, background, np.asarray(one, float))) for one in effects]
        assert np.sum(found, axis=0) == pytest.approx(expected, abs=1e-9)


def test_the_rest_is_the_residual_of_least_squares() -> None:
    athlete, background = ragged()
    predicted = np.random.default_rng(2).normal(size=len(athlete))
    columns = np.hstack([np.eye(9)[athlete], np.eye(9)[background]])
    solution, _, rank, _ = np.linalg.lstsq(columns, predicted, rcond=None)
    left = predicted - columns @ solution
    assert variance_components(Cells(athlete, background, predicted)).rest == pytest.approx(
        left @ left / (len(predicted) - rank)
    )


@pytest.mark.parametrize("followed", ["athlete", "background"])
def test_a_model_that_ignores_one_side_has_none_of_it(followed: str) -> None:
    effects = 50 + 10 * np.random.default_rng(3).normal(size=30)
    athlete, background = circle(30, 4)
    side = athlete if followed == "athlete" else background
    parts = shares(variance_components(Cells(athlete, background, effects[side])))
    assert getattr(parts, followed) == pytest.approx(1, abs=1e-9)
    found = average_shares([Cells(athlete, background, effects[side])])
    assert found[followed].interval == pytest.approx((1, 1), abs=1e-6)


def test_shares_of_known_components_and_their_interval() -> None:
    """Athlete and background of a video are correlated, as in the demo: that must not count for either."""
    draw = np.random.default_rng(4)
    athlete, background = circle(400, 4)
    both = draw.normal(size=400)
    a, b = 2 * both, 0.8 * both + 0.6 * draw.normal(size=400)
    cells = Cells(athlete, background, 70 + a[athlete] + b[background] + draw.normal(size=len(athlete)))
    assert variance_components(cells) == pytest.approx((1, 4, 1), abs=0.4)
    small = circle(60, 4)
    predicted = 70 + a[small[0]] + b[small[1]] + draw.normal(size=240)
    found = average_shares([Cells(*small, predicted)])
    for name, true in zip(Components._fields, (1 / 6, 4 / 6, 1 / 6), strict=True):
        interval = found[name].interval
        assert interval is not None
        assert interval[0] < true < interval[1]
        assert interval[1] - interval[0] < 0.5


def test_actions_are_averaged() -> None:
    """One action follows the background alone, the other the athlete alone, on another scale."""
    effects = np.random.default_rng(5).normal(size=20)
    athlete, background = circle(20, 3)
    actions = [Cells(athlete, background, effects[background]), Cells(athlete, background, 1000 * effects[athlete])]
    assert [part.value for part in average_shares(actions).values()] == pytest.approx([0.5, 0.5, 0], abs=1e-9)


def test_what_cannot_be_told_is_nan() -> None:
    athlete, background = circle(6, 3)
    constant = average_shares([Cells(athlete, background, np.full(18, 7.0))])
    assert all(np.isnan(share.value) and share.interval is None for share in constant.values())
    athlete, background = circle(6, 1)  # as many backgrounds as athletes, each met once
    assert np.isnan(variance_components(Cells(athlete, background, np.arange(6.0)))).all()
    athlete, background = circle(6, 2)  # enough for the shares, not for leaving a video out
    found = average_shares([Cells(athlete, background, np.arange(12.0) ** 2)])
    assert all(np.isfinite(share.value) and share.interval is None for share in found.values())
