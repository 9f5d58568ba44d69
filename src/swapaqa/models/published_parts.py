"""Checkpoints of the programs of MTL-AQA, which save every part of a model as a file of its own.

`model_CNN_94.pth`, `model_my_fc6_94.pth`, ...: the state dicts of one epoch lie beside each other, and any of them
stands for all.
"""

import re
from pathlib import Path
from typing import Any

from swapaqa.errors import InputError
from swapaqa.files.tensor_file import load_tensors

NETWORK, HEADS = "model_CNN", "parts"
PARTS = ("my_fc6", "score_regressor", "dive_classifier", "position_classifier", "caption")
NAME = re.compile(rf"model_(CNN|{'|'.join(PARTS)})_(\d+)(\.\w+)")


def load_checkpoint(path: Path) -> Any:
    """The content of a file, or of all files of its epoch: the network's weights, those of the heads, the epoch.

    Raises:
        InputError, UnpicklingError: as `load_tensors`.
    """
    named = NAME.fullmatch(path.name)
    if named is None:
        return load_tensors(path)
    _, epoch, suffix = named.groups()
    files = {part: path.with_name(f"model_{part}_{epoch}{suffix}") for part in ("CNN", *PARTS)}
    found = {part: load_tensors(file) for part, file in files.items() if file == path or file.is_file()}
    wrong = next((part for part, content in found.items() if not isinstance(content, dict)), None)
    if wrong is not None:
        raise InputError(f"{files[wrong]}: holds no state dict; it is not of such a program")
    if "CNN" not in found or len(found) == 1:
        raise InputError(
            f"{path}: one part of a model; put all files of its epoch beside it, {NETWORK}_{epoch}{suffix} among them"
        )
    heads = {f"{part}.{_plain(key)}": value for part in PARTS for key, value in found.get(part, {}).items()}
    return {NETWORK: found["CNN"], HEADS: heads, "epoch": int(epoch)}


def _plain(key: Any) -> str:
    return str(key).removeprefix("module.")
