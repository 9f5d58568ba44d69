"""The callback that keeps what a run's result is made of.

Protocols are columns: every number is kept at the last epoch, at the best epoch on test (which is what all published
numbers of the field are) and, where a part of train was cut off, at the best epoch on that part.
"""

import csv
import io
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from swapaqa.files.spreadsheet import guarded
from swapaqa.files.whole_file import write_whole
from swapaqa.measures.ours import SPEARMAN, STANDARD, WRITTEN
from swapaqa.measures.record import Measure
from swapaqa.models.batch_norm import CANNOT_LEARN
from swapaqa.models.scorer import Scorer, predicted_stds, predictions
from swapaqa.recording.evaluation import Evaluation, Row, by_action, split_confidence, split_metrics

log = logging.getLogger(__name__)


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
    began: float = field(default_factory=time.time)  # in seconds since 1970; of a continued run its first part
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
            "began": self.began,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last = state_dict["last"] and Evaluation(**state_dict["last"])
        self.best = {split: Evaluation(**found) for split, found in state_dict["best"].items()}
        self.best_spearman = state_dict["best_spearman"]
        self.step_seconds, self.wait_seconds = (state_dict[f"{n}_seconds"].tolist() for n in ("step", "wait"))
        self.started = time.monotonic() - state_dict["elapsed"]
        self.began = state_dict.get("began", time.time() - state_dict["elapsed"])  # older checkpoints do not say it

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


def device_name(module: LightningModule) -> str:
    """The device a module is on, by its name."""
    device = module.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
