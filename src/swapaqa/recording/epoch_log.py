"""Log of an epoch beside the scorer's own: metrics per action, and where the time went."""

from pytorch_lightning import Callback, LightningModule, Trainer

from swapaqa.recording.evaluation import split_metrics
from swapaqa.recording.logged import epoch_numbers, time_numbers
from swapaqa.recording.recorder import Recorder


class EpochLog(Callback):
    """Logs `<split>/<metric>/<action>`, `<split>/<metric>/average` and `time/...` after every evaluation.

    It reads what `recorder` kept, so it stands behind it in the list of callbacks.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.steps_logged = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self.steps_logged = len(self.recorder.step_seconds)  # those of a run that is continued were logged

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.recorder.last is None or trainer.sanity_checking:
            return
        numbers = self.metrics() | self.times() | {"epoch": float(trainer.current_epoch)}
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=trainer.global_step)

    def metrics(self) -> dict[str, float]:
        """Of the evaluation that the recorder kept last."""
        last, records, measures = self.recorder.last, self.recorder.records, self.recorder.measures
        assert last is not None
        tables = last.tables.items()
        return epoch_numbers(
            {split: split_metrics(table, records[split], measures, last.stds.get(split)) for split, table in tables}
        )

    def times(self) -> dict[str, float]:
        """Of the training steps since the last time."""
        first, self.steps_logged = self.steps_logged, len(self.recorder.step_seconds)
        return time_numbers(self.recorder.step_seconds[first:], self.recorder.wait_seconds[first:])
