"""JRG's graphs and both of its fusions against what the authors' later codes compute, and against sums written out."""

import re
from collections.abc import Callable
from typing import Any

import hydra
import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from swapaqa.batch import TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.feature_encoder import FeatureEncoder
from swapaqa.models.joint_cells import EDGES, CellRelations, Edge, standardised_error
from swapaqa.models.joint_graph import BONES, JOINTS, JointGraphs, MeanRelations, hop_masks
from swapaqa.models.jrg import JRG, JointEncoder, joint_squares, means_around
from swapaqa.models.tiny import TinyBackbone
from tests.golden import Arrays, doubles, equal, golden, load, state_of
from tests.made_videos import encoder, made_encoded, made_sample, made_side, noise, plan

Config = Callable[..., DictConfig]
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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("name", "count"), [("jrg_tpami_published", 1_776_092), ("jrg_continual_published", 1_688_269)]
)
def test_parameters_are_the_published_ones_but_for_those_in_no_formula(name: str, count: int) -> None:
    found = golden(f"{name}.npz")
    weights = state_of(found)
    assert sum(weight.numel() for weight in weights.values()) == count
    cells = "tpami" in name
    head = CellRelations(800, 2, 12, "structure") if cells else MeanRelations(800, 2)
    naming = cell_name if cells else continual_name
    used = [value for key, value in weights.items() if naming(key) and not re.search(r"(mat|JCW)4\.", key)]
    assert sum(weight.numel() for weight in used) == sum(weight.numel() for weight in head.parameters())


# its formulas


def test_relations_are_sums_over_neighbours() -> None:
    torch.manual_seed(0)
    graphs = JointGraphs(2).double()
    for weight in graphs.parameters():
        weight.data.sub_(0.5)  # of either sign
    whole, joints = torch.randn(1, 3, 2, dtype=torch.float64), torch.randn(1, JOINTS, 3, 2, dtype=torch.float64)
    found = graphs(whole, joints)
    masks = hop_masks(2)
    for hop in range(2):
        spatial = (graphs.spatial[hop] * masks[hop]).abs()
        temporal = (graphs.temporal[hop] * masks[hop]).abs()
        for time, i in ((0, 0), (1, 9), (2, 12)):
            x = joints[0, :, time]
            later = joints[0, :, min(time + 1, 2)]
            common = sum(spatial[j, i] * x[j] for j in range(JOINTS))
            differ = sum(graphs.spatial_weight[hop, j] * spatial[i, j] * (x[j] - x[i]) for j in range(JOINTS))
            change = sum(graphs.temporal_weight[hop, j] * temporal[i, j] * (later[j] - x[i]) for j in range(JOINTS))
            for kind, place, by_hand in (("common", hop + 1, common), ("differ", hop, differ), ("change", hop, change)):
                torch.testing.assert_close(found[kind][place][0, time, i], by_hand, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found["common"][0][0, 1, 4], joints[0, 4, 1])
    torch.testing.assert_close(found["whole_change"][0][0, 0, 3], (whole[0, 1] - whole[0, 0]).abs())
    assert found["whole_change"][0][0, 2].abs().max() == 0


def test_operations_of_an_edge_by_loops() -> None:
    torch.manual_seed(0)
    edge = Edge(2, 3, 4).double()
    cell = torch.randn(1, 2, 3, 4, 128, dtype=torch.float64)
    greatest, reduced, convolved = edge.greatest(cell)[0, ..., 5], edge.reduced(cell)[0, ..., 5], edge.convolved(cell)
    x = cell[0, ..., 5]
    kernel = edge.convolution.weight[0, 0]
    w, r, e = edge.widen, edge.reduce, edge.expand
    for t, j, m in ((0, 0, 0), (1, 2, 3), (1, 1, 2)):
        over = [w["joint"][j] * x[t, :, n].max() for n in range(4)]
        torch.testing.assert_close(greatest[t, j, m], w["relation"][m] * torch.stack(over).max())
        every = [(a, b, c) for a in range(2) for b in range(3) for c in range(4)]
        one = sum(r["time"][a] * r["joint"][b] * r["relation"][c] * x[a, b, c] for a, b, c in every)
        torch.testing.assert_close(reduced[t, j, m], one * e["time"][t] * e["joint"][j] * e["relation"][m])
        near = [(a, b, c) for a, b, c in every if max(abs(a - t), abs(b - j), abs(c - m)) <= 1]
        mixed = sum(kernel[a - t + 1, b - j + 1, c - m + 1] * x[a, b, c] for a, b, c in near)
        torch.testing.assert_close(convolved[0, t, j, m, 5], mixed)
    share = edge.attended(cell) / cell
    assert share[..., 0].sum().item() == pytest.approx(1)


def test_a_mixture_of_one_operation_is_that_operation() -> None:
    torch.manual_seed(0)
    edge, cell = Edge(2, 3, 4), torch.randn(1, 2, 3, 4, 128)
    time = edge.widen["time"]
    for place, expected in ((1, edge.reduced(cell)), (3, cell.amax(1, True) * time[:, None, None, None]), (5, cell)):
        weight = torch.eye(7)[place]
        torch.testing.assert_close(edge(cell, weight, True, time), expected.expand_as(cell))
        torch.testing.assert_close(edge(cell, weight, False, time), expected.expand_as(cell))
    assert edge(cell, torch.eye(7)[6], False, time).abs().max() == 0


def test_the_standardised_error_is_a_correlation() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (10 * torch.randn(9, dtype=torch.float64, generator=generator) for _ in range(2))
    r = torch.corrcoef(torch.stack([one, other]))[0, 1]
    assert standardised_error(one, other).item() == pytest.approx(200 * (1 - 1 / 9) * (1 - r.item()), rel=1e-4)
    torch.testing.assert_close(
        standardised_error(5 * one + 3, other), standardised_error(one, other), rtol=1e-4, atol=0
    )


# around joints


def test_means_around_joints_weigh_cells_by_how_much_is_covered() -> None:
    maps = torch.randn(2, 5, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    around = torch.zeros(2, 2, 4, 4, dtype=torch.float64)
    around[0, 0] = torch.tensor([0.25, 1 / 3, 0.5, 2 / 3])  # the cell of row 1, column 1
    around[0, 1] = torch.tensor([0.125, 0, 0.5, 1 / 3])  # half of column 0 and all of column 1, in row 0
    around[1, 0, :2] = torch.tensor([0.0, 0, 0.25, 1 / 3])  # in the first two frames: in the first slot only
    around[1, 0, 2:] = torch.tensor([2.0, 2, 3, 3])  # outside of the frame
    found = means_around(maps, around)
    torch.testing.assert_close(found[0, 0], maps[0, :, :, 1, 1].mean(dim=1))
    torch.testing.assert_close(found[0, 1], (maps[0, :, :, 0, 0] / 2 + maps[0, :, :, 0, 1]).mean(dim=1) / 1.5)
    torch.testing.assert_close(found[1, 0], maps[1, :, 0, 0, 0])
    assert found[1, 1].abs().max() == 0


def test_squares_are_around_joints_and_nowhere_for_those_that_nobody_saw() -> None:
    pose = torch.tensor([[[[10.0, 20.0, 0.7], [5.0, 5.0, 0.0]]]])
    squares = joint_squares(pose, 5.0)[0, 0]
    assert squares[0].tolist() == [8, 18, 12, 22]
    shares = plan(None).cut_boxes(squares[:, None], (40, 40))[:, 0, 0]
    assert shares[0].tolist() == pytest.approx([0.2, 0.45, 0.325, 0.575])
    assert (shares[1, 2:] <= shares[1, :2]).all()


def test_each_clip_is_seen_whole_and_around_its_own_poses() -> None:
    torch.manual_seed(0)
    whole = encoder(TinyBackbone(2), plan(8, 5))
    videos = made_sample(noise(2, 18, 32), side=made_side(2))
    found = JointEncoder(whole, None, 0.25)(videos)
    clips = whole.plans[0].starts(18)
    by_clip = found.unflatten(1, (len(clips), 1 + JOINTS))
    torch.testing.assert_close(by_clip[:, :, 0], whole(videos))
    moved = videos._replace(side={"pose": videos.side["pose"].clone()})
    moved.side["pose"][:, 8:, 3] = torch.tensor([30.0, 30.0, 1.0])  # the frames that the first clip does not see
    other = JointEncoder(whole, None, 0.25)(moved).unflatten(1, (len(clips), 1 + JOINTS))
    torch.testing.assert_close(other[:, 0], by_clip[:, 0], rtol=0, atol=0)
    assert not torch.equal(other[:, 1:, 4], by_clip[:, 1:, 4])
    torch.testing.assert_close(other[:, :, 5:], by_clip[:, :, 5:], rtol=0, atol=0)
    stage = JointEncoder(encoder(TinyBackbone(2), plan(8, 5)), "layers.1", 0.25)
    assert stage(videos).shape[2] == stage.feature_size == 4


# as a method


def method(config: Config, **changes: Any) -> JRG:
    torch.manual_seed(0)
    made: JRG = hydra.utils.instantiate(config("model=jrg_rgb").model, _partial_=True)(
        **{"encoder": encoder(TinyBackbone(2), plan(1, 1))} | changes
    ).double()
    zero = torch.zeros(2, dtype=torch.int64)
    made.learn_scale(TrainingLabels(torch.tensor([0.0, 90.0]).double(), zero, zero, max_label=100.0))
    made._epoch_of_weights = 0
    return made.eval()


@pytest.mark.parametrize("fusion", ["mean", pytest.param("cells", marks=pytest.mark.slow)])
def test_scores_and_losses_are_those_of_the_fusion(fusion: str, config: Config) -> None:
    generator = torch.Generator().manual_seed(0)
    some = made_encoded(torch.randn(3, 12 * 18, 8, dtype=torch.float64, generator=generator))
    jrg = method(config, fusion=fusion)
    clips = some.feature.view(3, 12, 18, 8)
    score = jrg.head(clips[:, :, 0], clips[:, :, 1:].movedim(1, 2))
    torch.testing.assert_close(jrg.score(some, None).label, 10 * score, rtol=1e-9, atol=0)
    assert jrg.score(some, None).std.isnan().all()
    expected = (score - some.labels.label / 10).square().mean()
    torch.testing.assert_close(jrg.losses(some, None)["squared_error"], expected, rtol=1e-9, atol=0)
    scaled = method(config, fusion=fusion, loss="standardised")
    assert (jrg.couples_batch, scaled.couples_batch) == (False, True)
    found = scaled.losses(some, None)["standardised_error"]
    torch.testing.assert_close(found, standardised_error(score, some.labels.label), rtol=1e-6, atol=0)
    alone = made_encoded(some.feature[:1])
    assert scaled.losses(alone, None)["standardised_error"] == 0
    groups = jrg.parameter_groups()
    assert {id(one) for one in groups["graphs"]} == {id(one) for one in jrg.head.relations.graphs.parameters()}


def test_what_does_not_fit_is_one_line(config: Config) -> None:
    with pytest.raises(InputError, match=r"model\.patch=0\.0: a share"):
        method(config, patch=0.0)
    with pytest.raises(InputError, match="reader=features: JRG looks around joints"):
        method(config, encoder=FeatureEncoder(8))
