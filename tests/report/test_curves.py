"""Ratio curves: what the axes hold against the numbers that went in."""

import math

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer

from swapaqa.measures.ours import RELATIVE_L2, SPEARMAN
from swapaqa.report.curves import average_curve, best_ratios, missing_points, ratio_curves
from swapaqa.report.drawing import average_over, mean_and_std, write_drawing

NAN = math.nan
RHO = {
    "diving": {1.0: {0: 0.80, 1: 0.84}, 1.5: {0: 0.85, 1: 0.87}, 2.0: {0: 0.90, 1: 0.88}},
    "vault": {1.0: {0: 0.60, 1: 0.62}, 1.5: {}, 2.0: {0: 0.70, 1: 0.66}},
}
R_L2 = {
    "diving": {1.0: {0: 2.0, 1: 3.0}, 1.5: {0: 1.5, 1: 1.6}, 2.0: {0: 1.0, 1: 1.2}},
    "vault": {1.0: {0: 4.0, 1: 5.0}, 1.5: {}, 2.0: {0: 3.0, 1: 3.4}},
}


def lines(panel: Axes) -> dict[str, ErrorbarContainer]:
    return {str(c.get_label()): c for c in panel.containers if isinstance(c, ErrorbarContainer)}


def ends(line: ErrorbarContainer) -> np.ndarray:
    """(points, 2): where the error bars begin and end; NaN where there are none."""
    segments = line[2][0].get_segments()
    return np.array([[part[0][1], part[-1][1]] if len(part) else [NAN, NAN] for part in segments])


def test_lines_hold_the_means_and_the_bars_the_deviations() -> None:
    left, right = ratio_curves(RHO, R_L2, "Last epoch.").figure.axes
    for panel, numbers in ((left, RHO), (right, R_L2)):
        found = lines(panel)["diving"]
        assert list(found[0].get_xdata()) == [1.0, 1.5, 2.0]
        values = [np.array(list(numbers["diving"][ratio].values())) for ratio in (1.0, 1.5, 2.0)]
        assert np.allclose(found[0].get_ydata(), [v.mean() for v in values])
        assert np.allclose(ends(found), [(v.mean() - v.std(ddof=1), v.mean() + v.std(ddof=1)) for v in values])


def test_a_missing_point_is_a_gap_and_named() -> None:
    drawing = ratio_curves(RHO, R_L2, "Last epoch.")
    for panel in drawing.figure.axes:
        drawn = np.asarray(lines(panel)["vault"][0].get_ydata(), dtype=float)
        assert np.isnan(drawn).tolist() == [False, True, False]
    assert "left out: vault at 1.5." in drawing.caption
    assert "diving at" not in drawing.caption.partition("left out")[2]


def test_the_average_is_by_fisher_for_spearman_and_plain_for_the_error() -> None:
    left, right = ratio_curves(RHO, R_L2, "").figure.axes
    average = next(name for name in lines(left) if "Fisher" in name)
    rho = np.asarray(lines(left)[average][0].get_ydata(), dtype=float)
    by_seed = [np.tanh((np.arctanh(a) + np.arctanh(b)) / 2) for a, b in ((0.80, 0.60), (0.84, 0.62))]
    assert rho[0] == pytest.approx(np.mean(by_seed), abs=1e-6)
    assert math.isnan(rho[1])  # one action is missing there
    error = np.asarray(lines(right)[average][0].get_ydata(), dtype=float)
    assert error[0] == pytest.approx(3.5)


def test_one_action_has_no_average() -> None:
    drawing = ratio_curves({"diving": RHO["diving"]}, {"diving": R_L2["diving"]}, "")
    assert list(lines(drawing.figure.axes[0])) == ["diving"]


def test_undefined_correlations_are_not_drawn_as_numbers() -> None:
    rho = {"diving": {1.0: {0: NAN, 1: 0.5}, 2.0: {0: 0.5}}}
    assert missing_points(rho) == ["diving at 1"]
    assert best_ratios(rho) == {"diving": 2.0}
    assert math.isnan(average_curve(rho, SPEARMAN)[1.0][0])


def test_best_ratios_are_those_of_the_means() -> None:
    assert best_ratios(RHO) == {"diving": 2.0, "vault": 2.0}
    assert "Highest ρ at: diving 2, vault 2." in ratio_curves(RHO, R_L2, "").caption


def test_nothing_at_all_is_said_and_drawn_empty() -> None:
    drawing = ratio_curves({"diving": {1.0: {}, 2.0: {}}}, {"diving": {1.0: {}, 2.0: {}}}, "")
    assert "No run is complete." in drawing.caption
    assert "diving at 1, diving at 2" in drawing.caption


def test_the_number_of_seeds_is_said() -> None:
    one = {"diving": {1.0: {0: 0.5}, 2.0: {0: 0.6}}}
    assert "One seed each." in ratio_curves(one, one, "").caption
    assert "Mean of 2 seeds" in ratio_curves(RHO, R_L2, "").caption
    uneven = {"diving": {1.0: {0: 0.5}, 2.0: {0: 0.6, 1: 0.7}}}
    assert "Mean of 1 to 2 seeds" in ratio_curves(uneven, uneven, "").caption


def test_mean_and_deviation() -> None:
    assert mean_and_std({0: 1.0, 5: 3.0}) == pytest.approx((2.0, math.sqrt(2)))
    assert mean_and_std({0: 1.0}) == (1.0, 0.0)
    assert math.isnan(mean_and_std({})[0])
    assert math.isnan(mean_and_std({0: 1.0, 1: NAN})[0])


def test_averages_need_the_seed_in_every_action() -> None:
    assert average_over([{0: 1.0, 1: 2.0}, {1: 4.0}], RELATIVE_L2) == {1: 3.0}
    assert average_over([], SPEARMAN) == {}


def test_files_are_png_and_pdf_and_the_same_each_time(tmp_path) -> None:
    first = write_drawing(ratio_curves(RHO, R_L2, ""), tmp_path / "a" / "b")
    second = write_drawing(ratio_curves(RHO, R_L2, ""), tmp_path / "c")
    assert first.read_bytes().startswith(b"\x89PNG")
    assert first.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert first.with_suffix(".pdf").read_bytes() == second.with_suffix(".pdf").read_bytes()
