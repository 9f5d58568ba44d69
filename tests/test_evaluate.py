"""`src.evaluate`: the numbers of training again from the checkpoint alone, single videos, and what is refused."""

import contextlib
import csv
import io
import json
import logging
import os
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import patch

import cv2
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from swapaqa.data.demo_files import demo_root as written_demo
from swapaqa.errors import InputError
from swapaqa.models.scorer import FORMAT_KEY
from swapaqa.running.checkpoint import evaluation_config
from swapaqa.running.evaluation import complete_probe

REPOSITORY = Path(__file__).parents[1]
Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def evaluate(demo_cache: Path) -> Run:
    """`evaluate(folder, *overrides)`: the entry point inside this process; it writes into `folder`."""

    def run(folder: Path, *overrides: str) -> "CompletedProcess[str]":
        arguments = ["evaluate", f"hydra.run.dir={folder}", *overrides]
        out, err, root, status = io.StringIO(), io.StringIO(), logging.getLogger(), 0
        handlers, level = root.handlers[:], root.level
        with (
            patch.dict(os.environ, {"SWAPAQA_CACHE": str(demo_cache)}),
            patch.object(sys, "argv", arguments),
            contextlib.chdir(REPOSITORY),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            os.environ.pop("HYDRA_FULL_ERROR", None)
            try:
                runpy.run_module("src.evaluate", run_name="__main__", alter_sys=True)
            except SystemExit as stop:
                status = int(stop.code or 0)
            finally:
                root.handlers[:] = handlers
                root.setLevel(level)
                logging.getLogger("swapaqa.models").setLevel(logging.NOTSET)
        return CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, train_inside: Run, small_demo: list[str]) -> Callable[..., Path]:
    """`trained("core", ...)`: the folder of a short run on the demo."""

    def run(model: str, *overrides: str) -> Path:
        folder = tmp_path_factory.mktemp(model)
        done = train_inside(folder, *small_demo, "trainer.max_epochs=1", f"model={model}", *overrides)
        assert done.returncode == 0, done.stderr
        return folder / "run"

    return run


@pytest.fixture(scope="module")
def core_run(trained: Callable[..., Path]) -> Path:
    return trained("core", "model.store_exemplars=true", "model.voters=3")


@pytest.fixture(scope="module")
def demo_root(core_run: Path, demo_cache: Path) -> Path:
    """The folder of the demo videos of these runs; other tests have their own in the same cache."""
    settings = instantiate(OmegaConf.load(core_run / "config.yaml").data.settings)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SWAPAQA_CACHE", str(demo_cache))
        return written_demo(settings)


def result(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


def column(rows: dict[str, list[float]], names: list[str], name: str) -> dict[str, float]:
    return {video: row[names.index(name)] for video, row in rows.items()}


def assert_same_predictions(evaluated: Path, run: Path, protocol: str = "last") -> None:
    again, before = result(evaluated), result(run)
    assert set(again["metrics"]) == {protocol}
    for split, rows in again["predictions"].items():
        found = column(rows, again["prediction_columns"], protocol)
        expected = column(before["predictions"][split], before["prediction_columns"], protocol)
        assert found == pytest.approx(expected, rel=1e-5)
    assert again["metrics"][protocol]["epoch"] == before["metrics"][protocol]["epoch"]


def test_uncertainty_is_in_the_predictions_and_calibration_in_the_result(core_run: Path) -> None:
    with open(core_run / "predictions_test.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0])[-2:] == ["last_std", "best_on_test_std"]
    stds = [float(row["last_std"]) for row in rows]
    assert min(stds) > 0
    calibration = result(core_run)["metrics"]["last"]["splits"]["test"]["calibration"]
    assert 0 <= calibration["coverage_50"] <= calibration["coverage_90"] <= 1
    assert calibration["mean_std"] == pytest.approx(sum(stds) / len(stds), abs=1e-5)
    errors = [abs(float(row["true"]) - float(row["last"])) for row in rows]
    inside = [error <= 0.67449 * std for error, std in zip(errors, stds, strict=True)]
    assert calibration["coverage_50"] == pytest.approx(sum(inside) / len(inside))


def test_checkpoint_scores_without_the_training_videos(
    core_run: Path, demo_root: Path, evaluate: Run, tmp_path: Path
) -> None:
    root = tmp_path / "test_only"
    shutil.copytree(demo_root, root, ignore=shutil.ignore_patterns("boxes", "*train*", "00?.avi", "010.avi", "011.avi"))
    checkpoint = core_run / "checkpoints" / "last.ckpt"
    done = evaluate(tmp_path / "out", f"checkpoint={checkpoint}", "data=demo", f"data.root={root}")
    assert done.returncode == 0, done.stderr
    assert_same_predictions(tmp_path / "out", core_run)


@pytest.mark.slow
def test_all_training_videos_may_vote(core_run: Path, evaluate: Run, tmp_path: Path) -> None:
    found = {}
    for voters in ("all", "12", "1"):  # there are 12
        done = evaluate(tmp_path, f"checkpoint={core_run / 'checkpoints' / 'last.ckpt'}", f"model.voters={voters}")
        assert done.returncode == 0, done.stderr
        found[voters] = result(tmp_path)["predictions"]["test"]
    assert found["all"] == found["12"] != found["1"]


@pytest.mark.slow
def test_without_stored_features_the_training_videos_are_encoded_again(
    trained: Callable[..., Path], evaluate: Run, tmp_path: Path, demo_root: Path
) -> None:
    run = trained("dae_core", "model.voters=2")
    checkpoint = run / "checkpoints" / "best_on_test.ckpt"
    assert evaluate(tmp_path / "out", f"checkpoint={checkpoint}").returncode == 0
    assert_same_predictions(tmp_path / "out", run, "best_on_test")
    video = demo_root / "diving-out" / "013.avi"
    done = evaluate(tmp_path / "out", f"checkpoint={checkpoint}", f"video={video}")
    assert re.search(r"013\.avi: -?\d+\.\d\d points, standard deviation \d+\.\d\d, 90 % between", done.stdout)


@pytest.mark.slow
def test_a_single_video_has_the_score_and_deviation_of_the_data_set(
    trained: Callable[..., Path], evaluate: Run, tmp_path: Path, demo_root: Path
) -> None:
    run = trained("musdl")
    checkpoint = run / "checkpoints" / "last.ckpt"
    video = shutil.copy(demo_root / "diving-out" / "013.avi", tmp_path / "13.avi")  # in no list
    refused = evaluate(tmp_path / "out", f"checkpoint={checkpoint}", f"video={video}")
    assert refused.returncode == 2
    assert "error: difficulty: " in refused.stderr
    with open(demo_root / "Split_4" / "judges.csv", newline="") as lines:
        difficulty = next(row["difficulty"] for row in csv.DictReader(lines) if row["index"] == "13")
    done = evaluate(tmp_path / "out", f"checkpoint={checkpoint}", f"video={video}", f"difficulty={difficulty}")
    with open(run / "predictions_test.csv", newline="") as lines:
        row = next(row for row in csv.DictReader(lines) if row["video_id"] == "diving/013")
    expected = f"{float(row['last']):.2f} points, standard deviation {float(row['last_std']):.2f}"
    assert expected in done.stdout
    listed = demo_root / "diving-out" / "013.avi"  # whose difficulty is known
    assert expected in evaluate(tmp_path / "out", f"checkpoint={checkpoint}", f"video={listed}").stdout


def test_a_single_video_needs_no_training_videos_with_stored_features(
    core_run: Path, demo_root: Path, evaluate: Run, tmp_path: Path
) -> None:
    video = shutil.copy(demo_root / "diving-out" / "014.avi", tmp_path / "my dive.avi")
    checkpoint = core_run / "checkpoints" / "last.ckpt"
    nowhere = f"data.root={tmp_path / 'nowhere'}"
    done = evaluate(tmp_path / "out", f"checkpoint={checkpoint}", f"video='{video}'", nowhere)
    assert done.returncode == 0, done.stderr
    assert re.search(r"my dive\.avi: -?\d+\.\d\d points, standard deviation", done.stdout)


def test_a_checkpoint_of_half_precision_is_evaluated_without_a_gpu(
    core_run: Path, evaluate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swapaqa.running.precision.gpu_is_there", lambda: False)
    checkpoint = torch.load(core_run / "checkpoints" / "last.ckpt", weights_only=True)
    checkpoint["swapaqa_config"]["trainer"]["precision"] = "bf16-mixed"
    torch.save(checkpoint, tmp_path / "last.ckpt")
    done = evaluate(tmp_path / "out", f"checkpoint={tmp_path / 'last.ckpt'}")
    assert done.returncode == 0, done.stderr
    warnings = [line for line in (tmp_path / "out" / "evaluate.log").read_text().splitlines() if "WARNING" in line]
    assert len(warnings) == 1
    assert "trainer.precision=bf16-mixed" in warnings[0]
    assert_same_predictions(tmp_path / "out", core_run)
    asked = evaluate(tmp_path / "out", f"checkpoint={tmp_path / 'last.ckpt'}", "trainer.precision=bf16-mixed")
    assert asked.returncode == 2
    assert "error: trainer.precision=bf16-mixed needs a GPU" in asked.stderr


def test_a_checkpoint_with_keys_that_are_gone_is_evaluated(core_run: Path, evaluate: Run, tmp_path: Path) -> None:
    """`backbone.channels_last` and `backbone.compile` changed results by rounding only."""
    checkpoint = torch.load(core_run / "checkpoints" / "last.ckpt", weights_only=True)
    trained = checkpoint["swapaqa_config"]
    for encoder in (trained["backbone"], trained["model"]["encoder"]):
        encoder |= {"channels_last": True, "compile": False}
    del checkpoint[FORMAT_KEY]  # of the first format, the only one that had them
    torch.save(checkpoint, tmp_path / "last.ckpt")
    done = evaluate(tmp_path / "out", f"checkpoint={tmp_path / 'last.ckpt'}")
    assert done.returncode == 0, done.stderr
    assert_same_predictions(tmp_path / "out", core_run)


def test_precision_of_the_training_is_kept_where_it_can_be(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg, trained = (config("boxes=none", "aug=none", f"name={name}") for name in ("evaluate", "trained"))
    trained.trainer.precision = "bf16-mixed"
    for there, accelerator, expected in (
        (True, "auto", "bf16-mixed"),
        (True, "cpu", "32-true"),
        (False, "auto", "32-true"),
    ):
        monkeypatch.setattr("swapaqa.running.precision.gpu_is_there", lambda there=there: there)
        assert evaluation_config(cfg, trained, [f"trainer.accelerator={accelerator}"]).trainer.precision == expected


def test_speed_and_memory_may_be_others_than_in_the_training(config: Any) -> None:
    cfg, composed = (config("boxes=none", "aug=none", f"name={name}") for name in ("evaluate", "trained"))
    groups = ("model", "backbone", "clips", "schedule", "data", "trainer")  # resolved, as in a checkpoint
    trained = {group: OmegaConf.to_container(composed[group], resolve=True) for group in groups} | {"seed": 0}
    assert evaluation_config(cfg, trained, []).model.encoder == trained["backbone"]
    changed = evaluation_config(cfg, trained, ["backbone.clips_per_pass=1"]).model.encoder
    assert changed == trained["backbone"] | {"clips_per_pass": 1}


@pytest.mark.slow
def test_a_probe_scores_each_video_under_every_condition(core_run: Path, evaluate: Run, tmp_path: Path) -> None:
    """Exemplars stay as they are: the plain videos have the predictions of the run."""
    checkpoint = core_run / "checkpoints" / "last.ckpt"
    done = evaluate(tmp_path, f"checkpoint={checkpoint}", "probe=background", "probe_backgrounds=3")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "probe.json").read_text())
    assert (found["probe"], found["ratio"], found["checkpoint"], found["seed"]) == ("background", 2.0, "last", 0)
    assert found["boxes"]["_target_"].endswith("DarkLabelBoxes")
    before = result(core_run)
    assert set(found["splits"]) == {"test", "shifted"}
    for split, outcome in found["splits"].items():
        as_is = {video: row["as_is"] for video, row in outcome["predictions"].items()}
        rows = before["predictions"][split]
        assert as_is == pytest.approx(column(rows, before["prediction_columns"], "last"), rel=1e-5)
        scores = before["metrics"]["last"]["splits"][split]["average"]
        assert outcome["conditions"]["as_is"]["spearman"] == pytest.approx(scores["spearman"])
        assert {len(row["exchanged"]) for row in outcome["predictions"].values()} == {3}
        for condition in ("removed", "alone"):
            assert any(abs(row[condition] - row["as_is"]) > 1e-4 for row in outcome["predictions"].values())
        assert sum(part["value"] for part in outcome["shares"].values()) == pytest.approx(1)
        assert f"{split}: the background explains" in done.stdout
    picture = cv2.imread(str(tmp_path / "probe.png"))
    assert picture is not None
    assert not (tmp_path / "result.json").exists()  # it is no run of its own in a report


@pytest.mark.slow
def test_a_probe_takes_the_boxes_that_are_named(trained: Callable[..., Path], evaluate: Run, tmp_path: Path) -> None:
    checkpoint = trained("usdl", "boxes=none", "aug=none") / "checkpoints" / "last.ckpt"
    done = evaluate(tmp_path, f"checkpoint={checkpoint}", "probe=background", "boxes=fixed", "boxes.share=0.5")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "probe.json").read_text())
    assert (found["ratio"], found["boxes"]["share"]) == (1.0, 0.5)
    assert found["splits"]["test"]["covered_share"] == pytest.approx((33 / 64) ** 2)  # both ends are inside


@pytest.mark.parametrize(
    ("trained_with", "now", "given", "boxes", "ratio"),
    [
        (["data=aqa7", "aug.ratio=2.5"], "demo", [], "DarkLabelBoxes", 2.5),  # as trained
        (["data=aqa7", "aug=none"], "demo", [], "DarkLabelBoxes", 2.0),
        (["data=aqa7", "aug.ratio=2.5"], "aqa7", ["data=aqa7", "boxes.root=here"], "DarkLabelBoxes", 2.0),
        (["data=aqa7", "aug.ratio=2.5"], "mtl_aqa", ["data=mtl_aqa"], "FixedBoxes", 1.0),  # its default
        (["data=aqa7", "boxes=none", "aug=none"], "aqa7", ["data=aqa7"], "DarkLabelBoxes", 2.0),
        (["data=aqa7", "boxes=none", "aug=none"], "demo", [], None, None),  # the default of demo is not aqa7's
    ],
)
def test_where_the_boxes_of_a_probe_come_from(
    trained_with: list[str], now: str, given: list[str], boxes: str | None, ratio: float, config: Any
) -> None:
    composed = config(f"data={now}", "name=evaluate")
    keys = {"probe": "background", "probe_backgrounds": 4, "probe_ratio": None, "video": None}
    cfg = OmegaConf.create({"data": composed.data, "boxes": composed.boxes, "seed": 0, "aug": composed.aug} | keys)
    before = config(*trained_with, "name=trained")
    trained = {key: OmegaConf.to_container(before[key], resolve=True) for key in ("data", "aug")}
    if boxes is None:
        with pytest.raises(InputError, match="boxes: a probe needs to know where the athlete is"):
            complete_probe(cfg, trained, given)
        return
    complete_probe(cfg, trained, given)
    assert (cfg.boxes._target_.rpartition(".")[2], cfg.probe_ratio) == (boxes, ratio)
    assert cfg.boxes.get("root") == ("here" if "boxes.root=here" in given else None)


@pytest.mark.slow
def test_a_probe_of_another_data_set(core_run: Path, evaluate: Run, tmp_path: Path, aqa7_tree: Any) -> None:
    checkpoint = core_run / "checkpoints" / "last.ckpt"
    other = ["data=aqa7", f"data.root={aqa7_tree(frames=16)}", "data.workers=0", "data.batch_size=4"]
    done = evaluate(tmp_path, f"checkpoint={checkpoint}", "probe=background", *other)
    assert done.returncode == 0, done.stderr
    outcome = json.loads((tmp_path / "probe.json").read_text())["splits"]["test"]
    assert (outcome["videos"], outcome["backgrounds"]) == (4, 3)


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("core", [], "NoBoxes"),  # nothing is swapped
        ("tsa_net", [], "TrackerBoxes"),  # which looks at them
        ("tsa_net", ["boxes=fixed"], "FixedBoxes"),
        ("tsa_net", ["data=mtl_aqa"], "NoBoxes"),  # none of training, and the command line names none: refused later
    ],
)
def test_a_method_that_looks_at_boxes_gets_those_of_training(
    model: str, given: list[str], expected: str, config: Any
) -> None:
    cfg = config(*given, *([] if "boxes=fixed" in given else ["boxes=none"]), "aug=none", "name=evaluate")
    trained = config(f"model={model}", "boxes=tracker", "name=trained")
    assert evaluation_config(cfg, trained, given).data.boxes._target_.rpartition(".")[2] == expected


@pytest.mark.parametrize(
    ("data", "given", "expected"),
    [
        ("mtl_aqa", ["data=mtl_aqa"], ("by_event", 2)),  # as trained: the published split tests training videos
        ("mtl_aqa", ["data=mtl_aqa", "data.split=published", "data.fold=0"], ("published", 0)),
        ("aqa7", ["data=aqa7"], ("published", None)),
    ],
)
def test_the_split_is_that_of_the_training(data: str, given: list[str], expected: tuple, config: Any) -> None:
    cfg = config(f"data={data}", "boxes=none", "aug=none", "name=evaluate")
    trained = config("data=mtl_aqa", "data.split=by_event", "data.fold=2", "name=trained")
    found = evaluation_config(cfg, trained, given).data
    assert (found.split, found.get("fold")) == expected


@pytest.mark.parametrize(
    ("data", "words", "given", "expected"),
    [
        ("fisv", ["data.action=pcs"], [], {"action": "pcs"}),
        ("fisv", ["data.action=pcs"], ["data.action=tes"], {"action": "tes"}),
        ("rg", ["data.action=hoop", "data.score_type=execution"], [], {"action": "hoop", "score_type": "execution"}),
        ("finefs", ["data.split_seed=7"], [], {"split_seed": 7}),
        ("finediving", ["data.events=venue", "data.without=mtl_aqa"], [], {"events": "venue", "without": "mtl_aqa"}),
    ],
)
def test_of_the_same_data_set_the_score_and_the_lists_are_those_of_the_training(
    data: str, words: list[str], given: list[str], expected: dict[str, Any], config: Any
) -> None:
    cfg = config(f"data={data}", "boxes=none", "aug=none", "name=evaluate")
    trained = config(f"data={data}", "name=trained", *words)
    found = evaluation_config(cfg, trained, [f"data={data}", *given]).data
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "checkpoint: name one"),
        (["checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt: cannot be read"),
        (["checkpoint=pyproject.toml"], "checkpoint=pyproject.toml: not a checkpoint"),
        (["checkpoint={foreign}"], "carries no configuration"),
        (["checkpoint={last}", "video=nowhere.mp4"], "video=nowhere.mp4: no such file"),
        (["checkpoint={last}", "model.depth=4"], "weights of another model"),
        (["checkpoint={last}", "video=pyproject.toml", "action=golf"], "action=golf: the checkpoint knows diving"),
        (["checkpoint={last}", "data.frame=3"], "data.frame: no such key"),
        (["checkpoint={last}", "probe=other"], "probe=other: there is background"),
        (["checkpoint={last}", "probe=background", "video=a.mp4"], "leave video= out"),
        (["checkpoint={last}", "probe=background", "probe_ratio=-1"], "probe_ratio=-1: a number above 0"),
        (["checkpoint={last}", "probe=background", "probe_backgrounds=1"], "probe_backgrounds=1: at least 2"),
        (["checkpoint={last}", "probe=background", "boxes=none"], "boxes: a probe needs to know"),
        (["checkpoint={last}", "probe=background", "boxes.root=nowhere"], "nowhere/diving/013"),
    ],
)
def test_wrong_input_is_one_line(
    overrides: list[str], words: str, core_run: Path, evaluate: Run, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": {}}, foreign)
    paths = {"last": core_run / "checkpoints" / "last.ckpt", "foreign": foreign}
    done = evaluate(tmp_path / "out", *(word.format(**paths) for word in overrides))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
