"""Configuration and label scale of an author's checkpoint, which has neither: the one given, the other learnt."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from swapaqa.batch import TrainingLabels
from swapaqa.configuration.checking import TOP_LEVEL
from swapaqa.data.datamodule import VideoData
from swapaqa.errors import InputError
from swapaqa.models import published
from swapaqa.models.scorer import CONFIG_KEY, FORMAT, FORMAT_KEY, TRAINED_ON_KEY, Scorer

log = logging.getLogger(__name__)

NO_AUGMENTATION = {"_target_": "swapaqa.augment.none.NoAugmentation"}


def with_configuration(path: str, content: dict[str, Any], cfg: DictConfig, given: Sequence[str]) -> dict[str, Any]:
    """The content of a checkpoint with the configuration that its model was trained with, under `CONFIG_KEY`.

    That of an author's program has none: it is what the command line says.

    Args:
        path: of the checkpoint.
        content: as `read_checkpoint` gives it.
        cfg: of the recipe. Where a preset says how to augment, that is taken out: nothing is trained.
        given: the overrides of the command line.

    Raises:
        InputError: the command line says too little, or `experiment=` where the file knows.
    """
    system, preset = published.system_of(content), any(word.startswith("experiment=") for word in given)
    if system is None:
        if preset:
            raise InputError(f"experiment: checkpoint={path} carries its own configuration; leave experiment= out")
        return content
    best = f"experiment={system.preset}"
    if not preset and not any(word.startswith("data=") for word in given):
        raise InputError(
            f"checkpoint={path}: saved by {system.name}'s program, without a configuration; say {best}, or "
            f"model={system.model} and data="
        )
    if system.i3d is None:
        _refuse_random_backbone(path, system, cfg)
        log.warning("%s's program saved a head alone: it was trained on other features than it scores", system.name)
    elif not preset:
        log.warning("%s's program saved this file: %s scores it as that program did", system.name, best)
    said = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key in TOP_LEVEL])
    configuration = OmegaConf.to_container(said, resolve=True)
    cfg.aug = NO_AUGMENTATION
    known = {CONFIG_KEY: configuration, FORMAT_KEY: FORMAT, TRAINED_ON_KEY: []}  # nothing in it says on what
    return content | known | {"epoch": int(content.get("epoch", 0))}


def _refuse_random_backbone(path: str, system: published.System, cfg: DictConfig) -> None:
    """InputError where the backbone has weights of its own to name, and the command line names none."""
    if cfg.backbone.get("pretrained", "") is None:
        raise InputError(
            f"checkpoint={path}: {system.name}'s program saved a head without a backbone; name the backbone's weights, "
            "backbone.pretrained="
        )


def scale_labels(data: VideoData, model: Scorer, system: published.System, file: str) -> TrainingLabels:
    """The labels that a system's model learns its scale from: those of the training lists where its file lacks it and
    its parameters do not say it, else none, as the scale's end is enough.

    Raises:
        InputError: the lists are not there.
    """
    if not system.lacking or model.scale_given:
        nothing = torch.zeros(1, dtype=torch.int64)
        return TrainingLabels(nothing.double(), nothing, nothing, data.source.max_label)
    try:
        return data.training_labels()
    except InputError as error:
        raise InputError(
            f"{file}: {system.name}'s file carries no {system.lacking}, which come from the training lists of data=: "
            f"{error}"
        ) from error
