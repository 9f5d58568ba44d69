"""C3D against what its published code computes, its files, its sizes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.models.c3d import C3D
from swapaqa.models.c3d_weights import read_c3d
from swapaqa.models.encoder import pooled
from tests.golden import Arrays, doubles, equal, golden, state_of
from tests.made_videos import encoder, made_sample, noise, plan

Config = Callable[..., DictConfig]


def counted(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def stage_means(network: C3D, clips: Tensor) -> dict[str, Tensor]:
    """What each pool gives, the mean of every channel over all clips and places."""
    found = {}
    for number in range(1, 5):
        found[f"pool{number}"] = network(clips, until=f"pool{number}").mean(dim=(0, 2, 3, 4))
    return found


@pytest.fixture(scope="module")
def recorded() -> Arrays:
    return golden("c3d_backbone.npz")


def of(recorded: Arrays, feature: Any, size: int) -> C3D:
    network = C3D(feature, size).double()
    weights = state_of(recorded)
    network.load_state_dict({key: weights[key] for key in network.state_dict()})
    return network.eval()


@torch.no_grad()
def test_maps_of_a_small_clip_are_those_of_the_published_code(recorded: Arrays) -> None:
    network = of(recorded, "mean", 32)
    (clips,) = doubles(recorded, "in/clip_small")
    equal(network(clips), recorded["out/small_pool5"])
    for name, mean in stage_means(network, clips).items():
        equal(mean, recorded[f"out/small_{name}_channel_mean"])


@pytest.mark.slow
@torch.no_grad()
def test_features_of_a_clip_are_those_of_the_published_code(recorded: Arrays) -> None:
    drawn = np.random.RandomState(int(recorded["in/clip112_recipe"][0])).uniform(-1, 1, (1, 3, 16, 112, 112))
    drawn = drawn.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose([drawn.sum(), np.abs(drawn).sum()], recorded["in/clip112_sum_abs"])
    network, clip = of(recorded, "fc6", 112), torch.from_numpy(drawn)
    equal(network(clip, until="flat"), recorded["out/clip112_pool5"])
    equal(network(clip), recorded["out/clip112_fc6"])
    for name, mean in stage_means(network, clip).items():
        equal(mean, recorded[f"out/clip112_{name}_channel_mean"])


def test_it_has_the_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        assert [counted(C3D(feature, 112)) for feature in ("mean", "pool5", "fc6")] == [  # type: ignore[arg-type]
            27_655_936, 27_655_936, 27_655_936 + 33_558_528,
        ]  # fmt: skip
        assert [C3D(feature, 112).feature_size for feature in ("mean", "pool5", "fc6")] == [512, 8192, 4096]  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [16, 31, 40])
def test_a_feature_has_the_length_it_says_at_any_size(size: int) -> None:
    torch.manual_seed(0)
    network, clip = C3D("pool5", size), torch.rand(1, 3, 16, size, size)
    with torch.no_grad():
        maps = network(clip, until="pool5")
        assert network(clip).shape == (1, network.feature_size) == (1, maps[0].numel())
    assert maps.shape[1:3] == (512, 1)
    mean = C3D("mean", size)
    mean.load_state_dict(network.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(pooled(mean(clip)), maps.mean(dim=(2, 3, 4)))


def test_a_signal_passes_all_layers_of_weights_from_nothing() -> None:
    torch.manual_seed(0)
    clip = torch.randn(2, 3, 16, 32, 32)
    with torch.no_grad():
        maps = C3D("mean", 32)(clip)
    assert 0.05 < maps.std() / clip.std() < 20


def test_clips_of_another_size_are_refused_with_the_words_that_help() -> None:
    with torch.device("meta"):
        for given, words in (
            (plan(size=None), r"clips\.size=None: C3D takes clips of 112 only; say clips\.size=112"),
            (plan(frames=8, size=112), r"clips\.frames=8: C3D takes clips of 16 only; say clips\.frames=16"),
        ):
            with pytest.raises(InputError, match=words):
                encoder(C3D("fc6", 112), given)
        encoder(C3D("mean", 112), plan(frames=8))
    with pytest.raises(InputError, match=r"backbone\.size=15: .*16 rows and columns or more"):
        C3D("mean", 15)


# files


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """As the file that the published codes start from: convolutions and three fully connected layers."""
    torch.manual_seed(0)
    beyond = {f"fc{n}.{kind}": torch.zeros(2) for n in (7, 8) for kind in ("weight", "bias")}
    state: dict[str, Tensor] = C3D("fc6", 16).state_dict()
    return state | beyond


@pytest.mark.parametrize("wrap", [dict, lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}}])
@pytest.mark.parametrize("feature", ["mean", "pool5", "fc6"])
def test_a_file_is_read_as_it_is(
    feature: Any, wrap: Callable[[dict[str, Tensor]], object], weights: dict[str, Tensor], tmp_path: Path
) -> None:
    network = C3D(feature, 16)
    found = read_c3d(saved(wrap(weights), tmp_path / "c3d.pickle"), network)
    assert found.keys() == network.state_dict().keys()
    assert all(torch.equal(value, weights[key]) for key, value in found.items())


def test_files_that_are_no_such_c3d_are_one_line(weights: dict[str, Tensor], tmp_path: Path) -> None:
    convolutions = {key: value for key, value in weights.items() if key.startswith("conv")}
    path = tmp_path / "c3d.pickle"
    for content, feature, size, words in (
        (convolutions, "fc6", 16, r"not a C3D, it has no fc6\.weight; name c3d\.pickle"),
        (convolutions | {"conv6.weight": torch.zeros(1)}, "mean", 16, r"it has a conv6\.weight"),
        (weights, "fc6", 32, r"fc6\.weight is \(4096, 512\) instead of \(4096, 2048\); .*backbone\.size"),
        ([1], "mean", 16, "holds no state dict"),
        ({"conv1.weight": 3}, "mean", 16, "holds no state dict"),
    ):
        with torch.device("meta"):
            network = C3D(feature, size)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=words) as refused:
            read_c3d(saved(content, path), network)
        assert str(path) in str(refused.value)
    path.write_text("<html>")
    with pytest.raises(InputError, match=r"a web page.*name a C3D checkpoint"):
        read_c3d(path, network)
    with pytest.raises(InputError, match="name a C3D checkpoint"):
        read_c3d(tmp_path / "none", network)


def test_the_yaml_reads_a_file_and_keeps_it_frozen(
    config: Config, weights: dict[str, Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["model=c3d_lstm", "backbone=c3d", "backbone.size=16"]
    path = saved(weights, tmp_path / "c3d.pickle")
    model: Any = hydra.utils.instantiate(config(*words, f"backbone.pretrained={path}").model)
    network = model.encoder.network
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not caplog.records
    videos = made_sample(noise(2, frames=35))
    assert model.encoder(videos).shape == (2, 2, 4096)
    hydra.utils.instantiate(config(*words).model)
    assert "random weights and is frozen, so that it cannot learn" in caplog.text
    trains = hydra.utils.instantiate(config("model=usdl", "backbone=c3d", "clips.size=112").backbone)
    assert trains.feature_size == 8192
    assert all(parameter.requires_grad for parameter in trains.parameters())
