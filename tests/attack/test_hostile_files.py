"""Nothing that a file names runs: a table of hostile files through the readers and the real programs, and a canary."""

import contextlib
import copy
import hashlib
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import instantiate

from swapaqa.boxes.cvat import read_cvat
from swapaqa.boxes.darklabel_format import read_formats
from swapaqa.data.unpickler import load_pickle
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_json, read_yaml
from swapaqa.files.tensor_file import load_tensors
from swapaqa.models.scorer import CONFIG_KEY, FORMAT, FORMAT_KEY
from swapaqa.running import jobs
from swapaqa.running.checkpoint import read_checkpoint
from swapaqa.running.registry import NOT_BUILT, admit, registry
from swapaqa.running.upgrade import upgrade
from tests.attack.hostile import (
    ELSEWHERE,
    hostile_configurations,
    hostile_texts,
    payloads,
    places,
    with_payload,
)
from tests.forked import REPOSITORY, run_forked

LANDED = REPOSITORY / "tests" / "landed"
Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture(scope="module")
def landed() -> dict[str, Any]:
    """A checkpoint of ours, of today's format."""
    content = torch.load(LANDED / "core.ckpt", weights_only=True)
    upgrade(content)
    return content | {FORMAT_KEY: FORMAT}


def saved(content: dict[str, Any], config: Any, path: Path) -> Path:
    torch.save(content | {CONFIG_KEY: config}, path)
    return path


def test_the_canary_sings_where_a_file_is_instantiated(canary: Path) -> None:
    """The control: a payload that Hydra's own list does not stop."""
    instantiate(payloads(canary)["torch.utils.collect_env.run"])
    assert canary.exists()


def test_no_configuration_of_a_file_runs_or_is_admitted(canary: Path, landed: dict[str, Any]) -> None:
    config = landed[CONFIG_KEY]
    admit(config, "it")
    tried = 0
    for name, hostile in hostile_configurations(config, canary):
        tried += 1
        with pytest.raises(InputError) as refused:
            admit(hostile, "model.ckpt")
        assert str(refused.value).startswith("model.ckpt: "), name
        assert not canary.exists(), name
    assert tried > 400


def test_no_name_is_admitted_at_any_place(landed: dict[str, Any]) -> None:
    config = landed[CONFIG_KEY]
    tried = [place for place in places(config) if place.partition(".")[0] not in NOT_BUILT]
    assert len(tried) > 50
    for name in ELSEWHERE:
        for place in tried:
            with pytest.raises(InputError, match=r"^it: "):
                admit(with_payload(config, place, {"_target_": name}), "it")


def test_a_registered_class_is_admitted_in_its_places_only(landed: dict[str, Any]) -> None:
    config, known = landed[CONFIG_KEY], registry()
    tried = [place for place in places(config) if place.partition(".")[0] not in NOT_BUILT]
    for place in tried:
        there = known.admitted.get(known.key(place), frozenset())
        for name in frozenset().union(*known.admitted.values()) - there:
            with pytest.raises(InputError, match=r"^it: "):
                admit(with_payload(config, place, {"_target_": name}), "it")


INTERPOLATED = ("${oc.env:HOME}", "${oc.decode:'${oc.env:X}'}", "${oc.create:{}}", "${hydra:runtime.cwd}", "${swept:}",
                "a${data.root}b", "\\\\${x}", "$${x}", "${", "???")  # fmt: skip


@pytest.mark.parametrize("text", INTERPOLATED)
def test_nothing_in_a_files_configuration_is_looked_up(text: str, landed: dict[str, Any]) -> None:
    config = landed[CONFIG_KEY]
    for place in places(config):
        if place.partition(".")[0] not in NOT_BUILT:
            with pytest.raises(InputError, match=r"^it: "):
                admit(with_payload(config, place, text), "it")


@pytest.mark.parametrize("recipe", ["train", "evaluate", "gradcam", "doctor"])
def test_hydras_way_to_run_a_pickled_job_again_is_refused(
    recipe: str, canary: Path, recipe_inside: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.pickle").write_bytes(hostile_texts(canary)["pickle"])
    for full_error in ("", "1"):
        monkeypatch.setenv("HYDRA_FULL_ERROR", full_error)
        for word in ("--experimental-rerun", "--experimental-re"):
            done = recipe_inside(recipe, tmp_path / "run", word, str(tmp_path / "config.pickle"))
            assert done.returncode == 2
            assert done.stderr.startswith("error: --experimental-rerun: ")
    assert not canary.exists()


@pytest.mark.parametrize("recipe", ["evaluate", pytest.param("gradcam", marks=pytest.mark.slow)])
def test_what_a_files_configuration_points_to_is_only_read(
    recipe: str, landed: dict[str, Any], recipe_inside: Run, aqa7_tree: Callable[..., Path], tmp_path: Path
) -> None:
    """Its data root, its box files with a tracker that writes, its frame store; its results go where the user says."""
    root = aqa7_tree()
    config = copy.deepcopy(landed[CONFIG_KEY])
    boxes = {"_target_": "swapaqa.data.boxes.TrackerBoxes", "root": str(root / "boxes"), "ratio": 1.0, "method": "kcf",
             "first_box": "either", "lost_below": 0.4, "max_lost": 1.0, "weights": []}  # fmt: skip
    data = dict(config["data"], _target_="swapaqa.data.aqa7.AQA7", root=str(root), cache="packed", boxes=boxes)
    data.pop("settings")
    path = saved(landed, config | {"data": data}, tmp_path / "a.ckpt")
    before = digest_of(root)
    done = recipe_inside(recipe, tmp_path / "run", f"checkpoint={path}")
    assert done.returncode == 0, done.stderr
    assert digest_of(root) == before
    assert (tmp_path / "run").is_dir()


def digest_of(folder: Path) -> str:
    content = [(str(path), path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()]
    return hashlib.sha256(repr(content).encode()).hexdigest()


@pytest.mark.parametrize("name", ["logger", "trainer.callbacks", "trainer.logger", "optim", "optim.optimizer", "hydra"])
def test_what_is_never_built_from_a_file_is_left_out(name: str, canary: Path, landed: dict[str, Any]) -> None:
    hostile = with_payload(landed[CONFIG_KEY], name, payloads(canary)["torch.utils.collect_env.run"])
    kept = admit(hostile, "it")
    assert "collect_env" not in str(kept)
    assert kept["trainer"] == {"precision": "32-true", "max_epochs": 3}


def test_configurations_that_are_no_trees_are_refused() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    doubled: list[Any] = []
    for _ in range(19):
        doubled = [doubled, doubled, doubled]
    odd = ({"a": (1, 2)}, {"a": torch.zeros(2)}, {1: 2}, {"a": {"_args_": []}}, [], None)
    for config in (endless, {"a": doubled}, *odd):
        with pytest.raises(InputError):
            admit(config, "it")


def test_every_class_of_conf_is_registered_in_its_place_and_none_elsewhere() -> None:
    known = registry()
    assert "swapaqa.models.core.CoRe" in known.admitted["model"]
    assert known.key("model.encoder.network") == "backbone.network"
    assert known.key("data.augment") == "aug"
    config = {"data": {"_target_": "swapaqa.models.core.CoRe"}}
    with pytest.raises(InputError, match=r"data\._target_='swapaqa\.models\.core\.CoRe'"):
        admit(config, "it")


@pytest.mark.parametrize("recipe", ["evaluate", "gradcam"])
@pytest.mark.parametrize(
    ("name", "place"),
    [("torch.utils.collect_env.run", "model"), ("with positions", "data.augment"), ("a class's neighbour", "aug")],
)
def test_the_programs_run_nothing_of_a_checkpoint(
    recipe: str, name: str, place: str, canary: Path, landed: dict[str, Any], recipe_inside: Run, tmp_path: Path
) -> None:
    path = saved(landed, with_payload(landed[CONFIG_KEY], place, payloads(canary)[name]), tmp_path / "a.ckpt")
    done = recipe_inside(recipe, tmp_path / "run", f"checkpoint={path}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: checkpoint={path}: {place}.")
    assert not canary.exists()


def test_a_pickle_within_a_checkpoint_runs_nothing(canary: Path, tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {canary}",)

    path = tmp_path / "a.ckpt"
    for content in (Touch(), {"state_dict": {}, CONFIG_KEY: Touch()}):
        for zipped in (True, False):
            torch.save(content, path, _use_new_zipfile_serialization=zipped)
            with pytest.raises(InputError, match="not a checkpoint"):
                read_checkpoint(str(path))
    path.write_bytes(pickle.dumps(Touch()))
    with pytest.raises(InputError, match="not a checkpoint"):
        read_checkpoint(str(path))
    assert not canary.exists()


def test_arrays_of_objects_are_not_loaded(canary: Path, tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {canary}",)

    np.save(tmp_path / "a.npy", np.array([Touch()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=np.array([Touch()], dtype=object))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(np.array([Touch()], dtype=object)))
    for path in (tmp_path / "a.npy", tmp_path / "a.npz", tmp_path / "a.pkl"):
        with pytest.raises(InputError):
            load_pickle(path)
        with pytest.raises(InputError):
            read_checkpoint(str(path))
    assert not canary.exists()


READERS: dict[str, Callable[[Path], Any]] = {
    "json": lambda path: read_json(path, "remove it"),
    "yaml": lambda path: read_yaml(path, "remove it"),
    "darklabel.yml": read_formats,
    "xml": read_cvat,
    "pickle": load_pickle,
    "checkpoint": lambda path: read_checkpoint(str(path)),
    "config.yaml": lambda path: jobs.stored_identity(path.parent),
}


@pytest.mark.parametrize("reader", READERS)
def test_no_text_runs_in_any_reader(reader: str, canary: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    for name, content in hostile_texts(canary).items():
        path.write_bytes(content)
        found = None
        with contextlib.suppress(InputError):
            found = READERS[reader](path)
        assert found is None or isinstance(found, dict | str), name  # plain values
        assert not canary.exists(), name


def own_package(folder: Path, canary: Path) -> None:
    """A package with a model, and a file that shows when it is imported."""
    (folder / "strangers_methods").mkdir()
    (folder / "strangers_methods" / "models.py").write_text(
        f"import os\nfrom os import system\nfrom swapaqa.models.core import CoRe\nopen({str(canary)!r}, 'w').close()\n"
        "class Mine(CoRe):\n    pass\n\n\ndef make(*arguments):\n    return None\n\n\nclass Other:\n    pass\n"
    )


def test_a_class_of_ones_own_needs_trust_and_is_not_imported_before(
    canary: Path, landed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_package(tmp_path, canary)
    monkeypatch.syspath_prepend(tmp_path)
    config = landed[CONFIG_KEY]
    mine = with_payload(config, "model._target_", "strangers_methods.models.Mine")
    path = saved(landed, mine, tmp_path / "mine.ckpt")
    with pytest.raises(InputError, match=r"trust=\[strangers_methods\] \(of the report: --trust strangers_methods\)"):
        read_checkpoint(str(path))
    with pytest.raises(InputError, match=r"trust=\[strangers_methods\]"):
        read_checkpoint(str(path), ["strangers"])  # the whole name, not its beginning
    assert not canary.exists()
    assert "strangers_methods" not in sys.modules
    assert read_checkpoint(str(path), "strangers_methods")[CONFIG_KEY]["model"]["_target_"].endswith("Mine")
    assert canary.exists()
    inside = ("system", "os.system", "CoRe", "make", "Other", "Mine.__init__")
    for name in ("os.system", "nothing.Mine", *(f"models.{one}" for one in inside)):
        wrong = with_payload(config, "model._target_", f"strangers_methods.{name}")
        with pytest.raises(InputError, match=rf"strangers_methods\.{name}'"):
            admit(wrong, "it", ["strangers_methods"])
    for package in ("os", "subprocess", "strangers_methods.models", "../x", ""):
        with pytest.raises(InputError, match="the name of a package of your own"):
            admit(config, "it", [package])


def test_a_checkpoint_of_ones_own_class_evaluates_with_trust(
    canary: Path, landed: dict[str, Any], recipe_inside: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_package(tmp_path, canary)
    monkeypatch.syspath_prepend(tmp_path)
    mine = with_payload(landed[CONFIG_KEY], "model._target_", "strangers_methods.models.Mine")
    path = saved(landed, mine, tmp_path / "mine.ckpt")
    words = [f"checkpoint={path}", "trust=[strangers_methods]"]
    done = recipe_inside("evaluate", tmp_path / "run", *words)
    assert done.returncode == 0, done.stderr
    expected = json.loads((LANDED / "predictions.json").read_text())["core"]
    found = json.loads((tmp_path / "run" / "result.json").read_text())["predictions"]
    for split, rows in expected.items():
        assert {name: row[-1] for name, row in found[split].items()} == pytest.approx(rows, abs=1e-4)


@pytest.mark.parametrize("module", ["swapaqa.running.worker", "swapaqa.running.cost_estimate"])
def test_a_runs_process_refuses_a_configuration_that_its_parent_did_not_write(
    module: str, canary: Path, tmp_path: Path, train_environment: Callable[[Path], dict[str, str]]
) -> None:
    hostile = {"model": payloads(canary)["torch.utils.collect_env.run"]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(hostile))
    for given in ({}, {jobs.TRUSTED: "0" * 64}):
        done = run_forked(module, [str(tmp_path)], train_environment(tmp_path) | given)
        assert done.returncode == 2, done.stderr
        assert "config.yaml: is not the configuration that this process was started for" in done.stderr
    assert not canary.exists()


def test_a_parent_vouches_for_what_it_wrote_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"model:\n  _target_: anything.of.Mine\n"
    monkeypatch.setenv(jobs.TRUSTED, jobs.vouching_environment(content)[jobs.TRUSTED])
    (tmp_path / "config.yaml").write_bytes(content)
    assert jobs.trusted_config(tmp_path).model._target_ == "anything.of.Mine"
    (tmp_path / "config.yaml").write_bytes(content.replace(b"anything", b"somebody"))
    with pytest.raises(InputError, match="is not the configuration"):
        jobs.trusted_config(tmp_path)


@pytest.mark.slow
def test_a_run_folder_of_a_stranger_is_not_continued(canary: Path, recipe_inside: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name, content in hostile_texts(canary).items():
        (folder / "config.yaml").write_bytes(content)
        done = recipe_inside("train", folder, "logger=csv", "resume=true")
        assert done.returncode == 2, name
        assert [line for line in done.stderr.splitlines() if line.startswith("error: ")], name
    assert not canary.exists()


def test_archives_with_more_than_they_hold_are_refused(landed: dict[str, Any], tmp_path: Path) -> None:
    """Compressed records of zeros, tensors over memory that is not there, numbers that are sizes."""
    whole = saved(landed, landed[CONFIG_KEY], tmp_path / "whole.ckpt")
    load_tensors(whole)
    packed = tmp_path / "packed.ckpt"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for record in source.infolist():
            target.writestr(record.filename, source.read(record))
    torch.save({"a": torch.zeros(1).expand(10**9)}, tmp_path / "repeated.ckpt")
    torch.save({"a": bytearray(3)}, tmp_path / "bytearray.ckpt")
    for name, words in {"packed": "compressed", "repeated": "in 4 bytes", "bytearray": "bytearray"}.items():
        with pytest.raises(pickle.UnpicklingError, match=words):
            load_tensors(tmp_path / f"{name}.ckpt")
