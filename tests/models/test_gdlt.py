"""GDLT against what its published code computes, and against its formulas written out."""

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.models.gdlt import GradeHead, grade_mean, hardest_triplet_loss
from tests.conftest import REPOSITORY

GOLDEN = REPOSITORY.parent / "shared" / "golden"
NAMES = {"in_proj": "project", "transformer": "transformer", "prototype": "grades", "regressor": "respond"}


def golden(name: str) -> dict[str, np.ndarray]:
    """A recorded pass of the published code, with its weights."""
    path = GOLDEN / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    spec = importlib.util.spec_from_file_location("recipe", GOLDEN / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    recipe: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    with np.load(path) as file:
        return dict(file) | {f"state/{key}": value for key, value in recipe.state(file).items()}


def head_of(found: dict[str, np.ndarray]) -> GradeHead:
    """Our head with the weights of a golden."""
    in_features, width, heads, encoder_layers, decoder_layers, grades = found["config"].tolist()
    head = GradeHead(in_features, width, heads, encoder_layers, decoder_layers, grades, 0.0).double()
    state = {ours(key): torch.from_numpy(value) for key, value in weights(found).items()}
    missing = head.load_state_dict(state, strict=False)
    assert missing.unexpected_keys == []
    assert all(key.endswith("num_batches_tracked") for key in missing.missing_keys)
    return head


def weights(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key.removeprefix("state/"): value.astype(float) for key, value in found.items() if key.startswith("state/")}


def ours(key: str) -> str:
    first, _, rest = key.partition(".")
    return f"{NAMES[first]}.{rest}"


def close(found: Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(
        found.detach().numpy(), expected, rtol=2e-7, atol=2e-8 if expected.dtype == np.float32 else 1e-11
    )


@pytest.mark.parametrize("size", ["small", "published"])
def test_outputs_losses_and_gradients_are_those_of_the_published_code(size: str) -> None:
    found = golden(f"gdlt_{size}.npz")
    head = head_of(found)
    features, label = (torch.from_numpy(found[f"in/{name}"]).double() for name in ("features", "label"))

    logits, embedding = head.eval()(features)
    close(embedding, found["out/embed"])
    close(logits.sigmoid(), found["out/response"])
    close(grade_mean(logits), found["out/output"])
    close(F.mse_loss(grade_mean(logits), label), found["loss_eval/mse"])
    close(hardest_triplet_loss(embedding, 1.0), found["loss_eval/triplet"])
    close(hardest_triplet_loss(embedding[:1], 1.0), found["loss_eval_b1/triplet"])

    logits, embedding = head.train()(features)
    close(grade_mean(logits), found["out_train/output"])
    close(embedding, found["out_train/embed"])
    loss = F.mse_loss(grade_mean(logits), label) + hardest_triplet_loss(embedding, 1.0)
    close(loss, found["loss/total"])
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in head.named_parameters() if parameter.grad is not None}
    for key, value in found.items():
        if key.startswith("grad/"):
            np.testing.assert_allclose(gradients[ours(key.removeprefix("grad/"))].numpy(), value, rtol=1e-6, atol=1e-9)
    norm = torch.stack([gradient.square().sum() for gradient in gradients.values()]).sum().sqrt()
    np.testing.assert_allclose(norm.item(), found["grad_norm/all"], rtol=1e-9)
    close(head.project[4].running_mean, found["bn_after/in_proj_4_running_mean"])


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in GradeHead(1024, 256, 1, 1, 2, 4, 0.3).parameters()) == 3_163_396
