"""Files of C3D's weights, as the authors of C3D-LSTM and C3D-AVG-MTL pass them on and as their programs save them."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.files.tensor_file import load_tensors

BEYOND = re.compile(r"fc[678]\.(weight|bias)")  # layers after pool5: 487 sports; dropped where they are not asked for
PARALLEL = "module."


def read_c3d(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the keys of `state`, our network's.

    Raises:
        InputError: the file cannot be read, or its weights are not those: missing, strange, of another shape.
    """
    weights = _read(path)
    missing = [key for key in state if key not in weights]
    strange = [key for key in weights if key not in state and not BEYOND.fullmatch(key)]
    wrong = [key for key, value in state.items() if key in weights and weights[key].shape != value.shape]
    if wrong and not missing:
        found, needed = (tuple(of[wrong[0]].shape) for of in (weights, state))
        raise InputError(
            f"{path}: {wrong[0]} is {found} instead of {needed}; name a C3D of 16 frames, with backbone.size=112"
        )
    if missing or strange:
        some = f"no {missing[0]}" if missing else f"a {strange[0]}"
        raise InputError(
            f"{path}: not a C3D, it has {some}; name c3d.pickle, or a file model_CNN that a program of MTL-AQA saved"
        )
    return {key: weights[key] for key in state}


def _read(path: Path) -> dict[str, Tensor]:
    """The file's tensors by key, without the wrappings of a training script or of DataParallel."""
    try:
        content = load_tensors(path)
    except InputError as error:
        raise InputError(f"{error}; name a C3D checkpoint") from error
    except pickle.UnpicklingError as error:
        raise InputError(f"{path}: not a PyTorch file of plain tensors, {error}; name a C3D checkpoint") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: holds no state dict; name a C3D checkpoint")
    return {str(key).removeprefix(PARALLEL): value for key, value in content.items()}
