"""Clip by clip: the gradients of one pass, in the memory of a few clips, seen once by hooks; and what is refused."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.parallel import DistributedDataParallel

from swapaqa.batch import Sample
from swapaqa.errors import InputError
from swapaqa.models.backbone import Backbone
from swapaqa.models.encoder import VideoEncoder, pooled
from swapaqa.models.recompute import recomputed_in_groups
from swapaqa.models.tiny import TinyBackbone
from tests.made_videos import encoder, made_sample, noise, plan

CLIPS = 6  # of two videos of 36 frames


class Normed(Backbone):
    """A convolution and BatchNorm."""

    feature_size = 4

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4))


class StochasticDepth(nn.Module):
    """A residual branch that each clip skips at random, as in video transformers: no layer of torch's draws for it."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        kept = torch.rand(len(x), *(1,) * (x.ndim - 1), dtype=x.dtype) < 0.5
        return x + self.branch(x) * kept / 0.5 if self.training else x + self.branch(x)


class Random(Backbone):
    """Two layers of stochastic depth, the inner one with Dropout."""

    feature_size = 4

    def __init__(self) -> None:
        super().__init__()
        inner = nn.Sequential(nn.Conv3d(4, 4, 3, padding=1), nn.ReLU(), nn.Dropout3d(0.3))
        self.layers = nn.Sequential(
            nn.Conv3d(3, 4, 4, stride=4), StochasticDepth(inner), StochasticDepth(nn.Conv3d(4, 4, 1))
        )


def pair(clips_per_pass: int, dtype: torch.dtype = torch.float64) -> tuple[VideoEncoder, VideoEncoder]:
    """The same tiny network in one pass, and so many clips at a time."""
    torch.manual_seed(0)
    network = TinyBackbone(4).to(dtype)
    return encoder(network), encoder(copy.deepcopy(network), clips_per_pass=clips_per_pass)


def videos() -> Sample:
    return made_sample(noise(2, 36, 16, seed=1))


def gradients(model: nn.Module) -> dict[str, Tensor | None]:
    return {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


def calls(model: VideoEncoder) -> list[tuple[int, bool, torch.dtype]]:
    """Fills as the network is called: clips, whether with a graph, and their type."""
    seen: list[tuple[int, bool, torch.dtype]] = []
    model.network.register_forward_pre_hook(
        lambda _, inputs: seen.append((len(inputs[0]), torch.is_grad_enabled(), inputs[0].dtype))
    )
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("clips_per_pass", [1, 2, 4, 5])
def test_features_and_gradients_are_those_of_one_pass(clips_per_pass: int) -> None:
    whole, parts = pair(clips_per_pass)
    torch.testing.assert_close(parts(videos()), whole(videos()), rtol=1e-12, atol=0)
    for model in (whole, parts):
        for _ in range(2):  # gradients accumulate
            (model(videos()) - 1).square().sum().backward()
    torch.testing.assert_close(gradients(parts), gradients(whole), rtol=1e-10, atol=1e-14)


def test_no_pass_has_more_clips_than_allowed() -> None:
    model = pair(4)[1]
    seen = calls(model)
    model(videos()).sum().backward()
    assert [call[:2] for call in seen] == [(4, True), (2, True), (2, True), (4, True)]  # the last one comes back first
    seen.clear()
    with torch.inference_mode():
        model(videos())
    assert [call[:2] for call in seen] == [(4, False), (2, False)]


@pytest.mark.parametrize("clips_per_pass", [CLIPS, 100, None])
def test_where_all_fit_nothing_is_computed_twice(clips_per_pass: int | None) -> None:
    model = encoder(TinyBackbone(4), clips_per_pass=clips_per_pass)
    seen = calls(model)
    model(videos()).sum().backward()
    assert [call[:2] for call in seen] == [(CLIPS, True)]


@pytest.mark.parametrize("clips_per_pass", [1, 4])
def test_random_numbers_are_the_same_in_both_passes(clips_per_pass: int) -> None:
    """Dropout and stochastic depth: the gradients of the same groups computed once, and as many numbers drawn."""
    torch.manual_seed(0)
    parts = encoder(Random().double(), clips_per_pass=clips_per_pass)
    plain = copy.deepcopy(parts.network)
    clips = parts.clips_of(videos().video, plan())  # (CLIPS, 3, 16, 16, 16)
    passes = {
        "parts": lambda: parts(videos()).flatten(0, 1),
        "plain": lambda: torch.cat([pooled(plain(group)) for group in clips.split(clips_per_pass)]),
    }
    features, drawn = {}, {}
    for name, forward in passes.items():
        torch.manual_seed(1)
        features[name] = forward()
        (features[name] - 1).square().sum().backward()
        drawn[name] = torch.get_rng_state()
    torch.testing.assert_close(features["parts"], features["plain"], rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients(parts.network), gradients(plain), rtol=1e-10, atol=1e-14)
    assert torch.equal(drawn["parts"], drawn["plain"])
    with torch.no_grad():
        assert not torch.allclose(passes["parts"](), features["parts"])  # numbers are drawn, and decide


def test_nothing_is_kept_for_the_backward_pass() -> None:
    """Saved for it: beside the parameters less than one clip's bytes."""
    kept: dict[str, int] = {}
    for name, model in zip(("whole", "parts"), pair(1), strict=True):
        own = {p.data_ptr() for p in model.parameters()}
        saved: dict[int, int] = {}

        def pack(tensor: Tensor, own: set[int] = own, saved: dict[int, int] = saved) -> Tensor:
            if tensor.data_ptr() not in own:
                saved[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            model(videos())
        kept[name] = sum(saved.values())
    clip = 3 * 16 * 16 * 16
    assert kept["whole"] > CLIPS * 8 * clip  # at least the clips in float64
    assert kept["parts"] < clip


def test_every_parameter_has_its_gradient_once() -> None:
    """As DistributedDataParallel needs it, whose exchange starts when a parameter's hook is called."""
    model = pair(1)[1]
    called: list[int] = []
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: called.append(id(p)))
    model(videos()).sum().backward()
    assert sorted(called) == sorted(id(p) for p in model.parameters())


def test_parameters_that_do_not_learn_or_are_not_used() -> None:
    whole, parts = pair(1)
    for model in (whole, parts):
        model.network.layers[0][0].weight.requires_grad_(False)
        model.network.unused = nn.Parameter(torch.ones(2, dtype=torch.float64))
        model(videos()).square().sum().backward()
    found = gradients(parts)
    assert found["network.layers.0.0.weight"] is None
    assert found["network.unused"] is None
    torch.testing.assert_close(found, gradients(whole), rtol=1e-10, atol=1e-14)
    for parameter in parts.parameters():
        parameter.requires_grad_(False)
    assert not parts(videos()).requires_grad


@pytest.mark.parametrize("inside", [True, False])
def test_autocast_is_the_same_in_both_passes(inside: bool) -> None:
    """bfloat16 has 8 bits: features within 1 % of the largest, gradients within 5 %. None may be lost on the way."""
    whole, parts = pair(1, torch.float32)
    seen = calls(parts)
    (whole(videos()) - 1).square().sum().backward()
    with torch.autocast("cpu", torch.bfloat16):
        loss = (parts(videos()).float() - 1).square().sum()
        if inside:
            loss.backward()
    if not inside:
        loss.backward()
    assert {call[2] for call in seen} == {torch.bfloat16}
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        narrow = parts(videos()).float()
    exact = whole(videos())
    assert (narrow - exact).abs().max() <= 0.01 * exact.abs().max()
    for name, gradient in gradients(whole).items():
        found = gradients(parts)[name]
        assert found is not None
        assert found.dtype == torch.float32
        assert (found - gradient).abs().max() <= 0.05 * gradient.abs().max(), name


@pytest.fixture
def process_group() -> Iterator[None]:
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=torch.distributed.HashStore())
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("options", [{}, {"static_graph": True}, {"find_unused_parameters": True}], ids=str)
def test_the_exchange_between_processes(options: dict[str, bool]) -> None:
    whole, parts = pair(2)
    together = DistributedDataParallel(parts, **options)
    for step in range(3):  # a static graph is known from the second on
        for model in (whole, together):
            (model(videos()) - step).square().sum().backward()
    torch.testing.assert_close(gradients(parts), gradients(whole), rtol=1e-10, atol=1e-14)


def test_inputs_are_made_when_they_are_needed_and_dropped() -> None:
    layer, made = nn.Linear(2, 1), []

    def features(numbers: Sequence[int]) -> Tensor:
        made.append(list(numbers))
        return layer(torch.tensor(numbers, dtype=torch.float32)[:, None].expand(-1, 2))

    found = recomputed_in_groups(features, [1, 2, 3], 2)
    assert made == [[1, 2], [3]]
    (found[:, 0] * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert made == [[1, 2], [3], [3], [1, 2]]
    assert layer.weight.grad.tolist() == [[321.0, 321.0]]
    assert layer.bias.grad.tolist() == [111.0]


@pytest.mark.parametrize(
    ("network", "settings", "words"),
    [
        (Normed(), {"freeze_bn": False}, r"backbone\.clips_per_pass .*backbone\.freeze_bn=true"),
        (TinyBackbone(4), {"clips_per_pass": 0}, r"backbone\.clips_per_pass=0"),
    ],
)
def test_what_cannot_be_computed_twice_is_refused(network: nn.Module, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        encoder(network, **{"clips_per_pass": 1} | settings)
    assert "\n" not in str(refusal.value)


def test_frozen_statistics_are_not_refused() -> None:
    model = encoder(Normed(), clips_per_pass=1)
    model(videos()).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.network.layers[1].num_batches_tracked == 0
