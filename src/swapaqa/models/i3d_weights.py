"""Files of published I3D weights: two layouts of one network, brought to our names.

Ours are those of hassony2's `model_rgb.pth`; piergiaj's `rgb_imagenet.pt` and `rgb_i3d_pretrained.pt` are renamed.
The I3D in what the programs of CoRe, MUSDL, USDL and DAE save is read too, see `swapaqa.models.published`.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.files.tensor_file import load_tensors
from swapaqa.models import published
from swapaqa.models.published import BATCH_COUNT

# From our (hassony2's) key to piergiaj's.
PIERGIAJ_NAMES = (
    (r"^conv3d_", "Conv3d_"),
    (r"^mixed_", "Mixed_"),
    (r"\.batch3d\.", ".bn."),
    (r"\.branch_0\.", ".b0."),
    (r"\.branch_([12])\.0\.", r".b\1a."),
    (r"\.branch_([12])\.1\.", r".b\1b."),
    (r"\.branch_3\.1\.", ".b3b."),
)
# classification layers, dropped: of 400 or 157 classes, of PECoP's paces and segments
LOGITS = re.compile(r"(conv3d_0c_1x1|logits(_[ps])?)\.conv3d\.(weight|bias)")
ADAPTER = ".tuning_module."  # in the keys of PECoP's adapters
BATCH_NORM_ENTRY = "swapaqa_batch_norm"  # of a file of ours: epsilon and momentum, two numbers


def is_piergiajs(weights: Mapping[str, Tensor]) -> bool:
    """Whether the keys are of piergiaj's layout."""
    return any(key.startswith(("Conv3d_", "Mixed_")) for key in weights)


def batch_norm_of(piergiaj: bool) -> tuple[float, float]:
    """Epsilon and momentum of BatchNorm that the users of a layout ran it with: CoRe hassony2's, MUSDL piergiaj's."""
    return (1e-3, 0.01) if piergiaj else (1e-5, 0.1)


def take_batch_norm(path: Path, weights: dict[str, Tensor]) -> tuple[float, float] | None:
    """Take epsilon and momentum of BatchNorm out of the weights of `path`, where `swapaqa.programs.pretrain` put them.

    Raises:
        InputError: they are no such numbers.
    """
    stored = weights.pop(BATCH_NORM_ENTRY, None)
    if stored is None:
        return None
    if stored.shape != (2,) or not (torch.isfinite(stored) & (stored > 0)).all():
        raise InputError(f"{path}: its {BATCH_NORM_ENTRY} is not an epsilon and a momentum; name another file")
    eps, momentum = stored.tolist()
    return eps, momentum


def renamed(path: Path, weights: dict[str, Tensor], state: Mapping[str, Tensor], piergiaj: bool) -> dict[str, Tensor]:
    """The weights under the keys of `state`, our network's, without its batch counts.

    Raises:
        InputError: they are not exactly those of `state`: missing, strange, of another shape. It names `path`.
    """
    own = {key: value for key, value in state.items() if not key.endswith(BATCH_COUNT)}
    published = {key: _piergiaj_name(key) if piergiaj else key for key in own}
    _check_weights(path, weights, {published[key]: value.shape for key, value in own.items()})
    return {key: weights[published[key]] for key in own}


def _piergiaj_name(key: str) -> str:
    for pattern, replacement in PIERGIAJ_NAMES:
        key = re.sub(pattern, replacement, key)
    return key


def read_weights(path: Path) -> dict[str, Tensor]:
    """The file's tensors by key, without the wrappings of a training script or of DataParallel."""
    try:
        with published.numpy_scalars():
            content = load_tensors(path)
    except InputError as error:
        raise InputError(f"{error}; name an I3D checkpoint") from error
    except pickle.UnpicklingError as error:
        raise InputError(f"{path}: not a PyTorch file of plain tensors, {error}; name an I3D checkpoint") from error
    content = published.in_parts(content)
    system = published.system_of(content)
    if system:
        content = published.i3d_weights(content, system)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: holds no state dict; name an I3D checkpoint")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _check_weights(path: Path, weights: dict[str, Tensor], shapes: dict[str, torch.Size]) -> None:
    """Refuse weights that are not exactly those of `shapes`, but for classifier and batch counts."""
    missing = [key for key in shapes if key not in weights]
    ignored = {key.rsplit(".", 1)[0] + f".{BATCH_COUNT}" for key in shapes if key.endswith("running_mean")}
    strange = [key for key in weights if key not in shapes and key not in ignored and not LOGITS.fullmatch(key)]
    if strange and not missing and all(ADAPTER in key for key in strange):
        raise InputError(f"{path}: an I3D with PECoP's adapters; say backbone=i3d_pecop")
    if missing or strange:
        raise InputError(f"{path}: not an I3D: {_listed('missing', missing)}, {_listed('strange', strange)}")
    wrong = [
        f"{key} {tuple(weights[key].shape)} instead of {tuple(shape)}"
        for key, shape in shapes.items()
        if weights[key].shape != shape
    ]
    if wrong:
        raise InputError(f"{path}: not an RGB I3D: {_listed('of another shape', wrong)}")


def _listed(what: str, keys: list[str]) -> str:
    some = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
    return f"{len(keys)} keys {what}" + (f" ({some})" if keys else "")
