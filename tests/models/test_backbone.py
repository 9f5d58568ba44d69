"""A backbone cut open at any stage is the backbone in one piece; what is no stage is one line."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from swapaqa.errors import InputError
from swapaqa.models.backbone import Backbone
from swapaqa.models.i3d import I3D, set_memory_options
from swapaqa.models.tiny import TinyBackbone

TINY = [f"layers.{number}" for number in range(4)]
I3D_STAGES = [
    "conv3d_1a_7x7", "pool_2a", "conv3d_2b_1x1", "conv3d_2c_3x3", "pool_3a", "mixed_3b", "mixed_3c", "pool_4a",
    "mixed_4b", "mixed_4c", "mixed_4d", "mixed_4e", "mixed_4f", "pool_5a", "mixed_5b", "mixed_5c",
]  # fmt: skip


def measured_i3d() -> I3D:
    """As training has it on a GPU."""
    network = I3D()
    set_memory_options(network.eval(), fold_bn=True, compact_pools=True)
    return network


MAKE: dict[str, tuple[Callable[[], Backbone], list[str]]] = {
    "tiny": (partial(TinyBackbone, 4), TINY),
    "i3d": (I3D, I3D_STAGES),
    "i3d with its measures": (measured_i3d, I3D_STAGES),
}


def clips() -> Tensor:
    return torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MAKE)
def test_cut_open_at_every_stage_it_is_one_pass(name: str) -> None:
    make, names = MAKE[name]
    network = make().eval()
    assert list(network.stages()) == names
    with torch.no_grad():
        whole, inside = network(clips()), clips()
        assert whole.shape == (1, network.feature_size, *whole.shape[2:])
        for stage in names:
            half = network(clips(), until=stage)
            assert torch.equal(network(half.clone(), after=stage), whole), stage
            inside = network(inside, after=_before(stage, names), until=stage)  # one stage alone
            assert torch.equal(inside, half), stage
    assert torch.equal(inside, whole)  # the last one is the end


def _before(stage: str, names: list[str]) -> str | None:
    position = names.index(stage)
    return names[position - 1] if position else None


def test_gradients_cross_the_cut() -> None:
    network = TinyBackbone(4).double()
    given = clips().double()
    expected = torch.autograd.grad(network(given).square().sum(), list(network.parameters()))
    for stage in TINY:
        opened = network(network(given, until=stage), after=stage)
        found = torch.autograd.grad(opened.square().sum(), list(network.parameters()))
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("way", ["after", "until"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (I3D, r"I3D has no stage pool_9z; it has conv3d_1a_7x7, pool_2a, .*, mixed_5c$"),
        (partial(TinyBackbone, 4), r"TinyBackbone has no stage pool_9z; it has layers\.0, .*, layers\.3$"),
    ],
)
def test_a_stage_that_is_none_is_one_line(make: Callable[[], Backbone], words: str, way: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        make()(torch.zeros(1, 3, 8, 16, 16), **{way: "pool_9z"})
    assert "\n" not in str(refused.value)


class Parts(Backbone):
    """The stages of a network of one's own are its parts."""

    feature_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(3, 2, 1), nn.Conv3d(2, 2, 1)


def test_the_stages_of_a_network_are_its_parts_by_name() -> None:
    network = Parts()
    assert list(network.stages()) == ["first", "second"]
    half = network(clips(), until="first")
    assert torch.equal(half, network.first(clips()))
    assert torch.equal(network(half, after="first"), network.second(half))
    assert torch.equal(network(half, after="second"), half)  # nothing is left to do
