"""CoRe's groups, labels, tree, loss and decoding: small examples, the real annotations, and slow oracles."""

import pickle
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import scipy.io
import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.errors import InputError
from swapaqa.models.regression_tree import GroupAwareRegressionTree
from swapaqa.models.score_groups import assign_groups, build_groups, decode_relative_score
from swapaqa.models.tree_loss import contrastive_tree_loss

SHARED = Path(__file__).parents[2] / "../shared/data"
needs_mtl = pytest.mark.skipif(not (SHARED / "mtl_aqa").is_dir(), reason="no MTL-AQA files at ../shared/data")
needs_aqa7 = pytest.mark.skipif(not (SHARED / "aqa7").is_dir(), reason="no AQA-7 files at ../shared/data")

MTL_BORDERS = [0, 0.9117647058823515, 1.5, 2.5, 3.0, 4.5, 6.0, 8.5, 30]  # with 3.0 exact
AQA7_PAIRS_AND_BORDERS = {
    1: (44850, [0, 3.148, 6.667, 10.000, 14.074, 18.889, 25.556, 37.778, 100]),
    2: (7140, [0, 4.376, 8.315, 12.910, 17.505, 23.195, 30.197, 40.481, 100]),
    3: (7140, [0, 4.762, 11.905, 19.048, 28.571, 38.095, 50.000, 64.286, 100]),
    4: (9730, [0, 4.762, 11.905, 21.429, 33.333, 42.857, 57.143, 71.429, 100]),
    5: (1770, [0, 3.374, 9.202, 16.871, 27.096, 35.276, 44.990, 55.215, 100]),
    6: (1953, [0, 4.843, 10.714, 20.823, 32.688, 44.552, 57.748, 70.460, 100]),
}


def groups_from(borders: list[float]) -> Tensor:
    """(K, 2) leaves from the positive borders, by hand."""
    positive = list(pairwise(borders))
    negative = [(-right, -left) for left, right in reversed(positive)]
    return torch.tensor(negative + positive, dtype=torch.float64)


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def mtl_labels(group_by: str | None, completeness: bool) -> list[Tensor]:
    """Labels of the MTL-AQA training videos, one tensor per group of exemplars."""
    root = SHARED / "mtl_aqa"
    records = pickle.loads((root / "final_annotations_dict_with_dive_number.pkl").read_bytes(), encoding="latin1")
    groups = defaultdict(list)
    for key in pickle.loads((root / "train_split_0.pkl").read_bytes(), encoding="latin1"):
        record = records[key]
        score = float(record["final_score"])
        label = score / record["difficulty"] if completeness else score
        groups[record[group_by] if group_by else None].append(label)
    return [torch.tensor(labels, dtype=torch.float64) for labels in groups.values()]


def aqa7_labels(action: int) -> Tensor:
    """Training labels of a class, 0 to 100 over train and test; the files hold points times 100."""
    split = {name: scipy.io.loadmat(SHARED / f"aqa7/split_4_{name}_list.mat") for name in ("train", "test")}
    rows = {name: torch.from_numpy(split[name][f"consolidated_{name}_list"]) for name in split}
    points = {name: row[row[:, 0] == action, 2] / 100 for name, row in rows.items()}
    both = torch.cat(list(points.values()))
    return (points["train"] - both.min()) / (both.max() - both.min()) * 100


def deltas_of(labels: list[Tensor]) -> Tensor:
    return torch.cat([torch.pdist(group[:, None], p=1) for group in labels])


def ordered_pairs(labels: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Exemplar and target label of every ordered pair; the only member of a group is its own exemplar."""
    pairs = [torch.cartesian_prod(torch.arange(len(group)), torch.arange(len(group))) for group in labels]
    pairs = [pair[(pair[:, 0] != pair[:, 1]) | (len(group) == 1)] for pair, group in zip(pairs, labels, strict=True)]
    values = torch.cat([group[pair] for pair, group in zip(pairs, labels, strict=True)])
    return values[:, 0], values[:, 1]


def test_mini_example_of_the_groups() -> None:
    groups = build_groups(double(9, 0, 1, 1, 2, 3, 4, 6, 8), depth=3, max_delta=10)
    assert groups.tolist() == [[-10, -3], [-3, 0], [0, 3], [3, 10]]
    assert groups.dtype == torch.float64
    assert not groups[1, 1].signbit()


@needs_mtl
@pytest.mark.parametrize(
    ("group_by", "completeness", "pairs", "borders"),
    [
        ("difficulty", True, 67562, [0, 0.9117647058823515, 1.5, 2.5, 3.0000000000000036, 4.5, 6.0, 8.5, 30]),
        (None, False, 560211, [0, 3.6, 7.35, 11.2, 15.7, 20.8, 27.2, 36.3, 100]),
        ("dive_number", True, 33211, [0, 0.5, 1.5, 2.5, 3.0, 4.5, 6.0, 8.5, 30]),
    ],
)
def test_borders_of_mtl_aqa(group_by: str | None, completeness: bool, pairs: int, borders: list[float]) -> None:
    deltas = deltas_of(mtl_labels(group_by, completeness))
    assert len(deltas) == pairs
    exact = build_groups(deltas, depth=5, max_delta=borders[-1], decimals=None)
    torch.testing.assert_close(exact, groups_from(borders), rtol=0, atol=1e-13)
    rounded = build_groups(deltas, depth=5, max_delta=borders[-1])
    torch.testing.assert_close(rounded, groups_from([round(border, 4) for border in borders]), rtol=0, atol=0)


@needs_mtl
def test_deltas_of_mtl_aqa() -> None:
    with_difficulty = deltas_of(mtl_labels("difficulty", completeness=True))
    assert (with_difficulty == 0).sum() == 3748
    assert with_difficulty.max() == 28.0
    without = deltas_of(mtl_labels(None, completeness=False))
    assert without.max().item() == pytest.approx(102.6)
    assert (without >= 100).sum() == 4
    numbers = mtl_labels("dive_number", completeness=True)
    assert len(numbers) == 58
    assert sum(len(number) == 1 for number in numbers) == 16


@needs_aqa7
@pytest.mark.parametrize("action", range(1, 7))
def test_borders_of_aqa7(action: int) -> None:
    pairs, borders = AQA7_PAIRS_AND_BORDERS[action]
    deltas = deltas_of([aqa7_labels(action)])
    assert len(deltas) == pairs
    for decimals in (None, 4):
        groups = build_groups(deltas, depth=5, max_delta=100, decimals=decimals)
        torch.testing.assert_close(groups, groups_from(borders), rtol=0, atol=6e-4)
        assert (groups[:, 1] > groups[:, 0]).all()


def test_groups_that_cannot_be_built_are_refused() -> None:
    with pytest.raises(InputError, match="no pair"):
        build_groups(double(), depth=5, max_delta=30)
    with pytest.raises(InputError, match="67% of the label differences exceed 30"):
        build_groups(double(1, 840, 900), depth=3, max_delta=30)
    with pytest.raises(InputError, match="depth=1"):
        build_groups(double(1, 2), depth=1, max_delta=30)


def test_labels_as_published() -> None:
    delta = double(0, 2.0, -2.0, 2.5, -2.5, 29, 30)
    leaf, offset = assign_groups(delta, groups_from(MTL_BORDERS), edge="official", decimals=None)
    assert leaf.tolist() == [8, 10, 5, 11, 4, 15, 0]
    torch.testing.assert_close(offset[:6], double(0, 0.5, 0.5, 0, 1, 0.953488), rtol=0, atol=5e-7)
    assert offset[6].isnan()


def test_labels_by_default_own_the_outer_borders() -> None:
    delta = double(0, 2.0, -2.0, 2.5, -2.5, 29, 30, -30, 31, -99)
    leaf, offset = assign_groups(delta, groups_from(MTL_BORDERS))
    assert leaf.tolist() == [8, 10, 5, 11, 4, 15, 15, 0, 15, 0]
    torch.testing.assert_close(offset, double(0, 0.5, 0.5, 0, 1, 0.953488, 1, 0, 1, 0), rtol=0, atol=5e-7)


def test_negative_differences_own_their_right_border() -> None:
    """Leaves 2 = [-11, -9] and 3 = [-9, -7]: -9 is in leaf 2 with offset 1, not in leaf 3 with offset 0."""
    groups = groups_from([0, 1, 2, 3, 7, 9, 11, 13, 30])
    assert groups[2:4].tolist() == [[-11, -9], [-9, -7]]
    leaf, offset = assign_groups(double(-9, 9), groups)
    assert leaf.tolist() == [2, 13]
    assert offset.tolist() == [1, 0]


@needs_aqa7
def test_largest_differences_occur_in_training_on_aqa7() -> None:
    unowned = []
    for action in range(1, 7):
        labels = [aqa7_labels(action)]
        groups = build_groups(deltas_of(labels), depth=5, max_delta=100)
        exemplar, target = ordered_pairs(labels)
        _, offset = assign_groups(target - exemplar, groups, edge="official")
        unowned.append(offset.isnan().sum().item())
        leaf, offset = assign_groups(target - exemplar, groups)
        assert ((offset >= 0) & (offset <= 1)).all()
        assert (leaf[target - exemplar == 100] == 15).all()
        assert (leaf[target - exemplar == -100] == 0).all()
    assert unowned == [0, 2, 2, 16, 2, 0]


@needs_mtl
def test_rounding_decides_the_leaf_of_many_mtl_pairs() -> None:
    """11 % of the pairs change leaf between float32 (as published) and float64; 34 after rounding."""
    labels = mtl_labels("difficulty", completeness=True)
    exact, rounded = (build_groups(deltas_of(labels), 5, 30, decimals) for decimals in (None, 4))
    exemplar, target = ordered_pairs(labels)
    assert len(target) == 135125
    delta, single = target - exemplar, target.float() - exemplar.float()
    in_double, _ = assign_groups(delta, exact, "official", None)
    numpy_2, _ = assign_groups(single, exact, "official", None)  # compares in float32
    numpy_1, _ = assign_groups(single.double(), exact, "official", None)  # compares in float64
    assert (in_double != numpy_2).sum() == 15268
    assert (numpy_1 != numpy_2).sum() == 11450
    assert (assign_groups(delta, rounded)[0] != numpy_2).sum() == 34
    from_single, _ = assign_groups(single, rounded)
    assert (assign_groups(delta, rounded)[0] != from_single).sum() == 0


def test_float32_differences_are_rounded_in_float64() -> None:
    """0.7 in float32 is below 0.7 in float64, the border."""
    leaf, offset = assign_groups(torch.tensor([0.7, -0.7]), groups_from([0, 0.7, 10]))
    assert leaf.tolist() == [3, 0]
    assert offset.tolist() == [0, 1]


@pytest.mark.parametrize("edge", ["closed", "official"])
def test_empty_leaves_own_nothing(edge: str) -> None:
    deltas = torch.cat([torch.zeros(50), torch.ones(10), torch.full((40,), 2.0)])
    groups = build_groups(deltas, depth=5, max_delta=5)
    assert groups[8:].tolist() == [[0, 0]] * 4 + [[0, 2]] + [[2, 2]] * 2 + [[2, 5]]
    leaf, offset = assign_groups(double(0, 1, 2, 4.9, -1, -2, -4.9), groups, edge)
    assert leaf.tolist() == [12, 12, 15, 15, 3, 0, 0]
    assert not offset.isnan().any()


def test_an_empty_outermost_leaf_does_not_take_the_largest_differences() -> None:
    groups = build_groups(torch.full((9,), 5.0), depth=3, max_delta=5)
    assert groups.tolist() == [[-5, -5], [-5, 0], [0, 5], [5, 5]]
    leaf, offset = assign_groups(double(5, -5, 6, -6), groups)
    assert leaf.tolist() == [2, 1, 2, 1]
    assert offset.tolist() == [1, 0, 1, 0]


def test_borders_per_sample_are_those_of_each_sample() -> None:
    both = torch.stack([groups_from([0, 1, 10]), groups_from([0, 5, 10])])
    delta, action = double(3, 3, -3, 10, -10), torch.tensor([0, 1, 1, 0, 1])
    leaf, offset = assign_groups(delta, both[action])
    for row in range(5):
        one_leaf, one_offset = assign_groups(delta[row : row + 1], both[action[row]])
        assert leaf[row] == one_leaf
        assert offset[row] == one_offset
    log_prob, leaf_offset = torch.randn(5, 4).log_softmax(1), torch.rand(5, 4)
    relative = decode_relative_score(log_prob, leaf_offset, both[action])
    for row in range(5):
        one = decode_relative_score(log_prob[row : row + 1], leaf_offset[row : row + 1], both[action[row]])
        assert relative[row] == one


@pytest.mark.parametrize("edge", ["closed", "official"])
def test_decoding_undoes_the_label(edge: str) -> None:
    groups = groups_from(MTL_BORDERS)
    delta = torch.linspace(-29.9, 29.9, 401, dtype=torch.float64)
    leaf, offset = assign_groups(delta, groups, edge, decimals=None)
    log_prob = F.one_hot(leaf, 16).double().log()
    torch.testing.assert_close(decode_relative_score(log_prob, offset[:, None].expand(-1, 16), groups), delta)


def test_an_empty_leaf_decodes_to_its_border_plus_the_offset() -> None:
    groups = build_groups(torch.zeros(9), depth=3, max_delta=5)
    assert groups[2].tolist() == [0, 0]
    log_prob = torch.tensor([[0.1, 0.1, 0.7, 0.1]]).log()
    assert decode_relative_score(log_prob, torch.full((1, 4), 0.25), groups).tolist() == [0.25]
    assert decode_relative_score(log_prob.roll(1, 1), torch.full((1, 4), 1.5), groups).tolist() == [7.5]  # no clamp


@pytest.mark.parametrize(("depth", "count"), [(3, 922_122), (4, 1_451_542), (5, 2_510_382)])
def test_parameters_of_the_tree(depth: int, count: int) -> None:
    tree = GroupAwareRegressionTree(2049, 256, depth)
    assert sum(parameter.numel() for parameter in tree.parameters()) == count


def node_by_node(tree: GroupAwareRegressionTree, features: Tensor) -> tuple[Tensor, Tensor]:
    """The tree for one sample, written as recursion over single nodes."""
    hidden = tree.root.out_features

    def rows(layer: torch.nn.Conv1d, node: int, outputs: int) -> tuple[Tensor, Tensor]:
        part = slice(node * outputs, (node + 1) * outputs)
        return layer.weight[part, :, 0], layer.bias[part]

    def visit(level: int, node: int, feature: Tensor, log_prob: Tensor) -> list[tuple[Tensor, Tensor]]:
        if level == len(tree.classify):
            return [(log_prob, F.linear(feature, *rows(tree.regress, node, 1))[0])]
        decision = F.linear(feature, *rows(tree.classify[level], node, 2)).log_softmax(0)
        children = F.linear(feature, *rows(tree.expand[level], node, 2 * hidden)).relu().split(hidden)
        left = visit(level + 1, 2 * node, children[0], log_prob + decision[0])
        return left + visit(level + 1, 2 * node + 1, children[1], log_prob + decision[1])

    leaves = [visit(0, 0, tree.root(row).relu(), row.new_zeros(())) for row in features]
    log_prob, offset = zip(*[zip(*row, strict=True) for row in leaves], strict=True)
    return torch.stack([torch.stack(row) for row in log_prob]), torch.stack([torch.stack(row) for row in offset])


def test_the_tree_equals_its_nodes_one_by_one() -> None:
    tree = GroupAwareRegressionTree(33, 16, 5).double()
    features = torch.randn(3, 33, dtype=torch.float64)
    torch.testing.assert_close(tree.double()(features), node_by_node(tree, features))
    full = GroupAwareRegressionTree(2049, 256, 5)
    features = torch.randn(2, 2049)
    torch.testing.assert_close(full(features), node_by_node(full, features), rtol=0, atol=1e-5)


def test_leaf_probabilities_sum_to_one_and_stay_float32_under_autocast() -> None:
    tree = GroupAwareRegressionTree(33, 16, 5)
    log_prob, offset = tree(10 * torch.randn(4, 33))
    assert log_prob.shape == offset.shape == (4, 16)
    torch.testing.assert_close(log_prob.exp().sum(dim=1), torch.ones(4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        log_prob, offset = tree(torch.randn(4, 33))
        loss = contrastive_tree_loss(log_prob, offset, double(0, 1, 2, 3), groups_from(MTL_BORDERS))
    assert log_prob.dtype == torch.float32
    assert {term.dtype for term in loss.values()} == {torch.float32}


def slow_loss(log_prob: Tensor, offsets: Tensor, leaf: list[int], label: list[float]) -> tuple[float, float]:
    """One direction of the published loss, as loops; label -1 where no leaf owns the difference."""
    rows = range(len(leaf))
    classification = sum(-log_prob[row, leaf[row]].item() for row in rows) / len(leaf)
    regression = 0.0
    for column in range(log_prob.shape[1]):
        owned = [row for row in rows if leaf[row] == column and label[row] >= 0]
        if owned:
            regression += sum((offsets[row, column].item() - label[row]) ** 2 for row in owned) / len(owned)
    return classification, regression


@pytest.mark.parametrize("edge", ["closed", "official"])
def test_the_loss_equals_slow_loops(edge: str) -> None:
    generator = torch.Generator().manual_seed(3)
    groups = groups_from(MTL_BORDERS)
    log_prob = torch.randn(24, 16, generator=generator, dtype=torch.float64).log_softmax(dim=1)
    offsets = torch.randn(24, 16, generator=generator, dtype=torch.float64)
    forward = torch.cat([double(30, 0, 0, -30), 4 * torch.randn(8, generator=generator, dtype=torch.float64)])
    delta = torch.cat([forward, -forward])
    loss = contrastive_tree_loss(log_prob, offsets, delta, groups, edge)
    leaf, label = assign_groups(delta, groups, edge)
    label = label.nan_to_num(-1).tolist()
    halves = [slow_loss(log_prob[h], offsets[h], leaf[h].tolist(), label[h]) for h in (slice(12), slice(12, 24))]
    assert loss["classification"].item() == pytest.approx(halves[0][0] + halves[1][0], rel=1e-12)
    assert loss["regression"].item() == pytest.approx(halves[0][1] + halves[1][1], rel=1e-12)


def test_only_the_owning_leaf_is_regressed() -> None:
    log_prob = torch.zeros(2, 4).log_softmax(1)
    offsets = torch.zeros(2, 4, requires_grad=True)
    loss = contrastive_tree_loss(log_prob, offsets, double(2, -2), groups_from([0, 3, 10]))
    loss["regression"].backward()
    assert offsets.grad.ne(0).tolist() == [[False, False, True, False], [False, True, False, False]]
    unowned = contrastive_tree_loss(log_prob, offsets, double(10, -10), groups_from([0, 3, 10]), "official")
    assert unowned["regression"].item() == 0
    assert unowned["classification"].item() == pytest.approx(2 * torch.tensor(4.0).log().item())


@pytest.mark.parametrize("world", [2, 4])
def test_processes_that_share_a_batch_have_its_loss_and_gradient_in_the_mean(world: int) -> None:
    """Rows of a leaf lie on several processes: a mean of per-process means would weigh them differently."""
    generator = torch.Generator().manual_seed(5)
    groups, rows = groups_from(MTL_BORDERS), 24
    delta = 4 * torch.randn(rows, generator=generator, dtype=torch.float64)
    delta = torch.cat([delta, -delta])
    log_prob = torch.randn(2 * rows, 16, generator=generator, dtype=torch.float64).log_softmax(dim=1)
    offsets = torch.randn(2 * rows, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    counts: list[Tensor] = []

    def losses(process: int, reduce: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        own = torch.cat([torch.arange(process, rows, world), torch.arange(process, rows, world) + rows])
        return contrastive_tree_loss(log_prob[own], offsets[own], delta[own], groups, reduce=reduce)

    for process in range(world):
        losses(process, lambda values: counts.append(values) or values)
    assert len(counts) == world  # one exchange each
    parts = [losses(process, lambda _: torch.stack(counts).sum(dim=0)) for process in range(world)]
    whole = contrastive_tree_loss(log_prob, offsets, delta, groups)
    for name in whole:
        torch.testing.assert_close(torch.stack([part[name] for part in parts]).mean(), whole[name], rtol=1e-12, atol=0)
    (expected,) = torch.autograd.grad(whole["regression"], offsets)
    gradients = [torch.autograd.grad(part["regression"], offsets)[0] for part in parts]
    torch.testing.assert_close(torch.stack(gradients).mean(dim=0), expected, rtol=1e-12, atol=1e-15)
    alone = [losses(process, lambda values: values)["regression"] for process in range(world)]
    assert (torch.stack(alone).mean() - whole["regression"]).abs() > 0.1
