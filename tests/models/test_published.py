"""Checkpoints of the authors' programs: every key, both prefixes, and what the published code computes from them."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.models.i3d import I3D
from swapaqa.models.scorer import Scorer
from swapaqa.running.checkpoint import build, evaluation_config, read_checkpoint
from swapaqa.running.published_checkpoint import with_configuration
from tests.conftest import REPOSITORY
from tests.made_videos import made_sample
from tests.published_files import fill, published_content, published_head, rewrite_for_numpy_1

GOLDEN = REPOSITORY.parent / "shared" / "golden"
SYSTEMS = ("core", "musdl", "usdl", "dae")  # whose whole programs were recorded
WITH_I3D = (*SYSTEMS, "hgcn", "tpt", "t2cr", "tsa_net", "rica2", "tsa")
HEADS_ALONE = ("gdlt", "cofinal", "c3d_lstm")
EPS = dict.fromkeys(("core", "hgcn", "tpt", "t2cr", "rica2", "tsa"), 1e-5) | dict.fromkeys(
    ("musdl", "usdl", "dae", "tsa_net"), 1e-3
)


def composed(path: Path, words: list[str]) -> tuple[DictConfig, list[str]]:
    """The configuration of `src.evaluate` and the words that it is of."""
    given = [f"checkpoint={path}", "name=evaluate", *words]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose("evaluate", overrides=given), given


def opened(path: Path, words: list[str]) -> Scorer:
    """The model as `src.evaluate` builds it."""
    cfg, given = composed(path, words)
    content = with_configuration(str(path), read_checkpoint(str(path)), cfg, given)
    return build(evaluation_config(cfg, content["swapaqa_config"], given), content)


def model_of(words: list[str], eps: float) -> Scorer:
    """A model with seeded weights."""
    cfg, _ = composed(Path("none"), words)
    model: Scorer = instantiate(cfg.model, encoder={"bn_eps": eps})
    fill(model)
    return model.eval()


@pytest.fixture
def words_of(aqa7_tree: Callable[..., Path]) -> Callable[[str], list[str]]:
    """The command line for a system's file: AQA-7 has what CoRe's borders need, the others read no list."""
    small = ["data.frames=16", "clips.last_start=0"]

    def words(system: str) -> list[str]:
        if system == "tpt":
            return ["experiment=tpt_as_published", f"data.root={aqa7_tree()}", "data.frames=16"]
        if system in ("hgcn", "t2cr", "tsa"):
            return [f"model={system}", "data=aqa7", "data.frames=103"]
        if system == "core":
            return ["experiment=core_as_published", f"data.root={aqa7_tree()}", *small]
        return [f"model={system}", "data=aqa7", *small]

    return words


@pytest.mark.parametrize(
    ("system", "parallel"), [("core", False), *((system, number % 2 == 0) for number, system in enumerate(WITH_I3D))]
)
def test_every_weight_arrives_under_its_name(
    system: str, parallel: bool, words_of: Callable[[str], list[str]], tmp_path: Path
) -> None:
    words, path = words_of(system), tmp_path / "theirs.pth"
    ours = model_of(words, EPS[system])
    torch.save(published_content(ours, system, parallel), path)
    if parallel:
        rewrite_for_numpy_1(path)
    found = opened(path, words)
    buffers = dict(found.named_buffers(recurse=False))
    before, after = ours.state_dict(), found.state_dict()
    same = [name for name in before if name not in buffers and not name.endswith("num_batches_tracked")]
    assert len(same) > 290
    assert all(torch.equal(before[name], after[name]) for name in same)
    norms = [layer for layer in found.modules() if isinstance(layer, torch.nn.BatchNorm3d)]
    assert {layer.eps for layer in norms} == {EPS[system]}
    if system in ("core", "tpt"):
        assert found.groups.shape == (1, 16, 2)  # learnt from the training list
        assert found.groups.unique().numel() > 8
        assert (found.edge, found.decimals) == ("official", None)
    network = I3D.from_checkpoint(path)  # backbone.pretrained=
    assert all(torch.equal(value, after[f"encoder.network.{name}"]) for name, value in network.state_dict().items())
    assert network.mixed_5c.branch_0.batch3d.eps == EPS[system]


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("system", HEADS_ALONE)
def test_a_head_alone_keeps_the_backbone_that_is_there(
    system: str, parallel: bool, tmp_path: Path, aqa7_tree: Callable[..., Path]
) -> None:
    words, path = [f"model={system}", "data=aqa7", "backbone=tiny"], tmp_path / "theirs.pkl"
    words += [f"data.root={aqa7_tree()}"] if system == "c3d_lstm" else []  # whose lists tell its unit
    cfg, _ = composed(Path("none"), words)
    ours = instantiate(cfg.model)
    fill(ours)
    torch.save(published_head(ours, system, parallel), path)
    torch.manual_seed(3)
    found = opened(path, words)
    before, after = ours.state_dict(), found.state_dict()
    head = [name for name in before if name.startswith("head.")]
    assert len(head) > (5 if system == "c3d_lstm" else 60)
    assert all(torch.equal(before[name], after[name]) for name in head)
    torch.manual_seed(3)
    untouched = instantiate(cfg.model).encoder.state_dict()
    assert all(torch.equal(value, after[f"encoder.{name}"]) for name, value in untouched.items())
    assert (found.unit.item() > 1) if system == "c3d_lstm" else (found.max_label == 100)


def test_pclns_file_keeps_the_backbone_that_is_there(tmp_path: Path) -> None:
    """A head's state dict beside optimiser and epoch; every name is written down here a second time."""
    small = ["model.length=16", "model.width=32", "model.hidden=16"]
    words, path = ["model=pcln", "data=aqa7", "backbone=tiny", *small], tmp_path / "checkpoint1.tar"
    ours = instantiate(composed(Path("none"), words)[0].model)
    fill(ours)
    layers = {
        "head.encode.0": "encoder_backbone.conv1", "head.encode.4": "encoder_backbone.conv2",
        "head.regress.0": "mlp.fc1", "head.regress.2": "mlp.fc2", "head.regress.4": "mlp.fc3", "pairs.narrow": "conv1d",
        "pairs.compare.0": "conv2d_1", "pairs.compare.2": "conv2d_2", "pairs.regress.0": "fc_1",
        "pairs.regress.2": "fc_2", "pairs.regress.4": "fc_3",
    }  # fmt: skip
    own = {name: value for name, value in ours.state_dict().items() if name.startswith(("head.", "pairs."))}
    theirs = {f"{layers[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value for name, value in own.items()}
    torch.save({"epoch": 7, "state_dict": theirs, "optimizer": {}}, path)
    found = opened(path, words)
    assert len(own) == 22
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in own.items())
    assert (found.max_label, found.epoch) == (100, 7)
    with pytest.raises(InputError, match=r"saved by PCLN's program, without a configuration; say experiment=pcln_aqa7"):
        opened(path, [])


def test_a_deviation_that_is_given_needs_no_training_list(tmp_path: Path) -> None:
    words, path = ["model=c3d_lstm", "data=aqa7", "backbone=tiny", "data.root=nowhere"], tmp_path / "theirs.pkl"
    torch.save(published_head(small_model("c3d_lstm"), "c3d_lstm", False), path)
    with pytest.raises(InputError, match="carries no deviation of the scores, which come from the training lists"):
        opened(path, words)
    assert opened(path, [*words, "+model.score_std.diving=14.5"]).unit.tolist() == [14.5]


@pytest.mark.parametrize("system", HEADS_ALONE)
def test_a_head_alone_asks_for_a_backbone_that_has_learnt(system: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pkl"
    torch.save(published_head(small_model(system), system, False), path)
    with pytest.raises(InputError, match=r"saved a head without a backbone; .* backbone\.pretrained="):
        opened(path, [f"model={system}", "data=aqa7", *(["backbone=c3d"] if system == "c3d_lstm" else [])])
    with pytest.raises(InputError, match=r"without a configuration; say experiment=") as refused:
        opened(path, [])
    preset = re.search(r"experiment=(\w+)", str(refused.value))
    assert preset is not None
    assert (
        composed(path, [preset[0]])[0].model._target_
        == type(small_model(system)).__module__ + "." + type(small_model(system)).__name__
    )
    other = next(name for name in HEADS_ALONE if name != system)
    with pytest.raises(InputError, match=rf"and not of this model; say model={system}, or experiment="):
        opened(path, [f"model={other}", "data=aqa7", "backbone=tiny"])
    with pytest.raises(InputError, match="not an I3D"):
        I3D.from_checkpoint(path)


def test_the_epsilon_may_be_said(words_of: Callable[[str], list[str]], tmp_path: Path) -> None:
    words, path = words_of("usdl"), tmp_path / "theirs.pth"
    torch.save(published_content(model_of(words, 1e-3), "usdl", False), path)
    found = opened(path, [*words, "backbone.bn_eps=0.5"])
    assert found.encoder.network.mixed_5c.branch_0.batch3d.eps == 0.5


@pytest.mark.parametrize(
    ("system", "words", "line"),
    [
        (
            "core",
            [],
            "saved by CoRe's program, without a configuration; say experiment=core_as_published, or",
        ),
        (
            "core",
            ["data=aqa7", "model=usdl"],
            "the weights of CoRe, and not of this model; say model=core backbone=i3d,",
        ),
        ("core", ["data=aqa7", "backbone=tiny"], "say model=core backbone=i3d"),
        ("core", ["data=aqa7", "model.depth=4"], "say model=core backbone=i3d, or experiment=core_as_published"),
        ("core", ["data=aqa7", "model=dae_core"], "the weights of CoRe, and not of this model"),
        (
            "core",
            ["data=aqa7"],
            "no group borders, which come from the training lists of data=: data.root is not",
        ),
        ("musdl", ["data=aqa7", "model=usdl"], "the weights of MUSDL, and not of this model; say model=musdl"),
        ("usdl", ["data=aqa7", "model=musdl"], "the weights of USDL, and not of this model; say model=usdl"),
        ("dae", ["data=aqa7", "model=usdl"], "the weights of DAE, and not of this model; say model=dae"),
    ],
)
def test_what_does_not_fit_is_one_line(
    system: str, words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AQA7_ROOT", raising=False)
    path = tmp_path / "theirs.pth"
    torch.save(published_content(small_model(system), system, True), path)
    with pytest.raises(InputError, match=re.escape(line)) as refused:
        opened(path, words)
    assert f"checkpoint={path}: " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_head_of_another_size_is_one_line(tmp_path: Path) -> None:
    words, path = ["model=usdl", "data=aqa7"], tmp_path / "theirs.pth"
    torch.save(published_content(model_of(words, 1e-3), "usdl", True), path)
    with pytest.raises(InputError, match=r"size mismatch for head\.layers\.4\.weight") as refused:
        opened(path, [*words, "model.num_bins=21"])
    assert f"checkpoint={path}: " in str(refused.value)


def small_model(system: str) -> Scorer:
    cfg, _ = composed(Path("none"), [f"model={system}", "data=aqa7", "backbone=tiny"])
    return instantiate(cfg.model)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"other.weight": torch.ones(1)}, "'other.weight' is no weight of its evaluator"),
        ({"evaluator.layer2.weight": 3}, "its evaluator holds 'evaluator.layer2.weight', which is no tensor"),
        ({"evaluator.layer2.weight": None}, "its evaluator holds 'evaluator.layer2.weight', which is no tensor"),
        ({"epoch": "x"}, "its epoch is 'x'"),
        ({"epoch": float("inf")}, "its epoch is inf"),
        ({"epoch": -1}, "its epoch is -1"),
    ],
)
def test_a_damaged_one_is_one_line(changed: dict[str, Any], line: str, tmp_path: Path) -> None:
    path, head = tmp_path / "theirs.pth", {"evaluator.layer1.weight": torch.ones(1)}
    beside = {"epoch": 1} | {key: value for key, value in changed.items() if key == "epoch"}
    named = {key: value for key, value in changed.items() if key != "epoch"}
    torch.save({"i3d": {}, "evaluator": head | named} | beside, path)
    with pytest.raises(InputError, match=re.escape(f"checkpoint={path}: saved by USDL's program, but {line}")):
        read_checkpoint(str(path))


def test_a_file_without_an_epoch_is_read(words_of: Callable[[str], list[str]], tmp_path: Path) -> None:
    words, path = words_of("usdl"), tmp_path / "theirs.pth"
    content = published_content(model_of(words, 1e-3), "usdl", False)
    del content["epoch"]
    torch.save(content, path)
    opened(path, words)


class Intruder:
    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, (7,)


def test_only_numbers_of_numpy_are_admitted(tmp_path: Path) -> None:
    path = tmp_path / "theirs.pth"
    for beside in (Intruder(), np.array([1.0, 2.0], dtype=object)):
        torch.save({"i3d": {}, "evaluator": {"evaluator.layer1.weight": torch.ones(1)}, "rho_best": beside}, path)
        with pytest.raises(InputError, match="not a checkpoint"):
            read_checkpoint(str(path))


# What the published programs compute from seeded weights: files made outside of this repository.


@pytest.fixture(scope="module")
def golden() -> Callable[[str], tuple[Any, dict[str, Any]]]:
    """`golden("core")`: the opened file, and the checkpoint that it describes."""
    if not GOLDEN.is_dir():
        pytest.skip(f"the outputs of the published programs are not at {GOLDEN}")
    recipe: dict[str, Any] = {}
    exec((GOLDEN / "recipe.py").read_text(), recipe)

    def read(system: str) -> tuple[Any, dict[str, Any]]:
        file = np.load(GOLDEN / f"{system}_checkpoint.npz")
        parts = [name.removeprefix("keys/") for name in file.files if name.startswith("keys/")]
        gains = dict(
            zip(sorted(parts, key=lambda part: part not in ("base_model", "i3d")), file["recipe/gains"], strict=True)
        )
        content: dict[str, Any] = {"epoch": 5, "optimizer": {}, "rho_best": np.float64(0.5)}
        for part in parts:
            described = zip(*(file[f"{kind}/{part}"].tolist() for kind in ("keys", "shapes", "dtypes")), strict=True)
            content[part] = {
                key: seeded(recipe["weight"], int(file["recipe/seed"]), key, shape, dtype, float(gains[part]))
                for key, shape, dtype in described
            }
        return file, content

    return read


def seeded(weight: Callable[..., np.ndarray], seed: int, key: str, shape: str, dtype: str, gain: float) -> Tensor:
    sizes = tuple(int(size) for size in shape.split(",") if size)
    if dtype == "int64":
        return torch.zeros(sizes, dtype=torch.int64)
    return torch.from_numpy(weight(seed, key, sizes, gain))


def golden_video(seed: int) -> Tensor:
    """(2, 3, 103, 224, 224) bytes: `recipe/video`."""
    video = np.random.RandomState(seed).randint(0, 256, (2, 103, 224, 224, 3), np.uint8)
    video[1, :, :112] //= 4
    video[1, 50:, :, 112:] = 255 - video[1, 50:, :, 112:] // 3
    return torch.from_numpy(video).movedim(-1, 1)


def golden_model(
    system: str, golden: Callable, words_of: Callable[[str], list[str]], tmp_path: Path
) -> tuple[Any, Scorer]:
    file, content = golden(system)
    path = tmp_path / "theirs.pth"
    torch.save(content, path)
    starts = ["data.frames=103", f"clips.last_start={86 if system == 'core' else 'null'}"]
    return file, opened(path, [*words_of(system), *starts])


@pytest.mark.parametrize("system", SYSTEMS)
def test_heads_are_those_of_the_published_programs(
    system: str, golden: Callable, words_of: Callable[[str], list[str]], tmp_path: Path
) -> None:
    file, model = golden_model(system, golden, words_of, tmp_path)
    close = {"rtol": 1e-4, "atol": 1e-5}
    with torch.no_grad():
        if system == "core":
            both = [torch.from_numpy(file[f"out/feature_{side}"]) for side in ("exemplar", "query")]
            share = torch.from_numpy(file["in/exemplar_label"]).float() / 30  # the score range
            log_prob, offset = model.tree(torch.cat([*both, share], dim=1))
            torch.testing.assert_close(log_prob, torch.from_numpy(file["out/leaf_prob"]), **close)
            torch.testing.assert_close(offset, torch.from_numpy(file["out/leaf_offset"]), **close)
            return
        feature = torch.from_numpy(file["out/feature"])
        if system == "dae":
            mean, log_variance = model.head(feature)
            torch.testing.assert_close(mean, torch.from_numpy(file["out/mean"])[:, 0], **close)
            torch.testing.assert_close(log_variance, torch.from_numpy(file["out/logvar"])[:, 0], **close)
            return
        head = model.heads if system == "musdl" else model.head
        torch.testing.assert_close(head(feature).exp(), torch.from_numpy(file["out/prob"]), **close)


@pytest.mark.slow
@pytest.mark.parametrize("system", ["core", "usdl"])  # MUSDL, USDL and DAE: one I3D, compared below
def test_features_are_those_of_the_published_programs(
    system: str, golden: Callable, words_of: Callable[[str], list[str]], tmp_path: Path
) -> None:
    file, model = golden_model(system, golden, words_of, tmp_path)
    with torch.no_grad():
        videos = golden_video(int(file["recipe/seed"]))
        query, exemplar = (model.encoder(made_sample(video[None])).mean(dim=1)[0] for video in videos)
    if system == "core":
        expected = [file["out/feature_query"][0], file["out/feature_exemplar"][0]]
    else:
        expected = list(file["out/feature"])
        for other in ("musdl", "dae"):
            assert np.array_equal(golden(other)[0]["out/feature"], file["out/feature"])
    for found, theirs in zip((query, exemplar), expected, strict=True):
        torch.testing.assert_close(found, torch.from_numpy(theirs), rtol=1e-4, atol=1e-4 * float(abs(theirs).max()))
