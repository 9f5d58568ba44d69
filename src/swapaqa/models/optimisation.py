"""The optimiser of `optim=`, the learning rates of a method's parameter groups, and their schedule.

A method knows its groups of parameters and nothing of this.
"""

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from swapaqa.errors import InputError
from swapaqa.models.rates import Progress

BACKBONE = "backbone"


class Optimisation:
    """The optimiser of a training.

    Args:
        optimizer: makes it of groups of parameters: a class of `torch.optim`, or one like them, with its options but
            those below.
        learning_rate: of all groups but the backbone.
        backbone_learning_rate: of a pretrained backbone; one that starts from nothing names its own
            (`backbone.learning_rate`), which then wins.
        weight_decay: of all groups.
        groups: further options of single groups by name, as {"graph": {"lr": 0.01, "weight_decay": 0.0}}.
        lr_schedule: share of all rates at a `Progress`; None: constant. See `swapaqa.models.rates`.

    Raises:
        InputError: a negative number, or options that the optimiser refuses.
    """

    def __init__(
        self,
        optimizer: Callable[..., Optimizer],
        learning_rate: float,
        backbone_learning_rate: float,
        weight_decay: float,
        groups: dict[str, dict[str, float]] | None = None,
        lr_schedule: Callable[[Progress], float] | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.learning_rate, self.backbone_learning_rate = learning_rate, backbone_learning_rate
        self.weight_decay, self.groups, self.lr_schedule = weight_decay, groups or {}, lr_schedule
        if min(learning_rate, backbone_learning_rate, weight_decay) < 0:
            raise InputError(
                f"optim.learning_rate={learning_rate}, optim.backbone_learning_rate={backbone_learning_rate}, "
                f"optim.weight_decay={weight_decay}: none may be negative"
            )
        given = {"lr", "weight_decay"} & getattr(optimizer, "keywords", {}).keys()
        if given:
            raise InputError(
                f"optim.optimizer.{min(given)}: groups have their own; say optim.learning_rate, .weight_decay"
            )
        self._try_options()
        if lr_schedule is not None:
            try_schedule(lr_schedule)

    def _try_options(self) -> None:
        """InputError for options that the optimiser refuses, or, in a group, would pass over."""
        one = {name: [Parameter(torch.zeros(1))] for name in ("head", BACKBONE, *self.groups)}
        known = self.make_optimizer(one).defaults
        if known.get("eps") == 0:
            raise InputError("optim.optimizer.eps=0: Adam and its like divide by it, so it must be above 0")
        for name, options in self.groups.items():
            for key, value in options.items():
                if key not in known:
                    raise InputError(f"optim.groups.{name}.{key}: no such option; there are {', '.join(known)}")
                if value < 0:  # torch looks at the options of all groups only
                    raise InputError(f"optim.groups.{name}.{key}={value}: none may be negative")

    def configure(
        self, parameters: Mapping[str, Sequence[Parameter]], own_rate: float | None, trainer: Trainer | None
    ) -> Any:
        """What a LightningModule's `configure_optimizers` returns.

        Args:
            parameters, own_rate: see `make_optimizer`.
            trainer: that trains; None where only single steps are made: there is no schedule.
        """
        scaled = trainer is not None and trainer.precision == "16-mixed"
        optimizer = self.make_optimizer(parameters, own_rate, fused=not scaled)
        if trainer is None or self.lr_schedule is None:
            return optimizer
        scheduler = LambdaLR(optimizer, functools.partial(share_at, self.lr_schedule, length_of(trainer)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def make_optimizer(
        self, parameters: Mapping[str, Sequence[Parameter]], own_rate: float | None = None, fused: bool = True
    ) -> Optimizer:
        """The optimiser over groups of parameters, which keep their names.

        Args:
            parameters: by name of the group.
            own_rate: of a backbone that starts from nothing; None for a pretrained one.
            fused: as one kernel, on a CPU too, where the optimiser can and its options do not say; not under 16-mixed,
                where it would unscale gradients itself, and Lightning then refuses to clip them.
        """
        unknown = self.groups.keys() - parameters.keys()
        if unknown:
            raise InputError(f"optim.groups.{min(unknown)}: no such group; the method has {', '.join(parameters)}")
        rates = {BACKBONE: self.backbone_learning_rate if own_rate is None else own_rate}
        groups = [
            {"params": list(own), "lr": rates.get(name, self.learning_rate), "weight_decay": self.weight_decay}
            | {"name": name}
            | self.groups.get(name, {})
            for name, own in parameters.items()
        ]
        can_fuse = "fused" in inspect.signature(self.optimizer).parameters
        said = "fused" in getattr(self.optimizer, "keywords", {})
        try:
            return self.optimizer(groups, **({"fused": True} if fused and can_fuse and not said else {}))
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"optim.optimizer: {error}") from error


def length_of(trainer: Trainer) -> Progress:
    """The beginning of a training, of a length that `trainer` knows once the data are there."""
    trainer.fit_loop.setup_data()
    per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
    return Progress(0, trainer.estimated_stepping_batches, per_epoch)


def share_at(lr_schedule: Callable[[Progress], float], beginning: Progress, step: int) -> float:
    """Share of the rates after `step` optimiser steps."""
    return lr_schedule(beginning._replace(step=step))


def try_schedule(lr_schedule: Callable[[Progress], float]) -> None:
    """InputError for a schedule that gives no share, at the beginning, in the middle or at the end of a training."""
    for step in (0, 50, 100):
        try:
            share = lr_schedule(Progress(step, steps=100, steps_per_epoch=10))
            possible = 0 <= share < math.inf
        except (ArithmeticError, TypeError) as error:
            needed = "a function as those of swapaqa.models.rates is needed"
            raise InputError(f"optim.lr_schedule: {' '.join(str(error).split())}; {needed}") from error
        if not possible:
            raise InputError(f"optim.lr_schedule: gives {share} times the rates at step {step} of 100")
