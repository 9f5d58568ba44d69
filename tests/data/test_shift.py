"""Windows: which frames a sample is made of, and the drawn shift."""

from collections import Counter

import pytest

from swapaqa.data.geometry import Window, draw_shift
from swapaqa.seeds import keyed_generator


def test_consecutive_windows_move_with_the_shift() -> None:
    assert list(Window(10).indices(4, 0)) == [10, 11, 12, 13]
    assert list(Window(10).indices(4, -3)) == [7, 8, 9, 10]
    assert list(Window(10).indices(4, 3)) == [13, 14, 15, 16]


@pytest.mark.parametrize(
    ("start", "stop", "frames", "expected"),
    [
        (0, 5, 5, [0, 1, 2, 3, 4]),
        (0, 9, 5, [0, 2, 4, 6, 8]),
        (10, 14, 2, [10, 13]),
        (0, 3, 5, [0, 0, 1, 2, 2]),
        (7, 8, 3, [7, 7, 7]),
        (0, 100, 1, [0]),
    ],
)
def test_spread_windows_hold_both_ends_and_repeat_where_short(
    start: int, stop: int, frames: int, expected: list[int]
) -> None:
    found = Window(start, stop).indices(frames, 0)
    assert list(found) == expected
    assert all(type(index) is int for index in found)
    assert list(Window(start, stop).indices(frames, -3)) == [index - 3 for index in expected]


@pytest.mark.parametrize("shift", [(-3, 3), (0, 6), (0, 0), (-2, -1)])
def test_every_shift_of_the_range_is_drawn_evenly_and_no_other(shift: tuple[int, int]) -> None:
    counts = Counter(draw_shift(keyed_generator(0, "shift", epoch, "18_067"), shift) for epoch in range(1400))
    assert set(counts) == set(range(shift[0], shift[1] + 1))
    assert min(counts.values()) > 0.7 * 1400 / len(counts)


def test_a_shift_is_replayed_by_its_key() -> None:
    def drawn(*key: str | int) -> list[int]:
        generator = keyed_generator(0, *key)
        return [draw_shift(generator, (-1000, 1000)) for _ in range(3)]

    assert drawn("shift", 0, "18_067") == drawn("shift", 0, "18_067")
    assert drawn("shift", 0, "18_067") != drawn("shift", 1, "18_067") != drawn("shift", 1, "18_068")
