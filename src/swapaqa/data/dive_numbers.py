"""Numbers of dives as World Aquatics writes them ("5253B"), and the parts that MTL-AQA annotates."""

from collections.abc import Mapping
from typing import Any

# of MTL-AQA's 1412 dives, in order
NUMBERS = (
    *("100B", "102B", "103B", "105B", "107B", "107C", "109C", "200B", "200D", "201B", "205B", "205C", "207B", "207C"),
    *("300B", "300D", "305B", "305C", "307C", "403B", "405B", "405C", "407B", "407C", "409C"),
    *("5132D", "5152B", "5154B", "5156B", "5231D", "5233D", "5235D", "5237D", "5251B", "5251D", "5253B", "5255B"),
    *("5255D", "5331D", "5335D", "5337D", "5353B", "5355B"),
    *("612B", "612D", "6142D", "614B", "614D", "6241B", "6241C", "6241D", "6243D", "6245D", "626B", "626C", "626D"),
    *("627C", "636C"),
)
CLASS_OF = {number: place for place, number in enumerate(NUMBERS)}


def dive_number(annotation: Mapping[str, Any]) -> str:
    """The dive number from the annotated parts of the dive, for the copies without it; exact for all 1412 dives.

    Group, half somersaults, half twists where there are any, position. Groups: 1 forward, 2 back, 3 reverse,
    4 inward, 5 twisting and 6 armstand, of which the last two give the direction as second digit.
    """
    direction = {1: 1, 0: 2, 3: 3, 2: 4}[annotation["rotation_type"]]
    twists = annotation["tw_no"] or ""
    group = f"6{direction}" if annotation["armstand"] else f"5{direction}" if twists else f"{direction}0"
    return f"{group}{annotation['ss_no']}{twists}{'DBC'[annotation['position']]}"


def dive_attributes(number: str) -> tuple[int, int, int, int, int]:
    """The parts of a dive number: armstand (0 or 1), direction, half somersaults, half twists, position.

    ValueError or IndexError for what is none.

    The inverse of `dive_number`. Direction: 1 forward, 2 back, 3 reverse, 4 inward. Position: 0 free (D), 1 pike (B),
    2 tuck (C), as MTL-AQA counts, and 3 straight (A), which it has not.
    """
    group, direction = int(number[0]), int(number[1])  # the second digit is 0 where the group is the direction
    half_twists = int(number[3:-1] or 0)
    return int(group == 6), direction or group, int(number[2]), half_twists, "DBCA".index(number[-1])


def dive_class(number: str) -> int:
    """The place of a dive number among those of MTL-AQA, in order; -1 of one that it has not."""
    return CLASS_OF.get(number, -1)
