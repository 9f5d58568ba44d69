"""Faults of boxes on videos of which the truth is known: `check` finds the harmful ones and orders by harm."""

from pathlib import Path

import numpy as np
import pytest

from swapaqa.annotate.known import VARIANTS, Known, drawn_truth, known_clips, known_video
from swapaqa.annotate.measure import harm_of, mean_and_interval
from swapaqa.annotate.measure_check import Judged, check_row, check_table, fault_table, judge_faults
from swapaqa.boxes.source import BoxRow
from swapaqa.errors import InputError
from swapaqa.video.film import write_film


def test_harm_is_the_share_of_the_athlete_that_the_grown_box_leaves_out() -> None:
    true = np.array([[10.0, 10, 19, 19]] * 3 + [[np.nan] * 4])
    assert harm_of(true[:3], true[:3]) == 0
    boxes = np.array([[10.0, 10, 19, 19], [20, 10, 29, 19], [500, 500, 509, 509], [0, 0, 9, 9]])
    assert harm_of(boxes, true) == pytest.approx((0 + 0.5 + 1) / 3)  # grown by 5 a side; not where he is not shown


def test_what_check_says_of_faults_is_in_the_order_of_their_harm() -> None:
    judged = judge_faults(known_video(1, VARIANTS["broadcast"]), 0.4, np.random.default_rng((0, 1)))
    found = {one.fault: one for one in judged}
    assert len(found) == len(judged) == 11  # nine faults and two trackers
    assert (found["none"].harm, found["none"].overlap) == (0, 1)
    assert found["twice as large"].overlap == pytest.approx(0.25)
    assert found["twice as large"].harm == 0
    assert found["none"].severity < 1 <= found["moved by 1.5 sides"].severity
    assert found["moved by 1.5 sides"].harm > 0.8
    assert found["moved by 1.5 sides"].overlap < 0.1
    assert check_table({"broadcast": judged}).row_count == 1
    assert fault_table({"broadcast": judged}).row_count == 11


def test_precision_and_recall_are_those_of_both_readings_of_wrong() -> None:
    judged = [  # overlap, harm, severity
        Judged("a", 0.9, 0.0, 0.1), Judged("b", 0.9, 0.0, 1.0), Judged("c", 0.1, 0.0, 1.5), Judged("d", 0.1, 0.9, 2.0),
        Judged("e", 0.5, 0.4, 0.2),
    ]  # fmt: skip
    cells = check_row(judged)
    assert cells[:2] == ["5", "3"]
    assert cells[2:5] == ["2", "0.67", "1.00"]  # by IoU: c and d, both among the three
    assert cells[5:8] == ["2", "0.33", "0.50"]  # by harm: d and e, of which d is found


def test_a_mean_has_students_interval() -> None:
    assert mean_and_interval([0.5]) == "0.500"
    assert mean_and_interval([0.0, 1.0, 0.5]) == "0.500 ± 1.242"  # 4.303 * 0.5 / sqrt(3)


def row(frame: int, x: float, label: str = "hand") -> BoxRow:
    return BoxRow(frame, "0", label, (x, 10.0, x + 9, 19.0), "")


def test_the_truth_of_a_clip_is_what_was_drawn_and_unknown_elsewhere() -> None:
    truth = drawn_truth([row(2, 0), row(4, 20), row(5, 0, "outside"), row(8, 40), row(9, 40)], 12)
    assert np.flatnonzero(~np.isnan(truth[:, 0])).tolist() == [2, 3, 4, 8, 9]
    assert truth[2:5, 0].tolist() == [0, 10, 20]
    assert np.isnan(drawn_truth([row(0, 0), row(3, 0), row(4, 0, "outside")], 6)[4:]).all()


def test_clips_are_known_by_the_boxes_that_are_called_like_them(tmp_path: Path) -> None:
    drawn, clips = tmp_path / "drawn", tmp_path / "clips"
    drawn.mkdir()
    clips.mkdir()
    write_film(clips / "a.avi", np.random.default_rng(0).integers(0, 255, (6, 64, 64, 3), np.uint8), ["MJPG"], 10)
    (drawn / "a.txt").write_text("0,0,10,20,21,41,hand\n5,0,30,20,21,41,hand\n")
    (clip,) = known_clips(clips, drawn)
    assert isinstance(clip, Known)
    assert clip.name == "a"
    assert clip.frames.shape == (6, 64, 64, 3)
    assert clip.boxes[0].tolist() == [10, 20, 30, 60]
    assert clip.keys.tolist() == [0, 2, 5]
    assert clip.side == pytest.approx(np.sqrt(21 * 41))
    (drawn / "b.txt").write_text("0,0,10,20,21,41,hand\n")
    with pytest.raises(InputError, match=r"b\.txt: no clip b"):
        list(known_clips(clips, drawn))
    with pytest.raises(InputError, match="no box files"):
        list(known_clips(clips, clips))
