"""Settings, each of runs that differ in the seed and the action alone: found, named and paired."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from swapaqa.errors import InputError
from swapaqa.measures.ours import OURS
from swapaqa.measures.record import Description
from swapaqa.running.facts import UNKNOWN, Facts, is_evaluation
from swapaqa.runs.run import Run, Sweep

TOLD_BY_FACTS = (
    "data",
    "data.split",
    "data.fold",
    "data.action",
    "model",
    "aug",
    "aug.ratio",
    "boxes",
    "boxes.ratio",
    "boxes.frame",
    "seed",
)
ALL_ACTIONS = "all"  # the action of a run with one model for all of them
PROTOCOLS = {  # in the order of columns and rows
    "last": "last epoch",
    "best_on_test": "best epoch on test, as published numbers are",
    "best_on_val": "best epoch on a part cut from train",
}
PRESET = "experiment"  # a name for values, not a value


class Setting(NamedTuple):
    """Facts but for action and seed, and the other swept values that set runs apart; see `swapaqa.running.facts`."""

    data: str
    model: str
    aug: str
    boxes: str
    ratio: float | None
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def without_preset(self) -> "Setting":
        return self._replace(extra=tuple(pair for pair in self.extra if pair[0] != PRESET))


Settings = Mapping[Setting, tuple[Run, ...]]


def find_settings(sweeps: Sequence[Sweep]) -> dict[Setting, tuple[Run, ...]]:
    """All runs with facts by setting, in the order of the jobs.

    Two of equal facts and equal configurations are one, under the name of the first: the same in two sweeps, or under a
    preset and by hand.
    """
    named: dict[Setting, list[Run]] = {}
    for sweep in sweeps:
        for run in sweep.runs:
            if run.facts is not None:
                named.setdefault(setting_of(run, run.facts, sweep), []).append(run)
    found: dict[Setting, tuple[Run, ...]] = {}
    known: dict[tuple[Setting, str], Setting] = {}
    for setting, runs in named.items():
        same = known.setdefault((setting.without_preset, _digest(runs)), setting)
        found[same] = found.get(same, ()) + tuple(runs)
    return found


def setting_of(run: Run, facts: Facts, sweep: Sweep) -> Setting:
    """The setting of a run; a swept value is a part of it where the facts do not tell it."""
    extra = [pair for pair in sweep.values(run).items() if pair[0] not in TOLD_BY_FACTS]
    extra += [("data.action", ALL_ACTIONS)] if facts.action == ALL_ACTIONS else []
    extra += [("checkpoint", str(run.configured("checkpoint")))] if is_evaluation(run.config) else []
    return Setting(facts.data, facts.model, facts.aug, facts.boxes, facts.ratio, tuple(extra))


def _digest(runs: Sequence[Run], any_ratio: bool = False) -> str:
    facts = next(run.facts for run in runs if run.facts is not None)
    return facts.settings_at_any_ratio if any_ratio else facts.settings


def grouped(settings: Settings, *fields: str) -> dict[tuple[Any, ...], dict[Setting, tuple[Run, ...]]]:
    """Settings by the named facts and by the swept values that no fact tells; a preset's name sets nothing apart."""
    groups: dict[tuple[Any, ...], dict[Setting, tuple[Run, ...]]] = {}
    for setting, runs in settings.items():
        key = (*(getattr(setting, field) for field in fields), setting.without_preset.extra)
        groups.setdefault(key, {})[setting] = runs
    return groups


def ratio_groups(settings: Settings) -> list[dict[Setting, tuple[Run, ...]]]:
    """Settings that differ in the ratio alone, of two ratios or more, in the order of the ratios."""
    found = []
    for alike in grouped(settings, "data", "model", "aug", "boxes").values():
        parts: dict[str, dict[Setting, tuple[Run, ...]]] = {}
        for setting, runs in alike.items():
            if setting.ratio is not None:
                parts.setdefault(_digest(runs, any_ratio=True), {})[setting] = runs
        found += [
            dict(sorted(part.items(), key=lambda pair: pair[0].ratio or 0))
            for part in parts.values()
            if len({setting.ratio for setting in part}) > 1
        ]
    return found


def at_own_ratio(settings: Settings) -> list[Setting]:
    """Without an augmentation, and of every source of boxes those at the ratio that is its own."""
    kept = [setting for setting in settings if setting.aug == "none"]
    for boxes in dict.fromkeys(setting.boxes for setting in settings if setting.boxes != "none"):
        own = [setting for setting in settings if setting.boxes == boxes]
        ratios = {run.facts.own_ratio for setting in own for run in settings[setting] if run.facts}
        kept += [setting for setting in own if setting.ratio in ratios] or own
    return kept


def source_groups(settings: Settings) -> list[dict[Setting, tuple[Run, ...]]]:
    """The settings of one model of several box sources, each at its own ratio, beside those without augmentation."""
    found = []
    for group in grouped(settings, "data", "model").values():
        chosen = at_own_ratio(group)
        if len({setting.boxes for setting in chosen} - {"none", UNKNOWN}) > 1:
            found.append({setting: group[setting] for setting in chosen})
    return found


def pairs_of(settings: Settings) -> list[tuple[Setting, Setting]]:
    """(without, with the swap) of every model, for every swap at its source's own ratio.

    Of several baselines that of its sweep.
    """
    return [
        pair
        for key, group in grouped(settings, "data", "model").items()
        if key[1] != UNKNOWN
        for pair in _pairs_of_model(group)
    ]


def _pairs_of_model(settings: Settings) -> list[tuple[Setting, Setting]]:
    chosen = at_own_ratio(settings)
    plain = [setting for setting in chosen if setting.aug == "none"]
    pairs = []
    for setting in chosen:
        if setting.boxes != "none" and plain:
            folders = {run.folder.parent for run in settings[setting]}
            near = [one for one in plain if folders & {run.folder.parent for run in settings[one]}]
            pairs.append(((near or plain)[0], setting))
    return pairs


def label(setting: Setting, among: Sequence[Setting] = ()) -> str:
    """`core + swap, darklabel, ratio 2`; with the other swept values where one of `among` has the same facts."""
    words = [setting.model if setting.aug == "none" else f"{setting.model} + {setting.aug}"]
    words += [] if setting.boxes == "none" else [setting.boxes]
    words += [] if setting.ratio is None else [f"ratio {setting.ratio:g}"]
    alike = [other for other in among if other._replace(extra=()) == setting._replace(extra=())]
    told = len(alike) < 2 and UNKNOWN not in (setting.model, setting.aug)
    return ", ".join(words + ([] if told else [f"{key}={value}" for key, value in setting.extra]))


def actions_of(runs: Sequence[Run]) -> tuple[str, ...]:
    """The actions of a setting: those planned, and those that its finished runs have metrics of."""
    planned = (str(run.action) for run in runs if run.action not in (None, ALL_ACTIONS))
    finished = (action for run in runs for protocol in run.protocols for action in run.actions(protocol))
    return tuple(dict.fromkeys([*planned, *finished]))


def seeds_of(runs: Sequence[Run]) -> tuple[int, ...]:
    """The planned seeds; a job of an unknown seed counts as none."""
    return tuple(sorted({run.seed for run in runs if run.seed is not None}))


def seed_words(runs: Sequence[Run]) -> str:
    """`3`, or `2 of 3` where of a planned seed no run is finished."""
    planned = seeds_of(runs)
    finished = {run.seed for run in runs if run.result is not None} & set(planned)
    return str(len(planned)) if len(finished) == len(planned) else f"{len(finished)} of {len(planned)}"


def measures_of(runs: Iterable[Run]) -> tuple[Description, ...]:
    """The metrics that any of the runs was asked for, in the order of the first that was.

    Raises:
        InputError: two runs mean different metrics by one name.
    """
    found: dict[str, tuple[Description, Run]] = {}
    for run in runs:
        for name, measure in run.measures.items():
            known, first = found.setdefault(name, (measure, run))
            if name not in OURS and (known.described(), first.configured(f"measures.{name}")) != (
                measure.described(), run.configured(f"measures.{name}"),
            ):  # fmt: skip
                both = f"{first.folder} and {run.folder}"
                raise InputError(f"{both}: mean different metrics by {name}; report them apart, or give one a new name")
    return tuple(measure for measure, _ in found.values())


def splits_of(runs: Iterable[Run]) -> tuple[str, ...]:
    """The test splits that finished runs have metrics of, as `test` and `shifted`; `test` where none is finished."""
    found = dict.fromkeys(split for run in runs for protocol in run.protocols for split in run.splits(protocol))
    found.pop("val", None)  # a part of the training list
    return tuple(found) or ("test",)


def protocols_of(runs: Iterable[Run]) -> tuple[str, ...]:
    """The protocols of the finished runs, in a fixed order; `last` where none is finished."""
    found = dict.fromkeys(name for run in runs for name in run.protocols)
    known = [name for name in PROTOCOLS if name in found]
    return (*known, *(name for name in found if name not in PROTOCOLS)) or ("last",)
