"""Interruption of a run at any moment: step checkpoints, an exit on SIGTERM that saves, atomic checkpoint files.

A run that continues from a step checkpoint ends bit for bit where the uninterrupted one ends: all draws are keyed by
seed, epoch and sample, and the checkpoint has the rest (weights, optimiser, loops, torch's random state, the
predictions kept so far).
"""

import io
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from swapaqa.errors import InputError
from swapaqa.files.disk_errors import full_disk_explained
from swapaqa.files.whole_file import write_whole
from swapaqa.running import orphans
from swapaqa.running.ending import run_ends
from swapaqa.running.value_digest import sealed

log = logging.getLogger(__name__)

STOPPED = 128 + signal.SIGTERM  # the exit status that shells and schedulers know as "ended by SIGTERM"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its name and moves it there when it is whole and on the disk.

    A kill or a full disk while writing leaves the previous checkpoint as it was.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        if storage_options is not None:
            raise TypeError("storage_options: checkpoints are local files")
        content = io.BytesIO()
        torch.save(sealed(checkpoint), content)
        with full_disk_explained(Path(path)):
            write_whole(Path(path), content.getbuffer())


@dataclass
class StopRequest:
    """Whether a signal asked this process to stop, and which."""

    signal: "signal.Signals | None" = None

    def note(self, signum: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(signum)


stop_request = StopRequest()  # of the process, as signals are


def stop_requested(trainer: Trainer) -> bool:
    """Whether any process of the run was asked to stop; every process must call it."""
    return trainer.strategy.reduce_boolean_decision(stop_request.signal is not None, all=False)


@dataclass
class StepCheckpoints(Checkpoint):
    """Saves the run to `path` when `every` optimiser steps have gone by since the last time, or when told to stop.

    Never after the last batch of an epoch or of the run: what follows, the evaluation, belongs to it and would be lost
    on resuming.
    """

    path: Path
    every: int

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"save_every={self.every}: at least one step is needed")
        self._saved = 0  # at which step
        self._rng: dict[str, Any] | None = None
        self._taken: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the signals that ask a run to stop.

        SIGTERM from Lightning, whose handler starts a collective operation wherever it interrupts; SIGUSR2 where
        submitit listens to it, to requeue the job at the time limit: it is given back when the run is saved.
        """
        if threading.current_thread() is threading.main_thread():
            wanted = [signal.SIGTERM] + [signal.SIGUSR2] * callable(signal.getsignal(signal.SIGUSR2))
            self._taken = {name: signal.signal(name, stop_request.note) for name in wanted}
        self._saved = trainer.global_step
        orphans.patience.seconds = orphans.STEP_S

    def _leave(self) -> None:
        if stop_request.signal is signal.SIGUSR2:
            self._taken[signal.SIGUSR2](signal.SIGUSR2, None)  # the first process requeues the job and leaves here
        raise SystemExit(STOPPED)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._rng is not None:  # what loading drew since the checkpoint must not count
            set_random_states(self._rng)
            self._rng = None

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        done = batch_idx + 1
        if done >= trainer.num_training_batches:
            if trainer.num_training_batches <= trainer.accumulate_grad_batches and stop_requested(trainer):
                log.warning("told to stop: an epoch of one step has no point to save at, the run is left as it is")
                self._leave()
            return
        if run_ends(trainer, batch_idx):
            return
        if done % trainer.accumulate_grad_batches:
            return
        stop = stop_requested(trainer)
        if stop or trainer.global_step - self._saved >= self.every:
            self._saved = trainer.global_step
            trainer.save_checkpoint(self.path, weights_only=False)
        if stop:
            log.warning("told to stop: saved at epoch %d, step %d", trainer.current_epoch + 1, trainer.global_step)
            self._leave()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if stop_requested(trainer):
            log.warning("told to stop during an evaluation: the run continues from its last step checkpoint")
            self._leave()

    def state_dict(self) -> dict[str, Any]:
        return {"random": random_states()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._rng = state_dict["random"]

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for name, handler in self._taken.items():
            signal.signal(name, handler)
        self._taken = {}
        orphans.patience.seconds = orphans.AT_ONCE_S


def random_states() -> dict[str, Any]:
    """The states of torch's global generators, which dropout and sampled features draw from."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def set_random_states(states: dict[str, Any]) -> None:
    """Put torch's generators back to where a checkpoint has them."""
    torch.set_rng_state(states["cpu"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])


@contextmanager
def left_on_sigterm() -> Iterator[None]:
    """Leave with status 143 on SIGTERM where there is nothing to save yet, or nothing more."""

    def leave(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise SystemExit(STOPPED)

    previous = handle_sigterm(leave)
    try:
        yield
    finally:
        if previous is not None:
            handle_sigterm(previous)


def handle_sigterm(handler: Any) -> Any:
    """Install a handler of SIGTERM, return the one before; None outside of the main thread, which alone may do it."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, handler)
