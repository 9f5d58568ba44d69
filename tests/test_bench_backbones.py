"""What `bench backbones` counts, against formulas."""

import pytest
import torch
from torch.nn import functional as F

from swapaqa.bench.backbones import YAMLS, cost, costs_table, known
from swapaqa.bench.counting import count
from swapaqa.errors import InputError


def test_the_tiny_network_is_counted_as_its_convolutions() -> None:
    found = cost("tiny", [])
    sides, widths, frames = (32, 16, 8, 4), ((3, 16), (16, 32), (32, 64), (64, 64)), (16, 8, 4, 4)
    flop = sum(2 * t * side**2 * 27 * a * b for side, (a, b), t in zip(sides, widths, frames, strict=True))
    assert (found.flop, found.feature_size, found.frames, found.size) == (flop, 64, 16, 64)
    assert found.parameters == sum(27 * a * b + 2 * b for a, b in widths)
    assert found.saved > 4 * 16 * 16 * 32 * 32  # at least what the first one gives
    table = costs_table({"tiny": found, "absent": "backbone: needs a library"})
    assert table.row_count == 2
    assert "needs a library" in str(table.caption)


def test_attention_is_counted_on_a_cpu() -> None:
    query = torch.zeros(2, 3, 5, 8, requires_grad=True)
    key = torch.zeros(2, 3, 7, 8)
    forward = count(lambda: F.scaled_dot_product_attention(query, key, key), [query, key], warm_up=False)
    assert forward.flop == 2 * 2 * 2 * 3 * 5 * 7 * 8  # two products of matrices
    whole = count(lambda: F.scaled_dot_product_attention(query, key, key).sum().backward(), [query, key], warm_up=False)
    assert whole.flop > 3 * forward.flop  # five more


def test_every_yaml_with_a_network_is_a_row() -> None:
    assert set(known()) == {path.stem for path in YAMLS.glob("*.yaml")} - {"features"}
    with pytest.raises(InputError, match="no such key"):
        cost("tiny", ["backbone.widht=3"])
