"""The bench runs, prints every row, and refuses to time what is wrong."""

import argparse
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).parents[1]
CPU = torch.device("cpu")
ROWS = (
    "copy, bytes, kept buffer",
    "ours, kept buffer",
    "ours, fresh",
    "ours official, kept buffer",
    "ours clean, kept buffer",
    "ours, a mask at ratio 1",
    "ours, a mask grown to ratio 2",
    "ours, soft edge of 3 pixels",
    "copy, float32, kept buffer",
    "naive official, float32",
)


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY))  # recipes are run from there, not installed
    return importlib.import_module("swapaqa.bench.augment")


@pytest.mark.slow
def test_every_row_is_printed():
    command = ["-m", "src.bench", "augment", "--batch", "2", "--frames", "4", "--size", "32", "--rounds", "2"]
    environment = os.environ | {"COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stderr
    rows = [line.split("│")[1].strip() for line in run.stdout.splitlines() if line.startswith("│")]
    assert rows == list(ROWS)
    assert "(2, 3, 4, 32, 32)" in run.stdout


def test_a_wrong_swap_is_not_timed(bench, monkeypatch):
    case = bench.make_swap_case(2, 3, 32, CPU)
    bench.check_swap(case)
    monkeypatch.setattr(bench, "swap_background", lambda video, *_, **__: video.clone())
    with pytest.raises(AssertionError, match="differs from the published form"):
        bench.check_swap(case)


def test_candidates_take_turns(bench):
    """As on a CUDA device, where one batch would stay in the cache."""
    cases = [bench.make_swap_case(2, 3, 32, CPU)]
    cases.append(bench.another(cases[0]))
    candidates = bench.swap_candidates(cases)
    assert [candidates["ours, kept buffer"]() is case.kept for case in cases] == [True, True]
    assert torch.equal(cases[0].kept, cases[1].kept)
    assert cases[0].video.stride() == cases[1].video.stride()


def test_a_ratio_is_the_median_of_the_rounds_ratios(bench):
    assert bench.median_ratio([2.0, 90.0, 8.0], [1.0, 30.0, 2.0]) == 3.0


@pytest.mark.usefixtures("bench")
def test_pairs_are_timed_by_name(capsys):
    pairs = importlib.import_module("swapaqa.bench.pairs")
    pairs.bench_pairs(argparse.Namespace(videos=300))
    printed = capsys.readouterr().out
    for name in pairs.candidates(20):
        assert name in printed


def test_a_read_in_a_large_folder_asks_for_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("SWAPAQA_CACHE", str(tmp_path / "cache"))
    folder = importlib.import_module("swapaqa.bench.folder")
    made = folder.make_folder(tmp_path / "18", folder.FRAMES + 1)
    candidates = folder.folder_candidates(made)
    assert candidates[folder.REFERENCE]().shape == (folder.FRAMES, *folder.SIZE, 3)
    for kind in ("packed", "bytes"):
        assert candidates[f"data.cache={kind}, its file looked up"]().is_file()
        assert len(candidates[f"data.cache={kind}, read"]()) == folder.FRAMES
