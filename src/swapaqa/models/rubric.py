"""Rubrics of diving: the steps that a dive may have, which of them one has, and what they are called.

RICA2 (Majeedi et al., ECCV 2024) has one of 24 steps, read from MTL-AQA's annotations, and one of 29, read from
FineDiving's. Steps stand in the order of its text files, so that these fit, in groups that follow each other: the
take-off, the flight, the entry, which every dive has.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from swapaqa.seeds import keyed_generator

Order = Literal["named", "published"]
TURNS = ("half a", "one", "one and a half", "two", "two and a half", "three", "three and a half")
Table = tuple[int, ...]  # the step of every value of an annotation, -1 for none
GAP = -1

FLIGHT = (8, 9, 10, 11, 12, 13, 14)  # of half a somersault to three and a half
NAMED: tuple[
    Table, ...
] = (  # of the parts in `dive_attributes`: armstand, direction, half somersaults, twists, position
    (GAP, 0),
    (GAP, 4, 3, 2, 1),  # forward, back, reverse, inward
    (GAP, *FLIGHT, GAP, 15),  # no text has four somersaults
    (GAP, 16, 17, 18, 19, 20, 21, 22),
    (5, 7, 6),  # free, pike, tuck
)
PUBLISHED: tuple[Table, ...] = (NAMED[0], (GAP, 2, 1, 4, 3), (GAP, *FLIGHT, 15, 16), NAMED[3], (5, 6, 7))


class Rubric(NamedTuple):
    """The steps of one kind of annotation.

    `side`: what a data set tells them by; `groups`: how many stand in each group; `texts`: what they are called.
    """

    side: str
    groups: tuple[int, ...]
    texts: tuple[str, ...]


DIVE_NUMBER = Rubric(
    "announced",
    (5, 18, 1),
    (
        "armstand on the platform",
        *(f"{direction} take-off" for direction in ("inward", "reverse", "back", "forward")),
        *(f"{position} position" for position in ("free", "tuck", "pike")),
        *(f"{turns} somersault" for turns in (*TURNS, "four and a half")),
        *(f"{turns} twist" for turns in TURNS),
        "entry into the water",
    ),
)
SUB_ACTIONS = Rubric(
    "sub_actions",
    (7, 21, 1),
    (
        *(f"{direction} take-off" for direction in ("forward", "back", "reverse", "inward")),
        *(f"armstand {direction} take-off" for direction in ("forward", "back", "reverse")),
        *(f"{turns} somersault in pike position" for turns in (*TURNS, "four and a half")),
        *(f"{turns} somersault in tuck position" for turns in (*TURNS[2:], "four and a half")),
        *(f"{turns} twist" for turns in TURNS),
        "entry into the water",
    ),
)
RUBRICS = {"dive_number": DIVE_NUMBER, "sub_actions": SUB_ACTIONS}
# FineDiving's numbers, in the order of the steps of SUB_ACTIONS
NUMBERS = (*range(1, 8), 37, *range(12, 18), 19, *range(21, 26), 27, *range(29, 36), 36)


def steps_present(rubric: Rubric, annotation: Tensor, order: Order = "named") -> Tensor:
    """Which steps a dive has, the entry always.

    Args:
        rubric: one of `RUBRICS`.
        annotation: (N, 5) int64, see `swapaqa.data.dive_numbers.dive_attributes` and `FineDiving.read_side`.
        order: of the parts of a dive: by the step whose text names them, or where RICA2's code puts them.

    Returns:
        (N, K) bool. What no text is of (a straight dive, four somersaults) is no step.
    """
    if rubric is SUB_ACTIONS:
        found = (annotation[:, :, None] == torch.tensor(NUMBERS, device=annotation.device)).any(dim=1)
    else:
        found = torch.zeros(len(annotation), len(rubric.texts), dtype=torch.bool, device=annotation.device)
        for part, table in enumerate(NAMED if order == "named" else PUBLISHED):
            found |= _steps_of(annotation[:, part], table)[:, None] == torch.arange(len(rubric.texts)).to(found.device)
    found[:, -1] = True
    return found


def _steps_of(value: Tensor, table: Table) -> Tensor:
    """(N,) values of one part -> (N,) their steps, `GAP` where there is none."""
    known = (value >= 0) & (value < len(table))
    step: Tensor = torch.tensor(table, device=value.device)[torch.where(known, value, 0)]
    return step.where(known, GAP)


def word_vectors(texts: tuple[str, ...], width: int) -> Tensor:
    """(K, width) float32 of K texts that no language model has read: sums of a random vector for each word.

    Texts with common words are alike, as in random indexing (Kanerva et al., 2000), the same in every run.
    """
    words = sorted({word for text in texts for word in text.split()})
    drawn = {word: torch.randn(width, generator=keyed_generator(0, "word", word)) for word in words}
    return torch.stack([torch.stack([drawn[word] for word in text.split()]).sum(0) for text in texts]) / 2
