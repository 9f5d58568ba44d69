"""JRG's graphs and both of its fusions against what the authors' later codes compute, and against sums written out."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from swapaqa.models.joint_cells import EDGES, CellRelations, standardised_error
from swapaqa.models.joint_graph import BONES, MeanRelations, hop_masks
from tests.golden import Arrays, doubles, equal, golden, load, state_of

MODALITIES = ("rgb", "flow")
TPAMI, CONTINUAL = ["jrg_tpami_small", "jrg_tpami_published"], ["jrg_continual_small", "jrg_continual_published"]
OF_KIND = {"whole": "whole", "diffwhole": "whole_change", "Comm0": "common", "Diff0": "differ"}
OF_EDGE = {
    "max_joint": "widen.joint", "max_module": "widen.relation", "max_time": "widen.time", "Red_joint": "expand.joint",
    "Red_module": "expand.relation", "Red_time": "expand.time",
}  # fmt: skip


def cell_name(key: str) -> str | None:
    """Ours of a key of the TPAMI code, without the number of a hop; None of one that is in no formula."""
    if found := re.fullmatch(r"(spatial|temporal)_(mat|JCW)(\d)\.weight", key):
        kind, part, _ = found.groups()
        return f"relations.graphs.{kind}" + ("_weight" if part == "JCW" else "")
    if found := re.fullmatch(r"encode_(\w+?)_512(?:_Con1)?_(rgb|flow)\.0\.(weight|bias)", key):
        kind, modality, part = found.groups()
        ours = OF_KIND.get(kind)
        return ours and f"relations.modalities.{MODALITIES.index(modality)}.layers.{ours}.0.{part}"
    if found := re.fullmatch(r"operation_selector(\d\d)\.weight", key):
        return "selector"
    if found := re.fullmatch(
        r"(FC_Reduce|conv3d|attention_|conv)(\d\d)_?(\w+?)?_?(rgb|flow)(\.\d)?\.(weight|bias)", key
    ):
        what, edge, part, modality, layer, kind = found.groups()
        place = EDGES.index((int(edge[0]), int(edge[1])))
        before = f"edges.{len(EDGES) * MODALITIES.index(modality) + place}."
        if what == "FC_Reduce":
            return before + f"reduce.{'relation' if part == 'module' else part}"
        if what == "conv":
            return before + OF_EDGE[part]
        return before + ("convolution" if what == "conv3d" else f"attention{layer}") + f".{kind}"
    if found := re.fullmatch(r"assessment(\d)\.1\.(weight|bias)", key):
        return f"{'fuse' if found[1] == '1' else 'regress'}.1.{found[2]}"
    return None


def continual_name(key: str) -> str | None:
    graphs = {
        "general_spatial_mats": "spatial", "general_temporal_mats": "temporal", "spatial_JCWs": "spatial_weight",
        "temporal_JCWs": "temporal_weight",
    }  # fmt: skip
    key = key.removeprefix("model.")
    if key in graphs:
        return f"relations.graphs.{graphs[key]}"
    kinds = {"whole": "whole", "diffwhole": "whole_change", "comm0": "common", "diff0": "differ", "diff1": "change"}
    if found := re.fullmatch(r"encoders_(\w+)\.([01])\.0\.(weight|bias)", key):
        kind, modality, part = found.groups()
        return f"relations.modalities.{modality}.layers.{kinds[kind]}.0.{part}" if kind in kinds else None
    return {
        "regressor.1.weight": "fuse.1.weight", "regressor.1.bias": "fuse.1.bias",
        "head.regressor.1.weight": "regress.1.weight", "head.regressor.1.bias": "regress.1.bias",
    }.get(key)  # fmt: skip


def inputs(found: Arrays) -> tuple[Tensor, Tensor]:
    """The whole scenes (N, T, S) and the joints (N, J, T, S)."""
    (whole,) = doubles(found, "in/whole")
    if "in/patch" in found and found["in/patch"].size:
        return whole, doubles(found, "in/patch")[0]
    seed, *shape = found["in/patch_recipe"].tolist()
    drawn = np.random.RandomState(seed).standard_normal(shape)
    patch = (drawn * found["in/patch_sample_scale"][:, None, None, None]).astype(np.float32)
    sums = [patch.astype(np.float64).sum(), np.abs(patch.astype(np.float64)).sum()]
    np.testing.assert_allclose(sums, found["in/patch_sum_abs"], rtol=1e-9)
    return whole, torch.from_numpy(patch).double()


def cells_of(found: Arrays) -> CellRelations:
    whole = found["in/whole"]
    head = CellRelations(whole.shape[2], 2, whole.shape[1], "structure")
    like, ours = head.state_dict(), dict[str, list[Tensor]]()
    for key, value in sorted(state_of(found).items()):  # by hop, by edge
        name = cell_name(key)
        if name is not None:
            ours.setdefault(name, []).append(value)
    hops, stacked = 3, ("relations.graphs.", "selector")
    weights = {
        name: (torch.stack(values[:hops] if name != "selector" else values) if name.startswith(stacked) else values[0])
        for name, values in ours.items()
    }
    load(head, {name: value.reshape(like[name].shape) for name, value in weights.items()})
    return head


def means_of(found: Arrays) -> MeanRelations:
    head = MeanRelations(found["in/whole"].shape[2], 2)
    like = head.state_dict()
    named = {continual_name(key): value for key, value in state_of(found).items()}
    load(head, {name: value.reshape(like[name].shape) for name, value in named.items() if name is not None})
    return head


def silent(head: torch.nn.Module) -> Any:
    """In training mode, dropout at 0."""
    for part in head.train().modules():
        if hasattr(part, "share"):
            part.share = 0.0
    return head


@pytest.mark.parametrize("name", TPAMI)
def test_cells_are_those_of_the_published_code(name: str) -> None:
    found = golden(f"{name}.npz")
    head, given = silent(cells_of(found)), inputs(found)
    equal(head.fused(*given), found["out/fused"])
    score = head(*given)
    equal(score, found["out/score"])
    (label,) = doubles(found, "in/label")
    loss = standardised_error(score, label)
    equal(loss, found["loss/new_mse"])
    equal(torch.nn.functional.mse_loss(score, label), found["loss_eval/mse"])
    loss.backward()
    gradients = dict(head.named_parameters())
    recorded = [key for key in found if key.startswith("grad/")]
    assert recorded
    for key in recorded:
        theirs = key.removeprefix("grad/")
        ours = cell_name(theirs)
        assert ours is not None
        whole = gradients[ours].grad
        hop = re.search(r"(?:mat|JCW)(\d)", theirs)
        part = whole[int(hop[1]) - 1] if hop else whole
        equal(part.reshape(found[key].shape), found[key], 1e-8)
    squares = [
        own.grad.square().sum() for name, own in gradients.items() if own.grad is not None and name != "selector"
    ]
    equal(torch.stack(squares).sum().sqrt(), found["grad_norm/all"], 1e-8)


@pytest.mark.parametrize("name", CONTINUAL)
def test_means_are_those_of_the_published_code(name: str) -> None:
    found = golden(f"{name}.npz")
    head, given = silent(means_of(found)), inputs(found)
    equal(head.feature(*given), found["out/feature"])
    score = head(*given)
    equal(score[:, None], found["out/score"])
    loss = torch.nn.functional.mse_loss(score, doubles(found, "in/label")[0])
    equal(loss, found["loss/mse"])
    loss.backward()
    gradients = dict(head.named_parameters())
    for key in (key for key in found if key.startswith("grad/")):
        ours = continual_name(key.removeprefix("grad/"))
        assert ours is not None
        equal(gradients[ours].grad.reshape(found[key].shape), found[key], 1e-8)
    own = [value.grad.square().sum() for name, value in gradients.items() if not name.startswith("regress.")]
    equal(torch.stack(own).sum().sqrt(), found["grad_norm/model."], 1e-8)


@pytest.mark.parametrize("name", TPAMI + CONTINUAL)
def test_masks_are_those_of_the_published_code(name: str) -> None:
    found = golden(f"{name}.npz")
    masks = hop_masks(4)
    if "const/masks" in found:
        assert masks.tolist() == found["const/masks"].tolist()
    else:  # the fourth of this code is not disjoint, and in no formula
        assert masks[:3].tolist() == [found[f"const/mask{hop}"].tolist() for hop in (1, 2, 3)]


def test_masks_hold_pairs_by_their_distance_on_the_skeleton() -> None:
    assert hop_masks(4).sum(dim=(1, 2)).tolist() == [55, 52, 66, 64]
    assert len(BONES) == 19
    assert hop_masks(4).sum(dim=0).max() == 1
    assert torch.equal(hop_masks(3), hop_masks(4)[:3])
