"""Which training videos a video is compared with: rules of `data.exemplars`, for any data set whose records say enough.

A group is of one action, whatever the rule: scores of two actions are on two scales. `difficulty` is every record's,
`dive_number` (that of World Aquatics, "5253B") is one more attribute of a data set's own records.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from swapaqa.data.records import Record
from swapaqa.errors import InputError

Exemplars = Literal["any", "difficulty", "dive_number", "category_and_difficulty", "dive_number_and_difficulty"]
ExemplarsFrom = Literal["anywhere", "other_competitions"]
Group = tuple[str | float | None, ...]  # the action, and what else its members share; None: not known
Rule = Callable[[Record], Group]


class UnknownGroupError(InputError):
    """A training video does not say what its group depends on."""


def by_action(record: Record) -> Group:
    """Videos of one action."""
    return (record.action,)


def by_difficulty(record: Record) -> Group:
    """Videos of one action and degree of difficulty."""
    return record.action, record.difficulty


def by_dive_number(record: Record) -> Group:
    """Videos of one dive, such as 107B."""
    return record.action, _dive_number(record)


def by_category_and_difficulty(record: Record) -> Group:
    """The paper's words. The category is the dive's group, the first digit of its number: forward, back, ..., armstand.

    No test dive of MTL-AQA is left out.
    """
    number = _dive_number(record)
    return record.action, number and number[0], record.difficulty


def by_dive_number_and_difficulty(record: Record) -> Group:
    """The paper's words in their narrowest reading: 2 of MTL-AQA's 353 test dives have no training dive in it."""
    return record.action, _dive_number(record), record.difficulty


RULES: dict[Exemplars, Rule] = {
    "any": by_action,  # CoRe without difficulty
    "difficulty": by_difficulty,  # CoRe
    "dive_number": by_dive_number,  # CoRe's other flag
    "category_and_difficulty": by_category_and_difficulty,
    "dive_number_and_difficulty": by_dive_number_and_difficulty,
}


def wider_rules(exemplars: Exemplars) -> Sequence[Rule]:
    """Where exemplars come from when no training video is in a record's group, narrowest first."""
    return () if exemplars == "any" else (by_difficulty, by_action)


def refuse_unknown_groups(train: Sequence[Record], exemplars: Exemplars) -> None:
    """Raise UnknownGroupError for a training video whose group is not known. A test video's is then widened."""
    for record in train:
        if None in RULES[exemplars](record):
            raise UnknownGroupError(
                f"data.exemplars={exemplars}: not known of {record.video_id}; say data.exemplars=any, or take a data "
                "set whose files tell"
            )


def _dive_number(record: Record) -> str | None:
    number: str | None = getattr(record, "dive_number", None)
    return number or None
