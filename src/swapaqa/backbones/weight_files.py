"""Weights of a library's network: a file of tensors, or a folder in the layout of transformers. Nothing is fetched.

A file is data. Values of a folder's `config.json` are compared with the configuration, which alone says what is built;
classes that it names are not imported, and a folder that brings code of its own is refused.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from swapaqa.backbones.libraries import library
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import check_regular, is_name, read_json, reason, shown
from swapaqa.models.c3d_weights import read_state
from swapaqa.models.published import BATCH_COUNT

CONFIG, SAFE, INDEX, PICKLED = "config.json", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
FOREIGN_CODE = ("auto_map", "custom_pipelines")
AGAIN = "download it again"


def read_tensors(path: Path, kind: str) -> dict[str, Tensor]:
    """The tensors of a file or a folder by their keys, on the CPU.

    Args:
        path: a `.safetensors` file, a file of `torch.save`, or a folder with such files as transformers names them.
        kind: of the network, for messages.

    Raises:
        InputError: there is none, it cannot be read, or holds anything but tensors.
    """
    if not path.is_dir():
        return _safetensors(path) if path.suffix == ".safetensors" else read_state(path, kind)
    if (path / SAFE).is_file():
        return _safetensors(path / SAFE)
    if (path / INDEX).is_file():
        parts = [_safetensors(path / name) for name in _parts(path / INDEX)]
        return {key: value for part in parts for key, value in part.items()}
    if (path / PICKLED).is_file():
        return read_state(path / PICKLED, kind)
    raise InputError(f"{path}: none of {SAFE}, {INDEX}, {PICKLED} in it; name a folder as transformers saves {kind}")


def _safetensors(path: Path) -> dict[str, Tensor]:
    check_regular(path)
    reader = library("safetensors.torch", "transformers")
    try:
        found: dict[str, Tensor] = reader.load_file(path)
    except Exception as error:  # damaged bytes raise what the library likes
        raise InputError(f"{path}: not a readable safetensors file ({reason(error)}); {AGAIN}") from error
    return found


def _parts(index: Path) -> list[str]:
    """The files beside an index, by name."""
    content = read_json(index, AGAIN)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise InputError(f"{index}: has no weight_map of files; {AGAIN}")
    wrong = next((name for name in names.values() if not is_name(name) or not name.endswith(".safetensors")), None)
    if wrong is not None:
        raise InputError(f"{index}: names {shown(wrong)}, which is no .safetensors file beside it; {AGAIN}")
    return sorted(set(names.values()))


def read_config(folder: Path, model_type: str) -> dict[str, Any]:
    """The values of a folder's `config.json`, to be compared, never built from.

    Args:
        folder: in transformers' layout.
        model_type: what it has to say of itself.

    Raises:
        InputError: it cannot be read, is of another network, or of one whose code it brings along.
    """
    path = folder / CONFIG
    content = read_json(path, AGAIN)
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no values by key; {AGAIN}")
    code = next((key for key in FOREIGN_CODE if key in content), None)
    if code is not None:
        raise InputError(
            f"{path}: its network is code of its own ({code}), which is not run; name one of transformers'"
        )
    if content.get("model_type") != model_type:
        raise InputError(f"{path}: of a network {shown(content.get('model_type'))}, and {model_type} is needed")
    return content


def load_weights(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    path: Path,
    prefix: str = "",
    renamed: Iterable[tuple[str, str]] = (),
    ignored: str = r"(?!)",
) -> None:
    """Give a network the weights that were read from `path`, in the network's own type.

    Args:
        prefix: before the keys of a file that has more than this network; it may be missing.
        renamed: patterns of keys, and what they are today.
        ignored: pattern of keys, without the prefix, that other parts have: classification layers, decoders.

    Raises:
        InputError: weights are missing, strange, of another shape, or no numbers with a fraction.
    """
    found: dict[str, Tensor] = {}
    for key, value in weights.items():
        name = key.removeprefix(prefix)
        for pattern, today in renamed:
            name = re.sub(pattern, today, name)
        found[name] = value
    state = network.state_dict()
    needed = {key: value for key, value in state.items() if not key.endswith(BATCH_COUNT)}
    missing = [key for key in needed if key not in found]
    strange = [key for key in found if key not in state and not re.match(ignored, key)]
    wrong = [key for key in needed if key in found and found[key].shape != needed[key].shape]
    kind = type(network).__name__
    if missing or strange:
        some = f"no {missing[0]}" if missing else f"a {shown(strange[0])}"
        raise InputError(f"{path}: not the weights of this {kind}, it has {some}; name others or see docs/backbones.md")
    if wrong:
        theirs, own = (tuple(of[wrong[0]].shape) for of in (found, needed))
        raise InputError(
            f"{path}: {wrong[0]} is {theirs}, and {own} in this {kind}; see docs/backbones.md for its keys"
        )
    whole = next((key for key in needed if not torch.is_floating_point(found[key])), None)
    if whole is not None:
        raise InputError(f"{path}: {whole} holds {found[whole].dtype}, quantised weights; name those before")
    network.load_state_dict({key: found.get(key, value) for key, value in state.items()})
