"""Which videos weights were trained on: those of a checkpoint, of a file of weights, and those behind features.

Each says it by the names of `swapaqa.data.footage`: a checkpoint and what `src.pretrain` writes under `TRAINED_ON_KEY`,
the manifest of extracted features under `WEIGHTS_TRAINED_ON`. Weights of others say nothing and have none.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from swapaqa.configuration.data_sets import make_source, source_class
from swapaqa.data.feature_manifest import MANIFEST, WEIGHTS_TRAINED_ON, read_manifest
from swapaqa.data.footage import Seen, names_of
from swapaqa.data.source import VideoSource
from swapaqa.errors import LINE, InputError, one_line
from swapaqa.files.tensor_file import load_tensors
from swapaqa.models.scorer import CONFIG_KEY, TRAINED_ON_KEY
from swapaqa.running.checkpoint import TRAINED_ON

OVERLAPS = ("refuse", "leave_out")
SCORE_OTHERS = "say overlap=leave_out to score the {others} others, or data.without= in the training or here"
TRAIN_OTHERWISE = "take weights that were not, or make them with data.without="


def seen_by_checkpoint(cfg: DictConfig, content: Mapping[str, Any], source: VideoSource) -> list[Seen]:
    """What the weights of `cfg.checkpoint` were trained on, and those that its features were extracted with.

    Args:
        cfg: of the evaluation, with `checkpoint` and `overlap`.
        content: of the checkpoint.
        source: what is evaluated on.

    Raises:
        InputError: `overlap` is neither; a checkpoint from before it said so, whose training list is not there.
    """
    if cfg.overlap not in OVERLAPS:
        raise InputError(f"overlap={cfg.overlap}: choose one of {', '.join(OVERLAPS)}")
    leave_out = cfg.overlap == "leave_out"
    place = f"checkpoint={cfg.checkpoint}"
    if TRAINED_ON_KEY in content:
        names = _names(place, content[TRAINED_ON_KEY])
    else:
        names = _names_by_list(place, content[CONFIG_KEY]["data"], source)
    own = Seen(f"{place} was trained on", names, leave_out, SCORE_OTHERS)
    return [own, *seen_by_features(source, SCORE_OTHERS, leave_out)]


def seen_before(backbone: Mapping[str, Any], source: VideoSource) -> list[Seen]:
    """What weights were trained on before a training on `source`: those of `backbone.pretrained=` or of its features.

    Raises:
        InputError: the file says it in another form.
    """
    found = seen_by_features(source, TRAIN_OTHERWISE)
    path = backbone.get("pretrained")
    if isinstance(path, str):
        try:
            content = load_tensors(Path(path).expanduser())
        except (InputError, pickle.UnpicklingError):  # said by what reads the weights
            return found
        if isinstance(content, dict) and TRAINED_ON_KEY in content:
            place = f"backbone.pretrained={path}"
            names = _names(place, content[TRAINED_ON_KEY])
            found.append(Seen(f"{place} was trained on", names, remedy=TRAIN_OTHERWISE))
    return found


def seen_by_features(source: VideoSource, remedy: str, leave_out: bool = False) -> list[Seen]:
    """What the weights were trained on that the features of `source` were extracted with, by their manifest."""
    if source.features is None or not source.features.place.is_dir():
        return []
    place = source.features.place / MANIFEST
    names = (read_manifest(place.parent) or {}).get(WEIGHTS_TRAINED_ON)
    if names is None:
        return []
    who = f"{place}: the backbone of these features was trained on"
    return [Seen(who, _names(str(place), names), leave_out, remedy)]


def _names(place: str, stored: Any) -> frozenset[str]:
    if not isinstance(stored, list) or not all(isinstance(name, str) for name in stored):
        raise InputError(f"{place}: what it was trained on is no list of names; name another file")
    return frozenset(stored)


def _names_by_list(place: str, trained: Mapping[str, Any], source: VideoSource) -> frozenset[str]:
    """Of a checkpoint from before it said so: the training list of its data set, where `source` may have it in common.

    `trained`: the node `data` of its configuration.
    """
    node = OmegaConf.create(dict(trained))
    kind = source_class(node)
    if not (knows_footage(kind) and knows_footage(type(source))):
        return frozenset()
    as_now = {key: getattr(source, key, None) for key in TRAINED_ON}
    if kind is type(source) and all(trained.get(key, getattr(kind, key, None)) == as_now[key] for key in TRAINED_ON):
        return frozenset()  # its test list is no part of it
    if kind is type(source):
        node.root = source.root
    try:
        trained_source = make_source(node)
        return names_of(trained_source.read_split("train"), trained_source.footage)
    except (InputError, InstantiationException) as error:
        raise InputError(
            f"{place}: does not say what it was trained on, being of an earlier version, and its training list, which "
            "may have videos of this test set, cannot be read; put it where it was, or train again "
            f"({one_line(str(error.__cause__ or error), LINE)})"
        ) from error


def knows_footage(kind: type[VideoSource]) -> bool:
    """Whether a data set says which videos its records are."""
    return bool(kind.footage is not VideoSource.footage)
