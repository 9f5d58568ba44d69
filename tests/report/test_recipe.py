"""`python -m src.report show`: what it prints and writes, and what it says to wrong input."""

import contextlib
import io
import runpy
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def report(monkeypatch):
    """`report("show", ...)` runs the entry point in this process."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        out, err, status = io.StringIO(), io.StringIO(), 0
        with (
            patch.object(sys, "argv", ["report", *arguments]),
            patch.object(sys, "path", [str(REPOSITORY), *sys.path]),
            patch.dict("os.environ", {"COLUMNS": "120"}),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                runpy.run_module("src.report", run_name="__main__", alter_sys=True)
            except SystemExit as stop:
                status = int(stop.code or 0)
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    for name in ("HYDRA_FULL_ERROR", "SWAPAQA_SHORT_ERRORS"):
        monkeypatch.delenv(name, raising=False)
    return run


@pytest.fixture
def ratio_folder(sweep_folder, make_job) -> Path:
    """Two ratios, one of which failed."""
    done = make_job(["aug.ratio=1.0"], {"diving": (0.875, 1.25)}, data="demo", ratio=1.0)
    return sweep_folder("ratio", [done, make_job(["aug.ratio=2.0"], data="demo", failure="the disk is full")])


def test_tables_are_printed_and_written_with_the_page(report, ratio_folder) -> None:
    done = report("show", str(ratio_folder))
    assert done.returncode == 0, done.stderr
    assert "0.8750" in done.stdout
    assert "failed: ratio job 1 (aug.ratio=2.0): the disk is full" in done.stdout
    folder = ratio_folder / "report"
    names = {path.name for path in folder.iterdir()}
    stem = "ratio_spearman_demo_core_darklabel"
    assert {"index.html", f"{stem}.md", f"{stem}.csv", f"{stem}.tex"} <= names
    assert "written to" in done.stderr
    again = report("show", str(ratio_folder))  # the report's own folder is no run
    assert again.stdout == done.stdout


@pytest.mark.parametrize(
    ("form", "words"), [("markdown", "| ratio |"), ("csv", "ratio,protocol"), ("latex", "\\toprule")]
)
def test_what_is_printed_can_be_kept_as_it_is(report, ratio_folder, tmp_path, form, words) -> None:
    done = report("show", str(ratio_folder), "--format", form, "--out", str(tmp_path / "made" / "here"))
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    assert "written to" not in done.stdout
    files = {"markdown": ".md", "csv": ".csv", "latex": ".tex"}
    written = (tmp_path / "made" / "here").glob(f"*{files[form]}")
    assert all(path.read_text() in done.stdout for path in written)


def test_wrong_input_is_one_line_with_status_2(report, ratio_folder, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        ([str(tmp_path / "nowhere")], "nowhere: no such folder"),
        ([str(tmp_path / "empty")], "empty: holds no run"),
        ([str(tmp_path / "file")], "file: no such folder"),
        ([str(ratio_folder), "--out", str(tmp_path / "file" / "x")], "choose another with --out"),
    ):
        done = report("show", *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_damaged_result_is_named_and_the_others_are_reported(report, ratio_folder) -> None:
    (ratio_folder / "1" / "failed.txt").unlink()
    (ratio_folder / "1" / "result.json").write_text('{"metrics":')
    done = report("show", str(ratio_folder))
    assert done.returncode == 0, done.stderr
    broken = ratio_folder / "1" / "result.json"
    said = "".join(done.stdout.split())  # a terminal breaks lines anywhere
    assert f"damaged:ratiojob1(aug.ratio=2.0):{broken}:notareadableJSON" in said
    assert "0.8750" in done.stdout
    page = (ratio_folder / "report" / "index.html").read_text()
    assert "1 done, 1 damaged" in page
    (ratio_folder / "0" / "result.json").write_bytes(b"\0" * 100)
    done = report("compare", f"{ratio_folder}:aug.ratio=1.0", f"{ratio_folder}:aug.ratio=2.0")
    assert done.returncode == 2
    assert "result.json" in done.stderr
