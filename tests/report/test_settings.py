"""Which runs are of one setting, which settings are one experiment, and which stand beside each other."""

from pathlib import Path
from typing import Any

import pytest

from swapaqa.running.facts import UNKNOWN, facts_of, settings_digest
from swapaqa.running.jobs import State
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.settings import find_settings, label, pairs_of, ratio_groups, source_groups

BASE: dict[str, Any] = {
    "name": "a",
    "seed": 0,
    "model": {"_target_": "x.Core", "depth": 5},
    "aug": {"_target_": "x.Swap", "ratio": 2.0},
    "boxes": {"_target_": "x.Boxes", "ratio": 2.0},
    "data": {"_target_": "swapaqa.data.d.D", "action": "diving", "seed": 0, "workers": 4, "augment": {"ratio": 2.0}},
}
CHOICES = {"data": "d", "model": "core", "aug": "swap", "boxes": "darklabel"}


def changed(path: str, value: Any) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return BASE | {head: {**BASE[head], rest: value} if rest else value}


def at_ratio(ratio: float, config: dict[str, Any] = BASE) -> dict[str, Any]:
    aug = config["aug"] | {"ratio": ratio}
    return config | {"aug": aug, "data": {**config["data"], "augment": {"ratio": ratio}}}


def run(config: dict[str, Any], overrides: tuple[str, ...] = (), **choices: str) -> Run:
    facts = facts_of(config, CHOICES | choices)
    return Run(Path("sweep/0"), "0", overrides, State.DONE, {}, config, None, None, facts)


def sweep(*runs: Run) -> Sweep:
    return Sweep("s", Path("sweep"), "command", runs)


@pytest.mark.parametrize(
    ("path", "value"), [("name", "b"), ("seed", 3), ("data.action", "vault"), ("data.seed", 3), ("data.workers", 0)]
)
def test_what_decides_nothing_is_not_in_the_digest(path: str, value: Any) -> None:
    assert settings_digest(changed(path, value)) == settings_digest(BASE)


def test_what_decides_is_in_the_digest_and_a_whole_number_is_one() -> None:
    assert settings_digest(changed("model.depth", 4)) != settings_digest(BASE)
    assert settings_digest(at_ratio(2)) == settings_digest(BASE)  # aug.ratio=2 and 2.0
    assert BASE["data"]["action"] == "diving"  # the configuration itself is not touched


FACTS = {  # what a configuration says, row by row
    "of the swap": (BASE, {}, ("d", "core", "swap", "darklabel", 2.0)),
    "without a swap": (BASE | {"aug": {"_target_": "x.None"}}, {"aug": "none"}, ("d", "core", "none", "none", None)),
    "another reading of the boxes": (
        BASE | {"boxes": {"frame": "input"}}, {"boxes": "fixed"}, ("d", "core", "swap", "fixed (input)", 2.0),
    ),
    "another split": (changed("data.split", "by_event"), {}, ("d, by_event, fold 0", "core", "swap", "darklabel", 2.0)),
    "an evaluated checkpoint": (
        BASE | {"checkpoint": "last.ckpt"}, {"model": "usdl"}, ("d", "core", UNKNOWN, "boxes", 2.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FACTS)
def test_facts_are_those_of_the_configuration(case: str) -> None:
    config, choices, expected = FACTS[case]
    found = facts_of(config, CHOICES | choices)
    assert (found.data, found.model, found.aug, found.boxes, found.ratio) == expected


def test_equal_settings_are_one_under_the_first_name() -> None:
    one, two = run(BASE), run(changed("seed", 1), ("experiment=x",))
    found = find_settings([sweep(one), sweep(two, run(at_ratio(3.0), ("experiment=y",)))])
    assert next(iter(found.values())) == (one, two)


def test_other_settings_stay_apart() -> None:
    found = find_settings([sweep(run(BASE), run(changed("model.depth", 4), ("experiment=x",)))])
    assert [len(runs) for runs in found.values()] == [1, 1]


def test_a_swept_value_is_never_merged_away() -> None:
    found = find_settings([sweep(run(BASE, ("aug.fill=0",)), run(BASE, ("aug.fill=9",)))])
    assert [setting.extra for setting in found] == [(("aug.fill", "0"),), (("aug.fill", "9"),)]


def test_ratios_of_one_setting_are_one_group() -> None:
    deeper = at_ratio(3.0, changed("model.depth", 4))
    settings = find_settings([sweep(*(run(at_ratio(ratio)) for ratio in (2.0, 1.0, 4.0)), run(deeper))])
    assert [[setting.ratio for setting in group] for group in ratio_groups(settings)] == [[1.0, 2.0, 4.0]]


def test_sources_stand_at_their_own_ratio_beside_no_swap() -> None:
    none = run(BASE | {"aug": {"_target_": "x.None"}}, aug="none")
    fixed = run(at_ratio(1.0, BASE | {"boxes": {"ratio": 1.0}}), boxes="fixed")
    settings = find_settings([sweep(none, run(BASE), run(at_ratio(3.0)), fixed)])
    (group,) = source_groups(settings)
    assert [(setting.boxes, setting.ratio) for setting in group] == [
        ("none", None), ("darklabel", 2.0), ("fixed", 1.0),
    ]  # fmt: skip
    assert [label(after) for _, after in pairs_of(settings)] == [
        "core + swap, darklabel, ratio 2", "core + swap, fixed, ratio 1",
    ]  # fmt: skip
