"""Features that are extracted once: equal to the frozen backbone in the loop, resumed, shared, refused."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from pytorch_lightning import Trainer
from torch import Tensor

from swapaqa.models.scorer import predictions
from swapaqa.running.training import build
from tests.forked import Forked

Run = Callable[..., "CompletedProcess[str]"]
Config = Callable[..., DictConfig]

SMALL = [
    *(f"data.settings.{split}={count}" for split, count in (("train", 12), ("test", 6), ("shifted", 6))),
    "backbone.network.width=4",
    "clips.frames=8",
    "clips.stride=4",
]
LENGTHS = 3  # clips of 8 of 16 frames, every fourth


@pytest.fixture
def extracted(recipe_inside: Run, tmp_path: Path) -> Callable[..., "CompletedProcess[str]"]:
    """`extracted(*overrides)`: `src.extract` of the small demo, by default into `tmp_path / "features"`."""

    def run(*overrides: str) -> "CompletedProcess[str]":
        return recipe_inside("extract", tmp_path / "run", *SMALL, f"out={tmp_path}/features", *overrides)

    return run


def written(folder: Path) -> dict[str, np.ndarray]:
    return {str(path.relative_to(folder)): np.load(path) for path in sorted(folder.rglob("*.npy"))}


def trained(cfg: DictConfig, head: dict[str, Tensor] | None) -> tuple[dict[str, Any], dict[str, Tensor], Any]:
    """A GDLT trained by `cfg` from `head`: the head it began with, that it ended with, and its test predictions."""
    data, model = build(cfg)
    own: Any = model
    if head is not None:
        own.head.load_state_dict(head)
    before = {name: value.clone() for name, value in own.head.state_dict().items()}
    trainer = Trainer(
        max_epochs=cfg.trainer.max_epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    return before, own.head.state_dict(), predictions(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("augmented", "epochs"),
    [
        (["aug=swap", "copies=1"], 1),  # mirrored too; the copy is the first epoch, donors and all
        (["aug=none", "data.geometry.flip=0.0", "copies=0"], 3),
    ],
)
def test_a_training_on_features_is_the_training_with_the_frozen_backbone(
    extracted: Run, config: Config, demo_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    augmented: list[str], epochs: int,
) -> None:  # fmt: skip
    assert extracted("model=gdlt", *augmented).returncode == 0
    monkeypatch.setenv("SWAPAQA_CACHE", str(demo_cache))
    both = ["model=gdlt", "name=x", "logger=csv", "logger.save_dir=x", f"trainer.max_epochs={epochs}",
            "trainer.check_val_every_n_epoch=1"]  # fmt: skip
    of_loop = [word for word in augmented if not word.startswith("copies=")]
    loop = config(*both, *SMALL, *of_loop, "backbone.learning_rate=0.0")
    of_files = ["reader=features", f"data.features.root={tmp_path}/features"]
    files = config(*both, *SMALL[:3], *of_files)
    before, after, predicted = trained(loop, None)
    _, on_features, from_features = trained(files, before)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    for name, value in after.items():
        torch.testing.assert_close(on_features[name], value, rtol=1e-4, atol=1e-5, msg=name)
    for split, found in predicted.items():
        for ours, theirs in zip(from_features[split], found, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_features_are_a_file_a_video_with_a_manifest(extracted: Run, tmp_path: Path) -> None:
    done = extracted("aug=swap", "copies=2")
    assert done.returncode == 0, done.stderr
    found = written(tmp_path / "features")
    assert len(found) == 24 + 2 * 12
    assert {array.shape for array in found.values()} == {(LENGTHS, 16)}
    plain, first, second = (found[f"{folder}diving/001.npy"] for folder in ("", "copies/0/", "copies/1/"))
    assert np.abs(plain - first).max() > 1e-3 < np.abs(first - second).max()
    manifest = json.loads((tmp_path / "features/manifest.json").read_text())
    assert manifest["features"] == {"clips": LENGTHS, "size": 16, "type": "float32"}
    assert manifest["copies"]["count"] == 2
    assert len(manifest["weights"]) == 64


@pytest.mark.slow
def test_what_is_there_is_not_computed_again_and_shards_share_the_rest(extracted: Run, tmp_path: Path) -> None:
    whole = ["aug=swap", "copies=1", "data.batch_size=4"]
    assert extracted(*whole, f"out={tmp_path}/alone").returncode == 0
    features = tmp_path / "features"
    one = extracted(*whole, "shard=1", "shards=2")
    assert one.returncode == 0
    assert "are not there yet" in one.stdout
    kept = {path: path.stat().st_mtime_ns for path in features.rglob("*.npy")}
    assert 0 < len(kept) < 36
    other = extracted(*whole, "shard=0", "shards=2")
    assert "are not there yet" not in other.stdout
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    ours, theirs = written(features), written(tmp_path / "alone")
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=1e-5, atol=1e-6)
    more = extracted("aug=swap", "copies=2", "data.batch_size=4")  # goes on with a second copy
    assert more.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(written(features)) == 48


def test_a_plan_says_what_it_takes_and_stops(extracted: Run) -> None:
    done = extracted("data.batch_size=4", "plan=true")
    assert done.returncode == 0
    assert "12 files are not there yet" not in done.stdout  # two batches of four are
    assert "16 files are not there yet" in done.stdout
    assert "batches to go, about 0:0" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (["seed=1"], "weights is"),
        (["data.geometry.crop=48"], "geometry.crop is 64 there and 48 is asked for"),
        (["clips.stride=8"], "clips.stride is 4 there and 8 is asked for"),
        (["copies=1", "aug=swap", "aug.ratio=1.5"], "copies.augmentation.ratio is 2.0 there and 1.5 is asked for"),
        (["copies=1", "aug=none"], "copies.augmentation."),
        (["copies=1", "aug=swap", "data.batch_size=4"], "copies.batch_size is 8 there and 4 is asked for"),
        (["data.settings.test=5"], "data.settings.test is 6 there and 5 is asked for"),
    ],
)
def test_a_folder_of_other_features_is_refused_by_the_key(
    extracted: Run, tmp_path: Path, changed: list[str], named: str
) -> None:
    features = tmp_path / "features"
    assert extracted("aug=swap", "copies=1", "plan=true").returncode == 0
    before = written(features)
    done = extracted(*changed)
    assert done.returncode == 2
    assert named in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert written(features).keys() == before.keys()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["aug=swap"], "copies=0"),
        (["aug=mixup", "copies=1"], "aug: VideoMixup blends scores"),
        (["shard=2", "shards=2"], "shard=2"),
        (["copies=-1"], "copies=-1"),
        (["model=tsa_net"], "TSANet"),
        (["clips.frames=17"], "data.frames=16"),
    ],
)
def test_what_cannot_be_extracted_is_one_line(extracted: Run, words: list[str], named: str) -> None:
    done = extracted(*words)
    assert done.returncode == 2
    assert named in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_killed_extraction_goes_on(tmp_path: Path, train_environment: Callable[[Path], dict[str, str]]) -> None:
    features = tmp_path / "features"
    words = [*SMALL, "data.settings.train=80", "aug=swap", "copies=3", f"out={features}", "data.batch_size=2",
             f"hydra.run.dir={tmp_path}/run"]  # fmt: skip
    killed = Forked("src.extract", words, train_environment(tmp_path))
    until = time.monotonic() + 120

    def whole() -> list[Path]:
        return [path for path in features.rglob("diving/*.npy") if "unfinished" not in path.name]

    while len(whole()) < 20 and killed.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in whole()}
    assert 20 <= len(kept) < 92 + 3 * 80
    assert {np.load(path).shape for path in kept} == {(LENGTHS, 16)}
    again = Forked("src.extract", words, train_environment(tmp_path))
    assert again.wait() == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    found = [path for path in features.rglob("*.npy") if "unfinished" not in path.name]
    assert len(found) == 92 + 3 * 80


@pytest.mark.slow
def test_sequences_of_any_length_train_are_evaluated_and_examined(
    recipe_inside: Run, tmp_path: Path, train_inside: Run
) -> None:
    """As Rhythmic Gymnastics and Fis-V are published: a random crop in training, every clip of a test video."""
    folder, generator = tmp_path / "own", np.random.default_rng(0)
    folder.mkdir()
    for number in range(9):
        np.save(folder / f"{number}.npy", generator.normal(size=(5 + number, 8)).astype(np.float32))
    rows = [f"{number},{10 * number},{'train' if number < 5 else 'test'}" for number in range(9)]
    (folder / "videos.csv").write_text("\n".join(["video,score,split", *rows]) + "\n")
    own = ["data=features", f"data.root={folder}", "logger=csv"]
    refused = train_inside(tmp_path / "a", "model=gdlt", *own)
    assert refused.returncode == 2
    assert "data.features.length=" in refused.stderr
    done = train_inside(tmp_path / "b", "model=gdlt", "data.features.length=7", "trainer.max_epochs=1", *own)
    assert done.returncode == 0, done.stderr
    first = json.loads((tmp_path / "b/run/result.json").read_text())
    checkpoint = f"checkpoint={tmp_path}/b/run/checkpoints/last.ckpt"
    again = recipe_inside("evaluate", tmp_path / "c", checkpoint, "data.batch_size=3")
    assert again.returncode == 0, again.stderr
    second = json.loads((tmp_path / "c/result.json").read_text())
    assert first["metrics"]["last"]["splits"] == second["metrics"]["last"]["splits"]
    assert recipe_inside("evaluate", tmp_path / "d", checkpoint, "video=x.mp4").returncode == 2
    assert recipe_inside("doctor", tmp_path / "e", *own, "data.features.length=7").returncode == 0
    (folder / "8.npy").write_bytes(b"")
    found = recipe_inside("doctor", tmp_path / "f", *own, "data.features.length=7")
    assert found.returncode == 1
    assert "8.npy" in found.stdout
