"""I3D: the published table of layers, padding, both checkpoint layouts, and files that are something else."""

import functools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.errors import InputError
from swapaqa.models.batch_norm import freeze_batch_norm_statistics
from swapaqa.models.encoder import pooled
from swapaqa.models.i3d import I3D, ConvUnit, Mixed, SamePool, same_padding

MIXED = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")

# layer: output channels, T, H, W for 3x16x224x224, parameters
TABLE = {
    "conv3d_1a_7x7": (64, 8, 112, 112, 65_984),
    "pool_2a": (64, 8, 56, 56, 0),
    "conv3d_2b_1x1": (64, 8, 56, 56, 4_224),
    "conv3d_2c_3x3": (192, 8, 56, 56, 332_160),
    "pool_3a": (192, 8, 28, 28, 0),
    "mixed_3b": (256, 8, 28, 28, 386_272),
    "mixed_3c": (480, 8, 28, 28, 837_888),
    "pool_4a": (480, 4, 14, 14, 0),
    "mixed_4b": (512, 4, 14, 14, 737_760),
    "mixed_4c": (512, 4, 14, 14, 904_464),
    "mixed_4d": (512, 4, 14, 14, 1_103_664),
    "mixed_4e": (528, 4, 14, 14, 1_356_672),
    "mixed_4f": (832, 4, 14, 14, 1_799_168),
    "pool_5a": (832, 2, 7, 7, 0),
    "mixed_5b": (832, 2, 7, 7, 1_974_272),
    "mixed_5c": (1024, 2, 7, 7, 2_784_736),
}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@functools.cache
def random_weights() -> dict[str, Tensor]:
    """Weights in hassony2's layout with statistics that are not trivial, 400 classes, no batch counts."""
    torch.manual_seed(0)
    network = I3D()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.005, 0.05)  # small enough for eps to matter
            nn.init.uniform_(layer.weight, 0.8, 1.2)
            nn.init.normal_(layer.bias, std=0.1)
    weights = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    return weights | logits("conv3d_0c_1x1", 400)


def logits(name: str, classes: int) -> dict[str, Tensor]:
    return {
        f"{name}.conv3d.weight": torch.zeros(classes, 1024, 1, 1, 1),
        f"{name}.conv3d.bias": torch.zeros(classes),
    }


def piergiaj(weights: dict[str, Tensor], classes: int) -> dict[str, Tensor]:
    """The same weights under the other layout's names, spelled out from its table."""
    names = {f"conv3d_{unit}": f"Conv3d_{unit}" for unit in ("1a_7x7", "2b_1x1", "2c_3x3")}
    branches = {"0": "b0", "1.0": "b1a", "1.1": "b1b", "2.0": "b2a", "2.1": "b2b", "3.1": "b3b"}
    names |= {f"mixed_{xx}.branch_{ours}": f"Mixed_{xx}.{theirs}" for xx in MIXED for ours, theirs in branches.items()}
    renamed = {}
    for ours, theirs in names.items():
        renamed[f"{theirs}.conv3d.weight"] = weights[f"{ours}.conv3d.weight"]
        for part in ("weight", "bias", "running_mean", "running_var"):
            renamed[f"{theirs}.bn.{part}"] = weights[f"{ours}.batch3d.{part}"]
    return renamed | logits("logits", classes)


def saved(content: object, path: Path, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def features(network: I3D) -> Tensor:
    torch.manual_seed(1)
    with torch.no_grad():
        return pooled(network.eval()(torch.randn(2, 3, 16, 32, 32)))


def test_the_table_of_layers() -> None:
    network = I3D().eval()
    assert count(network) == 12_287_264
    assert network.feature_size == 1024
    outputs = {}
    for name, layer in network.named_children():
        layer.register_forward_hook(lambda _, __, out, name=name: outputs.update({name: out}))
    with torch.no_grad():
        feature = pooled(network(torch.randn(1, 3, 16, 224, 224)))
    layers = network.named_children()
    assert {name: (*outputs[name].shape[1:], count(layer)) for name, layer in layers} == TABLE
    torch.testing.assert_close(feature, F.avg_pool3d(outputs["mixed_5c"], (2, 7, 7), stride=1).flatten(1))


def test_totals_of_a_checkpoint() -> None:
    network = I3D()
    assert count(network) + 1025 * 400 == 12_697_264
    assert count(network) + 1025 * 157 == 12_448_189
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm3d)]
    assert len(norms) == 57
    assert sum(count(norm) for norm in norms) == 14_560
    assert len(random_weights()) == 287
    assert len(network.state_dict()) + 2 == 344


@pytest.mark.parametrize("size", [(16, 32, 32), (32, 32, 64), (16, 33, 47), (1, 32, 32)])
def test_any_size_works(size: tuple[int, int, int]) -> None:
    with torch.no_grad():
        maps = I3D().eval()(torch.randn(1, 3, *size))
    assert maps.shape == (1, 1024, *(-(-side // step) for side, step in zip(size, (8, 32, 32), strict=True)))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        (224, 7, 2, (2, 3)),
        (112, 3, 2, (0, 1)),
        (111, 3, 2, (1, 1)),
        (16, 7, 2, (2, 3)),
        (7, 2, 2, (0, 1)),
        (8, 1, 1, (0, 0)),
    ],
)
def test_same_padding(size: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
    assert same_padding(size, kernel, stride) == padding


@pytest.mark.parametrize("activate", [False, True])
@pytest.mark.parametrize("size", [(8, 12, 12), (7, 13, 11), (2, 1, 5), (1, 2, 3)])
@pytest.mark.parametrize(
    ("kernel", "stride"),
    [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2)), ((3, 3, 3), (1, 1, 1))],
)
def test_pools_equal_explicit_zero_padding_with_its_gradient(
    size: tuple[int, int, int], kernel: tuple[int, int, int], stride: tuple[int, int, int], activate: bool
) -> None:
    """Of values after a ReLU, half of them zero, or of values that have their ReLU behind the pool."""
    values = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(sum(size)))
    ours, theirs = values.clone().requires_grad_(), values.clone().requires_grad_()
    sides = [same_padding(*dimension) for dimension in zip(size, kernel, stride, strict=True)]
    padded = F.pad(theirs.relu(), [side for both in reversed(sides) for side in both])
    expected = F.max_pool3d(padded, kernel, stride)
    result = SamePool(kernel, stride, activate)(ours if activate else ours.relu())
    torch.testing.assert_close(result, expected, rtol=0, atol=0)
    result.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=0)


@pytest.mark.parametrize("clips", [1, 2])
def test_everything_lies_channels_last(clips: int) -> None:
    """Where it does not, pools on a CPU take ten times longer; PyTorch's small convolutions of one clip do not."""
    network, seen = I3D(), {}
    watched = {name: layer for name, layer in network.named_modules() if isinstance(layer, ConvUnit | SamePool | Mixed)}
    for name, layer in watched.items():
        layer.register_forward_hook(lambda _, __, out, name=name: seen.__setitem__(name, out))
    freeze_batch_norm_statistics(network)
    network(torch.zeros(clips, 16, 32, 32, 3).movedim(-1, 1))
    assert seen.keys() == watched.keys()
    assert all(out.is_contiguous(memory_format=torch.channels_last_3d) for out in seen.values())


def test_both_layouts_give_the_same_features(tmp_path: Path) -> None:
    weights = random_weights()
    hassony2 = saved(weights, tmp_path / "model_rgb.pth")
    other = saved(piergiaj(weights, 157), tmp_path / "rgb_i3d_pretrained.pt")
    ours, theirs = I3D.from_checkpoint(hassony2, bn_eps=1e-3), I3D.from_checkpoint(other, bn_eps=1e-3)
    torch.testing.assert_close(features(ours), features(theirs), rtol=0, atol=0)
    norms = [I3D.from_checkpoint(path).mixed_5c.branch_0.batch3d for path in (hassony2, other)]
    assert [(norm.eps, norm.momentum) for norm in norms] == [(1e-5, 0.1), (1e-3, 0.01)]


def test_epsilon_changes_the_features(tmp_path: Path) -> None:
    path = saved(random_weights(), tmp_path / "model_rgb.pth")
    small, large = features(I3D.from_checkpoint(path)), features(I3D.from_checkpoint(path, bn_eps=1e-3))
    assert (small - large).abs().max() > 0.01 * large.abs().max()
    gain = [((v + 1e-3) / (v + 1e-5)) ** 0.5 for v in (0.1, 0.01, 1e-3)]
    assert gain == pytest.approx([1.005, 1.048, 1.41], abs=5e-3)


@pytest.mark.slow
def test_the_wrappings_of_published_files(tmp_path: Path) -> None:
    """No logits, 400 or 157 classes, batch counts, DataParallel's prefix, a script's dict, the old format."""
    weights = random_weights()
    bare = {key: value for key, value in weights.items() if not key.startswith("conv3d_0c")}
    variances = [key for key in bare if "running_var" in key]
    counts = {key.replace("running_var", "num_batches_tracked"): torch.tensor(7) for key in variances}
    contents = {
        "bare": bare,
        "157": bare | logits("conv3d_0c_1x1", 157),
        "counts": weights | counts,
        "module": {f"module.{key}": value for key, value in weights.items()},
        "state_dict": {"epoch": 3, "state_dict": weights},
        "saved by us": I3D.from_checkpoint(saved(weights, tmp_path / "plain.pt")).state_dict(),
    }
    paths = [saved(content, tmp_path / f"{name}.pt") for name, content in contents.items()]
    for path in (*paths, saved(weights, tmp_path / "old.pt", zipped=False)):
        loaded = I3D.from_checkpoint(path).state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in bare.items())


def test_files_that_are_not_an_i3d_are_refused(tmp_path: Path) -> None:
    weights = random_weights()
    wrong = {
        "other": (
            {"layer1.0.weight": torch.zeros(3)},
            r"285 keys missing \(conv3d_1a_7x7.*1 keys strange \(layer1",
        ),
        "short": (
            {k: v for k, v in weights.items() if "mixed_5c" not in k},
            "30 keys missing .*mixed_5c.*, 0 keys",
        ),
        "more": (
            weights | {"head.weight": torch.zeros(3)},
            r"0 keys missing, 1 keys strange \(head.weight\)",
        ),
        "flow": (
            weights | {"conv3d_1a_7x7.conv3d.weight": torch.zeros(64, 2, 7, 7, 7)},
            r"1 keys of another shape \(conv3d_1a_7x7.conv3d.weight \(64, 2, 7, 7, 7\) instead of \(64, 3,",
        ),
        "list": ([torch.zeros(3)], "no state dict"),
        "number": ({"conv3d_1a_7x7.conv3d.weight": 3}, "no state dict"),
        "object": (nn.Linear(2, 2), "not a PyTorch file of plain tensors"),
    }
    for name, (content, message) in wrong.items():
        path = saved(content, tmp_path / f"{name}.pt")
        with pytest.raises(InputError, match=message) as refusal:
            I3D.from_checkpoint(path)
        assert str(path) in str(refusal.value)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken"])
def test_files_that_cannot_be_read_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_bytes(content)
    for path in (tmp_path / "broken.pt", tmp_path / "missing.pt", tmp_path):
        with pytest.raises(InputError, match="I3D checkpoint") as refusal:
            I3D.from_checkpoint(path)
        assert str(path) in str(refusal.value)
        assert "\n" not in str(refusal.value)


@pytest.mark.slow
def test_every_parameter_learns_while_statistics_are_frozen() -> None:
    network = I3D().train()
    freeze_batch_norm_statistics(network)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    pooled(network(torch.randn(2, 3, 16, 32, 32))).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.conv3d_1a_7x7.conv3d.weight.grad.abs().sum() > 0
    for name, buffer in network.named_buffers():
        torch.testing.assert_close(buffer, before[name], rtol=0, atol=0)
