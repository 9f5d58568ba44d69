"""How transformers describes and stores a network: its configuration, the names of its weights, its folders."""

import difflib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from swapaqa.backbones.libraries import library
from swapaqa.backbones.making import existing
from swapaqa.backbones.weight_files import CONFIG, load_weights, read_config, read_tensors
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import reason, shown

log = logging.getLogger(__name__)

DROP_PATH = "drop_path_rate"
OF_TRAINING = ("hidden_dropout_prob", "attention_probs_dropout_prob", DROP_PATH)  # what weights mean is not of them


class Layout(NamedTuple):
    """Of a kind of network.

    Attributes:
        model_type: what `config.json` calls it, and `backbone=`.
        config: the class of its configuration.
        shaping: keys of that which decide what weights mean, and have to agree with a file's.
        clip: what is said in its own words, `frames` and `size`: the key of the configuration.
        learnt_places: whether other frames or another size need other weights.
        prefix, renamed, ignored: see `load_weights`.
        aliases: keys of `shaping` that files may call something else.
    """

    model_type: str
    config: str
    shaping: tuple[str, ...]
    clip: Mapping[str, str]
    learnt_places: bool
    prefix: str
    ignored: str
    renamed: tuple[tuple[str, str], ...] = ()
    aliases: Mapping[str, str] = {}


def made_config(layout: Layout, architecture: Mapping[str, Any], clip: Mapping[str, int]) -> Any:
    """The library's configuration of a network.

    Args:
        layout: of its kind.
        architecture: values by the library's keys.
        clip: values of the keys of `layout.clip`.

    Raises:
        InputError: a key or a value that it does not take.
    """
    made = getattr(library("transformers", "transformers"), layout.config)
    known = [*layout.shaping, *(key for key in OF_TRAINING if key in made.__dataclass_fields__)]
    for key in architecture:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            raise InputError(f"backbone.architecture.{key}: no such key; {remedy}")
    lists = {key for key, value in architecture.items() if isinstance(value, Sequence) and not isinstance(value, str)}
    values = {key: list(value) if key in lists else value for key, value in architecture.items()}  # no ListConfig
    rate = values.get(DROP_PATH)
    late = isinstance(rate, float) and made.__annotations__[DROP_PATH] is int  # TimeSformer's, which is none
    if late:
        del values[DROP_PATH]
    try:
        config = made(**values, **{layout.clip[name]: value for name, value in clip.items()})
    except Exception as error:  # a validation of the library's own kinds
        raise InputError(f"backbone.architecture: transformers refuses it ({reason(error)})") from error
    if late:
        object.__setattr__(config, DROP_PATH, rate)
    return config


def load_pretrained(network: nn.Module, pretrained: str, layout: Layout, config: Any) -> None:
    """Give a network that was made from `config` the weights of a local file or folder.

    Raises:
        InputError: there is none, it cannot be read, or it is of another network.
    """
    path = existing(pretrained)
    if path.is_dir():
        agree(path, layout, config)
    weights = read_tensors(path, layout.model_type)
    load_weights(network, weights, path, layout.prefix, layout.renamed, layout.ignored)


def agree(folder: Path, layout: Layout, config: Any) -> None:
    """InputError where a folder's `config.json` is of another network than `config`, with the keys to say."""
    content, usual = read_config(folder, layout.model_type), type(config)()  # what transformers leaves out of the file

    def theirs(key: str) -> Any:
        default = getattr(usual, key)
        value = _in_json(content.get(key, content.get(layout.aliases.get(key, key), default)))
        side = isinstance(default, int) and isinstance(value, list) and len(value) == 2 and value[0] == value[1]
        return value[0] if side else value  # of a square, which may be written as two

    words = {f"architecture.{key}": key for key in layout.shaping}
    if layout.learnt_places:
        words |= layout.clip
    other = {name: theirs(key) for name, key in words.items() if theirs(key) != _in_json(getattr(config, key))}
    if other:
        values = " ".join(f"backbone.{name}={_word(value)}" for name, value in other.items())
        raise InputError(f"{folder / CONFIG}: of another network than the configuration; say {values}")
    for name, key in {} if layout.learnt_places else layout.clip.items():
        if theirs(key) != getattr(config, key):
            log.warning(
                "%s: trained on clips with %s=%s, and here they have %s (backbone.%s)",
                folder / CONFIG, name, shown(theirs(key)), getattr(config, key), name,
            )  # fmt: skip


def _in_json(value: Any) -> Any:
    """A value as a file has it."""
    return list(value) if isinstance(value, tuple) else value


def _word(value: Any) -> str:
    """A value as it is written on the command line."""
    text = shown(value)
    return text.replace(" ", "") if isinstance(value, list) else {"True": "true", "False": "false"}.get(text, text)
