"""Who gives the background: the rules for donors."""

import math
from collections import Counter
from itertools import permutations

import pytest
import torch

from swapaqa.augment.donors import draw_donors, zero_if_own_donor
from swapaqa.errors import InputError
from swapaqa.seeds import keyed_generator


def has_no_fixed_point(order: tuple[int, ...]) -> bool:
    return all(position != donor for position, donor in enumerate(order))


@pytest.mark.parametrize(
    ("batch_size", "rule", "outcomes"),
    [(3, "derangement", 2), (4, "derangement", 9), (3, "randperm", 6)],
)
def test_permutations_are_drawn_uniformly(batch_size, rule, outcomes):
    generator = torch.Generator().manual_seed(1)
    draws = 300 * outcomes
    counts = Counter(tuple(draw_donors(batch_size, rule, generator).tolist()) for _ in range(draws))
    possible = {order for order in permutations(range(batch_size)) if rule == "randperm" or has_no_fixed_point(order)}
    assert set(counts) == possible
    assert len(possible) == outcomes
    spread = math.sqrt(300 * (1 - 1 / outcomes))
    assert all(abs(count - 300) < 4 * spread for count in counts.values())


@pytest.mark.parametrize("batch_size", [2, 5, 64])
def test_nobody_is_their_own_donor(batch_size):
    generator = torch.Generator().manual_seed(2)
    for _ in range(20):
        donors = draw_donors(batch_size, "derangement", generator)
        assert donors.dtype == torch.int64
        assert sorted(donors.tolist()) == list(range(batch_size))
        assert has_no_fixed_point(tuple(donors.tolist()))


@pytest.mark.parametrize("rule", ["derangement", "randperm"])
def test_a_batch_of_one_is_its_own_donor(rule):
    assert draw_donors(1, rule, torch.Generator()).tolist() == [0]


def test_partners():
    assert draw_donors(6, "partner", torch.Generator()).tolist() == [3, 4, 5, 0, 1, 2]
    with pytest.raises(InputError, match=r"aug\.donors=partner"):
        draw_donors(3, "partner", torch.Generator())


def test_a_draw_is_replayed_by_its_key():
    first, again, other = (
        draw_donors(16, "derangement", keyed_generator(0, "donors", 3, step)).tolist() for step in (7, 7, 8)
    )
    assert first == again != other


def test_own_donors_have_no_share():
    share = zero_if_own_donor(torch.tensor([0.5, 0.5, 0.5]), torch.tensor([0, 2, 1]))
    assert share.tolist() == [0, 0.5, 0.5]
