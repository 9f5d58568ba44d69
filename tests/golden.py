"""What the published code of a system computed in float64, recorded outside of this repository: skipped without."""

import importlib.util
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.conftest import REPOSITORY

GOLDEN = REPOSITORY.parent / "shared" / "golden"
Arrays = dict[str, np.ndarray]


def golden(name: str) -> Arrays:
    """A recorded pass: `in/`, `out/`, `loss/`, `grad/`, and `state/`, the weights under the published names."""
    path = GOLDEN / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with np.load(path) as file:
        return dict(file) | {f"state/{key}": value for key, value in _recipe().state(file).items()}


def _recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe", GOLDEN / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    return recipe


def doubles(found: Arrays, *names: str) -> tuple[Tensor, ...]:
    """Recorded arrays as float64 tensors."""
    return tuple(torch.from_numpy(np.asarray(found[name])).double() for name in names)


def state_of(found: Arrays) -> dict[str, Tensor]:
    """The recorded weights under their published names."""
    return {key.removeprefix("state/"): doubles(found, key)[0] for key in found if key.startswith("state/")}


def load(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load float64 weights under our names: all there are, and no other."""
    missing = module.double().load_state_dict(weights, strict=False)
    assert missing.unexpected_keys == []
    assert all(key.endswith("num_batches_tracked") for key in missing.missing_keys)


def equal(found: Tensor, expected: np.ndarray, relative: float = 1e-9) -> None:
    """Within `relative` of the greatest expected value; 1e-6 where it was stored in float32."""
    expected = np.asarray(expected)
    assert tuple(found.shape) == expected.shape
    scale = 1e-6 if expected.dtype == np.float32 else relative
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=scale * float(np.abs(expected).max()))


def equal_gradients(
    module: nn.Module, found: Arrays, ours: Callable[[str], str], prefix: str = "grad", norm: str | None = None
) -> None:
    """Every recorded gradient, and the norm over all parameters."""
    gradients = {name: parameter.grad for name, parameter in module.named_parameters() if parameter.grad is not None}
    recorded = [key for key in found if key.startswith(f"{prefix}/")]
    assert recorded
    for key in recorded:
        equal(gradients[ours(key.removeprefix(f"{prefix}/"))], found[key], 1e-8)
    whole = torch.stack([gradient.square().sum() for gradient in gradients.values()]).sum().sqrt()
    equal(whole, found[norm or f"{prefix}_norm/all"], 1e-8)
