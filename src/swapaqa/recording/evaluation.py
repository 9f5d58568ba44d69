"""The predictions of one epoch, and what they are worth: metrics per action and averaged, with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from swapaqa import statistics
from swapaqa.measures.ours import COVERAGES, STANDARD, WRITTEN
from swapaqa.measures.record import Measure, Scores

Table = tuple[Tensor, Tensor, Tensor]  # (index, predicted, true) in points


class Row(Protocol):
    """What a prediction's row needs of a record."""

    @property
    def video_id(self) -> str: ...
    @property
    def action(self) -> str: ...


@dataclass(frozen=True)
class Evaluation:
    """The predictions of one epoch, counted from 0 as Lightning does: by split, (index, predicted, true) in points.

    `stds`: by split, the standard deviations that the method predicts, in points; NaN where it predicts none.
    """

    epoch: int
    tables: dict[str, Table]
    stds: dict[str, Tensor] = field(default_factory=dict)

    def calibration(self, split: str) -> dict[str, float] | None:
        """Coverage of the nominal 50 and 90 % intervals and the mean deviation; None without predicted deviations."""
        std = self.stds.get(split)
        if std is None or std.isnan().all():
            return None
        scores = as_scores(*self.tables[split][1:], std)
        return {measure.name: measure.of(scores) for measure in COVERAGES} | {"mean_std": float(std.nanmean())}


def split_metrics(
    table: Table, records: Sequence[Row], measures: Sequence[Measure] = WRITTEN, std: Tensor | None = None
) -> dict[str, Any]:
    """The metrics per action, and averaged over the actions as each of them is. `std`: the predicted deviations."""
    per_action: dict[str, dict[str, float]] = {
        action: {measure.name: measure.of(scores) for measure in measures} | {"videos": len(scores.true)}
        for action, scores in by_action(table, records, std).items()
    }
    average = {m.name: m.over_actions([found[m.name] for found in per_action.values()]) for m in measures}
    return {"average": average, "per_action": per_action}


def split_confidence(
    table: Table, records: Sequence[Row], measures: Sequence[Measure] = STANDARD, std: Tensor | None = None
) -> dict[str, Any]:
    """The intervals over test videos of `split_metrics`, [low, high] or None; see `swapaqa.statistics`."""
    scores = by_action(table, records, std)
    method = statistics.method_of(max((len(found.true) for found in scores.values()), default=0))

    def intervals(actions: Sequence[Scores]) -> dict[str, list[float] | None]:
        found = {measure.name: statistics.interval(measure, actions) for measure in measures}
        return {name: ends and list(ends) for name, ends in found.items()}

    return {
        "level": statistics.LEVEL,
        "method": f"{method} bootstrap over the videos, {statistics.RESAMPLES} resamples",
        "average": intervals([*scores.values()]),
        "per_action": {action: intervals([found]) for action, found in scores.items()},
    }


def by_action(table: Table, records: Sequence[Row], std: Tensor | None = None) -> dict[str, Scores]:
    """Predictions and truths by action, in the order of the index."""
    index, predicted, true = table
    actions = [records[i].action for i in index.tolist()]
    chosen = {action: torch.tensor([name == action for name in actions]) for action in dict.fromkeys(actions)}
    return {
        action: as_scores(predicted[mask], true[mask], None if std is None else std[mask])
        for action, mask in chosen.items()
    }


def as_scores(predicted: Tensor, true: Tensor, std: Tensor | None) -> Scores:
    """The same as float64 arrays."""
    return Scores(predicted.double().numpy(), true.double().numpy(), None if std is None else std.double().numpy())
