"""Which arms are the same experiment."""

from pathlib import Path
from typing import Any

import pytest

from swapaqa.report.arms import Arm, Facts, Member
from swapaqa.report.duplicates import merged, settings_of, split_by_settings
from swapaqa.report.runs import Run
from swapaqa.running.jobs import State

BASE: dict[str, Any] = {
    "name": "a",
    "seed": 0,
    "model": {"depth": 5},
    "aug": {"ratio": 2.0},
    "data": {"action": "diving", "seed": 0, "workers": 4, "augment": {"ratio": 2.0}},
}


def member(config: dict[str, Any] | None) -> Member:
    run = Run(Path("x"), "0", (), State.DONE, {}, config, None, None)
    return Member(run, Facts("d", "m", "swap", "boxes", 2.0, "diving", 0))


def changed(path: str, value: Any) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return BASE | {head: {**BASE[head], rest: value} if rest else value}


def arm(ratio: float = 2.0, **extra: str) -> Arm:
    return Arm("d", "m", "swap", "boxes", ratio, tuple(extra.items()))


@pytest.mark.parametrize(
    ("path", "value"), [("name", "b"), ("seed", 3), ("data.action", "vault"), ("data.seed", 3), ("data.workers", 0)]
)
def test_what_decides_nothing_is_no_setting(path: str, value: Any) -> None:
    assert settings_of([member(changed(path, value))]) == settings_of([member(BASE)])


def test_what_decides_is_one() -> None:
    assert settings_of([member(changed("model.depth", 4))]) != settings_of([member(BASE)])
    assert BASE["data"]["action"] == "diving"  # the configuration itself is not touched


def test_equal_settings_are_merged_under_the_first_name() -> None:
    one, two = member(BASE), member(changed("seed", 1))
    assert merged({arm(): (one,), arm(experiment="x"): (two,)}) == {arm(): (one, two)}


def test_other_settings_stay_apart() -> None:
    arms = {arm(): (member(BASE),), arm(experiment="x"): (member(changed("model.depth", 4)),)}
    assert merged(arms) == arms


def test_a_swept_value_is_never_merged_away() -> None:
    arms = {arm(fill="0"): (member(BASE),), arm(fill="9"): (member(BASE),)}
    assert merged(arms) == arms


def test_an_arm_that_has_not_started_joins_the_first_of_its_facts() -> None:
    known, unknown = member(BASE), member(None)
    assert list(merged({arm(): (unknown,), arm(experiment="x"): (known,)}).values()) == [(unknown, known)]
    assert settings_of([unknown]) is None


def test_ratios_of_one_setting_are_one_curve() -> None:
    at = {r: member(changed("aug", {"ratio": r}) | {"data": {**BASE["data"], "augment": {"ratio": r}}}) for r in (1, 2)}
    other = member(changed("model.depth", 4))
    group = {arm(1.0): (at[1],), arm(2.0): (at[2],), arm(3.0): (other,), arm(4.0): (member(None),)}
    assert [sorted(one.ratio or 0 for one in part) for part in split_by_settings(group)] == [[1, 2, 4], [3]]
