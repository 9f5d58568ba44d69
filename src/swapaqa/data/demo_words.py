"""What the demo's dives are, and what a commentator would say of them: what multi-task methods learn beside the score.

Both follow from what is drawn: the difficulty is the amount of rotation, a fault opens the limbs.
"""

from collections.abc import Sequence

END, START = 0, 1  # as in MTL-AQA's vocabulary
VOCABULARY = (
    *("<eos>", "<sos>", "a", "dive", "of", "one", "two", "three", "four", "half", "somersaults", "in", "free", "pike"),
    *("tuck", "position", "and", "judged", "low", "fair", "high"),
)
POSITIONS, OPENED = ("free", "pike", "tuck"), (0.25, 0.5)  # mean fault, 0 to 1, from which limbs are less than tucked
MARKS, MARKED = ("low", "fair", "high"), (0.6, 0.85)  # mean share of the marks, above which they are fair and high
LENGTH = 16  # of a caption, its end included


def shown_dive(difficulty: float, judges: Sequence[float]) -> tuple[int, int, int, int, int]:
    """The parts of the dive as in `swapaqa.data.dive_numbers.dive_attributes`: forward, without twists.

    The demo's four difficulties, 2.8 to 3.4, count as 1 to 4 half somersaults; the position is how far the limbs open.
    """
    fault = 1 - _execution(judges)
    return 0, 1, 1 + round((difficulty - 2.8) / 0.2), 0, 2 - sum(fault >= border for border in OPENED)


def caption(dive: Sequence[int], judges: Sequence[float]) -> tuple[int, ...]:
    """Numbers of the words, `START` first and `END` up to a length of `LENGTH`."""
    mark = MARKS[sum(_execution(judges) > border for border in MARKED)]
    words = ["<sos>", *["a", "dive", "of"], VOCABULARY[4 + dive[2]], *["half", "somersaults", "in"]]
    words += [POSITIONS[dive[4]], *["position", "and", "judged"], mark]
    told = [VOCABULARY.index(word) for word in words]
    return (*told, *(LENGTH - len(told)) * (END,))


def _execution(judges: Sequence[float]) -> float:
    """Mean of the middle three of seven judges, as a share."""
    return sum(sorted(judges)[2:5]) / 30
