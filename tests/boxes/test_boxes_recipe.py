"""`python -m src.boxes`: the numbers and the strip of docs/boxes_measured.md can be made again."""

import os
import subprocess
from pathlib import Path

import cv2
import pytest

from swapaqa.annotate.measure import ways
from tests.forked import run_forked


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return run_forked("src.boxes", arguments, os.environ)


@pytest.mark.slow
def test_measure_prints_a_row_for_each_way_to_boxes() -> None:
    done = run("measure", "--videos", "2")
    assert done.returncode == 0, done.stderr
    cells = [[cell.strip() for cell in line.split("│")[1:3]] for line in done.stdout.splitlines() if "│" in line]
    assert cells == [[method or "linear", start] for method, start in ways()]


@pytest.mark.slow
def test_strip_draws_a_real_dive(tmp_path: Path, real_data: Path) -> None:
    out = tmp_path / "new" / "strip.png"
    done = run("strip", str(real_data / "video" / "diving_sample.gif"), "--frames", "6", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(out)).shape[0] == 104
    assert "csrt" in done.stdout


def test_a_video_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = run("strip", str(tmp_path / "none.mp4"))
    assert done.returncode == 2
    assert f"error: {tmp_path}/none.mp4: no such video" in done.stderr
    assert "Traceback" not in done.stderr
