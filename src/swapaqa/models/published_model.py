"""An author's checkpoint as one of a model of ours: its weights under our names, BatchNorm as its program ran it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swapaqa.batch import TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models import published
from swapaqa.models.batch_norm import batch_norm_settings
from swapaqa.models.c3d import C3D
from swapaqa.models.c3d_weights import own_weights
from swapaqa.models.dilated_c3d import DilatedC3D
from swapaqa.models.i3d import I3D
from swapaqa.models.i3d_weights import batch_norm_of, is_piergiajs, renamed
from swapaqa.models.published import BATCH_COUNT
from swapaqa.models.scorer import BATCH_NORM_KEY, Scorer

NETWORKS = {"i3d": I3D, "c3d": C3D, "dilated_c3d": DilatedC3D}  # by what `backbone=` calls them


def as_ours(
    path: str, content: Mapping[str, Any], model: Scorer, labels: Callable[[], TrainingLabels], keep_eps: bool
) -> dict[str, Any]:
    """What an author's program saved, as a checkpoint of `model`, which learns its scale.

    Of a program that saved a head alone the backbone is the model's, with its weights.

    Args:
        path: of the file, for errors.
        content: of the file.
        model: of the same system, with whatever weights.
        labels: gives what it learns its scale from.
        keep_eps: keep the model's epsilon of BatchNorm, instead of the one that the file's layout was run with.

    Raises:
        InputError: the weights are of another system.
    """
    system = published.system_of(content)
    assert system is not None
    head, network = published.head_weights(content, system), model.encoder.network
    if not (system.i3d is None or isinstance(network, NETWORKS[system.backbone])) or head.keys() != head_names(model):
        backbone = f" backbone={system.backbone}" if system.i3d else ""
        raise InputError(
            f"checkpoint={path}: the weights of {system.name}, and not of this model; say "
            f"model={system.model}{backbone}, or experiment={system.preset}"
        )
    model.learn_scale(labels())
    model.adopt_published()
    others = {name: value for name, value in model.state_dict().items() if name not in head}
    state, epoch = others | head, content.get("epoch", 0)
    if system.i3d is None:
        return {"state_dict": state, BATCH_NORM_KEY: {}, "epoch": epoch}
    weights = published.i3d_weights(content, system)
    if not isinstance(network, I3D):
        state |= {f"encoder.network.{name}": value for name, value in own_weights(Path(path), weights, network).items()}
        return {"state_dict": state, BATCH_NORM_KEY: {}, "epoch": epoch}
    piergiaj = is_piergiajs(weights)
    backbone_weights = renamed(Path(path), weights, network.state_dict(), piergiaj)
    state |= {f"encoder.network.{name}": value for name, value in backbone_weights.items()}
    norms = {name: list(batch_norm_of(piergiaj)) for name in batch_norm_settings(model.encoder)}
    return {"state_dict": state, BATCH_NORM_KEY: {} if keep_eps else norms, "epoch": epoch}


def head_names(model: Scorer) -> set[str]:
    """What a file has of a model's head: its weights and buffers, without those that the training labels taught."""
    learnt = {name for name, _ in model.named_buffers(recurse=False)}
    own = {name for name in model.state_dict() if not name.startswith(("encoder.network.", "spearman."))}
    return {name for name in own - learnt if not name.endswith(BATCH_COUNT)}
