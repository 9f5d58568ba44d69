"""Suspicion: each measure on tracks whose value is known."""

import math

import numpy as np
import pytest

from swapaqa.annotate.suspicion import (
    LIMITS,
    expected_harm,
    jumps,
    lost_share,
    outside_share,
    severity_of,
    size_changes,
    suspicions,
    unmoved,
)
from swapaqa.boxes.motion import motion_inside


def track(centres: list[float], side: float = 10) -> np.ndarray:
    x = np.array(centres)
    return np.stack([x - side / 2, np.zeros_like(x), x + side / 2 - 1, np.full_like(x, side - 1)], axis=1)


def test_a_jump_is_measured_in_box_sizes_and_steady_motion_is_none() -> None:
    assert jumps(track([0, 30, 60, 90])).max() == 0
    assert jumps(track([0, 0, 20, 20])).max() == pytest.approx(1)  # a step by two sizes
    assert jumps(track([0, 0, 20, 0, 0])).max() == pytest.approx(2)  # a single frame that is off by two
    assert jumps(track([0, 5])).max() == 0


def test_at_a_cut_boxes_have_to_jump_and_standing_still_is_measured() -> None:
    boxes = np.concatenate([track([0, 0, 0]), track([500, 500, 500], side=40)])
    assert jumps(boxes).max() > 1
    assert size_changes(boxes).max() == pytest.approx(16)
    assert jumps(boxes, [3]).max() == 0
    assert size_changes(boxes, [3]).max() == 1
    assert unmoved(boxes, [3]).tolist() == [0] * 6
    assert unmoved(track([0, 0, 5, 5]), [1, 2]).tolist() == pytest.approx([0, 1, 1 / 3, 0])
    found = suspicions({"unmoved at a cut": 1.0, "jump": 0.1}, {"unmoved at a cut": 24})
    assert found[0] == ("unmoved at a cut", 1.0, pytest.approx(1 / 0.3), 24)


def test_size_changes_count_both_ways() -> None:
    boxes = np.array([[0, 0, 9, 9], [0, 0, 19, 9], [0, 0, 19, 9], [0, 0, 4, 9]], float)
    assert size_changes(boxes).max() == pytest.approx(4)
    assert size_changes(boxes[:1]).max() == 1


def test_lost_frames_are_gaps_of_a_dense_file_and_ends_of_a_sparse_one() -> None:
    frames = list(range(10, 20))
    assert lost_share(frames, frames) == 0
    assert lost_share(frames, [10, 11, 12, 13, 14, 18, 19]) == pytest.approx(0.3)
    assert lost_share(frames, [10, 15, 19]) == 0  # keyframes
    assert lost_share(frames, [14, 19]) == pytest.approx(0.4)
    assert lost_share(frames, [0, 5]) == 1  # numbered otherwise
    assert lost_share(frames, []) == 1


def test_outside_counts_boxes_of_which_less_than_half_is_seen() -> None:
    boxes = np.array([[0, 0, 9, 9], [-4, 0, 5, 9], [-6, 0, 3, 9], [96, 0, 105, 9]], float)
    assert outside_share(boxes, (50, 100)) == pytest.approx(0.5)


def test_motion_inside_is_above_one_on_the_athlete_only() -> None:
    differences = np.ones((3, 40, 60), np.float32)
    differences[:, 10:20, 10:30] = 9
    on, off = np.tile([10.0, 10, 29, 19], (3, 1)), np.tile([40.0, 25, 55, 35], (3, 1))
    assert motion_inside(differences, on, on) == pytest.approx(9.1 / 1.1)
    assert motion_inside(differences, off, off) < 1
    assert motion_inside(differences, on - 500, on - 500) == 0
    assert math.isnan(motion_inside(differences, np.tile([0.0, 0, 59, 39], (3, 1)), on))


def test_expected_harm_is_what_moves_outside_of_the_grown_box_and_how_often_nothing_moves_inside() -> None:
    differences = np.zeros((4, 60, 80), np.float32)
    differences[:, 20:30, 20:30] = 104
    on, beside, away = (np.tile(box, (4, 1)) for box in ([22.0, 22, 27, 27], [12.0, 20, 21, 29], [60.0, 40, 69, 49]))
    assert expected_harm(differences, on, on) == 0  # 6 pixels, grown by 3 a side: all of the 10
    assert expected_harm(differences, away, away) == 1
    assert expected_harm(differences, beside, beside) == pytest.approx((1 - 7 / 10) / 2, abs=0.06)  # a part is kept
    half = np.concatenate([on[:2], away[:2]])
    assert expected_harm(differences, half, half) == pytest.approx(0.5)
    assert math.isnan(expected_harm(differences[:0], on[:0], on[:0]))


def test_severity_is_the_expected_harm_and_at_least_one_where_another_measure_is_beyond() -> None:
    def severity(**values: float) -> float:
        return severity_of(suspicions({name.replace("_", " "): value for name, value in values.items()}))

    assert severity(expected_harm=0.2, jump=0.1) == pytest.approx(0.5)
    assert severity(expected_harm=0.2, jump=5.0) == 1  # a single frame, however far
    assert severity(expected_harm=0.1, jump=5.0) == pytest.approx(0.25)  # motion says that nothing is lost
    assert severity(expected_harm=0.1, unmoved_at_a_cut=0.9) == 1  # between shots it says nothing
    assert severity(jump=5.0) == 1
    assert severity(expected_harm=0.8, jump=0.1) == pytest.approx(2)
    assert severity(jump=0.1) == 0


def test_the_worst_comes_first_and_unknown_measures_do_not_count() -> None:
    found = suspicions({"jump": 0.25, "no motion inside": 0.6, "lost": math.nan, "size change": 2.0})
    assert [suspicion.measure for suspicion in found] == ["no motion inside", "size change", "jump"]
    assert [suspicion.severity for suspicion in found] == pytest.approx([2, 1, 0.5])
    assert set(LIMITS) >= {suspicion.measure for suspicion in found}
