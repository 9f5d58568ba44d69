"""Several objects of a video: when each is there, the union of those that are, and one athlete in several tracks."""

import numpy as np
import pytest

from swapaqa.boxes.objects import boxes_of, stays_of, while_there
from swapaqa.boxes.source import BoxRow
from swapaqa.errors import InputError

LEFT, RIGHT = (0.0, 0.0, 9.0, 9.0), (50.0, 20.0, 59.0, 29.0)
BOTH = [0, 0, 59, 29]


def row(frame: int, name: str, box: tuple[float, ...] = LEFT) -> BoxRow:
    return BoxRow(frame, name, "diver", box, f"track {name}, frame {frame}")


def test_the_union_is_of_those_that_are_there() -> None:
    rows = [row(0, "a"), row(9, "a"), row(6, "b", RIGHT), row(19, "b", RIGHT)]
    boxes = boxes_of(rows, range(22), "union", 0)
    assert boxes[[0, 5]].tolist() == [list(LEFT)] * 2
    assert boxes[[6, 9]].tolist() == [BOTH] * 2
    assert boxes[[10, 19, 21]].tolist() == [list(RIGHT)] * 3


def test_where_none_is_there_the_nearest_in_time_is_held() -> None:
    boxes = boxes_of([row(0, "a"), row(9, "a"), row(20, "b", RIGHT), row(29, "b", RIGHT)], range(30), "union", 0)
    assert boxes[[10, 14]].tolist() == [list(LEFT)] * 2
    assert boxes[[15, 19]].tolist() == [list(RIGHT)] * 2


def test_an_object_that_leaves_is_away_until_its_next_row() -> None:
    rows, gone = [row(0, "a"), row(20, "a"), *(row(t, "b", RIGHT) for t in range(30))], [row(5, "a"), row(25, "a")]
    stays = stays_of(rows, "union", 0, gone)["a"]
    assert [(stay.first, stay.last) for stay in stays] == [(0, 4), (20, 24)]
    assert while_there(stays, [0, 4, 5, 12, 18, 24, 27]).tolist() == [0, 4, 4, 4, 20, 24, 24]
    boxes = boxes_of(rows, range(30), "union", 0, gone)
    assert boxes[[4, 20]].tolist() == [BOTH] * 2
    assert boxes[[5, 19, 25]].tolist() == [list(RIGHT)] * 3


def test_a_union_holds_boxes_where_none_is_there_also_if_one_comes_back_elsewhere() -> None:
    rows, gone = [row(0, "a"), row(40, "a", RIGHT), row(25, "b", (70.0, 0.0, 79.0, 9.0))], [row(20, "a"), row(26, "b")]
    boxes = boxes_of(rows, range(41), "union", 0, gone)
    assert boxes[[19, 22]].tolist() == [list(LEFT)] * 2
    assert boxes[[23, 25, 32]].tolist() == [[70, 0, 79, 9]] * 3
    assert boxes[[33, 40]].tolist() == [list(RIGHT)] * 2


def test_of_two_that_leave_at_once_both_are_held() -> None:
    rows = [row(0, "a"), row(0, "b", RIGHT), row(30, "a", (70.0, 0.0, 79.0, 9.0))]
    boxes = boxes_of(rows, range(31), "union", 0, [row(10, "a"), row(10, "b")])
    assert boxes[[9, 10, 19]].tolist() == [BOTH] * 3


def test_the_last_box_of_a_stay_is_held_until_it_ends() -> None:
    boxes = boxes_of([row(0, "a"), row(20, "a", RIGHT)], range(21), "error", 0, [row(11, "a")])
    assert boxes[[0, 5, 10]].tolist() == [list(LEFT)] * 3
    assert boxes[15].tolist() == [25, 10, 34, 19]  # half way from 10 to 20


def test_tracks_that_are_never_there_at_once_are_joined() -> None:
    rows = [row(0, "a"), row(10, "a"), row(20, "b", RIGHT), row(30, "b", RIGHT), row(40, "a")]
    gone = [row(11, "a")]
    boxes = boxes_of(rows, range(41), "join", 0, gone)
    assert boxes[[0, 10]].tolist() == [list(LEFT)] * 2
    assert boxes[15].tolist() == [25, 10, 34, 19]
    assert boxes[[20, 30]].tolist() == [list(RIGHT)] * 2
    with pytest.raises(InputError, match=r"track b, frame 20.*boxes.several=join.*at once \(track a, frame 0\)"):
        boxes_of(rows, range(41), "join", 0)


def test_the_question_offers_a_join_only_where_it_is_possible() -> None:
    with pytest.raises(InputError, match=r"boxes.several=union.*boxes.several=join that they are one athlete"):
        boxes_of([row(0, "a"), row(10, "b")], [0], "error", 0)
    with pytest.raises(InputError) as error:
        boxes_of([row(0, "a"), row(10, "a"), row(10, "b")], [0], "error", 0)
    assert "join" not in str(error.value)


def test_one_object_in_any_mode_is_interpolated_and_held() -> None:
    rows = [row(2, "a"), row(6, "a", RIGHT)]
    found = [boxes_of(rows, range(9), several, 0) for several in ("error", "union", "join")]  # type: ignore[arg-type]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert found[0][4].tolist() == [25, 10, 34, 19]


def test_a_frame_beyond_all_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="frame 10000000000"):
        boxes_of([row(10**10, "a")], [0], "error", 0)
