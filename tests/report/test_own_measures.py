"""A metric from outside the tree, a file and a yaml: trained with, reported, compared, and what a stranger's may do."""

import csv
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from swapaqa import statistics
from swapaqa.errors import InputError
from swapaqa.measures.ours import OURS
from swapaqa.measures.record import Description, Measure, Scores
from swapaqa.recording.evaluation import Evaluation
from swapaqa.recording.recorder import Recorder
from swapaqa.report.contents import read_report, write_report
from swapaqa.report.table import cell_text
from swapaqa.report.tables import build_tables
from swapaqa.running.jobs import State
from swapaqa.running.measures import configured_measures
from swapaqa.running.registry import admit
from swapaqa.runs.compare import Protocol, compare
from swapaqa.runs.run_folders import read_sweep, read_sweeps
from tests.page import PAGE, files

OWN = '''"""Metrics of my own."""

import numpy as np

from swapaqa.measures.record import Measure


def within(points: float = 5.0) -> Measure:
    """The share of the videos whose score is predicted to `points`."""
    return Measure(
        name="within",
        title=f"within {points:g} points",
        decimals=3,
        higher_is_better=True,
        value=lambda predicted, true: np.mean(np.abs(predicted - true) < points),
    )


def mean_error() -> Measure:
    """The mean absolute error in points."""
    return Measure(
        name="mean_error",
        title="mean error",
        decimals=1,
        higher_is_better=False,
        value=lambda predicted, true: np.abs(predicted - true).mean(),
        draws=lambda drawn, whole: np.abs(drawn.predicted - drawn.true).mean(-1),
    )


def anything():
    open("{canary}", "w").close()


class Record:
    pass


def untold(name="within"):
    return within()


def wrong_name() -> Measure:
    return mean_error()


def fails() -> Measure:
    return Measure(name="fails", title="fails", decimals=1, higher_is_better=True, value=lambda predicted, true: 1 / 0)


def two_things() -> Measure:
    return Measure(
        name="two_things", title="two things", decimals=1, higher_is_better=True,
        value=lambda predicted, true: 1.0, draws=lambda drawn, whole: np.zeros(drawn.predicted.shape[:-1]),
    )
'''
NODES = {
    "within": {"_target_": "own_measures.within", "points": 5.0},
    "mean_error": {"_target_": "own_measures.mean_error"},
}


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def here(tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the user's, with the module and its yamls, on Python's path."""
    folder = tmp_path / "here"
    (folder / "measures").mkdir(parents=True)
    (folder / "own_measures.py").write_text(OWN.replace("{canary}", str(canary)))
    (folder / "measures" / "within.yaml").write_text("within:\n  _target_: own_measures.within\n  points: 5.0\n")
    (folder / "measures" / "mean_error.yaml").write_text("mean_error:\n  _target_: own_measures.mean_error\n")
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("own_measures", None)  # the next test writes another file


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown here does not hang on how many there are."""
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
    monkeypatch.setattr(statistics, "PERMUTATIONS", 499)


@pytest.fixture
def pair(here: Path, sweep_folder: Any, make_job: Any) -> Path:  # noqa: ARG001
    """A sweep without and with the swap, of one seed, whose runs were asked for both metrics and Kendall's tau."""
    jobs = [
        make_job([f"aug={aug}"], {"diving": (0.5, 1.0)}, "demo", aug=aug, boxes=boxes)
        for aug, boxes in (("none", "none"), ("swap", "darklabel"))
    ]
    folder = sweep_folder("pair", jobs)
    for number, noise in enumerate((12.0, 3.0)):
        predict(folder / str(number), noise)
    return folder


def predict(folder: Path, noise: float, videos: int = 60) -> None:
    """What a run with the three metrics and predictions of this noise writes, with its own deviations."""
    nodes = NODES | {"kendall_tau": {"_target_": "swapaqa.measures.kendall.kendall_tau"}}
    rng, true = np.random.default_rng(int(noise)), np.random.default_rng(9).normal(70, 10, videos)
    deviation = np.random.default_rng(3).uniform(0.3, 1.7, videos)
    rows = [type("Row", (), {"video_id": f"{i:03d}", "action": "diving"}) for i in range(videos)]
    predicted = true + noise * deviation * rng.normal(size=videos)
    recorder = Recorder({"test": rows}, measures=configured_measures(OmegaConf.create(nodes)))
    table = (torch.arange(videos), torch.tensor(predicted), torch.tensor(true))
    recorder.last = Evaluation(4, {"test": table}, {"test": torch.tensor(noise * deviation)})
    result = json.loads((folder / "result.json").read_text())
    result["config"]["measures"] = nodes
    result["measures"] = {measure.name: measure.described() for measure in recorder.measures}
    result |= {"metrics": recorder.metrics(), "prediction_columns": ["true", "last"]}
    result["predictions"] = recorder.write_predictions(folder)
    (folder / "result.json").write_text(json.dumps(result))


def columns(tables: Any, row: int = 0) -> dict[str, str]:
    """Of the table without and with the swap, the cells of a row by column."""
    [table] = [one for one in tables if "rho without" in one.columns]
    return dict(zip(table.columns, map(cell_text, table.rows[row]), strict=True))


def values(folder: Path, name: str) -> list[float]:
    runs = read_sweep(folder).runs
    return [run.metric(name, "last") for run in runs]


def test_a_report_shows_it_with_the_words_of_the_result(pair: Path) -> None:
    """Without its code: values, decimals, title, and whether a change is a gain or a decrease."""
    found = columns(build_tables(read_sweeps([pair])))
    before, after = values(pair, "within")
    assert re.match(rf"{before:.3f} \[", found["within 5 points without"])
    assert re.match(rf"{after:.3f} \[", found["within 5 points with"])
    assert found["within 5 points gain %"] == f"{100 * (after / before - 1):.2f}"
    assert after > before
    before, after = values(pair, "mean_error")
    assert found["mean error without"].startswith(f"{before:.1f} [")
    assert found["mean error decrease %"] == f"{100 * (1 - after / before):.2f}"
    assert after < before
    assert found["tau-b with"].startswith(f"{values(pair, 'kendall_tau')[1]:.4f} [")


def test_the_interval_is_that_of_the_run(pair: Path) -> None:
    result = json.loads((pair / "1" / "result.json").read_text())
    low, high = result["metrics"]["last"]["splits"]["test"]["confidence"]["average"]["mean_error"]
    assert low < values(pair, "mean_error")[1] < high
    assert f" [{low:.2f}, {high:.2f}]" in columns(build_tables(read_sweeps([pair])))["mean error with"]


def test_the_page_names_it(pair: Path, tmp_path: Path) -> None:
    write_report(read_report([pair]), tmp_path / "out", lambda config: pytest.fail(str(config)))
    html = (tmp_path / "out" / "index.html").read_text()
    assert "<strong>mean error</strong>: lower is better; averaged over actions plainly." in html
    assert "<strong>Kendall&#39;s τ-b</strong>: higher is better; averaged over actions by Fisher" in html
    assert f'<td class="number">{values(pair, "mean_error")[0]:.1f}</td>' in html


def test_a_comparison_says_its_title_direction_and_difference(pair: Path) -> None:
    for name, title, direction in (
        ("within", "within 5 points", "higher is better"),
        ("mean_error", "mean error", "lower is better"),
    ):
        protocol = Protocol(name, "last", "test")
        with pytest.raises(InputError, match=rf"metric {name}: .*--trust 'own_measures'"):
            compare(f"{pair}/1", f"{pair}/0", protocol)
        said = compare(f"{pair}/1", f"{pair}/0", protocol, ["own_measures"])
        before, after = values(pair, name)
        decimals = {"within": 3, "mean_error": 1}[name]
        assert f"60 videos: {title} {after:.{decimals}f} against {before:.{decimals}f}, a difference of " in said
        assert f"{after - before:+.{decimals}f} ({direction}), 95 % interval [" in said
        assert said.endswith("(paired permutation test): distinguishable from noise.")


def test_a_comparison_takes_any_metric_of_ours(pair: Path) -> None:
    """Asked for in training or not; those of deviations from the table beside the result."""
    for name in OURS:
        said = compare(f"{pair}/1", f"{pair}/0", Protocol(name, "last", "test"))
        assert f": {OURS[name].title} " in said
    with open(pair / "1" / "predictions_test.csv", newline="") as lines:
        rows = [(float(row["last"]), float(row["true"]), float(row["last_std"])) for row in csv.DictReader(lines)]
    own = OURS["coverage_90"].of(Scores(*np.array(rows).T))
    said = compare(f"{pair}/1", f"{pair}/0", Protocol("coverage_90", "last", "test"))
    assert f"coverage of 90 % {own:.3f} against" in said
    assert "(has a nominal value)" in said
    with pytest.raises(InputError, match=r"metric nothing: .* there are spearman, .*within.*calibration_tau"):
        compare(f"{pair}/1", f"{pair}/0", Protocol("nothing", "last", "test"))
    (pair / "1" / "predictions_test.csv").write_text("video_id,action,true,last\n000,diving,1,1\n")
    with pytest.raises(InputError, match="has no column last_std: the method of this run predicts no standard dev"):
        compare(f"{pair}/1", f"{pair}/0", Protocol("coverage_90", "last", "test"))


@pytest.mark.usefixtures("here")
def test_runs_of_one_action_each_are_resampled_together_where_the_metric_is_known(
    sweep_folder: Any, make_job: Any
) -> None:
    actions = ("diving", "gym_vault")
    jobs = [make_job([f"data.action={a}"], {a: (0.5, 1.0)}, data="demo", action=a) for a in actions]
    folder = sweep_folder("by action", jobs)
    for number, action in enumerate(actions):
        predict(folder / str(number), 5.0 + number)
        path = folder / str(number) / "result.json"
        path.write_text(path.read_text().replace('"diving"', f'"{action}"'))

    def average(trust: list[str]) -> str:
        tables = build_tables(read_sweeps([folder], trust))
        [table] = [one for one in tables if one.title.startswith("mean error by action")]
        return cell_text(table.rows[0][table.columns.index("average")])

    assert re.fullmatch(r"\d\.\d", average([]))
    assert re.fullmatch(r"\d\.\d \[\d\.\d\d, \d\.\d\d\]", average(["own_measures"]))


def test_two_metrics_of_one_name_are_not_mixed(pair: Path) -> None:
    path = pair / "1" / "result.json"
    result = json.loads(path.read_text())
    result["config"]["measures"]["within"]["points"] = 2.0
    path.write_text(json.dumps(result))
    with pytest.raises(InputError, match=r"pair/0 and .*pair/1: mean different metrics by within"):
        build_tables(read_sweeps([pair]))


@pytest.mark.parametrize("target", ["own_measures.anything", "own_measures.Record", "own_measures.untold", "os.system"])
def test_a_strangers_result_makes_nothing_of_its_own(target: str, pair: Path, canary: Path) -> None:
    path = pair / "0" / "result.json"
    result = json.loads(path.read_text())
    result["config"]["measures"]["within"] = {"_target_": target}
    path.write_text(json.dumps(result))
    run, other = read_sweep(pair).runs
    assert type(run.measures["within"]) is Description
    if target.startswith("own"):
        run, other = read_sweep(pair, ["own_measures"]).runs
        assert run.state is State.DAMAGED
        assert "returns a Measure" in run.failure
    assert isinstance(other.measures["within"], Measure) == target.startswith("own")
    assert not canary.exists()


@pytest.mark.parametrize(
    "words",
    [
        {"title": "a" * 61}, {"title": "two\nlines"}, {"title": ""}, {"decimals": 10**9}, {"decimals": -1},
        {"average": "sum"}, {"higher_is_better": "yes"}, {"title": 3},
    ],
)  # fmt: skip
def test_a_description_that_is_none_is_a_damaged_run(words: dict[str, Any], pair: Path) -> None:
    path = pair / "0" / "result.json"
    result = json.loads(path.read_text())
    result["measures"]["within"] |= words
    path.write_text(json.dumps(result))
    run = read_sweep(pair).runs[0]
    assert run.state is State.DAMAGED
    assert run.failure.count(str(path)) == 1


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ({"within": {"_target_": "own_measures.wrong_name"}}, "measures.within: makes the metric mean_error"),
        ({"x": {"_target_": "own_measures.Record"}}, "measures.x: describes no metric"),
        ({"x": 3}, "measures.x: describes no metric"),
        ({"fails": {"_target_": "own_measures.fails"}}, "measures.fails: fails on 24 made-up videos .ZeroDivision"),
        ({"two_things": {"_target_": "own_measures.two_things"}}, "measures.two_things: its draws .* value 1 "),
        ("kendall_tau", "measures=kendall_tau: names options"),
    ],
)
def test_what_does_not_work_is_refused_before_training(nodes: Any, words: str, here: Path) -> None:  # noqa: ARG001
    with pytest.raises(InputError, match=words):
        configured_measures(OmegaConf.create({"measures": nodes}).measures)


def test_what_a_checkpoint_was_measured_with_is_not_looked_at() -> None:
    assert admit({"seed": 1, "measures": {"x": {"_target_": "os.system"}}}, "it") == {"seed": 1}


@pytest.mark.parametrize("name", ["", "two words", "videos", "ρ", "1st", "=1+1"])
def test_a_name_is_one_of_columns_and_files(name: str) -> None:
    with pytest.raises(InputError, match="a metric cannot be called"):
        Description(name=name, title="mine", decimals=1, higher_is_better=True)


def test_nothing_asked_is_what_every_run_has() -> None:
    assert configured_measures(None) == (OURS["spearman"], OURS["relative_l2_x100"])
    again = OmegaConf.create({"spearman": {"_target_": "swapaqa.measures.spearman.spearman"}})
    assert [measure.name for measure in configured_measures(again)] == ["spearman", "relative_l2_x100"]


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the metric of docs/extend.md, as a module of its own."""
    code, yaml = (dict(files())[name] for name in ("my_aqa/within.py", "my_conf/measures/within.yaml"))
    folder = tmp_path / "documented"
    (folder / "measures").mkdir(parents=True)
    (folder / "my_measures.py").write_text(code)
    (folder / "measures" / "within.yaml").write_text(yaml.replace("my_aqa.within.within", "my_measures.within"))
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("my_measures", None)


def test_the_documented_draws_are_the_documented_value(documented: Path) -> None:
    [draws] = re.findall(r"^def shares.*?^```$", PAGE, re.DOTALL | re.MULTILINE)
    code = (documented / "my_measures.py").read_text().replace("    )\n", "        draws=shares,\n    )\n")
    (documented / "my_measures.py").write_text(code + "\n\n" + draws.removesuffix("```"))
    [measure] = configured_measures(OmegaConf.load(documented / "measures" / "within.yaml"))[2:]
    assert measure.draws is not None
    assert measure.title == "within 5 points"


@pytest.mark.slow
def test_training_and_evaluation_with_the_documented_one(
    documented: Path, train_inside: Callable[..., Any], recipe_inside: Callable[..., Any], small_demo: list[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    here = documented
    words = ["measures=[within,kendall_tau]", f"hydra.searchpath=[file://{here}]"]
    done = train_inside(tmp_path, *small_demo, *words)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "run"
    result = json.loads((folder / "result.json").read_text())
    assert result["measures"]["within"] == {
        "title": "within 5 points", "decimals": 3, "higher_is_better": True, "average": "mean",
        "short": "within 5 points", "label": "within 5 points",
    }  # fmt: skip
    found = result["metrics"]["last"]["splits"]["test"]
    true, predicted = np.array(list(result["predictions"]["test"].values()))[:, :2].T
    expected = np.mean(np.abs(predicted - true) < 5)
    assert found["average"]["within"] == found["per_action"]["diving"]["within"] == pytest.approx(expected)
    assert found["average"]["kendall_tau"] == pytest.approx(OURS["kendall_tau"].of(Scores(predicted, true)), abs=1e-12)
    assert set(found["confidence"]["average"]) == {"spearman", "relative_l2_x100", "within", "kendall_tau"}
    heading, *rows = (line for line in done.stdout.splitlines() if "within 5 points" in line or " last " in line)
    assert heading.index("Kendall's tau-b") > heading.index("within 5 points") > heading.index("R-l2 x100")
    assert f" {expected:.3f} " in next(row for row in rows if " test " in row)
    assert "test/within/diving" in (folder / "metrics.csv").read_text()
    evaluated = recipe_inside("evaluate", tmp_path / "again", f"checkpoint={folder}/checkpoints/last.ckpt", *words)
    assert evaluated.returncode == 0, evaluated.stderr
    again = json.loads((tmp_path / "again" / "result.json").read_text())["metrics"]["last"]["splits"]["test"]
    assert again["average"] == pytest.approx(found["average"])
    cell = f"{expected:.3f} [" if found["confidence"]["average"]["within"] else f"{expected:.3f}"
    [table] = build_tables([read_sweep(folder)])
    assert cell_text(table.rows[0][table.columns.index("within 5 points, test")]).startswith(cell)
    said = compare(str(folder), str(tmp_path / "again"), Protocol("within", "last", "test"), ["my_measures"])
    assert f"within 5 points {expected:.3f} against {expected:.3f}, a difference of +0.000 (higher is better)" in said
    shutil.rmtree(here)
    plain = recipe_inside("evaluate", tmp_path / "plain", f"checkpoint={folder}/checkpoints/last.ckpt")
    assert plain.returncode == 0, plain.stderr  # whoever has the checkpoint need not have the metric
    unknown = recipe_inside(
        "evaluate", tmp_path / "none", f"checkpoint={folder}/checkpoints/last.ckpt", "measures=[no]"
    )
    assert "measures=no: no such option; there are calibration_tau" in unknown.stderr
