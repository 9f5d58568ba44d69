"""Model and data module of a configuration without its data set, for programs that measure steps and train nothing."""

from collections.abc import Sequence
from typing import NamedTuple

import hydra
import torch
from hydra.errors import HydraException, InstantiationException
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.plugins.precision import MixedPrecision, Precision

from swapaqa.batch import TrainingLabels
from swapaqa.configuration.checking import check
from swapaqa.configuration.data_sets import make_data
from swapaqa.configuration.overrides import explain_override
from swapaqa.data.datamodule import VideoData
from swapaqa.errors import InputError
from swapaqa.models.scorer import Scorer
from swapaqa.running.precision import refuse_half_on_cpu
from swapaqa.running.program import compose_quietly
from swapaqa.running.training import build_model

LABELS = 64  # enough for the borders of every group


class Assembled(NamedTuple):
    """The parts of a run before it reads anything."""

    data: VideoData  # not set up: its lists may not even be there
    model: Scorer  # on `device`
    precision: Precision
    device: torch.device


def assemble(overrides: Sequence[str]) -> Assembled:
    """The configuration under overrides, with a scale learnt from random labels.

    Raises:
        InputError: one line about whatever is wrong with the overrides.
    """
    try:
        cfg = compose_quietly(overrides, "bench")
        check(cfg)
        refuse_half_on_cpu(cfg.trainer)
        seed_everything(cfg.seed, verbose=False)
        data = make_data(cfg.data)
        model = build_model(cfg, random_labels(data.source.max_label))
        trainer: Trainer = hydra.utils.instantiate(
            cfg.trainer, devices=1, num_nodes=1, strategy="auto", logger=False, enable_checkpointing=False
        )
    except InstantiationException as error:
        if not isinstance(error.__cause__, InputError):
            raise
        raise error.__cause__ from error
    except HydraException as error:
        raise InputError(explain_override(error)) from error
    precision = trainer.precision_plugin
    if isinstance(precision, MixedPrecision) and precision.scaler is not None:
        raise InputError("trainer.precision=16-mixed scales its loss, which the bench does not; say bf16-mixed")
    device = trainer.strategy.root_device
    return Assembled(data, precision.convert_module(model).to(device), precision, device)  # type: ignore[arg-type]


def random_labels(max_label: float) -> TrainingLabels:
    """Labels of one action and one group, spread evenly at random over the scale."""
    generator = torch.Generator().manual_seed(0)
    label = max_label * torch.rand(LABELS, dtype=torch.float64, generator=generator)
    nothing = torch.zeros(LABELS, dtype=torch.int64)
    return TrainingLabels(label, action=nothing, group=nothing, max_label=max_label)
