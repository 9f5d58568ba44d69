"""Every method on a backbone of a library: a step with the swap; and the programs, which read the checkpoint alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import torch

from swapaqa.bench.loop import Loop, Variant, one_video_or_batch
from swapaqa.errors import InputError
from swapaqa.extraction.facts import weights_digest
from tests.backbones.tiny_networks import loaded
from tests.made_videos import METHODS

Run = Callable[..., "CompletedProcess[str]"]

pytestmark = pytest.mark.slow  # the library takes seconds to import

VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 16}
TINY: dict[str, dict[str, Any]] = {
    "videomae": VIT | {"intermediate_size": 16},
    "timesformer": VIT | {"intermediate_size": 16},
    "vjepa2": VIT | {"mlp_ratio": 1.0},
    "resnet": {"embedding_size": 8, "hidden_sizes": "[8,64]", "depths": "[1,1]", "layer_type": "basic"},
}
STEP = ["data=demo", "data.frames=103", "data.batch_size=2", "aug=swap",
        *(f"data.geometry.{side}=32" for side in ("height", "width", "crop"))]  # fmt: skip
OWN = {  # of a method: what its plan asks of the backbone
    "tpt": ["backbone.frames=8"],
    "rica2": ["backbone.frames=8"],
    "tsa": ["clips.size=32"],
    "t2cr": ["clips.full.size=32", "clips.thin.size=32"],
}
FRAMES_ALONE = ("tecn", "pcln")


def words(backbone: str, **more: Any) -> list[str]:
    """The overrides of a tiny network."""
    shape = [f"backbone.architecture.{key}={value}" for key, value in TINY[backbone].items()]
    return [
        f"backbone={backbone}",
        "backbone.frozen=false",
        *shape,
        *(f"backbone.{key}={value}" for key, value in more.items()),
    ]


@pytest.fixture(autouse=True)
def library() -> Any:
    return loaded("transformers")


def step(overrides: list[str]) -> None:
    loop = Loop(Variant("", tuple(overrides)), inference=False)
    before = [parameter.detach().clone() for parameter in loop.model.encoder.network.parameters()]
    loop.run(one_video_or_batch(loop))
    after = list(loop.model.encoder.network.parameters())
    assert any(not torch.equal(*both) for both in zip(before, after, strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_a_step(method: str) -> None:
    of_clips = words("videomae", size=32, frames=16)
    if method in FRAMES_ALONE:
        with pytest.raises(InputError, match=r"clips\.frames=1: VideoMAE takes clips of 16 only"):
            step([f"model={method}", *of_clips, *STEP])
        step([f"model={method}", *words("resnet"), *STEP])
    else:
        step([f"model={method}", *of_clips, *STEP, *OWN.get(method, [])])


@pytest.mark.parametrize("backbone", ["timesformer", "vjepa2", "resnet"])
def test_every_backbone_takes_a_step(backbone: str) -> None:
    step(["model=core", *words(backbone, **({} if backbone == "resnet" else {"size": 32, "frames": 16})), *STEP])


def test_a_tube_needs_maps_and_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="backbone: TimeSformer is not cut open into maps"):
        step(["model=tsa_net", *words("timesformer", size=32, frames=16), *STEP])


@pytest.fixture
def folder(library: Any, tmp_path: Path) -> Path:
    """Weights as transformers saves them."""
    torch.manual_seed(5)
    config = library.VideoMAEConfig(**TINY["videomae"], num_frames=16, image_size=64)
    library.VideoMAEForVideoClassification(config).save_pretrained(tmp_path / "weights")
    return tmp_path / "weights"


def test_trained_scored_and_explained_without_the_folder(
    recipe_inside: Run, folder: Path, tmp_path: Path, small_demo: list[str]
) -> None:
    given = [*small_demo, *words("videomae", size=64, pretrained=folder), "model=usdl", "aug=swap"]
    done = recipe_inside("train", tmp_path / "run", *given)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder)
    checkpoint = f"checkpoint={tmp_path}/run/checkpoints/last.ckpt"
    for recipe in ("evaluate", "gradcam"):
        scored = recipe_inside(recipe, tmp_path / recipe, checkpoint)
        assert scored.returncode == 0, scored.stderr
        assert "random weights" not in scored.stderr + scored.stdout
    trained, again = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("run", "evaluate"))
    last = {video: values[:2] for video, values in trained["predictions"]["test"].items()}  # the label, the last epoch
    assert again["predictions"]["test"] == last


def test_a_manifest_has_the_digest_of_the_library_s_weights(
    library: Any, recipe_inside: Run, folder: Path, tmp_path: Path, small_demo: list[str]
) -> None:
    of_demo = [word for word in small_demo if word.startswith("data.")]
    given = [*of_demo, *words("videomae", size=64, pretrained=folder), "model=gdlt", f"out={tmp_path}/features"]
    done = recipe_inside("extract", tmp_path / "run", *given)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "features/manifest.json").read_text())
    assert (manifest["backbone"]["kind"], manifest["weights_from"]) == ("videomae", str(folder))
    theirs = library.VideoMAEModel.from_pretrained(folder)
    assert manifest["weights"] == weights_digest(theirs)
    assert np.load(next((tmp_path / "features").rglob("*.npy"))).shape == (1, 32)
