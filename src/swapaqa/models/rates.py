"""Learning rate schedules: shares of each group's own rate, by the optimiser step.

Shares, and not rates as in the schedulers of `torch.optim`, because the groups of a method have different rates and
come down together. `torch.optim.lr_scheduler.LambdaLR` keeps count.
"""

import math
from typing import Literal, NamedTuple

from swapaqa.errors import InputError


class Progress(NamedTuple):
    """Where a training is."""

    step: int  # optimiser steps that are done
    steps: float  # of the whole training; infinite where only trainer.max_time ends it
    steps_per_epoch: int


def warmup_cosine(
    progress: Progress,
    warmup_epochs: float = 0.0,
    warmup_steps: int = 0,
    end: float = 0.0,
    every: Literal["step", "epoch"] = "step",
) -> float:
    """A linear rise, then half a cosine from 1 down to `end` (Loshchilov and Hutter, ICLR 2017, without restarts).

    Args:
        progress: now.
        warmup_epochs, warmup_steps: added, the W steps of the rise: 1 / (W + 1), 2 / (W + 1), ...; step W is at 1.
        end: share after the last step.
        every: when the share changes after the rise; by `epoch`, epoch e of E is at 1 + cos(pi e / E), as published
            codes do that step their scheduler once an epoch.

    Raises:
        InputError: the training has no length, the rise a negative one.
    """
    if math.isinf(progress.steps):
        raise InputError("optim.lr_schedule needs the length of the training: say trainer.max_epochs= or max_steps=")
    if min(warmup_epochs, warmup_steps) < 0:
        raise InputError(f"optim.lr_schedule: a rise of {warmup_epochs} epochs and {warmup_steps} steps is negative")
    rise = warmup_steps + warmup_epochs * progress.steps_per_epoch
    if progress.step < rise:
        return (progress.step + 1) / (rise + 1)
    done = progress.step if every == "step" else progress.step - progress.step % progress.steps_per_epoch
    share = max(done - rise, 0) / max(progress.steps - rise, 1)
    return end + (1 - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def cosine_of_epochs(progress: Progress, period: int, end: float = 0.0) -> float:
    """Half a cosine from 1 down to `end` in `period` epochs, changed once an epoch, whatever the training's length.

    As `CosineAnnealingLR` of torch, stepped once an epoch.
    """
    epoch = progress.step // progress.steps_per_epoch
    return end + (1 - end) * (1 + math.cos(math.pi * epoch / period)) / 2


def step_decay(progress: Progress, epochs: int | list[int], factor: float) -> float:
    """`factor` to the power of the decays so far: one every so many `epochs`, or one at each epoch of a list.

    As `StepLR` and `MultiStepLR` of torch, stepped once an epoch; epochs count from 0.
    """
    epoch = progress.step // progress.steps_per_epoch
    decays = epoch // epochs if isinstance(epochs, int) else sum(epoch >= milestone for milestone in epochs)
    return factor**decays


def warmup(progress: Progress, epochs: float) -> float:
    """A linear rise in W = `epochs` times the steps of one, 0 at the first step and 1 at step W - 1; then 1 (RICA2)."""
    rise = round(epochs * progress.steps_per_epoch)
    return min(1.0, progress.step / max(rise - 1, 1)) if rise > 1 else 1.0
