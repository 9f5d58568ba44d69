"""One file of a run for a colleague, and what opens of it elsewhere."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from swapaqa.errors import InputError
from swapaqa.models.scorer import CONFIG_KEY
from swapaqa.running.pack import PACK_KEY, changes_of, pack, unpack, without_folders
from swapaqa.runs.run_folders import read_sweep
from tests.forked import REPOSITORY, run_forked

LANDED = REPOSITORY / "tests" / "landed"
RECORDED = REPOSITORY / "tests" / "report" / "recorded"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run: a recorded result beside a checkpoint of the first version, with what training leaves in one."""
    folder = tmp_path / "mine"
    shutil.copytree(RECORDED / "ratio" / "2", folder)
    (folder / "checkpoints").mkdir()
    content = torch.load(LANDED / "core.ckpt", weights_only=True)
    content["optimizer_states"] = [{"state": {0: {"exp_avg": torch.zeros(1000)}}}]
    content[CONFIG_KEY]["data"]["root"] = "/home/somebody/data"
    torch.save(content, folder / "checkpoints" / "last.ckpt")
    return folder


def test_a_pack_has_what_scores_and_what_was_found_and_no_more(run: Path, tmp_path: Path) -> None:
    pack(run, "last", tmp_path / "mine.pack.ckpt")
    content = torch.load(tmp_path / "mine.pack.ckpt", weights_only=True)
    assert not {"optimizer_states", "loops", "callbacks"} & content.keys()
    before = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["state_dict"].keys() == before["state_dict"].keys()
    assert all(torch.equal(content["state_dict"][name], value) for name, value in before["state_dict"].items())
    assert content[CONFIG_KEY]["data"]["root"] is None
    assert b"/home/somebody" not in (tmp_path / "mine.pack.ckpt").read_bytes()
    result = json.loads(content[PACK_KEY]["result"])
    own = json.loads((run / "result.json").read_text())
    assert {key: result[key] for key in ("metrics", "predictions", "versions")} == {
        key: own[key] for key in ("metrics", "predictions", "versions")
    }


def test_a_pack_opens_as_the_folder_of_a_run(run: Path, tmp_path: Path) -> None:
    pack(run, "last", tmp_path / "mine.pack.ckpt")
    unpack(tmp_path / "mine.pack.ckpt", tmp_path / "theirs")
    one, other = (read_sweep(folder).runs[0] for folder in (run, tmp_path / "theirs"))
    assert one.predictions("last", "shifted") == other.predictions("last", "shifted") != {}
    assert (tmp_path / "theirs" / "checkpoints" / "last.ckpt").is_file()
    with pytest.raises(InputError, match="is not empty"):
        unpack(tmp_path / "mine.pack.ckpt", tmp_path / "theirs")


def test_a_pack_scores_elsewhere_as_its_checkpoint_did(
    run: Path, tmp_path: Path, train_environment: Callable[[Path], dict[str, str]]
) -> None:
    pack(run, "last", tmp_path / "mine.pack.ckpt")
    words = [f"checkpoint={tmp_path}/mine.pack.ckpt", f"hydra.run.dir={tmp_path}/run", "trainer.accelerator=cpu"]
    done = run_forked("src.evaluate", words, train_environment(tmp_path))
    assert done.returncode == 0, done.stderr
    for split, expected in json.loads((LANDED / "predictions.json").read_text())["core"].items():
        with open(tmp_path / "run" / f"predictions_{split}.csv", newline="") as lines:
            found = {row["video_id"]: float(row["best_on_test"]) for row in csv.DictReader(lines)}  # a first last.ckpt
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_what_is_no_run_or_no_pack_is_one_line(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"best_on_test\.ckpt: no such checkpoint; there are last"):
        pack(run, "best_on_test", tmp_path / "x.ckpt")
    with pytest.raises(InputError, match=r"has no result\.json"):
        pack(tmp_path, "last", tmp_path / "x.ckpt")
    with pytest.raises(InputError, match="no pack of a run"):
        unpack(run / "checkpoints" / "last.ckpt", tmp_path / "theirs")


@pytest.mark.parametrize("packed", [3, {"result": "{}"}, {"result": {}, "patch": "", "checkpoint": ""}])
def test_a_pack_of_another_form_is_refused(run: Path, tmp_path: Path, packed: Any) -> None:
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save(content | {PACK_KEY: packed}, tmp_path / "x.ckpt")
    with pytest.raises(InputError, match="no pack of a run"):
        unpack(tmp_path / "x.ckpt", tmp_path / "theirs")


def test_a_checkpoints_name_stays_in_its_folder(run: Path, tmp_path: Path) -> None:
    pack(run, "last", tmp_path / "x.ckpt")
    content = torch.load(tmp_path / "x.ckpt", weights_only=True)
    content[PACK_KEY]["checkpoint"] = "../../outside"
    torch.save(content, tmp_path / "x.ckpt")
    assert all((tmp_path / "theirs") in path.parents for path in unpack(tmp_path / "x.ckpt", tmp_path / "theirs"))
    assert not (tmp_path / "outside.ckpt").exists()


def test_a_patch_is_of_the_runs_own_commit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"rev-parse": "abc\n", "diff": "--- a\n+++ b\n"}
    monkeypatch.setattr("swapaqa.running.pack.git", lambda command, *_: answers[command])
    assert changes_of("abc") == ("", [])
    assert changes_of("abc+changes")[0] == "--- a\n+++ b\n"
    patch, (line,) = changes_of("def+changes")
    assert patch == ""
    assert "not at its def+changes any more" in line


def test_places_of_a_machine_are_taken_out() -> None:
    config = {
        "data": {"root": "/x", "boxes": {"root": "/y", "ratio": 2}},
        "boxes": {"root": None},
        "model": {"root": 1},
    }
    assert without_folders(config) == {
        "data": {"root": None, "boxes": {"root": None, "ratio": 2}}, "boxes": {"root": None}, "model": {"root": 1},
    }  # fmt: skip
