"""The weights behind a run's numbers: one checkpoint for each protocol of `result.json`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from swapaqa.recording.recorder import Recorder
from swapaqa.running.ending import run_ends


@dataclass
class EpochCheckpoints(Checkpoint):
    """Has the last step of a run evaluated, and writes `last.ckpt`, `best_on_test.ckpt` and `best_on_val.ckpt`.

    Each has the weights of the evaluation that `recorder` keeps under its name, so file and number cannot differ.
    Lightning's own `save_last` follows what is monitored: its `last.ckpt` is the best epoch on test.

    Args:
        folder: of the checkpoints.
        recorder: stands before this in the list of callbacks.
    """

    folder: Path
    recorder: Recorder

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Let an evaluation follow the last step, whatever `check_val_every_n_epoch` and `val_check_interval` say."""
        if run_ends(trainer, batch_idx):
            trainer.check_val_every_n_epoch = trainer.val_check_batch = 1
            trainer.should_stop = True  # where evaluations go by the clock

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for protocol, found in self.recorder.protocols().items():
            if found is self.recorder.last:
                trainer.save_checkpoint(self.folder / f"{protocol}.ckpt", weights_only=False)
