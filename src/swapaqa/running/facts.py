"""Facts of a job for a report: read from the configuration of a run, or of a job that a sweep plans.

`jobs.json` has the facts of every job, so that one that never started stands in its row of a table.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swapaqa.files.file_form import Number, Whole
from swapaqa.running.jobs import identity

UNKNOWN = "?"
# what differs between the runs of one setting, or decides nothing but time
WITHIN_A_SETTING = ("name", "sweep", "seed", "data.seed", "data.action", "data.settings.action")
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


@dataclass(frozen=True)
class Facts:
    """What sets a run apart from others.

    Attributes:
        data: the data set, with its split where that is not the published one: its numbers are others.
        model: the option of the group, as the next two.
        aug: UNKNOWN of a checkpoint that was evaluated.
        boxes: the source of the boxes that the swap used; none without the swap.
        ratio: None without the swap.
        own_ratio: the ratio that the source of boxes has where none is given.
        action: None of a data set without actions.
        seed: None where the configuration has none.
        settings: a digest of everything that decides the outcome but for seed and action.
        settings_at_any_ratio: the same without the ratio.
    """

    data: str
    model: str
    aug: str
    boxes: str
    ratio: Number | None
    own_ratio: Number | None
    action: str | None
    seed: Whole | None
    settings: str
    settings_at_any_ratio: str


def facts_of(config: Mapping[str, Any], choices: Mapping[str, str]) -> Facts:
    """The facts of a resolved configuration.

    Args:
        config: as `config.yaml` has it.
        choices: the options of its groups, `model: core`; where Hydra kept none, the classes are named.
    """
    ratio, frame = setting(config, "aug.ratio"), setting(config, "boxes.frame")
    evaluation = is_evaluation(config)
    known = {} if evaluation else choices  # of a checkpoint Hydra knows the evaluation's defaults, not what it brought
    source = _option(config, known, "boxes") + (f" ({frame})" if frame else "")
    return Facts(
        data=_option(config, known, "data") + _split_words(config),
        model=_option(config, known, "model"),
        aug=UNKNOWN if evaluation else _option(config, known, "aug"),
        boxes="none" if ratio is None else source,  # only the swap has a ratio, and only the swap needs boxes
        ratio=_number(ratio),
        own_ratio=_number(setting(config, "boxes.ratio")),
        action=setting(config, "data.action"),
        seed=setting(config, "seed"),
        settings=settings_digest(config),
        settings_at_any_ratio=settings_digest(config, RATIO),
    )


def setting(config: Mapping[str, Any] | None, key: str) -> Any:
    """The value at a dotted key of a configuration, as `data.action`; None if there is none."""
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def is_evaluation(config: Mapping[str, Any] | None) -> bool:
    """Whether a configuration is that of an evaluated checkpoint."""
    return setting(config, "checkpoint") is not None


def settings_digest(config: Mapping[str, Any], without: Sequence[str] = ()) -> str:
    """Equal for two configurations that are one experiment, but for seed, action, time and the keys in `without`."""
    tree = json.loads(json.dumps(identity(dict(config)), default=str), parse_int=float)  # a ratio of 1 is one of 1.0
    for key in (*WITHIN_A_SETTING, *TIME_ONLY, *without):
        *path, last = key.split(".")
        place = setting(tree, ".".join(path)) if path else tree
        if isinstance(place, dict):
            place.pop(last, None)
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def _option(config: Mapping[str, Any], choices: Mapping[str, str], group: str) -> str:
    """The option of a group; where it is not known, the module of a data set, the class of anything else."""
    words = str(setting(config, f"{group}._target_") or UNKNOWN).split(".")
    target = words[-2] if group == "data" and len(words) > 1 else words[-1].lower()
    return choices.get(group, target)


def _split_words(config: Mapping[str, Any]) -> str:
    split, fold = setting(config, "data.split"), setting(config, "data.fold")
    return "" if split in (None, "published") else f", {split}, fold {0 if fold is None else fold}"


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
