"""`python -m src.report show`: what it prints and writes, and what it says to wrong input."""

import contextlib
import io
import runpy
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pandas as pd
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


def test_the_runs_are_one_tidy_table(report, ratio_folder, tmp_path) -> None:
    path = tmp_path / "runs.csv"
    done = report("runs", str(ratio_folder), "--csv", str(path))
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(path)
    one = table[(table.job == 0) & (table.protocol == "last") & (table.metric == "spearman")]
    assert one[["split", "action", "value", "seed", "ratio", "model", "epoch"]].to_numpy().tolist() == [
        ["test", "diving", 0.875, 0, 1.0, "core", 5], ["test", "average", 0.875, 0, 1.0, "core", 5],
    ]  # fmt: skip
    assert one.setting.tolist() == ["core + swap, darklabel, ratio 1"] * 2
    failed = table[table.job == 1]
    assert failed[["state", "metric"]].fillna("none").to_numpy().tolist() == [["failed", "none"]]
    assert not table.duplicated(["sweep", "job", "protocol", "split", "action", "metric"]).any()
    printed = report("runs", str(ratio_folder))
    assert printed.stdout == path.read_text()


def test_a_table_to_submit_has_the_rows_and_the_protocol_that_were_chosen(report, ratio_folder, tmp_path) -> None:
    (tmp_path / "numbers.yaml").write_text(
        "source: a table of mine\n"
        "tables:\n"
        "  mine:\n"
        "    data: demo\n"
        "    metric: spearman\n"
        "    columns: [spearman]\n"
        "    rows:\n"
        "      - { system: Theirs, cite: they2026, values: [0.6125] }\n"
        "      - { system: Others, values: [0.95] }\n"
    )
    words = ("show", str(ratio_folder), "--beside", str(tmp_path / "numbers.yaml"), "--format", "latex")
    done = report(*words, "--protocol", "last", "--table", "systems_demo", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert r"Theirs~\cite{they2026} & as printed &  & 0.6125 & no number \\" in done.stdout
    assert r"Others & as printed &  & \textbf{0.9500} & no number \\" in done.stdout
    assert r"core + swap, darklabel, ratio 1 & last & 1 & \underline{0.8750} & 1.25 \\" in done.stdout
    assert "best\\_on\\_test &" not in done.stdout
    assert "Rows as printed: a table of mine." in done.stdout
    assert done.stdout.count(r"\begin{table}") == 1
    fewer = report(*words, "--rows", "theirs", "--rows", "ratio 1", "--table", "systems_demo")
    assert "Theirs" in fewer.stdout
    assert "Others" not in fewer.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file; name a file of yours"),
        ("source: x\ntables: 3\n", "no rows of a table"),
        ("source: x\ntables: {a: {data: demo, metric: null, columns: [a, b], rows: [{system: s, values: [1]}]}}\n",
         "1 values for 2 columns"),
    ],
)  # fmt: skip
def test_rows_that_are_none_are_one_line(report, ratio_folder, tmp_path, content, words) -> None:
    path = tmp_path / "numbers.yaml"
    if content is not None:
        path.write_text(content)
    done = report("show", str(ratio_folder), "--beside", str(path))
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


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


def test_so_many_figures_is_a_whole_number(report, ratio_folder) -> None:
    done = report("show", str(ratio_folder), "--figures", "-1")
    assert done.returncode == 2
    assert "-1: a whole number from 0 on" in done.stderr


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
