"""`result.json` and `predictions_<split>.csv`, which a run writes and a report reads.

Protocols are columns: every number is kept at the last epoch, at the best epoch on test (which is what all published
numbers of the field are) and, where a part of train was cut off, at the best epoch on that part.
"""

import csv
import io
import json
import logging
import math
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from swapaqa import __version__, statistics
from swapaqa.files.spreadsheet import guarded
from swapaqa.files.whole_file import write_whole
from swapaqa.measures.ours import COVERAGES, SPEARMAN, STANDARD, WRITTEN
from swapaqa.measures.record import Measure, Scores
from swapaqa.models.batch_norm import CANNOT_LEARN
from swapaqa.models.scorer import Scorer, predicted_stds, predictions
from swapaqa.recording.checkout import git_commit

log = logging.getLogger(__name__)

RESULT_FILE = "result.json"
FORMAT = 2  # of result.json and gradcam.json; the first, which had no number, counted epochs from 0
PACKAGES = (
    "torch",
    "pytorch-lightning",
    "torchmetrics",
    "hydra-core",
    "omegaconf",
    "wandb",
    "av",
    "decord",
    "numpy",
)


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

    def intervals(actions: Sequence[Scores]) -> dict[str, list[float] | None]:
        found = {measure.name: statistics.interval(measure, actions) for measure in measures}
        return {name: ends and list(ends) for name, ends in found.items()}

    return {
        "level": statistics.LEVEL,
        "method": f"BCa bootstrap over the videos, {statistics.RESAMPLES} resamples",
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


@dataclass
class Recorder(Callback):
    """Keeps the predictions of the last and the best epochs, and measures what a training step costs.

    `records`: by split, in the order of a sample's index. `protocol`: None in training; for the evaluation of a
    checkpoint, the one protocol that its predictions belong to. `measures`: what was asked, with intervals.
    """

    records: Mapping[str, Sequence[Row]]
    protocol: str | None = None
    measures: Sequence[Measure] = STANDARD
    last: Evaluation | None = None
    best: dict[str, Evaluation] = field(default_factory=dict)  # by the split that chose the epoch
    best_spearman: dict[str, float] = field(default_factory=dict)
    step_seconds: list[float] = field(default_factory=list)
    wait_seconds: list[float] = field(default_factory=list)  # before each step: loading, transfer, augmentation
    started: float = field(default_factory=time.monotonic)
    _undefined_said: bool = False
    _step_started: float = 0.0
    _step_ended: float = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What a continued run needs to end with the same result, and with the time of both parts."""
        return {
            "last": self.last and asdict(self.last),
            "best": {split: asdict(found) for split, found in self.best.items()},
            "best_spearman": self.best_spearman,
            "step_seconds": torch.tensor(self.step_seconds),
            "wait_seconds": torch.tensor(self.wait_seconds),
            "elapsed": time.monotonic() - self.started,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last = state_dict["last"] and Evaluation(**state_dict["last"])
        self.best = {split: Evaluation(**found) for split, found in state_dict["best"].items()}
        self.best_spearman = state_dict["best_spearman"]
        self.step_seconds, self.wait_seconds = (state_dict[f"{n}_seconds"].tolist() for n in ("step", "wait"))
        self.started = time.monotonic() - state_dict["elapsed"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step_ended = time.monotonic()  # a run that continues within an epoch does not start that epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step_ended = time.monotonic()  # an evaluation before it is not a wait

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._step_started = time.monotonic()
        self.wait_seconds.append(self._step_started - self._step_ended)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self._step_ended = time.monotonic()
        self.step_seconds.append(self._step_ended - self._step_started)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Scorer)
        tables = {split: tuple(column.cpu() for column in table) for split, table in predictions(pl_module).items()}
        stds = {split: std.cpu() for split, std in predicted_stds(pl_module).items()}
        self.last = Evaluation(trainer.current_epoch, tables, stds)  # type: ignore[arg-type]
        if trainer.is_global_zero:
            self.say_undefined()
        if self.protocol:
            return
        for split in self.selection_splits(tables):
            rho = split_metrics(self.last.tables[split], self.records[split], [SPEARMAN])["average"][SPEARMAN.name]
            if rho > self.best_spearman.get(split, -2.0):
                self.best_spearman[split], self.best[split] = rho, self.last

    def say_undefined(self) -> None:
        """Log once a run which metrics of the last evaluation are undefined, and why: one warning a reason."""
        assert self.last is not None
        if self._undefined_said:
            return
        parts = {
            f"{split} {action}": scores
            for split, table in self.last.tables.items()
            for action, scores in by_action(table, self.records[split], self.last.stds.get(split)).items()
        }
        titles: dict[str, list[str]] = {}  # by what is wrong
        for measure in self.measures:
            reasons = [f"{part}: {why}" for part, scores in parts.items() if (why := measure.why_undefined(scores))]
            titles.setdefault("; ".join(reasons), []).append(measure.title)
        for reason, undefined in titles.items():
            self._undefined_said |= bool(reason)
            advice = f" ({CANNOT_LEARN})" if "predictions are constant" in reason else ""
            words = f"{', '.join(undefined)} {'is' if len(undefined) == 1 else 'are'} undefined"
            if reason:
                log.warning("%s and this is not said again: %s%s", words, reason, advice)

    @staticmethod
    def selection_splits(tables: Mapping[str, Any]) -> list[str]:
        """The splits that choose an epoch: `test`, as published, and `val` where there is one."""
        return [split for split in ("test", "val") if split in tables]

    def protocols(self) -> dict[str, Evaluation]:
        """The evaluations to report, by protocol."""
        if self.last is None:
            return {}
        if self.protocol:
            return {self.protocol: self.last}
        return {"last": self.last} | {f"best_on_{split}": found for split, found in self.best.items()}

    def metrics(self) -> dict[str, Any]:
        """By protocol: the epoch, counted from 1, and by split its metrics, with their confidence intervals.

        With the calibration where the method predicts deviations.
        """
        return {
            protocol: {
                "epoch": found.epoch + 1,
                "splits": {split: self._split(found, split) for split in found.tables},
            }
            for protocol, found in self.protocols().items()
        }

    def _split(self, found: Evaluation, split: str) -> dict[str, Any]:
        calibration = found.calibration(split)
        table, records, std = found.tables[split], self.records[split], found.stds.get(split)
        written = [*dict.fromkeys((*WRITTEN, *self.measures))]
        confidence = split_confidence(table, records, self.measures, std)
        metrics = split_metrics(table, records, written, std) | {"confidence": confidence}
        return metrics | ({"calibration": calibration} if calibration else {})

    def timing(self) -> dict[str, float]:
        """Wall time of the run so far and the median time of a training step, in seconds, as the host sees them.

        `data_wait_share`: of the time in training epochs, what passed before the steps: loading, transfer and
        augmentation. NaN without a step.
        """
        steps = torch.tensor(self.step_seconds or [float("nan")])
        waited = sum(self.wait_seconds)
        return {
            "wall_s": time.monotonic() - self.started,
            "step_median_s": float(steps.median()),
            "data_wait_share": waited / (waited + float(steps.sum())),
        }

    def write_predictions(self, folder: Path) -> dict[str, dict[str, list[float]]]:
        """Write `predictions_<split>.csv` with every protocol as a column; return the same by split and id.

        Where the method predicts standard deviations the file has them too, as `<protocol>_std`.
        """
        found = self.protocols()
        splits = self.last.tables if self.last else {}
        return {split: self._write_split(folder, split, found) for split in splits}

    def _write_split(self, folder: Path, split: str, found: Mapping[str, Evaluation]) -> dict[str, list[float]]:
        index, _, true = next(iter(found.values())).tables[split]
        uncertain = {name: e.stds[split] for name, e in found.items() if e.calibration(split)}
        rows = {}
        table = io.StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow(["video_id", "action", "true", *map(guarded, found), *(f"{name}_std" for name in uncertain)])
        for row, position in enumerate(index.tolist()):
            record = self.records[split][position]
            values = [float(evaluation.tables[split][1][row]) for evaluation in found.values()]
            stds = [float(std[row]) for std in uncertain.values()]
            rows[record.video_id] = [float(true[row]), *values]
            numbers = [f"{true[row]:.4f}", *(f"{v:.6f}" for v in values + stds)]
            writer.writerow([guarded(record.video_id), guarded(record.action), *numbers])
        write_whole(folder / f"predictions_{split}.csv", table.getvalue())
        return rows


def write_result(folder: Path, recorder: Recorder, facts: Mapping[str, Any]) -> dict[str, Any]:
    """`compose_result` and `save_result` in one."""
    result = compose_result(folder, recorder, facts)
    save_result(folder, result)
    return result


def compose_result(folder: Path, recorder: Recorder, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics by protocol, predictions by id, timing, versions and the given `facts`; writes the tables of predictions.

    The columns of `predictions` are the true score and the protocols, in the order of `prediction_columns`.
    """
    return {
        "format": FORMAT,
        **facts,
        "measures": {measure.name: measure.described() for measure in recorder.measures},
        "metrics": recorder.metrics(),
        "prediction_columns": ["true", *recorder.protocols()],
        "predictions": recorder.write_predictions(folder),
        "timing": recorder.timing(),
        "git_commit": git_commit(),
        "versions": {name: installed_version(name) for name in PACKAGES}
        | {"python": platform.python_version(), "swapaqa": __version__},
    }


def epoch_in(file: Mapping[str, Any], epoch: int) -> int:
    """An epoch that a `result.json` or `gradcam.json` names, counted from 1 whatever its format."""
    return epoch if file.get("format", 1) >= FORMAT else epoch + 1


def installed_version(package: str) -> str | None:
    """None where it is not installed: decord is on some platforms only."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def save_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write `result.json`, as the last thing of a run: one that exists is a whole one, and its run is done."""
    write_json(folder / RESULT_FILE, result)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """What is undefined (the correlation of constant predictions) is null."""
    write_whole(path, json.dumps(_without_nan(content), indent=1, allow_nan=False))


def _without_nan(value: Any) -> Any:
    """The same with None where a number is NaN or infinite: JSON has neither."""
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def device_name(module: LightningModule) -> str:
    """The device a module is on, by its name."""
    device = module.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
