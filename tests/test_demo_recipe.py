"""`python -m src.demo`: the pictures of an augmentation, its refusals, and the table of `compare`."""

import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from swapaqa.errors import InputError
from swapaqa.running import swap_pictures
from tests.forked import REPOSITORY, run_forked

SMALL = [f"data.settings.{split}={count}" for split, count in (("train", 4), ("test", 2), ("shifted", 2))]


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY))  # recipes are run from there, not installed
    return importlib.import_module("swapaqa.programs.demo")


def demo_process(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "src.demo", *words],
        cwd=REPOSITORY,
        env=os.environ | {"SWAPAQA_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write_film(path: Path, frames: int = 6, size: tuple[int, int] = (40, 64)) -> Path:
    """Noise, as mpeg4."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12, size[::-1])
    for picture in np.random.default_rng(0).integers(0, 256, (frames, *size, 3), dtype=np.uint8):
        writer.write(picture)
    writer.release()
    return path


def assert_shows(out: Path) -> None:
    """Both files are there, can be read, and are not of one colour."""
    assert cv2.imread(str(out / "swap.png")).std() > 1
    film = cv2.VideoCapture(str(out / "swap.mp4"))
    there, frame = film.read()
    film.release()
    assert there
    assert frame.std() > 1


@pytest.mark.slow
def test_swap_of_the_data_set(tmp_path):
    words = ["swap", "--out", str(tmp_path), "--also", "aug.ratio=2 aug.variant=clean", "--also", "aug=fame"]
    run = demo_process(tmp_path, *words, "aug.ratio=1", *SMALL)
    assert run.returncode == 0, run.stderr
    assert_shows(tmp_path)
    film = cv2.VideoCapture(str(tmp_path / "swap.mp4"))
    shape = film.get(cv2.CAP_PROP_FRAME_WIDTH), film.get(cv2.CAP_PROP_FRAME_HEIGHT)
    film.release()
    assert shape == (2 * 256, 4 * 256)  # two videos wide; as they were and three results high


def test_an_unknown_id_is_refused_in_one_line(tmp_path):
    words = ["swap", "--id", "diving/999", "--out", str(tmp_path / "out"), *SMALL]
    run = run_forked("src.demo", words, os.environ | {"SWAPAQA_CACHE": str(tmp_path / "cache")})
    assert run.returncode != 0
    assert len(run.stderr.strip().splitlines()) == 1
    assert "--id diving/999: no such video" in run.stderr
    assert "one is diving/" in run.stderr
    assert not (tmp_path / "out").exists()


def test_swap_of_files(demo, tmp_path, monkeypatch):
    films = [str(write_film(tmp_path / name)) for name in ("a.mp4", "b.mp4")]
    words = ["demo", "swap", "--video", films[0], "--video", films[1], "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [*words, "boxes=fixed", "boxes.share=0.4", "aug.ratio=1.5"])
    demo.main()
    assert_shows(tmp_path / "out")


def test_boxes_of_files_are_found_beside_them_or_below_the_root(tmp_path):
    film = write_film(tmp_path / "a.mp4", size=(40, 40))
    places = {tmp_path / "a.txt": "2", tmp_path / "elsewhere" / "a.txt": "12"}
    for file, left in places.items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"0,0,{left},10,8,8,diver\n5,0,{left},10,8,8,diver\n")
    for override, left in (("boxes.root=null", 2), (f"boxes.root={tmp_path / 'elsewhere'}", 12)):
        shown = swap_pictures.from_files(swap_pictures.configuration(["boxes=darklabel", override]), [film])
        scale = 256 / 40
        assert shown.boxes[0, :, 0].tolist() == pytest.approx([(left + 0.5) * scale - 0.5] * 48)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        swap_pictures.from_files(swap_pictures.configuration(["boxes=fixed"]), [tmp_path / "none.mp4"])


def test_the_background_that_a_donor_gives():
    """One video is enough, and nothing of its athlete is left."""
    video = torch.full((1, 3, 2, 20, 20), 50, dtype=torch.uint8)
    video[:, :, :, 5:10, 5:10] = 200
    shown = swap_pictures.Videos(["a"], video, torch.tensor([5.0, 5, 9, 9]).repeat(1, 2, 1))
    for variant, left in (("paper", [50, 200]), ("official", [0, 50]), ("clean", [50])):
        words = [f"aug.variant={variant}"]
        result = swap_pictures.background_given(swap_pictures.configuration(words), words, shown)
        assert result.video.unique().tolist() == left
        assert result.title == f"aug.variant={variant}"
    with pytest.raises(InputError, match="--background"):
        swap_pictures.background_given(swap_pictures.configuration(["aug=fame"]), [], shown)


def test_comparison_of_two_results(demo):
    def result(test: float, shifted: float) -> dict:
        splits = {
            name: {"average": {"spearman": value, "relative_l2_x100": 10 * value}}
            for name, value in (("test", test), ("shifted", shifted))
        }
        return {"metrics": {"last": {"splits": splits}}}

    table = demo.comparison({"without": result(0.9, -0.1234), "with": result(0.8, 0.75)})
    console = Console(width=160, file=io.StringIO())
    console.print(table)
    lines = console.file.getvalue().splitlines()
    without, with_swap = (next(line for line in lines if f" {arm} " in line) for arm in ("without", "with"))
    assert "0.900 (9.00)" in without
    assert "-0.123 (-1.23)" in without
    assert "0.800 (8.00)" in with_swap
    assert "0.750 (7.50)" in with_swap
