"""Checkpoints as the programs of CoRe, MUSDL, USDL and DAE save them, brought to our names.

Such a file is a dictionary with one state dict for the I3D, one for the head, and what training had beside them. A
program that ran on several devices (DataParallel) has put `module.` in front of every key.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from swapaqa.files.foreign_file import shown

PARALLEL, BACKBONE = "module.", "backbone."  # CoRe's I3D lies in a module that cuts the clips
SCALARS = (np.float64, np.float32, np.int64, np.int32, np.bool_)


class System(NamedTuple):
    """What one program saves.

    `name`: of the system; `model`: what our `model=` calls it; `i3d`, `head`: entries of the file; `names`: patterns of
    the head's keys, and what they are in our model; `lacking`: what its scoring needs of the training labels and the
    file has not.
    """

    name: str
    model: str
    i3d: str
    head: str
    names: tuple[tuple[str, str], ...]
    lacking: str | None = None


LAYERS = ((1, 0), (2, 2), (3, 4))  # the linear layers of MUSDL and USDL, from 1, and their places in our Sequential
SYSTEMS = (
    System("CoRe", "core", "base_model", "regressor", (
        (r"first_layer\.0\.", "tree.root."),
        (r"feature_layers\.(\d+)\.0\.", r"tree.expand.\1."),
        (r"clf_layers\.(\d+)\.", r"tree.classify.\1."),
        (r"reg_layer\.", "tree.regress."),
    ), "group borders"),
    System("MUSDL", "musdl", "i3d", "evaluator", tuple(
        (rf"evaluator\.(\d+)\.layer{number}\.", rf"heads.judges.\1.layers.{place}.") for number, place in LAYERS
    )),
    System("USDL", "usdl", "i3d", "evaluator", tuple(
        (rf"evaluator\.layer{number}\.", f"head.layers.{place}.") for number, place in LAYERS
    )),
    System("DAE", "dae", "i3d", "dae", (
        (r"fc1\.", "head.layers.0."),
        (r"fch\.", "head.layers.2."),
        (r"fc2_mean\.", "head.mean."),
        (r"fc2_logvar\.", "head.log_variance."),
    )),
)  # fmt: skip


@contextmanager
def numpy_scalars() -> Iterator[None]:
    """Let `torch.load(weights_only=True)` read NumPy's numbers, as these files hold their best correlation."""
    scalar: Any = np.float64().__reduce__()[0]  # in the module that this NumPy has it in, and named by that of theirs
    names = [f"numpy.{core}.multiarray.scalar" for core in ("core", "_core")]
    kinds = [type(np.dtype(kind)) for kind in SCALARS]
    with torch.serialization.safe_globals([*((scalar, name) for name in names), np.dtype, *kinds]):
        yield


def system_of(content: Any) -> System | None:
    """The system whose program saved the content of a file; None if none of them did."""
    if not isinstance(content, dict):
        return None
    for system in SYSTEMS:
        i3d, head = content.get(system.i3d), content.get(system.head)
        if isinstance(i3d, dict) and isinstance(head, dict):
            keys = [_plain(key) for key in head]
            if any(re.match(pattern, key) for key in keys for pattern, _ in system.names):
                return system
    return None


def fault_of(content: Mapping[str, Any], system: System) -> str | None:
    """What is wrong with the content of a file that the program of `system` saved; None if nothing is."""
    for part in (system.i3d, system.head):
        wrong = next((key for key, value in content[part].items() if not isinstance(value, Tensor)), None)
        if wrong is not None:
            return f"its {part} holds {shown(wrong)}, which is no tensor"
    known = re.compile("|".join(pattern for pattern, _ in system.names))
    strange = next((key for key in content[system.head] if not known.match(_plain(key))), None)
    if strange is not None:
        return f"{shown(strange)} is no weight of its {system.head}"
    epoch = content.get("epoch", 0)
    return None if isinstance(epoch, int | np.integer) and epoch >= 0 else f"its epoch is {shown(epoch)}"


def i3d_weights(content: Mapping[str, Any], system: System) -> dict[str, Tensor]:
    """The I3D's weights under the names of its published layout: hassony2's for CoRe, piergiaj's for the others."""
    return {_plain(key).removeprefix(BACKBONE): value for key, value in content[system.i3d].items()}


def head_weights(content: Mapping[str, Any], system: System) -> dict[str, Tensor]:
    """The head's weights under the names of our model, if `fault_of` the content is None."""
    return {_our_name(_plain(key), system): value for key, value in content[system.head].items()}


def _plain(key: Any) -> str:
    return str(key).removeprefix(PARALLEL)


def _our_name(key: str, system: System) -> str:
    pattern, ours = next(pair for pair in system.names if re.match(pair[0], key))
    return re.sub(f"^{pattern}", ours, key)
