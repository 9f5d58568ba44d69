"""Arms that are one experiment under two names: the same settings in two sweeps, or under a preset and by hand."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from swapaqa.report.arms import Arm, Arms, Member
from swapaqa.running.jobs import identity

PRESET = "experiment"  # a name for settings, not a setting
# what differs between the runs of an arm, or decides nothing but time
APART = ("name", "sweep", "seed", "data.seed", "data.action")
TIME_ONLY = (
    "data.root",
    "data.workers",
    "data.cache",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.accelerator",
    "trainer.strategy",
)
RATIO = ("aug.ratio", "data.augment.ratio")


def merged(arms: Arms) -> dict[Arm, tuple[Member, ...]]:
    """The arms, those of equal facts and equal settings as one, under the name of the first.

    An arm of which no run has started has no settings yet; it joins the first one of equal facts.
    """
    found: dict[Arm, tuple[Member, ...]] = {}
    for arm, members in arms.items():
        mine = settings_of(members)
        alike = (other for other in found if facts_of(other) == facts_of(arm))
        same = next((other for other in alike if _agree(settings_of(found[other]), mine)), arm)
        found[same] = found.get(same, ()) + members
    return found


def facts_of(arm: Arm) -> Arm:
    """The arm without the name of its preset."""
    return arm._replace(extra=tuple(pair for pair in arm.extra if pair[0] != PRESET))


def split_by_settings(group: Arms) -> list[dict[Arm, tuple[Member, ...]]]:
    """Arms of different ratios that share every other setting; those without settings yet join the first."""
    parts: dict[str, dict[Arm, tuple[Member, ...]]] = {}
    unknown = {}
    for arm, members in group.items():
        settings = settings_of(members, RATIO)
        if settings is None:
            unknown[arm] = members
        else:
            parts.setdefault(settings, {})[arm] = members
    first, *others = [*parts.values()] or [{}]
    return [first | unknown, *others]


def settings_of(members: Sequence[Member], without: Sequence[str] = ()) -> str | None:
    """What decides the outcome of an arm, as text; None where no run has written its configuration."""
    config = next((member.run.config for member in members if member.run.config is not None), None)
    if config is None:
        return None
    tree = json.loads(json.dumps(identity(dict(config)), default=str))
    for key in (*APART, *TIME_ONLY, *without):
        _remove(tree, key)
    return json.dumps(tree, sort_keys=True)


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def _remove(tree: Mapping[str, Any], key: str) -> None:
    *path, last = key.split(".")
    for part in path:
        tree = tree.get(part) or {}
        if not isinstance(tree, dict):
            return
    if isinstance(tree, dict):
        tree.pop(last, None)
