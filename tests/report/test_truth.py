"""The scatter and its shares, against shares that are counted by hand."""

import math

import numpy as np
import pytest

from swapaqa.report.truth import Prediction, PublishedShares, Shares, error_shares, paired, truth_scatter


def rows(errors: list[float], action: str = "diving") -> list[Prediction]:
    return [Prediction(f"{n:03d}", action, 50.0 + n, 50.0 + n + error) for n, error in enumerate(errors)]


def test_shares_are_counted_over_the_pooled_videos() -> None:
    baseline = rows([4.9, -5.0, 7.0, 0.0]) + rows([1.0, 9.0], "vault")
    method = rows([-4.0, 5.1, 6.0, 0.0]) + rows([2.0, -8.0], "vault")
    shares = error_shares(baseline, method)
    assert shares.videos == 6
    assert shares.baseline_close == pytest.approx(3 / 6)  # 4.9, 0, 1: an error of 5 is not below 5
    assert shares.method_close == pytest.approx(3 / 6)  # 4, 0, 2
    assert shares.method_better == pytest.approx(3 / 6)  # an equal error is not better


def test_the_papers_shares_are_whole_numbers_of_303_videos() -> None:
    method = rows([1.0] * 216 + [6.0] * 87)  # 71.29 %
    baseline = rows([2.0] * 187 + [0.5] * 15 + [8.0] * 0 + [5.5] * 101)
    shares = error_shares(baseline, method)
    assert round(100 * shares.method_close, 2) == 71.29
    assert round(100 * shares.baseline_close, 2) == 66.67


def test_videos_are_paired_by_action_and_id() -> None:
    first = [Prediction("1", "a", 1, 1), Prediction("1", "b", 2, 2), Prediction("2", "a", 3, 3)]
    second = [Prediction("1", "b", 2, 5), Prediction("1", "a", 1, 4), Prediction("9", "a", 3, 3)]
    before, after = paired(first, second)
    assert [(b.action, a.predicted) for b, a in zip(before, after, strict=True)] == [("a", 4), ("b", 5)]


def test_no_common_video() -> None:
    shares = error_shares(rows([1.0]), [])
    assert shares.videos == 0
    assert math.isnan(shares.method_better)
    assert isinstance(shares, Shares)


def test_the_panels_hold_the_points_and_the_caption_the_shares() -> None:
    baseline, method = rows([6.0, -6.0, 1.0]) + rows([2.0], "vault"), rows([1.0, -1.0, 2.0]) + rows([7.0], "vault")
    printed = PublishedShares(0.6667, 0.7129, 0.6172)
    drawing = truth_scatter({"test": {"plain": {0: baseline}, "ours": {0: method}}}, "Last epoch.", printed)
    left, right = drawing.figure.axes
    for panel, given in ((left, baseline), (right, method)):
        drawn = {collection.get_label(): collection.get_offsets() for collection in panel.collections}
        for action in ("diving", "vault"):
            expected = [(row.true, row.predicted) for row in given if row.action == action]
            assert np.allclose(drawn[action], expected)
    assert "4 test videos" in drawing.caption
    assert "50.00% (paper: 66.67%) with plain, 75.00% (paper: 71.29%) with ours" in drawing.caption
    assert "nearer to the truth on 50.00% (paper: 61.72%) of the videos" in drawing.caption
    assert "50.00%" in left.get_title()
    assert "75.00%" in right.get_title()


def test_shares_are_averaged_over_the_common_seeds() -> None:
    systems = {
        "plain": {0: rows([6.0, 6.0]), 1: rows([1.0, 1.0]), 2: rows([0.0, 0.0])},
        "ours": {0: rows([1.0, 6.0]), 1: rows([2.0, 0.0])},
    }
    caption = truth_scatter({"test": systems}, "", None).caption
    assert "50.00% with plain, 75.00% with ours" in caption
    assert "on 50.00% of the videos" in caption
    assert "means over 2 seeds; seed 0 is drawn" in caption
    assert "paper" not in caption


def test_without_a_common_seed_nothing_is_drawn_and_that_is_said() -> None:
    drawing = truth_scatter({"test": {"plain": {0: rows([1.0])}, "ours": {1: rows([1.0])}}}, "", None)
    assert drawing.figure.axes == []
    assert drawing.caption == "Missing: no seed has complete runs of both plain and ours."


def test_every_split_has_a_row_of_panels_and_sentences() -> None:
    systems = {
        "test": {"plain": {0: rows([6.0, 1.0])}, "ours": {0: rows([1.0, 1.0])}},
        "shifted": {"plain": {0: rows([9.0, 9.0])}, "ours": {0: rows([1.0, 9.0])}},
    }
    drawing = truth_scatter(systems, "", None)
    assert len(drawing.figure.axes) == 4
    assert "50.00% with plain, 100.00% with ours" in drawing.caption.partition("shifted: ")[0]
    assert "0.00% with plain, 50.00% with ours" in drawing.caption.partition("shifted: ")[2]
