"""What a commentator would say of the dives of `data=demo_3d`, and the steps that they are made of."""

from collections.abc import Sequence

from swapaqa.data import demo_words
from swapaqa.data.demo_words import END, LENGTH, MARKED, MARKS, POSITIONS

DIRECTIONS = {1: "forward", 2: "back", 3: "reverse", 4: "inward"}
HALVES = {5: "five", 7: "seven"}
VOCABULARY = (*demo_words.VOCABULARY, *DIRECTIONS.values(), *HALVES.values())
SOMERSAULTS = {(5, 1): 15, (7, 1): 17, (5, 2): 23, (7, 2): 25}  # FineDiving's numbers, by halves and position
INTO_WATER = 36  # FineDiving's number of an entry


def caption(dive: Sequence[int], judges: Sequence[float]) -> tuple[int, ...]:
    """Numbers of the words, as `swapaqa.data.demo_words.caption`; `dive` as `dive_attributes` has it."""
    _, direction, halves, _, position = dive
    mark = MARKS[sum(sum(sorted(judges)[2:5]) / 30 > border for border in MARKED)]
    words = ["<sos>", "a", DIRECTIONS[direction], "dive", "of", HALVES[halves], "half", "somersaults", "in"]
    words += [POSITIONS[position], "position", "and", "judged", mark]
    told = [VOCABULARY.index(word) for word in words]
    return (*told, *(LENGTH - len(told)) * (END,))


def sub_actions(dive: Sequence[int]) -> tuple[int, int, int, int, int]:
    """Take-off, somersaults and entry by FineDiving's numbers, and 0 for the steps that these dives have not."""
    _, direction, halves, _, position = dive
    return direction, SOMERSAULTS[halves, position], INTO_WATER, 0, 0
