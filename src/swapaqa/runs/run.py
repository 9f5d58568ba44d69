"""A run and a sweep as a report asks them: metrics, intervals and predictions by protocol, split and action."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from swapaqa.measures.ours import STANDARD
from swapaqa.measures.record import RESERVED, Description
from swapaqa.running.facts import Facts, setting
from swapaqa.running.jobs import State


@dataclass(frozen=True, eq=False)
class Run:
    """One run.

    Attributes:
        folder: need not exist where the job was not started.
        job: its number in the sweep, or the folder's name.
        overrides: of the command line, with those of the sweep.
        choices: the options of the configuration's groups, like model: core; empty where Hydra left none.
        config: resolved; None until the run has written it.
        result: the content of result.json; None unless `state` is DONE. A damaged one is no result: State.DAMAGED.
        failure: why there is no result, in one line; None where nothing is known.
        facts: what it is; None of a job without a configuration in a sweep that was planned before facts were written.
        measures: the metrics that the run was asked for, by name: ours, and those of packages that the user trusts,
            as a `Measure`, others as they are described in its result.
    """

    folder: Path
    job: str
    overrides: tuple[str, ...]
    state: State
    choices: Mapping[str, str]
    config: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    failure: str | None
    facts: Facts | None = None
    measures: Mapping[str, Description] = field(default_factory=lambda: {m.name: m for m in STANDARD})

    @property
    def seed(self) -> int | None:
        """As the facts have it, or the overrides."""
        given = self.given.get("seed", "")
        return self.facts.seed if self.facts else int(given) if given.isdecimal() else None

    @property
    def action(self) -> str | None:
        return self.facts.action if self.facts else self.given.get("data.action")

    @cached_property
    def given(self) -> dict[str, str]:
        """The overrides by key, without Hydra's + and ~ in front."""
        pairs = (override.lstrip("+~").partition("=") for override in self.overrides)
        return {key: value for key, _, value in pairs}

    @property
    def protocols(self) -> tuple[str, ...]:
        """Names of the protocols with metrics: last, best_on_test, best_on_val."""
        return tuple(self.result["metrics"]) if self.result else ()

    def splits(self, protocol: str) -> tuple[str, ...]:
        """The splits with metrics under a protocol; none where the run has no such protocol."""
        return tuple(self.result["metrics"][protocol]["splits"]) if self.result and protocol in self.protocols else ()

    def actions(self, protocol: str, split: str = "test") -> tuple[str, ...]:
        """The actions with metrics of their own."""
        if self.result is None or split not in self.splits(protocol):
            return ()
        return tuple(self.result["metrics"][protocol]["splits"][split]["per_action"])

    def epoch(self, protocol: str) -> int | None:
        """Of the numbers under a protocol, counted as the result does."""
        return int(self.result["metrics"][protocol]["epoch"]) if self.result and protocol in self.protocols else None

    def _found(self, protocol: str, split: str, action: str | None) -> Mapping[str, Any]:
        """The numbers of one action, or those averaged by the run itself; empty where there are none."""
        if self.result is None or split not in self.splits(protocol):
            return {}
        found = self.result["metrics"][protocol]["splits"][split]
        numbers: Mapping[str, Any] = found["average"] if action is None else found["per_action"].get(action, {})
        return numbers

    def metrics(self, protocol: str, split: str = "test", action: str | None = None) -> tuple[str, ...]:
        """The names of the metrics that are there."""
        return tuple(name for name in self._found(protocol, split, action) if name not in RESERVED)

    def videos(self, protocol: str, split: str = "test", action: str | None = None) -> int | None:
        """The number of test videos; None in a result that does not say it."""
        actions = self.actions(protocol, split) if action is None else (action,)
        counts = [self._found(protocol, split, one).get("videos") for one in actions]
        return None if None in counts or not counts else int(sum(filter(None, counts)))

    def metric(self, name: str, protocol: str, split: str = "test", action: str | None = None) -> float | None:
        """The metric `name` of one action, or averaged by the run itself.

        NaN where it is undefined (constant predictions), None where the run has no such number.
        """
        numbers = self._found(protocol, split, action)
        if name not in numbers:
            return None
        return float("nan") if numbers[name] is None else float(numbers[name])

    def confidence(
        self, name: str, protocol: str, split: str = "test", action: str | None = None
    ) -> tuple[float, float] | None:
        """The interval over test videos of `metric`; None where it is undefined or the result has none, as old ones."""
        if self.result is None or split not in self.splits(protocol):
            return None
        found = self.result["metrics"][protocol]["splits"][split].get("confidence", {})
        ends = found.get("average", {}) if action is None else found.get("per_action", {}).get(action, {})
        return None if ends.get(name) is None else (float(ends[name][0]), float(ends[name][1]))

    @property
    def floors(self) -> Mapping[str, Any]:
        """What needs no video, by split and baseline, see `swapaqa.probing.baselines`; empty where nothing is known."""
        return self.result.get("floors", {}) if self.result else {}

    def predictions(self, protocol: str, split: str = "test") -> dict[str, tuple[float, float]]:
        """(true, predicted) in points by video id; empty without such a protocol or split."""
        if self.result is None or protocol not in self.result["prediction_columns"]:
            return {}
        columns: Sequence[str] = self.result["prediction_columns"]
        true, predicted = columns.index("true"), columns.index(protocol)
        rows = self.result["predictions"].get(split, {})
        return {video_id: (row[true], row[predicted]) for video_id, row in rows.items()}

    def has(self, key: str, value: str) -> bool:
        """Whether an override, an option or the configuration says `value` at `key`."""
        there = self.given.get(key) or self.configured_text(key)
        try:
            return float(there) == float(value)
        except ValueError:
            return there.strip("'\"") == value

    def configured(self, key: str) -> Any:
        """The value at a dotted key of the configuration, as `data.action`; None if there is none."""
        return setting(self.config, key)

    def configured_text(self, key: str) -> str:
        """The option chosen for a group, else the value at a dotted key, as text; "" if unknown."""
        value = self.choices.get(key, self.configured(key))
        return "" if value is None or isinstance(value, Mapping) else str(value)


@dataclass(frozen=True, eq=False)
class Sweep:
    """The runs of one folder, in the order of their jobs.

    `command`: what started the sweep; None where no jobs.json says so.
    """

    name: str
    folder: Path
    command: str | None
    runs: tuple[Run, ...]

    @cached_property
    def swept(self) -> tuple[str, ...]:
        """The keys whose overrides differ between the runs, in the order of the command line."""
        keys = dict.fromkeys(key for run in self.runs for key in run.given)
        return tuple(key for key in keys if len({run.given.get(key) for run in self.runs}) > 1)

    def values(self, run: Run) -> dict[str, str]:
        """The swept values of a run, as text; from its configuration where no override says them, "" if unknown."""
        return {key: run.given.get(key) or run.configured_text(key) for key in self.swept}

    @property
    def has_facts(self) -> bool:
        """Whether anything is known of any job but its overrides."""
        return any(run.facts is not None for run in self.runs)

    @property
    def without_facts(self) -> tuple[Run, ...]:
        """Jobs of which only the overrides are known."""
        return tuple(run for run in self.runs if run.facts is None and run.state is not State.DAMAGED)

    def in_state(self, *states: State) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.state in states)
