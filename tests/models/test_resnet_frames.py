"""ResNet-50 of every frame: against the convolutions written out, and torchvision's names."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.errors import InputError
from swapaqa.models.resnet_frames import ResNetFrames, read_resnet, resnet_frames_encoder
from tests.made_videos import made_sample, noise, plan

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def network() -> ResNetFrames:
    torch.manual_seed(0)
    made = ResNetFrames().double().eval()
    for name, value in made.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.1)
    return made


def normed(x: Tensor, state: State, name: str) -> Tensor:
    mean, var, gain, shift = (
        state[f"{name}.{part}"].view(-1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + 1e-5).sqrt() * gain + shift


def by_hand(frame: Tensor, state: State) -> Tensor:
    """One frame (3, h, w) -> (2048, h / 32, w / 32), layer by layer."""
    x = normed(F.conv2d(frame[None], state["conv1.weight"], stride=2, padding=3), state, "bn1").relu()
    x = F.max_pool2d(x, 3, 2, padding=1)
    for layer, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            name, stride = f"layer{layer}.{block}", 2 if block == 0 and layer > 1 else 1
            y = normed(F.conv2d(x, state[f"{name}.conv1.weight"]), state, f"{name}.bn1").relu()
            y = normed(F.conv2d(y, state[f"{name}.conv2.weight"], stride=stride, padding=1), state, f"{name}.bn2")
            y = normed(F.conv2d(y.relu(), state[f"{name}.conv3.weight"]), state, f"{name}.bn3")
            if block == 0:
                x = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride)
                x = normed(x, state, f"{name}.downsample.1")
            x = (x + y).relu()
    return x[0]


def test_every_frame_is_seen_by_itself(network: ResNetFrames) -> None:
    clips = torch.randn(2, 3, 2, 64, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = network(clips)
        halves = network(network(clips, until="layer2"), after="layer2")
    assert maps.shape == (2, 2048, 2, 2, 1)
    torch.testing.assert_close(halves, maps, rtol=0, atol=0)
    for video in range(2):
        for frame in range(2):
            expected = by_hand(clips[video, :, frame], network.state_dict())
            torch.testing.assert_close(maps[video, :, frame], expected, rtol=1e-9, atol=1e-9)


def test_parameters_and_names_are_torchvisions(network: ResNetFrames) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_508_032
    names = set(network.state_dict())
    assert len(names) == 318  # torchvision's 320 without fc.weight and fc.bias
    assert {"bn1.running_mean", "layer1.0.downsample.0.weight", "layer4.2.bn3.num_batches_tracked"} <= names
    assert "layer1.1.downsample.0.weight" not in names
    assert network.layer3[0].conv2.stride == (2, 2)  # of the 3x3 convolution


@pytest.mark.slow
def test_a_file_of_torchvisions_is_read(network: ResNetFrames, tmp_path: Path) -> None:
    content = network.state_dict() | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    torch.save(content, tmp_path / "resnet50.pth")
    fresh = ResNetFrames()
    fresh.load_state_dict(read_resnet(tmp_path / "resnet50.pth", fresh))
    assert all(
        torch.equal(value, network.state_dict()[key].to(value.dtype)) for key, value in fresh.state_dict().items()
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("layer4.2.conv3.weight"), r"it has no layer4\.2\.conv3\.weight"),
        (lambda state: state.update({"layer5.0": torch.zeros(1)}), r"it has a layer5\.0"),
        (
            lambda state: state.update({"conv1.weight": torch.zeros(64, 4, 7, 7)}),
            r"it has another shape of conv1\.weight",
        ),
    ],
)
def test_another_file_is_one_line(change: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        own = ResNetFrames()
    state = {key: torch.zeros(value.shape) for key, value in own.state_dict().items()}
    change(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(InputError, match=rf"other\.pth: not a ResNet-50, {message}.*name torchvision's"):
        read_resnet(tmp_path / "other.pth", own)


def test_a_frozen_one_gives_features_without_a_graph(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = resnet_frames_encoder(None, plan(1, 1), "imagenet", frozen=True, freeze_bn=True, learning_rate=None)
    assert "starts from random weights and is frozen" in caplog.text
    found.clips_per_pass = 2
    feature = found.train()(made_sample(noise(1, 3, 32)))
    assert feature.shape == (1, 3, 2048)
    assert not feature.requires_grad
