"""Bars: heights, gains and the words for what is missing, against the numbers that went in."""

import math
import statistics

import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from swapaqa.report.bars import (
    BoxSource,
    Method,
    Printed,
    Reached,
    box_source_bars,
    plug_and_play_bars,
    relative_change,
)
from swapaqa.runs.runs_table import Estimate

ONE = ("test",)
NOTHING: Reached = {}


def scores(rho: list[float], r_l2: list[float], split: str = "test") -> Reached:
    """By hand, over seeds."""
    return {(split, "spearman"): over(rho), (split, "relative_l2_x100"): over(r_l2)}


def over(values: list[float]) -> Estimate:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Estimate(statistics.fmean(values), deviation, len(values))


def paper(rho: float, r_l2: float) -> Printed:
    return {"spearman": rho, "relative_l2_x100": r_l2}


def heights(panel: Axes, label: str) -> dict[float, float]:
    """By the middle of the bar."""
    bars = [patch for c in panel.containers if c.get_label() == label for patch in getattr(c, "patches", [])]
    return {round(bar.get_x() + bar.get_width() / 2, 6): bar.get_height() for bar in bars if isinstance(bar, Rectangle)}


def words(panel: Axes) -> list[str]:
    return [text.get_text() for text in panel.texts]


def names(panel: Axes) -> list[str]:
    return [label.get_text() for label in panel.get_xticklabels()]


@pytest.fixture
def sources() -> list[BoxSource]:
    return [
        BoxSource("no swap", scores([0.80, 0.84], [2.0, 2.2]), paper(0.8401, 2.12)),
        BoxSource("fixed\nratio 1", NOTHING, paper(0.8523, 2.01)),
        BoxSource("tracker\nratio 2", scores([0.88], [1.5])),
    ]


def test_sources_stand_beside_the_paper(sources: list[BoxSource]) -> None:
    left, right = box_source_bars(sources, ONE, "Last epoch.").figure.axes
    assert heights(left, "this report") == pytest.approx({-0.2: 0.82, 1.8: 0.88})
    assert heights(left, "paper") == pytest.approx({0.2: 0.8401, 1.2: 0.8523})
    assert heights(right, "this report") == pytest.approx({-0.2: 2.1, 1.8: 1.5})
    assert heights(right, "paper") == pytest.approx({0.2: 2.12, 1.2: 2.01})
    assert names(left) == ["no swap", "fixed\nratio 1", "tracker\nratio 2"]
    assert {"0.8200", "0.8401", "0.8523", "0.8800"} <= set(words(left))


def test_a_missing_source_is_a_word_and_no_bar(sources: list[BoxSource]) -> None:
    drawing = box_source_bars(sources, ONE, "Last epoch.")
    for panel in drawing.figure.axes:
        assert words(panel).count("missing") == 1
        assert words(panel).count("–") == 1  # the paper has no number for a tracker
        assert 0.0 not in heights(panel, "this report").values()
    assert "left out: fixed ratio 1." in drawing.caption


def test_without_the_papers_numbers_there_are_no_bars_for_them(sources: list[BoxSource]) -> None:
    own = [BoxSource(source.name, source.reached) for source in sources]
    panel = box_source_bars(own, ONE, "").figure.axes[0]
    assert heights(panel, "this report") == pytest.approx({0.0: 0.82, 2.0: 0.88})
    assert not heights(panel, "paper")


def test_an_undefined_correlation_is_not_called_missing() -> None:
    found = scores([math.nan], [17.0])
    left, right = box_source_bars([BoxSource("a", found), BoxSource("b", found)], ONE, "").figure.axes
    assert words(left).count("undefined") == 2
    assert heights(right, "this report") == pytest.approx({0.0: 17.0, 1.0: 17.0})


def test_bars_begin_at_zero(sources: list[BoxSource]) -> None:
    for panel in box_source_bars(sources, ONE, "").figure.axes:
        bottom, top = panel.get_ylim()
        assert bottom <= 0
        assert top > max(heights(panel, "this report").values())


def test_methods_have_their_change_and_the_papers_above_them() -> None:
    methods = [
        Method("one", scores([0.80], [2.0]), scores([0.84], [1.5]), paper(2.04, -13.8)),
        Method("two", scores([0.90], [1.0]), NOTHING, paper(1.31, -15.4)),
        Method("three", scores([0.90], [1.0]), scores([0.81], [1.1])),
    ]
    drawing = plug_and_play_bars(methods, ONE, "Last epoch.")
    left, right = drawing.figure.axes
    assert heights(left, "without") == pytest.approx({-0.2: 0.80, 0.8: 0.90, 1.8: 0.90})
    assert heights(left, "with") == pytest.approx({0.2: 0.84, 2.2: 0.81})
    assert {"+5.00 %", "paper +2.04 %", "–", "paper +1.31 %", "−10.00 %", "missing"} <= set(words(left))
    assert {"−25.00 %", "paper −13.80 %", "+10.00 %"} <= set(words(right))
    assert "left out: two with the swap." in drawing.caption


def test_texts_stay_inside_the_panels() -> None:
    low, high = scores([0.02, 0.9], [0.1, 60.0]), scores([-0.3], [55.0])
    figure = plug_and_play_bars([Method("a", low, high, paper(1.0, 1.0)), Method("b", high, low)], ONE, "").figure
    figure.draw_without_rendering()
    for panel in figure.axes:
        frame = panel.get_window_extent()
        for text in panel.texts:
            assert text.get_window_extent().y1 <= frame.y1 + 1, text.get_text()


@pytest.mark.parametrize(("before", "after", "percent"), [(0.8, 0.84, 5.0), (2.0, 1.5, -25.0), (1.0, 1.0, 0.0)])
def test_relative_change(before: float, after: float, percent: float) -> None:
    assert relative_change(before, after) == pytest.approx(percent)


@pytest.mark.parametrize("before", [0.0, -0.1, math.nan])
def test_there_is_no_relative_change_of_nothing(before: float) -> None:
    assert math.isnan(relative_change(before, 0.5))


def test_every_split_has_its_row_and_one_seed_its_interval() -> None:
    sure = Estimate(0.5, None, 1, (0.2, 0.6))
    reached = {("test", "spearman"): sure, ("shifted", "spearman"): Estimate(0.9, None, 1, (0.8, 1.0))}
    drawing = box_source_bars([BoxSource("a", reached, paper(0.7, 2.0))], ["test", "shifted"], "Last epoch.")
    panels = drawing.figure.axes
    assert [panel.get_title() for panel in panels] == ["test", "test", "shifted", "shifted"]
    assert heights(panels[0], "this report") == pytest.approx({-0.2: 0.5})
    assert heights(panels[2], "this report") == pytest.approx({0.0: 0.9})
    assert not heights(panels[2], "paper")  # the paper's numbers are of its test split
    (bar,) = [c for c in panels[0].containers if c.get_label() == "this report" and hasattr(c, "errorbar")]
    (segment,) = bar.errorbar[2][0].get_segments()
    assert [segment[0][1], segment[1][1]] == pytest.approx([0.2, 0.6])
    assert "95 % interval over the test videos" in drawing.caption
