"""T2CR against what its published code computes, and against its formulas written out."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.batch import TrainingLabels
from swapaqa.models.published import SYSTEMS, our_name
from swapaqa.models.soft_dtw import soft_dtw
from swapaqa.models.t2cr import T2CR, contrastive_loss, one_against_rest, two_path_losses
from swapaqa.models.target_attention import TwoPathHead
from swapaqa.models.tiny import TinyBackbone
from tests.golden import Arrays, doubles, equal, equal_gradients, golden, load, state_of
from tests.made_videos import encoder, made_encoded

SYSTEM = next(system for system in SYSTEMS if system.name == "T2CR")


def ours(key: str) -> str:
    return our_name(key, SYSTEM).removeprefix("head.")


def head_of(found: Arrays) -> TwoPathHead:
    head = TwoPathHead(1024, 58)
    load(head, {ours(key): value for key, value in state_of(found).items()})
    return head


@pytest.fixture(scope="module")
def found() -> Arrays:
    return golden("t2cr_published.npz")


def features(found: Arrays) -> Tensor:
    """(2 N, 18, 1024): of videos, then of their exemplars."""
    return torch.cat(doubles(found, "in/full", "in/thin"), dim=1)


def test_outputs_and_the_score_are_those_of_the_published_code(found: Arrays) -> None:
    head = head_of(found).eval()
    paths = head.attention(features(found))
    one, other = paths.tokens.chunk(2)
    of_path = {"full": paths.full, "thin": paths.thin}
    for place, (name, tokens) in enumerate(of_path.items()):
        halves = zip(tokens.chunk(2), paths.score.chunk(2), paths.dive.chunk(2), strict=True)
        for number, (logits, score, dive) in enumerate(halves, start=1):
            equal(logits, found[f"out/logits_{name}_{number}"])
            equal(score[:, place, None], found[f"out/s_{name}_{number}"])
            equal(dive[:, place].softmax(dim=1), found[f"out/class_{name}_{number}"])
            equal(head.regress(logits)[:, None], found[f"out/a_{name}_{number}"])
    equal(head.difference(one, other)[:, None], found["out/delta_12"])
    equal(head.difference(other, one)[:, None], found["out/delta_21"])
    equal(head.decoder(one, other).mean(dim=1), found["out/decoder_12_token_mean"])
    equal(head.decoder.within(one).mean(dim=1), found["out/decoder_self_1_token_mean"])
    for number, tokens in ((1, one), (2, other)):
        equal(head.regress(head.decoder.within(tokens))[:, None], found[f"out/self_{number}"])
    equal(soft_dtw(*paths.full.chunk(2), 0.1), found["out/softdtw_full"])

    model = model_of(label_range=None, centred=False)
    model.head = head
    of_exemplar, difficulty = doubles(found, "in/label_2", "in/difficulty")
    label, own = model.vote(one, other, of_exemplar[:, 0], torch.zeros(3, dtype=torch.int64))
    assert own is None
    equal(label[:, None], found["out/score_without_dd"])
    equal(label[:, None] * difficulty, found["score"])


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("gradient", ["both", "first"])
def test_losses_and_gradients_are_those_of_the_published_code(mode: str, gradient: Any, found: Arrays) -> None:
    model = model_of(label_range=None, centred=False, alignment_gradient=gradient)
    model.head = head_of(found).train(mode == "train")
    halves = features(found).chunk(2)
    both = [
        made_encoded(
            feature,
            {"dive_class": torch.from_numpy(found[f"in/class_{number}"])},
            label=doubles(found, f"in/label_{number}")[0][:, 0],
        )
        for number, feature in enumerate(halves, start=1)
    ]
    terms = model.losses(*both)
    prefix = "loss" if mode == "train" else "loss_eval"
    names = {
        "agreement": "agree_mse", "contrast": "ntxent", "relative": "relative", "absolute": "absolute",
        "score": "score_head", "dive": "class_bce", "itself": "self_zero", "alignment": "softdtw",
    }  # fmt: skip
    assert terms.keys() == names.keys()
    for name, theirs in names.items():
        equal(terms[name], found[f"{prefix}/{theirs}"])
    total = torch.stack(list(terms.values())).sum()
    equal(total, found[f"{prefix}/total"])
    if mode == "train":
        total.backward()
        equal_gradients(model.head, found, ours, "grad" if gradient == "both" else "grad_published")
        paths = model.head.attention(features(found))
        equal(paths.thin[:3], found["out_train/logits_thin_1"])
        equal(model.head.difference(*paths.tokens.chunk(2))[:, None], found["out_train/delta_12"])


def test_decoder_and_regressor_are_those_of_the_published_code() -> None:
    found = golden("t2cr_decoder.npz")
    head = TwoPathHead(1024, 58)
    theirs = {ours(key): value for key, value in state_of(found).items()}
    for part, name in ((head.decoder, "decoder."), (head.regress, "regress.")):
        load(part, {key.removeprefix(name): value for key, value in theirs.items() if key.startswith(name)})
    query, memory, short, short_memory = doubles(found, "in/q20", "in/v20", "in/q10", "in/v10")
    decoded = head.decoder(query, memory)
    equal(decoded, found["out/decoded20"])
    equal(head.decoder.within(torch.cat([short, short_memory], dim=1)), found["out/decoded10"])
    equal(head.regress.last(head.regress.features(head.regress.layers(decoded))), found["out/regressed20"])
    equal(head.regress(decoded)[:, None], found["out/score20"])


def test_it_has_the_published_number_of_parameters() -> None:
    head = TwoPathHead(1024, 58)
    parts = (head.attention, head.decoder, head.regress)
    assert [sum(weight.numel() for weight in part.parameters()) for part in parts] == [422_594, 162_525, 33_665]
    frozen = sum(weight.numel() for weight in head.parameters() if not weight.requires_grad)
    assert frozen == 8_212  # which no formula of the published code has


# its formulas


def by_recursion(one: Tensor, other: Tensor, gamma: float) -> float:
    """Soft-DTW of two sequences (n, D), (m, D), cell by cell."""
    cost = {(0, 0): 0.0}
    for row in range(1, len(one) + 1):
        for column in range(1, len(other) + 1):
            ways = [(row - 1, column - 1), (row - 1, column), (row, column - 1)]
            some = sum(math.exp(-cost[way] / gamma) for way in ways if way in cost)
            distance = (one[row - 1] - other[column - 1]).square().sum().item()
            cost[row, column] = distance - gamma * math.log(some)
    return cost[len(one), len(other)]


@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (5, 3), (4, 4), (1, 4), (4, 1), (1, 1)])
def test_soft_dtw_by_diagonals_is_its_recursion(rows: int, columns: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    one, other = (
        torch.rand(2, n, 3, dtype=torch.float64, generator=generator, requires_grad=True) for n in (rows, columns)
    )
    found = soft_dtw(one, other, 0.5)
    assert found.tolist() == pytest.approx([by_recursion(*pair, 0.5) for pair in zip(one, other, strict=True)])
    assert torch.autograd.gradcheck(lambda a, b: soft_dtw(a, b, 0.5), (one, other))


def test_soft_dtw_nears_the_cost_of_the_best_way() -> None:
    """0 1 1 2 lies on 0 1 2 at no cost, and 0 1 3 beside it by 1."""
    one = torch.tensor([[[0.0], [1.0], [1.0], [2.0]]])
    for last, cost in ((2.0, 0.0), (3.0, 1.0)):
        other = torch.tensor([[[0.0], [1.0], [last]]])
        assert soft_dtw(one, other, 1e-3).item() == pytest.approx(cost, abs=1e-2)


def test_the_contrast_by_hand() -> None:
    one, other = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 1.0]])
    half = math.sqrt(0.5)
    rows = [(1, [1, 0, half]), (half, [0, 0, half]), (1, [1, 0, half]), (half, [half, half, half])]
    expected = sum(-math.log(math.exp(match) / sum(map(math.exp, rest))) for match, rest in rows) / 4
    assert contrastive_loss(one, other, 1.0).item() == pytest.approx(expected, abs=1e-6)
    assert contrastive_loss(one[:1], other[1:], 0.1).item() == pytest.approx(0, abs=1e-6)
    zero = torch.zeros(2, 2, requires_grad=True)  # tokens after a ReLU may all be 0
    contrastive_loss(zero, zero, 0.1).backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


def test_one_class_against_the_rest_is_a_binary_cross_entropy_and_knows_what_is_unknown() -> None:
    logits = torch.randn(3, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    known = torch.tensor([4, 0, 2])
    wanted = F.one_hot(known, 5).double()[:, None].expand(-1, 2, -1)
    expected = F.binary_cross_entropy(logits.softmax(dim=2), wanted)
    torch.testing.assert_close(one_against_rest(logits, known), expected)
    some = one_against_rest(logits, torch.tensor([4, -1, 2]))
    torch.testing.assert_close(some, F.binary_cross_entropy(logits.softmax(dim=2)[[0, 2]], wanted[[0, 2]]))
    none = one_against_rest(logits, torch.full((3,), -1))
    none.backward()
    assert none == 0
    assert logits.grad is not None  # several processes ask for one of every weight
    assert torch.equal(logits.grad, torch.zeros_like(logits))
    certain = torch.tensor([[[200.0, 0.0, 0.0]]], requires_grad=True)
    one_against_rest(certain, torch.tensor([0])).backward()
    assert certain.grad is not None
    assert certain.grad.isfinite().all()


def test_equal_samplings_agree_and_are_scored_alike() -> None:
    model = model_of()
    paths = model.head.attention(videos(4).feature)
    same = paths._replace(tokens=torch.cat([paths.full, paths.full], dim=1))
    terms = two_path_losses(same, torch.zeros(4).double(), torch.full((4,), -1), "both")
    assert terms["agreement"] == 0
    assert terms["dive"] == 0


# as a method


def model_of(**changes: Any) -> T2CR:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "dives": 58, "label_range": 30.0, "centred": True, "alignment_gradient": "both", "voters": 2,
        "store_exemplars": False,
    }  # fmt: skip
    model = T2CR(encoder(TinyBackbone(2)), **given | changes).double()
    zero = torch.zeros(30, dtype=torch.int64)
    model.learn_scale(TrainingLabels(torch.linspace(0, 90, 30).double(), zero, zero, max_label=100.0))
    return model


def videos(count: int, seed: int = 0, **given: Tensor) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return made_encoded(torch.rand(count, 18, 8, generator=generator, dtype=torch.float64), **given)


@pytest.mark.parametrize("label_range", [30.0, None])
def test_a_score_is_the_mean_of_its_votes_and_does_not_depend_on_the_batch(label_range: float | None) -> None:
    model, exemplars = model_of(label_range=label_range, centred=label_range is not None).eval(), videos(4, seed=1)
    voters = torch.tensor([[0, 2], [3, -1], [1, 2]])
    some = videos(3, voters=voters)
    factor, centre = (1, 0) if label_range is None else (100 / label_range, model.centre)
    by_hand = []
    with torch.no_grad():
        for row, chosen in enumerate(voters.tolist()):
            votes = []
            for voter in (one for one in chosen if one >= 0):
                feature = [found.feature[at : at + 1] for found, at in ((some, row), (exemplars, voter))]
                own, of_exemplar = (model.head.attention(one).tokens for one in feature)
                delta = factor * model.head.difference(own, of_exemplar)
                alone = centre + factor * model.head.regress(own[:, :10])
                votes.append((exemplars.labels.label[voter] + delta + alone) / 2)
            by_hand.append(torch.cat(votes).mean())
    torch.testing.assert_close(model.score(some, exemplars).label, torch.stack(by_hand), rtol=0, atol=1e-9)


def test_labels_are_learnt_on_the_scale_that_the_terms_are_balanced_for() -> None:
    label = torch.tensor([0.0, 25.0, 100.0], dtype=torch.float64)
    model = model_of()
    torch.testing.assert_close(model.brought(label), torch.tensor([-13.5, -6.0, 16.5]).double())  # their mean is 45
    assert model_of(label_range=None, centred=False).brought(label).tolist() == label.tolist()
    model.adopt_published()  # weights of the published program predict labels as they are
    assert model.brought(label).tolist() == label.tolist()
