"""`python -m src.doctor`: every fault of a tree in one pass, named, written down and in the exit status."""

import contextlib
import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from swapaqa.doctor.duplicates import SAME_CONTENT, Twins
from tests.numbered import write

REPOSITORY = Path(__file__).parents[1]
SMALL = ["data.frames=16", "data.geometry.height=40", "data.geometry.width=64", "data.geometry.crop=32"]


@pytest.fixture
def doctor(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`doctor(*overrides)`: the real entry point, inside this process; its report is in `tmp_path/run/doctor.json`."""

    def run(*overrides: str) -> "subprocess.CompletedProcess[str]":
        arguments = ["doctor", f"hydra.run.dir={tmp_path}/run", *SMALL, *overrides]
        out, err, status = io.StringIO(), io.StringIO(), 0
        with (
            patch.dict(os.environ),
            patch.object(sys, "argv", arguments),
            patch.object(sys, "path", [str(REPOSITORY), *sys.path]),
            contextlib.chdir(REPOSITORY),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                runpy.run_module("src.doctor", run_name="__main__", alter_sys=True)
            except SystemExit as stop:
                status = int(stop.code or 0)
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    return run


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run" / "doctor.json").read_text())


def kinds(found: dict[str, Any]) -> dict[str, str]:
    """Kind by video; not that the numbers of a tree are those of dives that another data set has."""
    return {problem["video_id"]: problem["kind"] for problem in found["problems"] if problem["kind"] != "overlap"}


def test_a_whole_tree_can_train(tmp_path: Path, doctor: Callable[..., Any], aqa7_tree: Callable[..., Path]) -> None:
    root = aqa7_tree()
    before = sorted(root.rglob("*"))
    done = doctor("data=aqa7", f"data.root={root}", "data.workers=2")
    assert done.returncode == 0, done.stdout + done.stderr
    found = report(tmp_path)
    assert (found["can_train"], found["videos"], kinds(found)) == (True, {"train": 6, "test": 4}, {})
    assert [problem["kind"] for problem in found["problems"]] == ["overlap"]  # of AQA-7's own numbers
    assert "warning, overlap: 6 of train and 4 of test are in data=mtl_aqa too" in done.stdout
    assert "can train" in done.stdout
    assert sorted(root.rglob("*")) == before


def test_every_fault_is_found_in_one_pass(
    tmp_path: Path, doctor: Callable[..., Any], aqa7_tree: Callable[..., Path]
) -> None:
    root = aqa7_tree(train=8, test=4)
    videos, boxes = root / "diving-out", root / "boxes" / "diving"
    (videos / "001.avi").unlink()
    (videos / "003.avi").write_bytes((videos / "003.avi").read_bytes()[:700])
    (videos / "002" / "img_00016.jpg").unlink()
    (videos / "004" / "img_00005.jpg").write_bytes(b"not a picture")
    (boxes / "005.txt").unlink()
    (boxes / "006.txt").write_text("0,0,900,900,20,20,diver\n")
    (boxes / "007.txt").write_text("0,0,1,1,five,5\n")
    shutil.rmtree(videos / "010")
    copied(videos / "008", videos / "010")
    done = doctor("data=aqa7", f"data.root={root}", "data.workers=2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert kinds(report(tmp_path)) == {
        "diving/001": "missing video",
        "diving/002": "too short",
        "diving/003": "unreadable",
        "diving/004": "unreadable",
        "diving/005": "boxes missing",
        "diving/006": "boxes outside",
        "diving/007": "boxes unreadable",
        "diving/010": "duplicate",
    }
    assert not report(tmp_path)["can_train"]
    assert "cannot train" in done.stdout
    for problem in report(tmp_path)["problems"]:
        assert problem["message"] in done.stdout
        assert problem["blocks"] == (problem["kind"] not in ("boxes outside", "duplicate", "overlap"))


def test_a_copy_in_train_and_test_is_found_whatever_its_path(
    tmp_path: Path, doctor: Callable[..., Any], aqa7_tree: Callable[..., Path]
) -> None:
    root = aqa7_tree() / "diving-out"
    (root / "deep" / "er").mkdir(parents=True)
    shutil.copy(root / "001.avi", root / "deep" / "er" / "dive.avi")
    lines = [f"{i:03d},{i},{'test' if i > 7 else 'train'}" for i in range(1, 11)]
    (root / "videos.csv").write_text("\n".join(["video,score,split", *lines, "deep/er/dive,3,test"]) + "\n")
    command = ["data=videos", f"data.root={root}", "data.workers=0", "boxes=none"]
    assert doctor(*command).returncode == 0
    assert kinds(report(tmp_path)) == {"deep/er/dive": "duplicate"}
    assert "shows what 001 of train shows" in report(tmp_path)["problems"][0]["message"]
    (root / "deep" / "er" / "dive.avi").unlink()
    (root / "deep" / "er" / "dive.avi").symlink_to(root / "001.avi")  # the file itself: no training starts
    assert doctor(*command).returncode == 1
    assert "001 and deep/er/dive: one video in train and test" in report(tmp_path)["problems"][0]["message"]


def test_a_gap_in_an_image_folder_is_found(
    tmp_path: Path, doctor: Callable[..., Any], aqa7_tree: Callable[..., Path]
) -> None:
    root = aqa7_tree(frames=18)
    (root / "diving-out" / "002" / "img_00006.jpg").unlink()
    assert doctor("data=aqa7", f"data.root={root}", "data.workers=0").returncode == 1
    assert kinds(report(tmp_path)) == {"diving/002": "unreadable"}
    assert "002: img_00006.jpg is missing" in report(tmp_path)["problems"][0]["message"]


def copied(source: Path, target: Path) -> None:
    """The same video once more, in another size and quality."""
    target.mkdir()
    for path in source.iterdir():
        picture = cv2.resize(cv2.imread(str(path)), (128, 80))
        cv2.imwrite(str(target / path.name), picture, [cv2.IMWRITE_JPEG_QUALITY, 60])


def test_what_a_training_would_skip_does_not_stop_it(
    tmp_path: Path, doctor: Callable[..., Any], aqa7_tree: Callable[..., Path]
) -> None:
    root = aqa7_tree()
    (root / "diving-out" / "001.avi").unlink()
    done = doctor("data=aqa7", f"data.root={root}", "data.workers=0", "data.skip_unreadable=true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert kinds(report(tmp_path)) == {"diving/001": "missing video"}


def test_a_wrong_scale_in_one_list_leaves_the_other_examined(
    tmp_path: Path, doctor: Callable[..., Any], aqa7_tree: Callable[..., Path]
) -> None:
    root = aqa7_tree()
    rows = {"consolidated_test_list": np.array([[1, 7, 0.5], [1, 8, 0.7]])}
    savemat(root / "Split_4" / "split_4_test_list.mat", rows)
    (root / "diving-out" / "001.avi").unlink()
    done = doctor("data=aqa7", f"data.root={root}", "data.workers=0")
    assert done.returncode == 1
    assert [problem["kind"] for problem in report(tmp_path)["problems"]] == ["list", "missing video", "overlap"]
    assert "points x 100" in report(tmp_path)["problems"][0]["message"]


@pytest.mark.parametrize("accepted", [False, True])
def test_a_video_that_was_cut_off_is_said_with_both_numbers(
    accepted: bool, tmp_path: Path, doctor: Callable[..., Any]
) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.avi", "mpeg4", b_frames=2)
    content = (tmp_path / "b.avi").read_bytes()
    (tmp_path / "b.avi").write_bytes(content[: int(0.6 * len(content))])
    (tmp_path / "videos.csv").write_text("video,split,score\na,train,3\nb,train,5\nc,test,4\n")
    words = ["data=videos", f"data.root={tmp_path}", "data.workers=0", f"data.accept_incomplete={accepted}"]
    done = doctor(*words)
    found = report(tmp_path)
    assert done.returncode == (0 if accepted else 1)
    about = [problem for problem in found["problems"] if problem["kind"] != "duplicate"]
    assert [(problem["video_id"], problem["kind"], problem["blocks"]) for problem in about] == [
        ("b", "incomplete", not accepted)
    ]
    assert re.search(r"b\.avi: announces 60 frames, of which \d\d can be decoded", about[0]["message"])
    assert doctor(*words, "data.skip_unreadable=true").returncode == 0


def test_it_reads_with_the_reader_of_the_training(tmp_path: Path, doctor: Callable[..., Any]) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.avi", "mpeg4", interlaced=True)
    (tmp_path / "videos.csv").write_text("video,split,score\na,train,3\nb,train,5\nc,test,4\n")
    words = ["data=videos", f"data.root={tmp_path}", "data.workers=0", "data.video_reader=opencv"]
    assert doctor(*words).returncode == 0
    assert (tmp_path / "run" / "doctor.log").read_text().count("read with pyav and not data.video_reader=opencv") == 3


def test_ones_own_videos_and_their_scale(
    tmp_path: Path, doctor: Callable[..., Any], aqa7_tree: Callable[..., Path]
) -> None:
    root = aqa7_tree() / "diving-out"
    rows = "".join(f"{i:03d},{'test' if i > 7 else 'train'},3\n" for i in range(1, 11))
    (root / "videos.csv").write_text(f"video,split,score\n{rows}")
    done = doctor("data=videos", f"data.root={root}", "data.workers=0")
    assert done.returncode == 1
    assert {problem["kind"] for problem in report(tmp_path)["problems"]} == {"score scale"}
    (root / "videos.csv").write_text("video,split,score\n001,train,high\n")
    assert doctor("data=videos", f"data.root={root}", "data.workers=0").returncode == 1
    assert "line 2, column 'score'" in report(tmp_path)["problems"][0]["message"]


def test_exemplars_that_cannot_be_grouped_stop_a_training(
    tmp_path: Path, doctor: Callable[..., Any], aqa7_tree: Callable[..., Path]
) -> None:
    words = ["data=aqa7", f"data.root={aqa7_tree()}", "data.workers=0", "+data.exemplars=dive_number"]
    assert doctor(*words).returncode == 1
    (problem,) = (found for found in report(tmp_path)["problems"] if found["kind"] != "overlap")
    assert (problem["kind"], problem["split"], problem["video_id"], problem["blocks"]) == ("list", "train", "", True)
    assert problem["message"].startswith("data.exemplars=dive_number: not known of diving/001")
    assert doctor(*words, "model=usdl").returncode == 0  # compares nothing


def test_a_wrong_key_is_no_verdict(doctor: Callable[..., Any]) -> None:
    done = doctor("data=aqa7", "data.rot=x")
    assert done.returncode == 2
    assert "data.rot" in done.stderr
    assert "Traceback" not in done.stderr


def test_masks_are_looked_at_as_boxes_are(
    tmp_path: Path, doctor: Callable[..., Any], aqa7_tree: Callable[..., Path]
) -> None:
    root = aqa7_tree()
    for index in range(1, 11):
        folder = root / "boxes" / "diving" / f"{index:03d}"
        folder.mkdir()
        for frame in range(16):
            mask = np.zeros((40, 64), np.uint8)
            mask[10:30, 20:30] = 255
            cv2.imwrite(str(folder / f"{frame:05d}.png"), mask)
    words = ["data=aqa7", f"data.root={root}", "data.workers=0", "boxes=masks"]
    assert doctor(*words).returncode == 0
    (root / "boxes" / "diving" / "002" / "00003.png").write_bytes(b"damaged")
    cv2.imwrite(str(root / "boxes" / "diving" / "004" / "00003.png"), np.ones((20, 20), np.uint8))
    shutil.rmtree(root / "boxes" / "diving" / "006")
    assert doctor(*words).returncode == 1
    assert {name: kind for name, kind in kinds(report(tmp_path)).items() if kind != "duplicate"} == {
        "diving/002": "boxes unreadable", "diving/004": "boxes unreadable", "diving/006": "boxes missing",
    }  # fmt: skip


@pytest.mark.parametrize("error", [0, 6, 12, 13])
def test_a_twin_is_found_among_many_as_by_looking_at_all(error: int) -> None:
    """`error`: of one pixel, or of all. Pictures of one pool, whose means are alike, among others."""
    draw = np.random.default_rng(error)
    pictures = draw.integers(13, 242, (40, 16, 16, 16, 3), dtype=np.uint8)
    pool = pictures[0]
    pictures[1:20] = pool + draw.integers(-1, 2, (19, 16, 16, 16, 3)) * 12  # alike in their outlines
    twins = Twins(pictures)
    for number in (0, 5, 19, 39):
        everywhere = (pictures[number] + error).astype(np.uint8)
        once = pictures[number].copy()
        once[3, 4, 5, 1] += error
        for shown in (everywhere, once):
            distance = np.abs(pictures.astype(int) - shown).max(axis=(1, 2, 3, 4))
            found = twins.of(shown)
            assert (found is None) == (distance.min() > SAME_CONTENT)
            assert found is None or distance[found] <= SAME_CONTENT
    assert twins.of(255 - pool) is None
