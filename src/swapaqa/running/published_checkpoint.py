"""An author's checkpoint as one of ours: with the configuration that the command line says, under our names.

What the file lacks comes from elsewhere: group borders from the training lists, BatchNorm's epsilon from its layout.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig, OmegaConf

from swapaqa.batch import TrainingLabels
from swapaqa.config import TOP_LEVEL
from swapaqa.data.datamodule import VideoData
from swapaqa.errors import InputError
from swapaqa.models import published
from swapaqa.models.clips import batch_norm_settings
from swapaqa.models.core import CoRe
from swapaqa.models.i3d import I3D
from swapaqa.models.i3d_weights import batch_norm_of, is_piergiajs, renamed
from swapaqa.models.scorer import BATCH_NORM_KEY, CONFIG_KEY, FORMAT, FORMAT_KEY, Scorer

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
    best = f"experiment={system.model}_as_published"
    if not preset and not any(word.startswith("data=") for word in given):
        raise InputError(
            f"checkpoint={path}: saved by {system.name}'s program, without a configuration; say {best}, or "
            f"model={system.model} and data="
        )
    if not preset:
        log.warning("%s's program saved this file: %s scores it as that program did", system.name, best)
    said = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key in TOP_LEVEL])
    configuration = OmegaConf.to_container(said, resolve=True)
    cfg.aug = NO_AUGMENTATION
    return content | {CONFIG_KEY: configuration, FORMAT_KEY: FORMAT, "epoch": int(content.get("epoch", 0))}


def as_ours(cfg: DictConfig, content: Mapping[str, Any], system: published.System, model: Scorer) -> dict[str, Any]:
    """What an author's program saved, as a checkpoint of `model`, which learns its scale from the lists.

    Raises:
        InputError: it is of another model, or the lists are not there.
    """
    file, network = f"checkpoint={cfg.checkpoint}", model.encoder.network
    head = published.head_weights(content, system)
    if not isinstance(network, I3D) or head.keys() != head_names(model):
        raise InputError(
            f"{file}: the weights of {system.name}, and not of this model; say model={system.model} backbone=i3d, or "
            f"experiment={system.model}_as_published"
        )
    learn_scale(hydra.utils.instantiate(cfg.data), model, file)
    weights = published.i3d_weights(content, system)
    piergiaj = is_piergiajs(weights)
    backbone = renamed(Path(cfg.checkpoint), weights, network.state_dict(), piergiaj)
    learnt = dict(model.named_buffers(recurse=False))
    state = {f"encoder.network.{name}": value for name, value in backbone.items()} | head | learnt
    norms = {name: list(batch_norm_of(piergiaj)) for name in batch_norm_settings(model.encoder)}
    norms = norms if cfg.backbone.bn_eps is None else {}
    return {"state_dict": state, BATCH_NORM_KEY: norms, "epoch": content["epoch"]}


def head_names(model: Scorer) -> set[str]:
    """The parameters of a model but for its encoder's."""
    return {name for name, _ in model.named_parameters() if not name.startswith("encoder.")}


def learn_scale(data: VideoData, model: Scorer, file: str) -> None:
    """Let a model learn its scale: CoRe from the training lists, the others need no more than where it ends."""
    if not isinstance(model, CoRe):
        nothing = torch.zeros(1, dtype=torch.int64)
        model.learn_scale(TrainingLabels(nothing.double(), nothing, nothing, data.max_label))
        return
    try:
        model.learn_scale(data.training_labels())
    except InputError as error:
        raise InputError(
            f"{file}: CoRe's file carries no group borders, which come from the training lists of data=: {error}"
        ) from error
