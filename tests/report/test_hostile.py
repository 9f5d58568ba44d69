"""A report on the runs of a stranger: nothing runs, nothing is left out, no name is a formula, a command or a tag."""

import csv
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from swapaqa.boxes.ledger import Ledger, content_digest
from swapaqa.errors import InputError
from swapaqa.files.spreadsheet import FORMULA, guarded, unguarded
from swapaqa.gradcam.summary import read_gradcam
from swapaqa.probing.probe_file import find_probes
from swapaqa.programs.report import open_data
from swapaqa.report.render import print_table, to_csv, to_latex, to_markdown, write_tables
from swapaqa.report.table import Table, Value
from swapaqa.report.tables import build_tables
from swapaqa.running.jobs import State
from swapaqa.runs.run_folders import read_sweep
from tests.attack.hostile import hostile_configurations, payloads, with_payload
from tests.attack.malformed import damaged, wrong_values
from tests.forked import run_forked

DEMO = {
    "_target_": "swapaqa.data.demo.Demo", "root": None, "action": "diving", "frames": 16, "voters": 0, "batch_size": 2,
    "settings": {
        "_target_": "swapaqa.data.demo.DemoSettings", "train": 4, "test": 3, "shifted": 2, "cue_strength": 1.0,
        "keyframes": 4, "seed": 0,
    },
    "geometry": {
        "_target_": "swapaqa.data.geometry.Geometry", "height": 64, "width": 64, "crop": 64, "random_crop": False,
        "flip": 0.5,
    },
    "boxes": {"_target_": "swapaqa.data.boxes.NoBoxes", "ratio": 1.0},
    "augment": {"_target_": "swapaqa.augment.none.NoAugmentation"},
    "workers": 0, "seed": 0, "target": "score", "val_fraction": 0.0, "skip_unreadable": False,
}  # fmt: skip
NAMES = ("=1+1", "+1+1", "-2+3+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', "'=1", " =1",
         "\xa0=1", "\u200b=1", "\ufeff+A1", "\x0b@x", "＝1+1", "＠SUM(1)", " ' -1+2")  # fmt: skip


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def two_ratios(sweep_folder: Any, make_job: Any) -> Path:
    """Runs at two ratios, for which a report opens the data."""
    jobs = [make_job([f"aug.ratio={ratio}"], {"diving": (0.8, 1.5)}, data="demo", ratio=ratio) for ratio in (1.0, 2.0)]
    return sweep_folder("ratio", jobs)


def test_no_data_set_of_a_stranger_runs_anything(canary: Path) -> None:
    config = {"data": DEMO}
    assert open_data(config).source.actions == ["diving"]
    tried = 0
    for name, hostile in hostile_configurations(config, canary):
        if hostile["data"] != DEMO:
            tried += 1
            with pytest.raises(InputError, match=r"result\.json: "):
                open_data(hostile)
            assert not canary.exists(), name
    assert tried >= 100


def test_values_that_describe_no_data_set_are_one_line() -> None:
    for _, wrong in wrong_values({"data": DEMO}, 0, 150):
        try:
            open_data(wrong)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_the_program_runs_nothing_of_two_hostile_runs(
    two_ratios: Path, canary: Path, train_environment: Callable[[Path], dict[str, str]], tmp_path: Path
) -> None:
    for number in "01":
        path = two_ratios / number / "result.json"
        result = json.loads(path.read_text())
        hostile = payloads(canary)["torch.utils.collect_env.run"]
        result["config"] = with_payload(result["config"], "data", hostile | {"action": "diving"})
        path.write_text(json.dumps(result))
    done = run_forked("src.report", ["show", str(two_ratios)], train_environment(tmp_path))
    assert done.returncode == 0, done.stderr
    page = (two_ratios / "report" / "index.html").read_text()
    assert "result.json: data._target_=&#39;torch.utils.collect_env.run&#39;" in page
    assert "--trust torch" in page
    assert not canary.exists()
    compared: CompletedProcess[str] = run_forked(
        "src.report", ["compare", f"{two_ratios}/0", f"{two_ratios}/1"], train_environment(tmp_path)
    )
    assert "Traceback" not in compared.stderr
    assert not canary.exists()


def test_a_data_set_of_ones_own_is_opened_with_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_data").mkdir()
    (tmp_path / "own_data" / "sets.py").write_text(
        "from dataclasses import dataclass\nfrom swapaqa.data.demo import Demo\n\n"
        "@dataclass(kw_only=True, eq=False)\nclass Mine(Demo):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = {"data": DEMO | {"_target_": "own_data.sets.Mine"}}
    with pytest.raises(InputError, match="--trust own_data"):
        open_data(config)
    assert type(open_data(config, ["own_data"]).source).__name__ == "Mine"


def test_the_root_of_a_stranger_is_not_written_to(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(InputError):
        open_data({"data": DEMO | {"root": str(root)}}).source.read_split("train")
    assert list(root.iterdir()) == []


@pytest.mark.slow
def test_damaged_results_are_shown_and_the_others_reported(two_ratios: Path) -> None:
    """Every kind of damage to a result, and every value another: the run is damaged or as it was."""
    path = two_ratios / "0" / "result.json"
    content = path.read_bytes()
    others = ((name, json.dumps(value).encode()) for name, value in wrong_values(json.loads(content), 0, 150))
    texts = [*damaged(content, 0, 80), *others]
    found = []
    for name, text in texts:
        path.write_bytes(text)
        sweep = read_sweep(two_ratios)
        assert [run.state for run in sweep.runs][1] is State.DONE, name
        found.append(sweep.runs[0].state)
        build_tables([sweep])
    assert found.count(State.DAMAGED) > 100
    allowed = {State.DAMAGED, State.DONE, State.NOT_STARTED, State.UNFINISHED}  # of another ratio; without metrics
    assert set(found) <= allowed


@pytest.mark.parametrize("file", [".hydra/overrides.yaml", ".hydra/hydra.yaml", "config.yaml"])
def test_damage_to_a_runs_other_files(file: str, two_ratios: Path) -> None:
    path = two_ratios / "0" / file
    for name, text in damaged(path.read_bytes(), 1, 40):
        path.write_bytes(text)
        sweep = read_sweep(two_ratios)
        assert sweep.runs[1].state is State.DONE, name
        build_tables([sweep])


GRADCAM = {
    "checkpoints": [{"title": "with", "file": "a.ckpt", "epoch": 3}],
    "boxes": {"_target_": "a.b.Boxes"},
    "ratio": 2.0,
    "splits": {
        "test": {
            "checkpoints": [{
                "videos": 3, "without_mass": 0,
                "box": {"share": 0.5, "interval": [0.4, 0.6], "chance": 0.2, "on_grid": 0.9},
                "scaled_box": {"share": 0.5, "interval": None, "chance": 0.2, "on_grid": 0.9},
            }],
            "difference": None,
        }
    },
    "pictures": [{"split": "test", "video_id": "a", "title": "a", "strip": "a.png", "film": "a.mp4"}],
}  # fmt: skip


def test_pictures_outside_of_their_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "gradcam.json"
    path.write_text(json.dumps(GRADCAM))
    assert read_gradcam(path)["ratio"] == 2.0
    for name in ("../secret.png", "/etc/hostname", "a/b.png", "..", ""):
        for key in ("strip", "film"):
            wrong = json.loads(json.dumps(GRADCAM))
            wrong["pictures"][0][key] = name
            path.write_text(json.dumps(wrong))
            with pytest.raises(InputError, match="is not in its folder"):
                read_gradcam(path)


def test_damage_to_gradcam_and_probe_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "gradcam.json"
    for name, wrong in wrong_values(GRADCAM, 0, 150):
        path.write_text(json.dumps(wrong))
        try:
            read_gradcam(path)
        except InputError as error:
            assert str(path) in str(error), name  # noqa: PT017
    path = tmp_path / "probe.json"
    for name, text in damaged(json.dumps({"trained": "a", "splits": {}}).encode(), 0, 40):
        path.write_bytes(text)
        with pytest.raises(InputError, match=r"probe\.json: "):
            find_probes([tmp_path])
        assert name


@pytest.mark.parametrize("name", NAMES)
def test_a_guarded_name_is_no_formula_and_comes_back(name: str) -> None:
    assert not guarded(name).startswith(FORMULA)
    assert unguarded(guarded(name)) == name


def test_numbers_and_other_names_stay_as_they_are() -> None:
    for text in ("-0.5", "+1e-3", "diving/003", "18_067", "", "it's", "NA", "a=b"):
        assert guarded(text) == text
        assert unguarded(text) == text


def hostile_table() -> Table:
    long = "x" * 10_000
    names = (*NAMES, long, "\x1b[31mred", "\\input{/etc/passwd}", '%$#_{}~^&--`"', "中文 é\0")
    rows = tuple((name, Value(-0.5, None, 4)) for name in names)
    notes = ("note,@SUM(A1), -5", long)
    return Table("a/../../b", "Title, =1+1", f"caption;=2+2 {long}", ("=name", "rho"), rows, notes)


def test_no_cell_of_a_table_is_a_formula() -> None:
    for row in csv.reader(io.StringIO(to_csv(hostile_table()), newline="")):
        for cell in row:
            assert cell.strip() in ("-0.500000", "-5") or not cell.strip(" ").startswith(FORMULA), cell


def test_latex_has_no_command_of_a_name_and_short_lines() -> None:
    text = to_latex(hostile_table())
    assert text.isascii()
    assert "\x1b" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert max(map(len, text.splitlines())) < 4000
    assert to_latex(hostile_table()._replace(rows=(), columns=("", " ")))


def test_latex_compiles_whatever_a_name_is(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-base)")
    page = (
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        + to_latex(hostile_table())
        + "\\end{document}\n"
    )
    (tmp_path / "page.tex").write_text(page)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_name_neither_moves_the_cursor_nor_breaks_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    print_table(hostile_table(), Console(width=100))
    assert "\x1b[31m" not in capsys.readouterr().out
    lines = to_markdown(hostile_table()._replace(title="a\n# b")).splitlines()
    assert lines[0] == "## a # b"


def test_a_sweeps_name_stays_in_the_reports_folder(two_ratios: Path, tmp_path: Path) -> None:
    plan = json.loads((two_ratios / "jobs.json").read_text())
    plan["sweep"] = "../../outside/" + "y" * 400
    for job in plan["jobs"]:
        job["overrides"] += ["made.up=" + job["job"]]  # a table of its own, named by the sweep
    (two_ratios / "jobs.json").write_text(json.dumps(plan))
    out = tmp_path / "report"
    out.mkdir()
    for path in write_tables(build_tables([read_sweep(two_ratios)]), out):
        assert path.parent == out
        assert path.resolve().parent == out.resolve()


def test_a_plan_names_jobs_in_its_own_folder_only(two_ratios: Path) -> None:
    plan = json.loads((two_ratios / "jobs.json").read_text())
    plan["jobs"][0]["job"] = "../../../etc"
    (two_ratios / "jobs.json").write_text(json.dumps(plan))
    with pytest.raises(InputError, match="a job outside of the folder"):
        read_sweep(two_ratios)


@pytest.mark.parametrize("facts", [[], "core", {"model": "core"}, {"ratio": "2"}, {"settings": 3}, {"seed": 1.5}])
def test_facts_of_another_form_are_named(two_ratios: Path, facts: Any) -> None:
    plan = json.loads((two_ratios / "jobs.json").read_text())
    whole = plan["jobs"][0]["facts"]
    plan["jobs"][0]["facts"] = whole | facts if isinstance(facts, dict) and "model" not in facts else facts
    (two_ratios / "jobs.json").write_text(json.dumps(plan))
    with pytest.raises(InputError, match=r"jobs\.json: not the plan of a sweep \(.*facts"):
        read_sweep(two_ratios)


def test_a_ledger_keeps_strange_names(tmp_path: Path) -> None:
    path = tmp_path / "=1+1.txt"
    path.write_text("0,0,1,1,5,5,csrt\n")
    ledger = Ledger(tmp_path)
    ledger.add(path, content_digest(path) or "", "csrt")
    assert Ledger(tmp_path).state(path) == "tracker"
    assert not ledger.path.read_text().startswith("=")
