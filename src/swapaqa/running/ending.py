"""When a run ends, and what is refused because it would end without an evaluation of everything."""

from omegaconf import DictConfig
from pytorch_lightning import Trainer

from swapaqa.errors import InputError


def refuse_without_evaluation(trainer: DictConfig) -> None:
    """Raises InputError where the configuration `trainer` never comes to an evaluation, or never to an end."""
    every: int | None = trainer.get("check_val_every_n_epoch", 1)
    if every is not None and every < 1:
        raise InputError(f"trainer.check_val_every_n_epoch={every}: at least 1 is needed; the last epoch always is one")
    epochs: int | None = trainer.get("max_epochs")
    if epochs is None or epochs < 1:
        raise InputError(
            f"trainer.max_epochs={'null' if epochs is None else epochs}: at least 1 is needed; trainer.max_steps and "
            "trainer.max_time may end a run before its last epoch"
        )


def refuse_partial_evaluation(trainer: Trainer) -> None:
    """Raises InputError where `trainer` evaluates some of the videos only: no protocol is of some of them."""
    limit = trainer.limit_val_batches
    if isinstance(limit, int) or limit != 1:
        raise InputError(
            f"trainer.limit_val_batches={limit}: an evaluation needs all of its videos; leave it at 1.0, and "
            "trainer.fast_dev_run and trainer.overfit_batches, which set it, out"
        )


def run_ends(trainer: Trainer, batch_idx: int) -> bool:
    """Whether no step follows the one of this batch, seen from a callback's `on_train_batch_end`.

    Epochs, trainer.max_steps and trainer.max_time may end a run. The last is a callback of Lightning's, which comes
    before those that are a `Checkpoint`, and after all others: only they may ask.
    """
    last_batch = batch_idx + 1 >= trainer.num_training_batches
    by_epochs = last_batch and trainer.max_epochs not in (None, -1) and trainer.current_epoch + 1 >= trainer.max_epochs
    by_steps = trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps
    return by_epochs or by_steps or (trainer.should_stop and trainer.fit_loop._can_stop_early)
