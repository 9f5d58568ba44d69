"""Ratio curves: what the axes hold against the numbers that went in."""

import math
import statistics

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer

from swapaqa.report.curves import Curve, Curves, best_ratios, missing_points, ratio_curves
from swapaqa.report.drawing import Drawing, error_bars, write_drawing
from swapaqa.runs.runs_table import AVERAGE, Estimate

NAN = math.nan
RHO = {
    "diving": {1.0: [0.80, 0.84], 1.5: [0.85, 0.87], 2.0: [0.90, 0.88]},
    "vault": {1.0: [0.60, 0.62], 1.5: [], 2.0: [0.70, 0.66]},
}
R_L2 = {
    "diving": {1.0: [2.0, 3.0], 1.5: [1.5, 1.6], 2.0: [1.0, 1.2]},
    "vault": {1.0: [4.0, 5.0], 1.5: [], 2.0: [3.0, 3.4]},
}
Values = dict[str, dict[float, list[float]]]


def over(values: list[float]) -> Estimate | None:
    """By hand, over seeds."""
    if not values:
        return None
    return Estimate(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


def curves_of(numbers: Values) -> Curves:
    return {action: {ratio: over(values) for ratio, values in curve.items()} for action, curve in numbers.items()}


def drawn(rho: Values, r_l2: Values, protocol: str = "Last epoch.") -> Drawing:
    return ratio_curves({("test", "spearman"): curves_of(rho), ("test", "relative_l2_x100"): curves_of(r_l2)}, protocol)


def lines(panel: Axes) -> dict[str, ErrorbarContainer]:
    return {str(c.get_label()): c for c in panel.containers if isinstance(c, ErrorbarContainer)}


def ends(line: ErrorbarContainer) -> np.ndarray:
    """(points, 2): where the error bars begin and end; NaN where there are none."""
    segments = line[2][0].get_segments()
    return np.array([[part[0][1], part[-1][1]] if len(part) else [NAN, NAN] for part in segments])


def test_lines_hold_the_means_and_the_bars_the_deviations() -> None:
    left, right = drawn(RHO, R_L2).figure.axes
    for panel, numbers in ((left, RHO), (right, R_L2)):
        found = lines(panel)["diving"]
        assert list(found[0].get_xdata()) == [1.0, 1.5, 2.0]
        values = [np.array(numbers["diving"][ratio]) for ratio in (1.0, 1.5, 2.0)]
        assert np.allclose(found[0].get_ydata(), [v.mean() for v in values])
        assert np.allclose(ends(found), [(v.mean() - v.std(ddof=1), v.mean() + v.std(ddof=1)) for v in values])


def test_of_one_seed_the_bars_are_the_interval_over_the_videos() -> None:
    curve: Curve = {1.0: Estimate(0.5, None, 1, (0.1, 0.6)), 2.0: Estimate(0.7, None, 1, None)}
    place = {("test", "spearman"): {"diving": curve}, ("test", "relative_l2_x100"): {"diving": curve}}
    drawing = ratio_curves(place, "")
    assert ends(lines(drawing.figure.axes[0])["diving"])[0] == pytest.approx([0.1, 0.6])
    assert error_bars([*curve.values()]) == pytest.approx(np.array([[0.4, 0.0], [0.1, 0.0]]))
    assert "error bars: 95 % interval over the test videos" in drawing.caption


def test_every_split_has_a_row_of_panels_and_its_own_best_ratio() -> None:
    low: Curve = {1.0: over([0.9]), 2.0: over([0.3])}
    high: Curve = {1.0: over([0.2]), 2.0: over([0.8])}
    names = ("spearman", "relative_l2_x100")
    place = {("test", name): {"diving": high} for name in names} | {
        ("shifted", name): {"diving": low} for name in names
    }
    drawing = ratio_curves(place, "")
    assert [panel.get_title() for panel in drawing.figure.axes] == ["test", "test", "shifted", "shifted"]
    assert "Highest ρ at: on test: diving 2; on shifted: diving 1." in drawing.caption


def test_a_missing_point_is_a_gap_and_named() -> None:
    drawing = drawn(RHO, R_L2)
    for panel in drawing.figure.axes:
        found = np.asarray(lines(panel)["vault"][0].get_ydata(), dtype=float)
        assert np.isnan(found).tolist() == [False, True, False]
    assert "left out: vault at 1.5." in drawing.caption
    assert "diving at" not in drawing.caption.partition("left out")[2]


def test_the_average_is_a_line_of_its_own_and_no_action() -> None:
    place = {
        ("test", name): {"diving": {1.0: over([0.5])}, AVERAGE: {1.0: over([0.6])}}
        for name in ("spearman", "relative_l2_x100")
    }
    drawing = ratio_curves(place, "")
    average = next(name for name in lines(drawing.figure.axes[0]) if "Fisher" in name)
    assert lines(drawing.figure.axes[0])[average][0].get_ydata() == pytest.approx([0.6])
    assert "Highest ρ at: diving 1." in drawing.caption


def test_undefined_correlations_are_not_drawn_as_numbers() -> None:
    rho = {"diving": {1.0: Estimate(NAN, None, 2), 2.0: over([0.5])}}
    assert missing_points({"test": rho}) == ["diving at 1"]
    assert best_ratios(rho) == {"diving": 2.0}


def test_best_ratios_are_those_of_the_means() -> None:
    assert best_ratios(curves_of(RHO)) == {"diving": 2.0, "vault": 2.0}
    assert "Highest ρ at: diving 2, vault 2." in drawn(RHO, R_L2).caption


def test_nothing_at_all_is_said_and_drawn_empty() -> None:
    nothing: Values = {"diving": {1.0: [], 2.0: []}}
    drawing = drawn(nothing, nothing)
    assert "No run is complete." in drawing.caption
    assert "diving at 1, diving at 2" in drawing.caption


def test_the_number_of_seeds_is_said() -> None:
    one: Values = {"diving": {1.0: [0.5], 2.0: [0.6]}}
    assert "One seed each." in drawn(one, one).caption
    assert "Mean of 2 seeds" in drawn(RHO, R_L2).caption
    uneven: Values = {"diving": {1.0: [0.5], 2.0: [0.6, 0.7]}}
    assert "Mean of 1 to 2 seeds" in drawn(uneven, uneven).caption


def test_files_are_png_and_pdf_and_the_same_each_time(tmp_path) -> None:
    first = write_drawing(drawn(RHO, R_L2), tmp_path / "a" / "b")
    second = write_drawing(drawn(RHO, R_L2), tmp_path / "c")
    assert first.read_bytes().startswith(b"\x89PNG")
    assert first.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert first.with_suffix(".pdf").read_bytes() == second.with_suffix(".pdf").read_bytes()
