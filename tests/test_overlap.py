"""Test videos that weights were trained on, wherever two data sets meet: checkpoints, pretrained weights, features."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from swapaqa.configuration.data_sets import make_source
from swapaqa.data.feature_manifest import FORMAT, MANIFEST, WEIGHTS_TRAINED_ON
from swapaqa.data.footage import names_of
from swapaqa.errors import InputError
from swapaqa.models.scorer import CONFIG_KEY, TRAINED_ON_KEY
from swapaqa.running.seen import seen_before, seen_by_checkpoint
from tests.trees import DIVES, FINE_DIVES, write_finediving, write_mtl_aqa

Config = Callable[..., DictConfig]
Run = Callable[..., "CompletedProcess[str]"]
SHARED = "01_002"  # in the trees a training dive of MTL-AQA and a test dive of FineDiving


@pytest.fixture
def trees(tmp_path: Path) -> SimpleNamespace:
    """Roots of MTL-AQA and FineDiving, and one folder with features of all of their dives."""
    ids = [f"{competition:02d}_{dive:03d}" for competition, dive in DIVES]
    ids += [f"{session}_{dive:03d}" for session, dive in FINE_DIVES]
    (tmp_path / "features").mkdir()
    for number, video_id in enumerate(ids):
        found = np.random.default_rng(number).normal(size=(3, 5)).astype(np.float32)
        np.save(tmp_path / "features" / f"{video_id}.npy", found)
    return SimpleNamespace(
        mtl_aqa=write_mtl_aqa(tmp_path / "mtl_aqa", "files"),
        finediving=write_finediving(tmp_path / "finediving", "files"),
        features=tmp_path / "features",
    )


def asked(overlap: str = "refuse") -> DictConfig:
    return OmegaConf.create({"checkpoint": "last.ckpt", "overlap": overlap})


def source_of(config: Config, trees: SimpleNamespace, name: str, *words: str) -> Any:
    return make_source(config(f"data={name}", f"data.root={getattr(trees, name)}", *words).data)


def test_what_a_checkpoint_says_is_taken(config: Config, trees: SimpleNamespace) -> None:
    source = source_of(config, trees, "finediving")
    (seen,) = seen_by_checkpoint(asked("leave_out"), {TRAINED_ON_KEY: ["a/1", "b/2"]}, source)
    assert (seen.names, seen.leave_out) == ({"a/1", "b/2"}, True)
    assert seen.who == "checkpoint=last.ckpt was trained on"
    with pytest.raises(InputError, match=r"overlap=leave: choose one of refuse, leave_out"):
        seen_by_checkpoint(asked("leave"), {TRAINED_ON_KEY: []}, source)
    for damaged in ("a/1", [1], {"a": 1}):
        with pytest.raises(InputError, match=r"checkpoint=last.ckpt: what it was trained on is no list of names"):
            seen_by_checkpoint(asked(), {TRAINED_ON_KEY: damaged}, source)


def test_of_an_earlier_checkpoint_the_lists_are_read(config: Config, trees: SimpleNamespace) -> None:
    def earlier(name: str, *words: str) -> dict[str, Any]:
        return {CONFIG_KEY: {"data": OmegaConf.to_container(config(f"data={name}", *words).data, resolve=True)}}

    root = f"data.root={trees.mtl_aqa}"
    fine, own = source_of(config, trees, "finediving"), source_of(config, trees, "mtl_aqa")
    (seen,) = seen_by_checkpoint(asked(), earlier("mtl_aqa", root), fine)
    assert seen.names == names_of(own.read_split("train"), own.footage)
    assert f"mtl_aqa/{SHARED}" in seen.names
    with pytest.raises(InputError, match="does not say what it was trained on, being of an earlier version"):
        seen_by_checkpoint(asked(), earlier("mtl_aqa", "data.root=/nowhere"), fine)
    (same,) = seen_by_checkpoint(asked(), earlier("mtl_aqa", "data.root=/nowhere"), own)  # its own test list
    (demo,) = seen_by_checkpoint(asked(), earlier("demo"), fine)
    assert not same.names | demo.names
    (fold,) = seen_by_checkpoint(asked(), earlier("finediving", "data.split=by_event", "data.root=/nowhere"), fine)
    assert len(fold.names) == 4  # of the lists that are evaluated on


def test_weights_and_features_say_what_they_saw(config: Config, trees: SimpleNamespace, tmp_path: Path) -> None:
    words = ("reader=features", f"data.features.root={trees.features}")
    source = source_of(config, trees, "finediving", *words)
    assert seen_before({"pretrained": None}, source) == []
    ours, others = tmp_path / "backbone.pt", tmp_path / "model_rgb.pth"
    torch.save({"state_dict": {}, TRAINED_ON_KEY: [f"mtl_aqa/{SHARED}"]}, ours)
    torch.save({"conv3d_1a_7x7.weight": torch.zeros(1)}, others)
    assert seen_before({"pretrained": str(others)}, source) == []
    assert seen_before({"pretrained": str(tmp_path / "missing.pt")}, source) == []  # said where it is read
    (weights,) = seen_before({"pretrained": str(ours)}, source)
    assert weights.names == {f"mtl_aqa/{SHARED}"}
    (trees.features / MANIFEST).write_text(json.dumps({"format": FORMAT, WEIGHTS_TRAINED_ON: [f"mtl_aqa/{SHARED}"]}))
    (features,) = seen_before({"pretrained": None}, source)
    assert features.names == {f"mtl_aqa/{SHARED}"}
    assert features.who.endswith("manifest.json: the backbone of these features was trained on")
    (trees.features / MANIFEST).write_text(json.dumps({"format": FORMAT, WEIGHTS_TRAINED_ON: "all"}))
    with pytest.raises(InputError, match=r"manifest.json: what it was trained on is no list of names"):
        seen_before({"pretrained": None}, source)


def move_to_test(root: Path, begins: str) -> None:
    """Take the dives of the sessions with this beginning out of FineDiving's training list into its test list."""
    lists = {name: root / "Annotations" / f"{name}_split.pkl" for name in ("train", "test")}
    keys = {name: pickle.loads(path.read_bytes()) for name, path in lists.items()}
    moved = [key for key in keys["train"] if key[0].startswith(begins)]
    lists["test"].write_bytes(pickle.dumps([*keys["test"], *moved]))
    lists["train"].write_bytes(pickle.dumps([key for key in keys["train"] if key not in moved]))


@pytest.fixture
def program(recipe_inside: Run, trees: SimpleNamespace, tmp_path: Path) -> Run:
    """`program("evaluate", "finediving", ...)`: a short training or an evaluation on features; all write into `out`."""
    read = ["reader=features", f"data.features.root={trees.features}", "data.target=score", "trainer.accelerator=cpu"]
    train = ["model=usdl", "trainer.max_epochs=1", "logger=csv", "trainer.check_val_every_n_epoch=1"]

    def run(recipe: str, data: str, *words: str) -> "CompletedProcess[str]":
        place = [f"data={data}", f"data.root={getattr(trees, data)}", *read]
        own = [*train, "data.exemplars=any"] if recipe == "train" else []
        return recipe_inside(recipe, tmp_path / ("run" if own else "out"), *place, *own, *words)

    return run


@pytest.mark.slow
def test_a_checkpoint_of_one_data_set_on_another(program: Run, trees: SimpleNamespace, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"

    def evaluate(*words: str) -> tuple[int, str, dict[str, Any]]:
        done = program("evaluate", "finediving", f"checkpoint={checkpoint}", *words)
        result = tmp_path / "out" / "result.json"
        return done.returncode, done.stderr, json.loads(result.read_text()) if result.exists() else {}

    assert program("train", "mtl_aqa").returncode == 0
    saved = torch.load(checkpoint, weights_only=True)[TRAINED_ON_KEY]
    assert saved == [f"mtl_aqa/01_{dive:03d}" for dive in (1, 2, 3, 4)]
    status, said, _ = evaluate("data.split=by_event", "data.fold=1")
    assert status == 2
    assert "was trained on 2 of the 2 videos of test (01_001, ...): name other videos with data=" in said
    assert len(said.strip().splitlines()) == 1

    move_to_test(trees.finediving, "FINAWorld")
    status, said, _ = evaluate()
    assert status == 2
    assert "was trained on 1 of the 3 videos of test (01_002, ...); say overlap=leave_out to score the 2 others" in said
    for way_out, left_out in (("overlap=leave_out", {"test": [SHARED]}), ("data.without=mtl_aqa", {})):
        status, said, result = evaluate(way_out)
        assert status == 0, said
        assert len(result["predictions"]["test"]) == 2
        assert result["left_out_as_trained_on"] == left_out

    (trees.features / MANIFEST).write_text(json.dumps({"format": FORMAT, WEIGHTS_TRAINED_ON: ["mtl_aqa/26_005"]}))
    done = program("evaluate", "mtl_aqa", f"checkpoint={checkpoint}")
    assert done.returncode == 2
    assert "the backbone of these features was trained on 1 of the 2 videos of test (26_005" in done.stderr
