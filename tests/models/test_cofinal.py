"""CoFInAl against what its published code computes, its prototypes, its decimals, and what no batch may change."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.batch import TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.cofinal import (
    PROTOTYPES,
    CoarseFineHead,
    CoFInAl,
    FineAttention,
    cut_into_decimals,
    decoded,
    simplex,
    target_losses,
)
from swapaqa.models.gdlt import grade_mean, hardest_triplet_loss
from swapaqa.models.published import SYSTEMS, our_name
from swapaqa.models.tiny import TinyBackbone
from tests.golden import Arrays, doubles, equal, equal_gradients, golden, load, state_of
from tests.made_videos import encoder, made_encoded

SYSTEM = next(system for system in SYSTEMS if system.name == "CoFInAl")
PREFIX = {"grades": "", "videos": "_published"}  # of what was recorded in training


def ours(key: str) -> str:
    return our_name(key, SYSTEM).removeprefix("head.")


def head_of(found: Arrays, attend: FineAttention) -> CoarseFineHead:
    """Our head with the weights of a golden."""
    weights = state_of(found)
    width, in_features = weights["in_proj.3.weight"].shape[0], weights["in_proj.0.weight"].shape[1]
    head = CoarseFineHead(in_features, width, 1, 1, 2, len(weights["prototype.weight"]), 0.0, attend)
    load(head, {ours(key): value for key, value in weights.items()})
    return head


def options(found: Arrays) -> list[tuple[int, list[float], list[float]]]:
    """Number, values and reverse values of every recorded set of grades."""
    numbers = sorted(int(key[-1]) for key in found if key.startswith("const/grade_int_option"))
    return [
        (number, *(found[f"const/grade_{kind}_option{number}"].tolist() for kind in ("int", "rev")))
        for number in numbers
    ]


@pytest.mark.parametrize("size", ["small", "published"])
def test_outputs_are_those_of_the_published_code(size: str) -> None:
    """Corrected, and as released: the whole batch together, and each video alone, as its test program ran."""
    found = golden(f"cofinal_{size}.npz")
    (features,) = doubles(found, "in/features")
    corrected, published = (head_of(found, attend).eval() for attend in ("grades", "videos"))
    coarse, reverse, fine, embedding = corrected(features)
    alone = published(features)[2]
    published.fine.train()
    together = published(features)[2]
    equal(embedding, found["out/embed"])
    equal(corrected.prototypes, found["const/etf"])
    for number, values, reverse_values in options(found):
        both = grade_mean(coarse, values), grade_mean(reverse, reverse_values)
        equal(both[0], found[f"out/int_opt{number}"])
        equal(both[1], found[f"out/rev_opt{number}"])
        for name, direction in (("", fine), ("_published_b1", alone), ("_published", together)):
            equal(direction, found[f"out{name}/fine_opt{number}"])
        for name, direction in (("", fine), ("_published_b1", alone)):
            equal(decoded(*both, corrected.nearest(direction)), found[f"out{name}/score_opt{number}"])
        assert corrected.nearest(fine).tolist() == found[f"out/fine_argmax_opt{number}"].tolist()
        over_the_batch = (together @ corrected.prototypes).argmax().expand(len(features))  # of all its rows
        equal(decoded(*both, over_the_batch), found[f"out_published/score_opt{number}"])


@pytest.mark.parametrize("attend", ["grades", "videos"])
@pytest.mark.parametrize("size", ["small", "published"])
def test_losses_and_gradients_are_those_of_the_published_code(size: str, attend: FineAttention) -> None:
    found = golden(f"cofinal_{size}.npz")
    features, label = doubles(found, "in/features", "in/label")
    head, prefix = head_of(found, attend).train(), PREFIX[attend]
    coarse, reverse, fine, embedding = head(features)
    for number, values, reverse_values in options(found):
        terms = target_losses(coarse, reverse, fine, label, head.prototypes, values, reverse_values)
        for align in range(3):
            recorded = f"loss{prefix}/{{}}_opt{number}_align{align}".format
            if recorded("total") not in found:
                continue
            triplet = hardest_triplet_loss(embedding, 1.0, same_grade=align != 2)
            for ours_, theirs in (("coarse", "int"), ("reverse", "rev"), ("fine", "fine")):
                equal(terms[ours_], found[recorded(theirs)])
            equal(triplet, found[recorded("triplet")])
            total = torch.stack([*terms.values(), triplet]).sum()
            equal(total, found[recorded("total")])
            if (number, align) == (2, 1):
                total.backward(retain_graph=True)
    equal_gradients(head, found, ours, f"grad{prefix}")


@pytest.mark.parametrize("size", ["small", "published"])
def test_targets_are_those_of_the_published_code(size: str) -> None:
    found = golden(f"cofinal_{size}.npz")
    (label,) = doubles(found, "in/label")
    coarse, cell = cut_into_decimals(label)
    equal(coarse, found["target/coarse"])
    equal(1 - coarse, found["target/reverse"])
    assert cell.tolist() == found["target/fine_index"].tolist()
    equal(torch.from_numpy(found["const/etf"]).T[cell], found["target/fine"])


def test_the_prototypes_are_the_released_ones() -> None:
    released = golden("plans_and_constants.npz")["const/cofinal_etf_seed0"]
    np.testing.assert_allclose(simplex(PROTOTYPES), released, rtol=0, atol=1e-7)  # stored in float32


@pytest.mark.parametrize("count", [2, 7, 100])
def test_the_prototypes_are_a_simplex(count: int) -> None:
    found = simplex(count, seed=3)
    cosines = torch.full((count, count), -1 / (count - 1), dtype=torch.float64).fill_diagonal_(1)
    torch.testing.assert_close(found.T @ found, cosines, rtol=0, atol=1e-12)


def test_it_has_the_published_number_of_parameters() -> None:
    head = CoarseFineHead(1024, 256, 1, 1, 2, 4, 0.3, "grades")
    assert sum(parameter.numel() for parameter in head.parameters()) == 3_715_692


def test_every_label_of_four_decimals_is_cut_exactly_and_comes_back() -> None:
    cells = torch.arange(10_001)
    for share in (cells.double() / 10_000, cells.double() * 1e-2 / 100, cells.double() * 3 / 30_000):
        coarse, cell = cut_into_decimals(share)
        assert torch.equal((coarse * 100).round().long() * 100 + cell, cells)
        torch.testing.assert_close(decoded(coarse, 1 - coarse, cell), cells.double() / 10_000, rtol=0, atol=1e-12)


def model_of(attend: FineAttention = "grades", **changes: Any) -> CoFInAl:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "width": 16, "heads": 1, "encoder_layers": 1, "decoder_layers": 1, "values": [0.25, 0.5, 1.0],
        "reverse_values": [1.0, 0.5, 0.0], "dropout": 0.0, "margin": 1.0, "triplet_weight": 1.0, "alike": "grade",
    }  # fmt: skip
    model = CoFInAl(encoder(TinyBackbone(2)), fine_attention=attend, **given | changes).double()
    zero = torch.zeros(1, dtype=torch.int64)
    model.learn_scale(TrainingLabels(zero.double(), zero, zero, max_label=30.0))
    return model


def clips() -> Tensor:
    return torch.rand(5, 4, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("attend", ["grades", "videos"])
def test_a_score_does_not_depend_on_the_batch(attend: FineAttention) -> None:
    model = model_of(attend).eval()
    whole = model.score(made_encoded(clips()), None).label
    alone = torch.cat([model.score(made_encoded(one[None]), None).label for one in clips()])
    torch.testing.assert_close(alone, whole, rtol=0, atol=1e-12)
    assert whole.min() >= 0
    assert whole.max() <= 30 * 1.0099


def test_the_published_attention_couples_the_videos_of_a_training_batch() -> None:
    for attend, same in (("grades", True), ("videos", False)):
        head = model_of(attend).head.fine.train()
        embedding = torch.rand(5, 3, 16, dtype=torch.float64)
        assert torch.allclose(head(embedding)[:2], head(embedding[:2])) == same


def test_the_losses_by_hand() -> None:
    prototypes, values, share = simplex(PROTOTYPES), [0.0, 1.0], torch.tensor([0.5517, 0.9], dtype=torch.float64)
    coarse, reverse = torch.tensor([[0.0, 0.0], [-9.0, 9.0]]).double(), torch.tensor([[0.0, 0.0], [9.0, -9.0]]).double()
    fine = F.normalize(torch.rand(2, PROTOTYPES).double(), dim=1)
    found = target_losses(coarse, reverse, fine, share, prototypes, values, values[::-1])
    low, high = (1 / (1 + np.exp(sign * 9.0)) for sign in (1, -1))
    assert found["coarse"].item() == pytest.approx(((0.5 - 0.55) ** 2 + (high - 0.9) ** 2) / 2, abs=1e-9)
    assert found["reverse"].item() == pytest.approx(((0.5 - 0.45) ** 2 + (high - 0.1) ** 2) / 2, abs=1e-9)
    assert low + high == pytest.approx(1)
    expected = ((fine[0] - prototypes[:, 17]).abs().sum() + (fine[1] - prototypes[:, 0]).abs().sum()) / 200
    torch.testing.assert_close(found["fine"], expected)


def test_values_of_another_number_are_one_line() -> None:
    with pytest.raises(InputError, match=r"model\.reverse_values=\[1\.0\]: as many as model\.values="):
        model_of(reverse_values=[1.0])
