"""`python -m src.bench gpu`: parts that fail or take too long leave the others; what a GPU is asked, asked of a CPU."""

import subprocess
from pathlib import Path

import pytest

from swapaqa.bench.gpu import Part, ask, parts, run
from swapaqa.bench.on_device import compare_resumed, compare_shared


def test_a_part_that_fails_leaves_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(folder: Path, limit_s: float) -> str:  # noqa: ARG001
        raise RuntimeError("exit status 1")

    def hanging(folder: Path, limit_s: float) -> str:
        raise subprocess.TimeoutExpired(str(folder), limit_s)

    asked = [Part("broken", 1, broken), Part("slow", 0.2, lambda _, s: run(["http.server", "0", "-b", "127.0.0.1"], s))]
    asked.append(Part("hanging", 1, hanging))
    ask([*asked, Part("version", 60, lambda _, s: run(["swapaqa", "--version"], s))], tmp_path)
    written = [(tmp_path / f"{number}.txt").read_text() for number in range(4)]
    assert written[0] == "broken: failed\n\nexit status 1"
    assert written[1].startswith("slow: failed\n\ntook more than")
    assert written[2].startswith("hanging: failed")
    assert written[3].startswith("version: answered\n\nswapaqa ")
    assert capsys.readouterr().out.count("failed") == 6  # a line as it ends, and the table


def test_the_parts_fit_into_a_lent_quarter_of_an_hour() -> None:
    assert sum(part.limit_s for part in parts([])) <= 13 * 60


@pytest.mark.slow
def test_a_stopped_training_ends_alike(tmp_path: Path, demo_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWAPAQA_CACHE", str(demo_cache))
    assert compare_resumed(tmp_path, "cpu", 240).endswith("the same bytes")


@pytest.mark.slow
def test_two_processes_on_one_device_train_as_one(
    tmp_path: Path, demo_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWAPAQA_CACHE", str(demo_cache))
    assert "points" in compare_shared(tmp_path, "cpu", 240)
