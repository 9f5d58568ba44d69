"""I3D with PECoP's adapters, and its pretext task, against what the authors' code computed in float64."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.batch import PaceClip
from swapaqa.errors import InputError
from swapaqa.models.adapted_i3d import AdaptedI3D, AdaptedMixed, Adapter, adapted_i3d_encoder
from swapaqa.models.i3d import I3D
from swapaqa.models.segment_pace import SegmentPace, SlotClassifier
from swapaqa.models.tiny import TinyBackbone
from tests.golden import Arrays, doubles, equal, golden, load, state_of
from tests.made_videos import encoder, noise, plan

CONV0C = "conv3d_0c_1x1."


def part(found: Arrays, prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state_of(found).items() if key.startswith(prefix)}


def equal_gradients_of(module: Any, found: Arrays, prefix: str) -> None:
    gradients = {name: parameter.grad for name, parameter in module.named_parameters() if parameter.grad is not None}
    recorded = [key for key in found if key.startswith(f"grad/{prefix}")]
    assert recorded
    for key in recorded:
        equal(gradients[key.removeprefix(f"grad/{prefix}")], found[key], 1e-8)
    whole = torch.stack([gradient.square().sum() for gradient in gradients.values()]).sum().sqrt()
    equal(whole, found[f"grad_norm/{prefix}"], 1e-8)


@pytest.mark.parametrize("name", ["adapter", "mixed"])
def test_an_adapter_and_a_block_are_the_published_ones(name: str) -> None:
    found = golden("pecop_small.npz")
    module = Adapter(16) if name == "adapter" else AdaptedMixed(24, 8, 12, 16, 2, 4, 4).eval()
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm3d):
            layer.eps = 1e-5
    load(module, part(found, f"{name}."))
    x, probe = doubles(found, f"in/{name}_x", f"in/{name}_probe")
    result = module(x)
    equal(result, found[f"out/{name}_y"])
    loss = (result * probe).sum()
    equal(loss, found[f"loss/{name}_probe"])
    loss.backward()
    equal_gradients_of(module, found, f"{name}.")


@pytest.mark.slow
def test_the_whole_network_is_the_published_one() -> None:
    found = golden("pecop_i3d_published.npz")
    network = AdaptedI3D(bn_eps=1e-5).eval()
    load(network, {key: value for key, value in state_of(found).items() if not key.startswith(CONV0C)})
    seed, frames = found["in/video_recipe"].tolist()
    drawn = np.random.RandomState(seed).uniform(-1, 1, (1, 3, frames, 224, 224)).astype(np.float32)
    sums = [drawn.astype(np.float64).sum(), np.abs(drawn.astype(np.float64)).sum()]
    np.testing.assert_allclose(sums, found["in/video_sum_abs"], rtol=1e-9)
    maps: dict[str, Tensor] = {}
    for stage in ("mixed_3b", "mixed_3c", "mixed_4f", "mixed_5c"):
        network.get_submodule(stage).register_forward_hook(
            lambda _, __, out, stage=stage: maps.__setitem__(stage, out)  # type: ignore[misc]
        )
    with torch.no_grad():
        last = network(torch.from_numpy(drawn).double())
    for stage, values in maps.items():
        equal(values.mean(dim=(0, 2, 3, 4)), found[f"out/{stage}_channel_mean"])
    slots = last.mean(dim=(3, 4))  # (1, 1024, t)
    equal(F.avg_pool1d(slots, 2, stride=1)[0].mT, found["out/feature"])


def test_adapters_have_the_published_sizes() -> None:
    with torch.device("meta"):
        network, plain = AdaptedI3D(), I3D()
    by_channels = {adapter.conv2.out_channels: adapter for adapter in network.adapters()}
    counts = {channels: sum(p.numel() for p in one.parameters()) for channels, one in by_channels.items()}
    assert counts == {256: 23_872, 480: 71_640, 512: 80_512, 528: 85_140, 832: 197_392, 1024: 292_096}
    own = [parameter for adapter in network.adapters() for parameter in adapter.parameters()]
    assert (len(network.adapters()), len(own), sum(p.numel() for p in own)) == (9, 45, 1_109_068)
    whole = sum(parameter.numel() for parameter in network.parameters())
    assert whole == 1_109_068 + sum(parameter.numel() for parameter in plain.parameters()) == 13_396_332


def test_the_classifiers_are_the_published_ones() -> None:
    """The feature is a mean of two slots of time at a time: of four slots with the weights 1, 2, 2, 1."""
    found = golden("pecop_small.npz")
    slots, labels = doubles(found, "in/map_spatial_mean")[0], torch.from_numpy(found["in/labels"])
    terms = []
    for number, (name, key) in enumerate({"pace": "logits_p", "segment": "logits_s"}.items()):
        weight, bias = doubles(found, f"state/{key}.conv3d.weight", f"state/{key}.conv3d.bias")
        head = SlotClassifier(1024, len(bias), dropout=0.0).double()
        head.read.load_state_dict({"weight": weight.flatten(1), "bias": bias})
        logits = head(slots)
        equal(logits, found[f"out/{name}_logits"])
        terms.append(F.cross_entropy(logits, labels[:, number]))
        equal(terms[-1], found[f"loss/{name}"])
        terms[-1].backward()
        equal(head.read.bias.grad, found[f"grad/{key}.conv3d.bias"], 1e-8)
        weights = torch.tensor([1, 2, 2, 1], dtype=torch.float64) / 6
        torch.testing.assert_close(logits, head.read(slots @ weights), rtol=0, atol=1e-12)
    equal(terms[0] + terms[1], found["loss/total"])


# files


@pytest.fixture(scope="module")
def drawn() -> AdaptedI3D:
    """A network with other weights, statistics and scales than a fresh one has."""
    torch.manual_seed(1)
    network = AdaptedI3D(1e-3, 0.01)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm3d):
            layer.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture
def build() -> Callable[..., Any]:
    def make(pretrained: Path | None, identity_start: bool = False, bn_eps: float | None = None) -> Any:
        path = None if pretrained is None else str(pretrained)
        return adapted_i3d_encoder(path, bn_eps, identity_start, plan(), "imagenet", freeze_bn=True, learning_rate=None)

    return make


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.slow
def test_weights_without_adapters_leave_them_fresh_and_say_so(
    drawn: AdaptedI3D, build: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = {key: value for key, value in drawn.state_dict().items() if "tuning_module" not in key}
    path = saved(plain, tmp_path / "model_rgb.pth")
    with caplog.at_level(logging.WARNING):
        network = build(path, identity_start=True, bn_eps=1e-3).network
    assert "no adapters" in caplog.text
    assert all(torch.equal(network.state_dict()[key], value) for key, value in plain.items())
    i3d, clip = I3D.from_checkpoint(path, bn_eps=1e-3).eval(), torch.rand(1, 3, 8, 32, 32)
    torch.testing.assert_close(network.eval()(clip), i3d(clip), rtol=0, atol=0)
    assert not torch.equal(build(path, bn_eps=1e-3).network.eval()(clip), i3d(clip))  # as published
    network(clip).square().sum().backward()
    assert all(adapter.conv2.weight.grad.abs().max() > 0 for adapter in network.adapters())  # it can leave it


def test_the_file_of_a_pretraining_is_read_with_its_batch_norm(
    drawn: AdaptedI3D, build: Callable[..., Any], tmp_path: Path
) -> None:
    task = SegmentPace(encoder(drawn), paces=5, segments=4, dropout=0.5)
    path = saved(task.backbone_file(), tmp_path / "backbone.pt")
    network, clip = build(path).network.eval(), torch.rand(1, 3, 8, 32, 32)
    torch.testing.assert_close(network(clip), drawn(clip), rtol=0, atol=0)
    norm = network.mixed_5c.branch_0.batch3d
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)  # not 1e-5, as of another file in these names
    assert all(parameter.requires_grad for parameter in network.parameters())  # a host trains all of it
    with pytest.raises(InputError, match=r"backbone\.pt: an I3D with PECoP's adapters; say backbone=i3d_pecop"):
        I3D.from_checkpoint(path)
    content = torch.load(path)
    content["state_dict"]["swapaqa_batch_norm"] = torch.tensor([-1.0, 0.1])
    with pytest.raises(InputError, match="is not an epsilon and a momentum"):
        build(saved(content, tmp_path / "wrong.pt"))


def test_a_file_of_the_authors_program_is_read(drawn: AdaptedI3D, build: Callable[..., Any], tmp_path: Path) -> None:
    """With its two classifiers and DataParallel's prefix, and without our note of BatchNorm."""
    heads = {
        f"logits_{name}.conv3d.{kind}": torch.zeros(*((count, 1024, 1, 1, 1) if kind == "weight" else (count,)))
        for name, count in (("p", 5), ("s", 4))
        for kind in ("weight", "bias")
    }
    content = {f"module.{key}": value for key, value in (drawn.state_dict() | heads).items()}
    network = build(saved(content, tmp_path / "pecop.pt")).network
    assert network.mixed_3b.branch_0.batch3d.eps == 1e-5
    assert all(torch.equal(network.state_dict()[key], value) for key, value in drawn.state_dict().items())


# the task


def made_clips(count: int = 2, frames: int = 16, size: int = 32) -> PaceClip:
    number = torch.arange(count)
    return PaceClip(noise(count, frames, size), 1 + number % 4, number % 4, number)


def stepped(task: SegmentPace, monkeypatch: pytest.MonkeyPatch, clips: PaceClip) -> Tensor:
    for name in ("log", "log_dict"):
        monkeypatch.setattr(task, name, lambda *_, **__: None)
    monkeypatch.setattr(type(task), "current_epoch", 0)
    result = task.train().training_step(clips)
    assert result["measures"][0] == result["loss"]
    return result["loss"]


def test_adapters_and_classifiers_learn_and_nothing_else_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    task = SegmentPace(encoder(AdaptedI3D()), paces=5, segments=4, dropout=0.5)
    before = {key: value.clone() for key, value in task.state_dict().items()}
    learning = [parameter for parameter in task.parameters() if parameter.requires_grad]
    assert sum(parameter.numel() for parameter in learning) == 1_109_068 + 1025 * 9
    optimizer = torch.optim.SGD(learning, lr=0.1)
    stepped(task, monkeypatch, made_clips()).backward()
    optimizer.step()
    changed = {key for key, value in task.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key in before if "tuning_module" in key or key.startswith(("pace.", "segment."))}


@pytest.mark.slow
def test_clip_by_clip_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = []
    for clips_per_pass in (None, 1):
        torch.manual_seed(0)
        task = SegmentPace(encoder(AdaptedI3D(), clips_per_pass=clips_per_pass), 5, 4, 0.5).double()
        loss = stepped(task, monkeypatch, made_clips())
        loss.backward()
        losses.append((loss, task.encoder.network.adapters()[0].se.grad))
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-6, atol=1e-9)


def test_dropout_is_a_clips_own_whoever_shares_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    task = SegmentPace(encoder(AdaptedI3D()), 5, 4, 0.5).double()
    whole = made_clips(2)
    each = [stepped(task, monkeypatch, PaceClip(*(column[row : row + 1] for column in whole))) for row in (0, 1)]
    torch.testing.assert_close(stepped(task, monkeypatch, whole), (each[0] + each[1]) / 2, rtol=1e-6, atol=0)


def test_a_backbone_without_adapters_is_refused() -> None:
    with pytest.raises(InputError, match=r"TinyBackbone has no adapters to pretrain; say backbone=i3d_pecop"):
        SegmentPace(encoder(TinyBackbone(2)), 5, 4, 0.5)
