"""What makes training faster or smaller changes no result: every measure against the plain network, on I3D.

Plain means: convolution and BatchNorm as two, all clips in one pass, weights as PyTorch lays them out. At 16x32x32 a
clip's receptive field covers the whole frame, so all layers are crossed.
"""

import copy
import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from swapaqa.batch import Sample
from swapaqa.errors import InputError
from swapaqa.models.batch_norm import freeze_batch_norm_statistics
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.i3d import I3D, ConvUnit, SamePool, fold_batch_norm, i3d_encoder
from swapaqa.models.tiny import TinyBackbone
from tests.made_videos import encoder as plain_encoder
from tests.made_videos import made_sample, noise, plan

MEASURES = {
    "fold_bn": {"fold_bn": True},
    "compact_pools": {"compact_pools": True},
    "clips_per_pass": {"clips_per_pass": 1},
    "all": {"fold_bn": True, "compact_pools": True, "clips_per_pass": 1},
}
STEPS = 20


@functools.cache
def weights() -> dict[str, Tensor]:
    """I3D with statistics, scales and shifts that are not trivial."""
    torch.manual_seed(0)
    network = I3D()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(layer.weight, 0.8, 1.2)
            nn.init.normal_(layer.bias, std=0.1)
    return network.state_dict()


def encoder(dtype: torch.dtype = torch.float32, **measures: bool | int) -> VideoEncoder:
    made = i3d_encoder(None, None, plan(), "imagenet", True, None, **measures)
    made.network.load_state_dict(weights())
    return made.to(dtype)


def videos(count: int = 1) -> Sample:
    """Of two clips each."""
    return made_sample(noise(count, 26, 32, seed=1))


def loss_of(features: Tensor) -> Tensor:
    """A regression to 1 of the videos' mean features: () in float64."""
    return (features.mean(dim=1).double() - 1).square().mean()


def training(model: VideoEncoder, steps: int) -> Tensor:
    """The losses of some steps of Adam."""
    optimizer, losses, video = torch.optim.Adam(model.parameters(), lr=1e-4), [], videos()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model(video))
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


@functools.cache
def plain_training() -> Tensor:
    return training(encoder(torch.float64), STEPS)


@functools.cache
def plain_first_step() -> tuple[Tensor, dict[str, Tensor]]:
    return first_step(encoder())


def first_step(model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss, and gradients by name."""
    model.zero_grad()
    loss = loss_of(model(videos()))
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def assert_close_to_the_largest(found: dict[str, Tensor], expected: dict[str, Tensor], share: float) -> None:
    """Every gradient within `share` of its tensor's largest."""
    assert list(found) == list(expected)
    for name, gradient in expected.items():
        assert (found[name] - gradient).abs().max() <= share * gradient.abs().max(), name


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("measure", [name for name in MEASURES if name != "all"])
def test_twenty_steps_in_float64_have_the_same_losses(measure: str) -> None:
    losses = training(encoder(torch.float64, **MEASURES[measure]), STEPS)
    assert plain_training()[-1] < 0.9 * plain_training()[0]  # it learns, so that the last step says something
    torch.testing.assert_close(losses, plain_training(), rtol=1e-9, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("measure", MEASURES)
def test_the_first_step_in_float32(measure: str) -> None:
    """Single elements may differ: where a ReLU or a pool has a tie, rounding decides which way a gradient goes."""
    (loss, found), (expected, gradients) = first_step(encoder(**MEASURES[measure])), plain_first_step()
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    assert_close_to_the_largest(found, gradients, 0.01)


@pytest.mark.slow
def test_bfloat16_is_near() -> None:
    """8 bits: features within 1 % of their length, all gradients together within 2 %; single tensors may be further.

    Without oneDNN, whose weight gradients are wrong on a CPU that has bfloat16: see `swapaqa.running.precision`.
    """
    model, plain = encoder(**MEASURES["all"]), encoder()
    with torch.autocast("cpu", torch.bfloat16), torch.backends.mkldnn.flags(enabled=False):
        features = model(videos()).mean(dim=1)
        _, found = first_step(model)
    with torch.no_grad():
        expected = plain(videos()).mean(dim=1)
    assert 0 < (features.float() - expected).norm() < 0.01 * expected.norm()
    gradients = plain_first_step()[1]
    assert list(found) == list(gradients)
    length, apart = 0.0, 0.0
    for name, gradient in gradients.items():
        length += float(gradient.square().sum())
        apart += float((found[name] - gradient).square().sum())
    assert 0 < apart < 0.02**2 * length


@pytest.mark.slow
def test_compact_pools_change_nothing() -> None:
    (loss, found), (expected, gradients) = first_step(encoder(compact_pools=True)), plain_first_step()
    assert torch.equal(loss, expected)
    assert all(torch.equal(found[name], gradient) for name, gradient in gradients.items())


# folding


def test_folding_by_hand() -> None:
    norm = nn.BatchNorm3d(1, eps=0.75).eval()
    norm.running_mean.fill_(3.0)
    norm.running_var.fill_(0.25)
    nn.init.constant_(norm.weight, 4.0)
    nn.init.constant_(norm.bias, 5.0)
    weight, bias = fold_batch_norm(torch.full((1, 1, 1, 1, 1), 7.0), norm)
    assert (weight.item(), bias.item()) == (28.0, -7.0)  # 7 * 4 / 1, 5 - 3 * 4 / 1


def test_folding_follows_frozen_statistics_and_is_refused_for_live_ones() -> None:
    network = I3D()
    unit = network.conv3d_2b_1x1
    unit.folded = True
    with pytest.raises(InputError, match=r"backbone\.fold_bn=true .*backbone\.freeze_bn=true"):
        unit(torch.zeros(1, 64, 1, 1, 1))
    freeze_batch_norm_statistics(network)
    assert unit(torch.zeros(1, 64, 1, 1, 1)).shape == (1, 64, 1, 1, 1)
    with pytest.raises(InputError, match=r"backbone\.fold_bn=true"):
        i3d_encoder(None, None, plan(), "imagenet", False, None, fold_bn=True)


@pytest.mark.parametrize(
    ("overrides", "folded"),
    [(["model=core"], True), (["model=usdl"], False), (["model=core", "backbone.fold_bn=false"], False)],
)
def test_the_yaml_folds_where_statistics_are_frozen(overrides: list[str], folded: bool, config: Callable) -> None:
    composed = config("backbone=i3d", "data=aqa7", *overrides)
    assert composed.model.encoder.fold_bn is folded


def test_a_folded_encoder_folds_every_unit() -> None:
    units = [unit for unit in encoder(fold_bn=True).modules() if isinstance(unit, ConvUnit)]
    assert len(units) == 57
    assert all(unit.folded for unit in units)


@pytest.mark.parametrize("compact", [True, False])
def test_all_pools_are_compact_or_none_is(compact: bool) -> None:
    pools = [layer.compact for layer in encoder(compact_pools=compact).modules() if isinstance(layer, SamePool)]
    assert pools == 13 * [compact]


# the optimiser


def test_a_fused_optimiser_takes_the_same_steps() -> None:
    torch.manual_seed(0)
    model, losses = plain_encoder(TinyBackbone(4).double(), freeze_bn=False), []
    for fused in (None, True):
        trained = copy.deepcopy(model)
        optimizer = torch.optim.Adam(trained.parameters(), lr=2e-3, weight_decay=1e-5, fused=fused)
        steps = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = loss_of(trained(videos(2)))
            loss.backward()
            optimizer.step()
            steps.append(loss.detach())
        losses.append(torch.stack(steps))
    assert losses[0][-1] < 0.99 * losses[0][0]
    torch.testing.assert_close(*losses, rtol=1e-9, atol=0)
