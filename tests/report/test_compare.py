"""Intervals and floors in the tables, and `python -m src.report compare`: verdicts, numbers, and what is refused."""

import contextlib
import csv
import io
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from swapaqa import statistics
from swapaqa.measures.ours import OURS, STANDARD
from swapaqa.recording.evaluation import split_confidence, split_metrics
from swapaqa.report.render import to_csv, to_latex, to_markdown
from swapaqa.report.table import Value, cell_text
from swapaqa.report.tables import build_tables
from swapaqa.runs.compare import Protocol, compare
from swapaqa.runs.run_folders import read_sweeps

REPOSITORY = Path(__file__).parents[2]
SPEARMAN = Protocol("spearman", "last", "test")
FLOORS = {
    "event": {"spearman": 0.6369, "relative_l2_x100": 1.909, "unseen": 0},
    "difficulty": {"spearman": 0.5763, "relative_l2_x100": 2.012, "unseen": 0},
    "both": {"spearman": None, "relative_l2_x100": 1.783, "unseen": 0},
}


def predict(folder: Path, noise: Mapping[str, float], seed: int = 0, videos: int = 60, floors: bool = False) -> None:
    """Give a run real predictions with Gaussian noise by action, and what training computes of them."""
    result = json.loads((folder / "result.json").read_text())
    rng, truths = np.random.default_rng(seed + 100), np.random.default_rng(9).normal(70, 10, (len(noise), videos))
    predicted = truths + np.array([[level] for level in noise.values()]) * rng.normal(size=truths.shape)
    ids = [f"{action}/{i:03d}" for action in noise for i in range(videos)]
    rows = [type("Row", (), {"video_id": name, "action": name.split("/")[0]}) for name in ids]
    table = (torch.arange(len(ids)), torch.tensor(predicted.ravel()), torch.tensor(truths.ravel()))
    numbers: dict[str, Any] = split_metrics(table, rows) | {"confidence": split_confidence(table, rows)}
    result["metrics"] = {"last": {"epoch": 5, "splits": {"test": numbers}}}
    result["prediction_columns"] = ["true", "last"]
    result["predictions"] = {"test": {name: [float(t), float(p)] for name, p, t in zip(ids, *table[1:], strict=True)}}
    result |= {"floors": {"test": FLOORS}} if floors else {}
    (folder / "result.json").write_text(json.dumps(result))
    with open(folder / "predictions_test.csv", "w", newline="") as lines:
        csv.writer(lines).writerows([["video_id", "action"], *([row.video_id, row.action] for row in rows)])


@pytest.fixture
def arms(sweep_folder, make_job) -> Callable[..., Path]:
    """`arms(noise=..., seeds=3)`: a sweep with and without the swap, over seeds, on diving."""

    def write(swap: float = 4.0, none: float = 8.0, seeds: int = 1, name: str = "pair") -> Path:
        jobs = [
            make_job([f"aug={aug}", f"seed={seed}"], {"diving": (0.5, 1)}, "demo", aug=aug, boxes=boxes, seed=seed)
            for aug, boxes in (("swap", "darklabel"), ("none", "none"))
            for seed in range(seeds)
        ]
        folder = sweep_folder(name, jobs)
        for number in range(2 * seeds):
            predict(folder / str(number), {"diving": swap if number < seeds else none}, seed=number)
        return folder

    return write


def test_one_seed_has_an_interval_and_several_a_deviation(arms) -> None:
    for seeds, pattern in ((1, r"0\.\d{4} \[0\.\d\d, 0\.\d\d\]"), (3, r"0\.\d{4} ± 0\.\d{4}")):
        tables = build_tables(read_sweeps([arms(seeds=seeds, name=f"of {seeds}")]))
        table = next(table for table in tables if "rho without" in table.columns)
        assert re.fullmatch(pattern, cell_text(table.rows[0][table.columns.index("rho without")]))
        assert any("95 % interval over the test videos" in note for note in table.notes) == (seeds == 1)


def test_the_interval_of_a_cell_is_that_of_the_result(arms) -> None:
    folder = arms()
    result = json.loads((folder / "1" / "result.json").read_text())  # without the swap
    low, high = result["metrics"]["last"]["splits"]["test"]["confidence"]["per_action"]["diving"]["spearman"]
    cells = [cell for table in build_tables(read_sweeps([folder])) for row in table.rows for cell in row]
    assert any(isinstance(cell, Value) and cell.interval == (low, high) for cell in cells)


def test_results_without_intervals_are_read_as_before(sweep_folder, make_job) -> None:
    folder = sweep_folder("old", [make_job(["aug=swap"], {"diving": (0.875, 1.25)}, data="demo")])
    cells = [cell_text(cell) for table in build_tables(read_sweeps([folder])) for row in table.rows for cell in row]
    assert "0.8750" in cells


def test_the_average_over_runs_of_one_action_each_has_the_interval_of_all_their_videos(sweep_folder, make_job) -> None:
    actions = ("diving", "gym_vault")
    jobs = [make_job([f"data.action={a}"], {a: (0.5, 1.0)}, data="demo", action=a) for a in actions]
    folder = sweep_folder("by action", jobs)
    for number, action in enumerate(actions):
        predict(folder / str(number), {action: 5.0}, seed=number)
    sweeps = read_sweeps([folder])
    both = [run.predictions("last") for run in sweeps[0].runs]
    scores = [
        statistics.Scores(*np.array([(found[name][1], found[name][0]) for name in sorted(found)]).T) for found in both
    ]
    expected = statistics.interval(OURS["spearman"], scores)
    table = next(table for table in build_tables(sweeps) if "average" in table.columns)
    value = table.rows[0][table.columns.index("average")]
    assert isinstance(value, Value)
    assert value.interval == pytest.approx(expected)


def test_intervals_in_every_form(arms) -> None:
    table = next(t for t in build_tables(read_sweeps([arms()])) if "rho without" in t.columns)
    lines = [line for line in to_csv(table).splitlines() if not line.startswith("#")]
    row = next(csv.DictReader(lines))
    assert float(row["rho without low"]) < float(row["rho without"]) < float(row["rho without high"])
    assert "rho without deviation" not in row
    assert re.search(r"\| 0\.\d{4} \[0\.\d\d, 0\.\d\d\] \|", to_markdown(table))
    assert re.search(r"0\.\d{4} \{\[\}0\.\d\d, 0\.\d\d\]", to_latex(table))


def test_floors_are_under_every_table_of_their_data(sweep_folder, make_job) -> None:
    jobs = [
        make_job([f"aug={aug}"], {"diving": (0.5, 1.0)}, data="mtl_aqa", aug=aug, boxes=boxes)
        for aug, boxes in (("swap", "fixed"), ("none", "none"))
    ]
    folder = sweep_folder("floors", jobs)
    for number in range(2):
        predict(folder / str(number), {"diving": 5.0}, floors=True)
    tables = build_tables(read_sweeps([folder]))
    assert len(tables) > 1
    for table in tables:
        (note,) = [note for note in table.notes if note.startswith("Without a pixel, mtl_aqa, test")]
        assert "event 0.637, 1.91" in note
        assert "undefined, 1.78" in note


def test_other_splits_are_tables_of_their_own(sweep_folder, make_job) -> None:
    """They do not stand beside the paper's numbers, and folds are never taken for seeds."""
    jobs = [make_job([f"data.fold={fold}"], {"diving": (0.5 + fold / 10, 1.0)}, data="mtl_aqa") for fold in range(2)]
    folder = sweep_folder("folds", [*jobs, make_job(["data.fold=2"], data="mtl_aqa", started=False)], with_facts=False)
    for fold in range(2):
        path = folder / str(fold) / "result.json"
        result = json.loads(path.read_text())
        result["config"]["data"] |= {"split": "by_event", "fold": fold}
        path.write_text(json.dumps(result))
    tables = build_tables(read_sweeps([folder]))
    assert not any("as printed" in str(cell) for table in tables for row in table.rows for cell in row)
    (table,) = [table for table in tables if "data.fold" in table.columns]
    rows = {row[0]: cell_text(row[table.columns.index("Spearman's rho")]) for row in table.rows if "last" in row}
    assert rows == {"0": "0.5000", "1": "0.6000", "2": "-"}


def test_two_runs_far_apart_are_distinguishable(arms) -> None:
    folder = arms(swap=2.0, none=15.0)
    said = compare(f"{folder}/0", f"{folder}/1", SPEARMAN)
    assert "60 videos" in said
    assert said.endswith(": distinguishable from noise.")
    runs = read_sweeps([folder])[0].runs
    rhos = [run.metric("spearman", "last") for run in runs]
    assert f"{rhos[0]:.4f} against {rhos[1]:.4f}, a difference of {rhos[0] - rhos[1]:+.4f}" in said
    turned = compare(f"{folder}/1", f"{folder}/0", SPEARMAN)
    assert f"a difference of {rhos[1] - rhos[0]:+.4f}" in turned


def test_two_runs_of_equal_quality_are_not(arms) -> None:
    folder = arms(swap=6.0, none=6.0)
    for metric in STANDARD:
        said = compare(f"{folder}/0", f"{folder}/1", Protocol(metric.name, "last", "test"))
        assert said.endswith(": not distinguishable from noise.")
    assert "p = 1 " in compare(f"{folder}/0", f"{folder}/0", SPEARMAN)


def test_arms_of_seeds_are_chosen_by_their_values(arms) -> None:
    folder = arms(swap=2.0, none=15.0, seeds=3)
    said = compare(f"{folder}:aug=swap", f"{folder}:aug=none", SPEARMAN)
    assert said.count("(3 seeds)") == 2
    assert "Welch" in said
    assert said.endswith("distinguishable from noise, of the seeds and of the choice of test videos.")
    alike = arms(swap=6.0, none=6.0, seeds=3, name="alike")
    said = compare(f"{alike}:aug=swap", f"{alike}:aug=none,model=core", SPEARMAN)
    assert "not distinguishable from the noise of the seeds" in said


def test_several_actions_in_one_run(sweep_folder, make_job) -> None:
    jobs = [make_job([f"aug={aug}"], {"diving": (0.5, 1.0)}, aug=aug, action="all") for aug in ("swap", "none")]
    folder = sweep_folder("all", jobs)
    for number, noise in enumerate((4.0, 5.0)):
        predict(folder / str(number), {"diving": noise, "gym_vault": noise}, seed=number)
    said = compare(f"{folder}/0", f"{folder}/1", SPEARMAN)
    rho = read_sweeps([folder])[0].runs[0].metric("spearman", "last")  # averaged by the run itself
    assert f"120 videos: Spearman's rho {rho:.4f} against" in said
    (folder / "0" / "predictions_test.csv").unlink()
    with pytest.raises(Exception, match=r"predictions_test\.csv: no such file"):
        compare(f"{folder}/0", f"{folder}/1", SPEARMAN)


@pytest.fixture
def report() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`report("compare", ...)` runs the entry point in this process."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        out, err, status = io.StringIO(), io.StringIO(), 0
        with (
            patch.object(sys, "argv", ["report", *arguments]),
            patch.object(sys, "path", [str(REPOSITORY), *sys.path]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                runpy.run_module("src.report", run_name="__main__", alter_sys=True)
            except SystemExit as stop:
                status = int(stop.code or 0)
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    return run


def test_the_program_says_one_sentence(report, arms, monkeypatch) -> None:
    for name in ("HYDRA_FULL_ERROR", "SWAPAQA_SHORT_ERRORS"):
        monkeypatch.delenv(name, raising=False)
    folder = arms()
    done = report("compare", f"{folder}/0", f"{folder}/1", "--metric", "relative_l2_x100")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "R-l2 x100" in done.stdout
    assert "distinguishable from noise.\n" in done.stdout


def test_wrong_input_is_one_line(report, arms, monkeypatch) -> None:
    for name in ("HYDRA_FULL_ERROR", "SWAPAQA_SHORT_ERRORS"):
        monkeypatch.delenv(name, raising=False)
    one, several = arms(name="one"), arms(seeds=2, name="several")
    result = json.loads((one / "0" / "result.json").read_text())
    other = arms(name="other")
    del result["predictions"]["test"]["diving/007"], result["predictions"]["test"]["diving/031"]
    (other / "0" / "result.json").write_text(json.dumps(result))
    changed = arms(name="changed")
    result = json.loads((changed / "0" / "result.json").read_text())
    result["predictions"]["test"]["diving/012"][0] = 33.5
    (changed / "0" / "result.json").write_text(json.dumps(result))
    constant = arms(name="constant", swap=0.0)
    result = json.loads((constant / "0" / "result.json").read_text())
    for row in result["predictions"]["test"].values():
        row[1] = 50.0
    (constant / "0" / "result.json").write_text(json.dumps(result))
    for arguments, words in (
        ([f"{one}/0", "nowhere"], "nowhere: no such folder"),
        ([f"{one}/0", str(one)], "one setting is needed, and there are core + swap, darklabel, ratio 2; core"),
        ([f"{one}/0", f"{one}:aug=fame"], "no run with these values"),
        ([f"{one}/0", f"{several}:aug=none"], "compare one seed with one, or several with several"),
        ([f"{one}/0", f"{other}/0"], "the true score of diving/007"),
        ([f"{one}/0", f"{changed}/0"], "the true score of diving/012"),
        ([f"{one}/0", f"{constant}/0"], "spearman is undefined"),
        ([f"{one}/0", f"{one}/1", "--protocol", "best_on_val"], "has no best_on_val of test, but last: test"),
    ):
        done = report("compare", *arguments)
        assert done.returncode == 2, done.stdout
        assert done.stderr.startswith("error: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
