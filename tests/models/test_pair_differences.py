"""Differences by rank, against all pairs written down."""

from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.models.pair_differences import PairDifferences
from swapaqa.models.score_groups import build_groups

# half points tie, quotients differ in their last bits, and some lie within an ulp of each other
half_points = st.integers(0, 60).map(lambda n: n / 2)
quotients = st.tuples(st.integers(0, 200), st.integers(15, 41)).map(lambda n: n[0] / 2 / (n[1] / 10))
neighbours = st.sampled_from([0.0, 5e-324, 0.1 + 0.2, 0.3, 1 - 2**-53, 1.0, 1 + 2**-52, 99.99994999, 99.99995, 100.0])
labels = st.one_of(half_points, quotients, neighbours, st.floats(0, 100), st.floats(-1e-3, 1e-3))
videos = st.lists(st.tuples(labels, st.integers(0, 3)), max_size=40)


def written_down(label: Tensor, group: Tensor) -> Tensor:
    """Every pair's difference, as the code of the first version has it."""
    return torch.cat([torch.pdist(label[group == g][:, None], p=1) for g in group.unique()])


def naive_groups(deltas: Tensor, depth: int, max_delta: float, decimals: int | None) -> Tensor:
    """Borders as the first version built them."""
    ordered = (deltas if decimals is None else deltas.double().round(decimals=decimals)).double().sort().values
    half = 2 ** (depth - 2)
    inner = ordered[[i * (len(ordered) - 1) // half for i in range(1, half)]]
    border = torch.cat([inner.new_zeros(1), inner, inner.new_full((1,), max_delta)])
    positive = torch.stack([border[:-1], border[1:]], dim=1)
    return torch.cat([0 - positive.flip(0, 1), positive])


def published_groups(label: list[float], depth: int, max_delta: float) -> list[list[float]]:
    """Borders in Python floats, in the order of the published code."""
    deltas = sorted(abs(a - b) for a, b in combinations(label, 2))
    half = 2 ** (depth - 1) // 2
    inner = [deltas[int(i / half * (len(deltas) - 1))] for i in range(1, half)]
    border = [0.0, *inner, max_delta]
    positive = [list(pair) for pair in pairwise(border)]
    return [[-right, -left] for left, right in reversed(positive)] + positive


@pytest.mark.slow
@given(videos)
@settings(max_examples=300, deadline=None)
def test_every_rank_is_that_of_the_sorted_list(chosen: list[tuple[float, int]]) -> None:
    label = torch.tensor([value for value, _ in chosen], dtype=torch.float64)
    group = torch.tensor([number for _, number in chosen], dtype=torch.int64)
    ordered = written_down(label, group).sort().values if len(chosen) else label
    differences = PairDifferences(label, group)
    assert len(differences) == len(ordered)
    assert [differences[rank] for rank in range(len(ordered))] == ordered.tolist()
    with pytest.raises(IndexError):
        differences[len(ordered)]


@given(videos, st.integers(2, 6), st.sampled_from([None, 4, 1]))
@settings(max_examples=200, deadline=None)
def test_borders_are_those_of_all_pairs_to_the_bit(
    chosen: list[tuple[float, int]], depth: int, decimals: int | None
) -> None:
    label = torch.tensor([value for value, _ in chosen], dtype=torch.float64)
    group = torch.tensor([number for _, number in chosen], dtype=torch.int64)
    differences = PairDifferences(label, group)
    if not len(differences):
        with pytest.raises(InputError, match="no pair"):
            build_groups(differences, depth, 200.0, decimals)
        return
    expected = naive_groups(written_down(label, group), depth, 200.0, decimals)
    for deltas in (differences, written_down(label, group)):
        assert build_groups(deltas, depth, 200.0, decimals).tolist() == expected.tolist()
    if decimals is None and len(set(group.tolist())) == 1:
        assert expected.tolist() == published_groups(label.tolist(), depth, 200.0)


def test_a_scale_that_labels_exceed_is_refused_with_the_share_of_pairs() -> None:
    label = torch.tensor([0.0, 1.0, 841.0])
    with pytest.raises(InputError, match="67% of the label differences exceed 30"):
        build_groups(PairDifferences(label, torch.zeros(3, dtype=torch.int64)), 3, 30)


@pytest.mark.slow
def test_a_hundred_thousand_labels_need_no_list_of_their_pairs() -> None:
    """Five thousand million pairs: 40 GB of them would not fit; of whole numbers the rank is known."""
    count = 100_000
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    differences = PairDifferences(order.double(), torch.zeros(count, dtype=torch.int64))
    assert len(differences) == count * (count - 1) // 2
    assert differences[count - 2] == 1.0  # one less than count pairs differ by 1, the next ones by 2
    assert differences[count - 1] == 2.0
    assert differences[len(differences) - 1] == count - 1
