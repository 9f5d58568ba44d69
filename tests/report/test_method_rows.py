"""Rows of many methods: points, words and changes, against the numbers that went in."""

import statistics
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from swapaqa.report.bars import Method, Reached
from swapaqa.report.drawing import PLAIN, SWAPPED, write_drawing
from swapaqa.report.method_rows import plug_and_play_rows
from swapaqa.runs.runs_table import Estimate

SPLITS = ("test", "shifted")


def reached(test: float, shifted: float) -> Reached:
    """By hand, over two seeds that differ by 0.02; R-l2 is ten times the distance from 1."""
    found = {}
    for split, rho in zip(SPLITS, (test, shifted), strict=True):
        found[split, "spearman"] = Estimate(rho, statistics.stdev([rho - 0.01, rho + 0.01]), 2)
        found[split, "relative_l2_x100"] = Estimate(10 * (1 - rho), 0.1, 2)
    return found


@pytest.fixture
def methods() -> list[Method]:
    learnt = [Method(f"method {n}\ndarklabel\nratio 2", reached(0.8, 0.1), reached(0.84, 0.5)) for n in range(10)]
    undefined: Reached = {(split, "spearman"): Estimate(float("nan"), None, 1) for split in SPLITS}
    paper = {"spearman": 2.04, "relative_l2_x100": -13.8}
    return [Method("core", reached(0.9, 0.3), reached(0.81, 0.6), paper), *learnt, Method("dae", undefined, {})]


def points(panel: Axes, colour: str) -> dict[float, float]:
    """By row; without those that are not drawn."""
    (line,) = (line for line in panel.lines if line.get_marker() == "o" and line.get_color() == colour)
    return {row: value for value, row in line.get_xydata().tolist() if value == value}


def words(panel: Axes, row: int) -> list[str]:
    return [text.get_text() for text in panel.texts if text.get_position()[1] == row]


def test_every_method_has_its_points(methods: list[Method]) -> None:
    test, error, shifted, _ = plug_and_play_rows(methods, SPLITS, "Last epoch.").figure.axes
    others = range(1, 11)
    assert points(test, PLAIN) == pytest.approx({0: 0.9, **dict.fromkeys(others, 0.8)})
    assert points(test, SWAPPED) == pytest.approx({0: 0.81, **dict.fromkeys(others, 0.84)})
    assert points(shifted, SWAPPED) == pytest.approx({0: 0.6, **dict.fromkeys(others, 0.5)})
    assert points(error, PLAIN) == pytest.approx({0: 1.0, **dict.fromkeys(others, 2.0)})


def test_changes_stand_beside_the_rows_and_the_papers_in_the_first_split(methods: list[Method]) -> None:
    test, error, shifted, _ = plug_and_play_rows(methods, SPLITS, "Last epoch.").figure.axes
    assert words(test, 0) == ["−10.00 %", "paper +2.04 %"]
    assert words(error, 0) == ["+90.00 %", "paper −13.80 %"]
    assert words(shifted, 0) == ["+100.00 %"]
    assert words(shifted, 3) == ["+400.00 %"]


def test_what_is_not_there_is_said(methods: list[Method]) -> None:
    drawing = plug_and_play_rows(methods, SPLITS, "Last epoch.")
    assert words(drawing.figure.axes[0], 11) == ["undefined without the swap; missing with the swap", "–"]
    assert "dae with the swap (shifted)" in drawing.caption


def test_names_of_rows_do_not_meet(methods: list[Method], tmp_path: Path) -> None:
    figure = plug_and_play_rows(methods, SPLITS, "Last epoch.").figure
    figure.draw_without_rendering()
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels][:2] == ["core", "method 0, darklabel, ratio 2"]
    boxes = [label.get_window_extent() for label in labels]
    assert all(below.y1 <= above.y0 for above, below in pairwise(boxes))
    assert write_drawing(plug_and_play_rows(methods, SPLITS, ""), tmp_path).is_file()
