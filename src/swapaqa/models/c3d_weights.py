"""Files of C3D's weights, as the authors of C3D-LSTM and C3D-AVG-MTL pass them on and as their programs save them."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from swapaqa.errors import InputError
from swapaqa.files.tensor_file import load_tensors
from swapaqa.models.published import BATCH_COUNT

IGNORED = re.compile(rf"fc[678]\.(weight|bias)|.*{BATCH_COUNT}")  # layers after pool5, of 487 sports, and batch counts
PARALLEL = "module."


def read_c3d(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """The weights of a file under the names of `network`.

    Raises:
        InputError: the file cannot be read, or its weights are not those: missing, strange, of another shape.
    """
    return own_weights(path, read_state(path, "C3D"), network)


def own_weights(path: Path, weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Those of `weights`, of the file `path`, that `network` has; InputError as `read_c3d`."""
    state = {key: value for key, value in network.state_dict().items() if not key.endswith(BATCH_COUNT)}
    missing = [key for key in state if key not in weights]
    strange = [key for key in weights if key not in state and not IGNORED.fullmatch(key)]
    wrong = [key for key, value in state.items() if key in weights and weights[key].shape != value.shape]
    if wrong and not missing:
        found, needed = (tuple(of[wrong[0]].shape) for of in (weights, state))
        raise InputError(f"{path}: {wrong[0]} is {found} instead of {needed}; its network had another backbone.size")
    if missing or strange:
        some = f"no {missing[0]}" if missing else f"a {strange[0]}"
        raise InputError(
            f"{path}: not a {type(network).__name__}, it has {some}; name c3d.pickle for C3D, or a file model_CNN "
            "that one of the authors' programs saved"
        )
    return {key: weights[key] for key in state}


def read_state(path: Path, kind: str) -> dict[str, Tensor]:
    """The file's tensors by key, without the wrappings of a training script or of DataParallel.

    Raises:
        InputError: it cannot be read, or holds something else; it says to name a checkpoint of `kind`.
    """
    try:
        content = load_tensors(path)
    except InputError as error:
        raise InputError(f"{error}; name a {kind} checkpoint") from error
    except pickle.UnpicklingError as error:
        raise InputError(f"{path}: not a PyTorch file of plain tensors, {error}; name a {kind} checkpoint") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: holds no state dict; name a {kind} checkpoint")
    return {str(key).removeprefix(PARALLEL): value for key, value in content.items()}
