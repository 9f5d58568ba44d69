"""Numbers of dives as World Aquatics writes them ("5253B"), and the parts that MTL-AQA annotates."""

from collections.abc import Mapping
from typing import Any


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
