"""Faults of boxes on the demo's videos: their harm is known, and `check` finds the harmful ones and orders by harm."""

import numpy as np
import pytest

from swapaqa.annotate.measure import VARIANTS, known_video
from swapaqa.annotate.measure_check import check_summary, faulty, harm_of, judge_faults


def test_harm_is_the_share_of_the_athlete_that_the_grown_box_leaves_out() -> None:
    true = np.array([[10.0, 10, 19, 19]] * 3 + [[np.nan] * 4])
    assert harm_of(true[:3], true[:3]) == 0
    boxes = np.array([[10.0, 10, 19, 19], [20, 10, 29, 19], [500, 500, 509, 509], [0, 0, 9, 9]])
    assert harm_of(boxes, true) == pytest.approx((0 + 0.5 + 1) / 3)  # grown by 5 a side; not where he is not shown


def test_what_check_says_of_faults_is_in_the_order_of_their_harm() -> None:
    judged = judge_faults(1, VARIANTS["broadcast"])
    found = {one.fault: one for one in judged}
    assert len(list(faulty(known_video(1, VARIANTS["broadcast"]), np.random.default_rng(0)))) == len(judged)
    assert found["none"].harm == 0
    assert found["none"].severity < 1 <= found["moved by 1.5 sides"].severity
    assert found["moved by 1.5 sides"].harm > 0.8
    lines = check_summary(judged)
    assert lines[0].startswith("9 files")
    assert any(line.startswith("precision") for line in lines)
