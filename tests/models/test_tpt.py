"""TPT against what its published code computes, and against its formulas written out."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from swapaqa.batch import TrainingLabels
from swapaqa.models.parts import PartComparison, PartDecoder, part_order_losses
from swapaqa.models.published import SYSTEMS, our_name
from swapaqa.models.score_groups import assign_groups, build_groups, decode_relative_score
from swapaqa.models.tiny import TinyBackbone
from swapaqa.models.tpt import TPT
from swapaqa.models.tree_loss import contrastive_tree_loss
from tests.golden import Arrays, doubles, equal, equal_gradients, golden, load, state_of
from tests.made_videos import encoder, made_encoded

SYSTEM = next(system for system in SYSTEMS if system.name == "TPT")


class Head(torch.nn.Module):
    """Both networks under the names that they have in the method."""

    def __init__(self, parts: int, width: int, hidden: int) -> None:
        super().__init__()
        self.decoder, self.tree = PartDecoder(1024, width, hidden, parts), PartComparison(width, 16)


def ours(key: str) -> str:
    return our_name(key, SYSTEM)


def head_of(found: Arrays) -> Head:
    """Our head with the weights of a golden, without dropout."""
    head = Head(*found["config"].tolist())
    load(head, {ours(key): value for key, value in state_of(found).items()})
    for layer in head.modules():
        if hasattr(layer, "share"):
            layer.share = 0.0
    return head


def as_recorded(attention: Tensor) -> Tensor:
    """(N, layers, n, K) -> (N, layers * n, K)."""
    return attention.flatten(1, 2)


@pytest.mark.parametrize("size", ["small", "published"])
def test_outputs_losses_and_gradients_are_those_of_the_published_code(size: str) -> None:
    found = golden(f"tpt_{size}.npz")
    head = head_of(found)
    query, exemplar, label, of_exemplar = (
        value.squeeze(-1) for value in doubles(found, "in/query", "in/exemplar", "in/label_query", "in/label_exemplar")
    )
    one, other = head.decoder(query), head.decoder(exemplar)
    for name, parts in (("query", one), ("exemplar", other)):
        equal(parts.feature, found[f"out/parts_{name}"])
        equal(as_recorded(parts.attention), found[f"out/attention_{name}"])
    bins = build_groups(doubles(found, "in/deltas")[0], 5, float(found["in/max_delta"]), decimals=None)
    equal(bins, found["const/bins"])

    test = head.tree(torch.cat([other.feature, one.feature], dim=-1))
    equal(test[0], found["out/test_logprob"])
    equal(test[1], found["out/test_offset"])
    relative = decode_relative_score(*test, bins)
    equal(relative[:, None], found["out/relative"])
    score = relative + of_exemplar
    equal(score[:, None], found["out/score_raw"])
    difficulty = doubles(found, "in/difficulty")[0][:, 0] if "in/difficulty" in found else 1
    equal((score * difficulty)[:, None], found["score"])

    both = torch.cat([torch.cat([one.feature, other.feature], dim=-1), torch.cat([other.feature, one.feature], dim=-1)])
    log_prob, offset = head.tree(both)  # the other way first, as it is recorded
    equal(log_prob, found["out/train_logprob"])
    equal(offset, found["out/train_offset"])
    attention = torch.cat([one.attention, other.attention])
    equal(as_recorded(attention), found["out/train_attention"])
    delta = torch.cat([of_exemplar - label, label - of_exemplar])
    leaf, place = assign_groups(delta, bins, "official", None)
    assert leaf.tolist() == [*found["target/bin_order1"].tolist(), *found["target/bin_order2"].tolist()]
    for number, half in enumerate(place.chunk(2), start=1):
        recorded = found[f"target/offset_order{number}"].max(axis=0)  # -1 but for the interval that owns the row
        np.testing.assert_allclose(half.nan_to_num(-1).numpy(), recorded, rtol=0, atol=1e-9)

    terms = contrastive_tree_loss(log_prob, offset, delta, bins, "official", None)
    equal(terms["classification"], found["loss/cls_order1"] + found["loss/cls_order2"])
    equal(terms["regression"], found["loss/reg_order1"] + found["loss/reg_order2"])
    margin = float(found["margin"])
    for number in (1, 2):
        order, spread = part_order_losses(attention[:, number - 1 : number], margin)
        equal(order, found[f"loss/rank_layer{number}"])
        equal(spread, found[f"loss/sparse_layer{number}"])
    order, spread = part_order_losses(attention, margin)
    total = terms["classification"] + terms["regression"] + order + 0.05 * spread
    equal(total, found["loss/total"])
    total.backward()
    equal_gradients(head, found, ours)


@pytest.mark.parametrize(("width", "count"), [(256, 2_241_058), (512, 5_656_354), (1024, 16_025_890)])
def test_it_has_the_published_number_of_parameters(width: int, count: int) -> None:
    assert sum(parameter.numel() for parameter in Head(5, width, 512).parameters()) == count


def test_the_attention_losses_by_hand() -> None:
    """Of 20 clips: parts that look at one clip each, and one that is spread over two."""
    attention = torch.zeros(1, 1, 20, 3, dtype=torch.float64)
    attention[0, 0, 3, 0] = attention[0, 0, 9, 1] = 1  # clips 4 and 10
    attention[0, 0, 8, 2] = attention[0, 0, 18, 2] = 0.5  # 9 and 19: centre 14
    order, spread = part_order_losses(attention, 5.0)
    assert order.item() == pytest.approx((5 - 3) + 0 + (5 - 4) + 0)
    assert spread.item() == pytest.approx((0 + 0 + 5) / 3)
    assert part_order_losses(attention, 0.0)[0].item() == 0


def test_six_gaps_of_more_than_a_sixth_of_the_clips_have_a_floor() -> None:
    logits = torch.zeros(1, 1, 20, 5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(600):
        optimizer.zero_grad()
        order, spread = part_order_losses(logits.softmax(dim=2), 3.2)
        (order + 0.05 * spread).backward()
        optimizer.step()
    assert order.item() == pytest.approx(6 * 3.2 - 19, abs=0.02)


def model_of(**changes: Any) -> TPT:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "width": 16, "hidden": 8, "parts": 3, "margin": 1.0, "order_weight": 1.0, "spread_weight": 0.05,
        "edge": "closed", "decimals": 4, "voters": 2, "store_exemplars": False,
    }  # fmt: skip
    model = TPT(encoder(TinyBackbone(2)), **given | changes).double()
    zero = torch.zeros(30, dtype=torch.int64)
    model.learn_scale(TrainingLabels(torch.linspace(0, 90, 30).double(), zero, zero, max_label=100.0))
    return model


def videos(count: int, seed: int = 0, **given: Tensor) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return made_encoded(torch.rand(count, 6, 8, generator=generator, dtype=torch.float64), **given)


def test_a_score_is_the_mean_of_its_votes_and_does_not_depend_on_the_batch() -> None:
    model, exemplars = model_of().eval(), videos(4, seed=1)
    voters = torch.tensor([[0, 2], [3, -1], [1, 2]])
    some = videos(3, voters=voters)
    whole = model.score(some, exemplars).label
    by_hand = []
    with torch.no_grad():
        for row, chosen in enumerate(voters.tolist()):
            votes = []
            for voter in (one for one in chosen if one >= 0):
                both = [
                    model.decoder(found.feature[at : at + 1]).feature for found, at in ((exemplars, voter), (some, row))
                ]
                outputs = model.tree(torch.cat(both, dim=-1))
                votes.append(decode_relative_score(*outputs, model.groups[0]) + exemplars.labels.label[voter])
            by_hand.append(torch.cat(votes).mean())
    torch.testing.assert_close(whole, torch.stack(by_hand), rtol=0, atol=1e-9)


def test_exchanging_a_pair_exchanges_its_directions() -> None:
    model = model_of().eval()
    one, other = videos(3), videos(3, seed=1)
    (log_prob, _), delta, _ = model.compare(one, other)
    (swapped, _), opposite, _ = model.compare(other, one)
    torch.testing.assert_close(swapped, log_prob.roll(3, dims=0), rtol=0, atol=1e-12)
    assert torch.equal(opposite, -delta)


def test_three_rates_cover_every_weight() -> None:
    model = model_of()
    groups = model.parameter_groups()
    assert list(groups) == ["head", "parts", "backbone"]
    ids = [id(parameter) for own in groups.values() for parameter in own]
    assert sorted(ids) == sorted(id(parameter) for parameter in model.parameters())
