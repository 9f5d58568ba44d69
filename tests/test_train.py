"""The real entry point: what a run does and leaves behind."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
import yaml

from tests.conftest import REPOSITORY

Run = Callable[..., "CompletedProcess[str]"]
AQA7_SMALL = ["logger=csv", "data.workers=0", "data.frames=16", "trainer.max_epochs=1"]


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run" / "result.json").read_text())


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as lines:
        return list(csv.DictReader(lines))


def without_times(folder: Path) -> list[dict[str, str]]:
    """The logged numbers but for what a clock gave."""
    rows = table(folder / "run" / "metrics.csv")
    return [{name: value for name, value in row.items() if not name.startswith(("time/", "timing/"))} for row in rows]


@pytest.fixture(scope="module")
def demo_run(
    tmp_path_factory: pytest.TempPathFactory, train_environment: Callable[[Path], dict[str, str]], small_demo: list[str]
) -> Path:
    """A run of the demo by an interpreter of its own; the folder whose `run` it wrote."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "src.train", f"hydra.run.dir={folder}/run", *small_demo],
        cwd=REPOSITORY, env=train_environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search("Spearman", done.stdout)
    return folder


def test_result_holds_every_protocol_and_split(demo_run: Path) -> None:
    metrics = result(demo_run)["metrics"]
    assert set(metrics) == {"last", "best_on_test"}
    for found in metrics.values():
        assert set(found["splits"]) == {"test", "shifted"}
        for split in found["splits"].values():
            assert split["per_action"]["diving"]["videos"] == 6
            assert split["average"]["relative_l2_x100"] > 0
            assert -1 <= split["average"]["spearman"] <= 1
            assert 0 <= split["average"]["pairwise_accuracy"] <= 1
    assert metrics["last"]["epoch"] == 2  # counted from 1
    best, last = (metrics[name]["splits"]["test"]["average"]["spearman"] for name in ("best_on_test", "last"))
    assert best >= last


def test_result_holds_predictions_by_id(demo_run: Path) -> None:
    found = result(demo_run)
    assert found["prediction_columns"] == ["true", "last", "best_on_test"]
    assert set(found["predictions"]["test"]) == {f"diving/{index:03d}" for index in range(13, 19)}
    assert set(found["predictions"]["shifted"]) == {f"diving/{index:03d}" for index in range(19, 25)}
    assert all(len(row) == 3 for rows in found["predictions"].values() for row in rows.values())


def test_result_says_what_was_run(demo_run: Path) -> None:
    found = result(demo_run)
    assert found["name"] == "core_demo_swap"
    assert found["seed"] == found["config"]["data"]["seed"] == 0
    assert found["config"]["aug"]["ratio"] == 2.0
    assert re.fullmatch(r"[0-9a-f]{16}", found["data_fingerprint"])
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", found["git_commit"])
    assert {"torch", "pytorch-lightning", "python", "numpy"} <= set(found["versions"])
    assert found["timing"]["wall_s"] > found["timing"]["step_median_s"] > 0
    assert found["replaced_share"]["mean"] == pytest.approx(found["replaced_share"]["diving"])
    assert 0.5 < found["replaced_share"]["mean"] < 1
    assert found["skipped"] == []


def test_run_folder_is_complete(demo_run: Path) -> None:
    run = demo_run / "run"
    for name in ("config.yaml", "scatter.png", "swap.png", "metrics.csv", "predictions_shifted.csv"):
        assert (run / name).stat().st_size > 0, name
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"last.ckpt", "best_on_test.ckpt"}
    assert (run / "scatter.png").read_bytes()[:4] == (run / "swap.png").read_bytes()[:4] == b"\x89PNG"
    assert not list(run.glob("*.unfinished"))


def test_resolved_config_is_the_one_in_the_result(demo_run: Path) -> None:
    text = (demo_run / "run" / "config.yaml").read_text()
    assert "${" not in text
    assert yaml.safe_load(text)["model"] == result(demo_run)["config"]["model"]


def test_predictions_csv_agrees_with_the_result(demo_run: Path) -> None:
    rows = table(demo_run / "run" / "predictions_test.csv")
    stored = result(demo_run)["predictions"]["test"]
    assert list(rows[0])[:5] == ["video_id", "action", "true", "last", "best_on_test"]
    for row in rows:
        assert [float(row[name]) for name in ("true", "last", "best_on_test")] == pytest.approx(
            stored[row["video_id"]], abs=1e-4
        )


def test_last_checkpoint_is_of_the_last_epoch_and_loads_as_weights_only(demo_run: Path) -> None:
    state = torch.load(demo_run / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["epoch"] == 1
    assert state["state_dict"]["groups"].shape == (1, 16, 2)


def test_the_logged_metrics_are_those_of_the_result(demo_run: Path) -> None:
    rows = table(demo_run / "run" / "metrics.csv")
    logged = [float(row["test/spearman"]) for row in rows if row.get("test/spearman")]
    assert len(logged) == 2  # epochs
    assert logged[-1] == pytest.approx(result(demo_run)["metrics"]["last"]["splits"]["test"]["average"]["spearman"])


@pytest.mark.slow
def test_same_seed_repeats_losses_and_predictions_and_another_seed_does_not(
    demo_run: Path, tmp_path: Path, train_inside: Run, small_demo: list[str]
) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    assert train_inside(again, *small_demo).returncode == 0
    assert train_inside(other, *small_demo, "seed=1").returncode == 0
    assert result(again)["predictions"] == result(demo_run)["predictions"]
    assert without_times(again) == without_times(demo_run)
    assert result(other)["predictions"]["test"].keys() == result(demo_run)["predictions"]["test"].keys()
    assert result(other)["predictions"] != result(demo_run)["predictions"]
    assert result(other)["data_fingerprint"] == result(demo_run)["data_fingerprint"]


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", ["none", "fame", "cutmix", "mixup"])
def test_every_augmentation_trains(augmentation: str, tmp_path: Path, train_inside: Run, small_demo: list[str]) -> None:
    done = train_inside(tmp_path, *small_demo, f"aug={augmentation}", "trainer.max_epochs=1")
    assert done.returncode == 0, done.stderr
    found = result(tmp_path)
    assert found["name"] == f"core_demo_{augmentation}"
    assert (found["replaced_share"]["mean"] > 0.01) == (augmentation != "none")
    assert (tmp_path / "run" / "swap.png").is_file()


@pytest.mark.slow
def test_val_adds_a_protocol_and_a_checkpoint(tmp_path: Path, train_inside: Run, small_demo: list[str]) -> None:
    done = train_inside(tmp_path, *small_demo, "data.val_fraction=0.25")
    assert done.returncode == 0, done.stderr
    found = result(tmp_path)
    assert set(found["metrics"]) == {"last", "best_on_test", "best_on_val"}
    assert len(found["predictions"]["val"]) == 3
    assert (tmp_path / "run" / "checkpoints" / "best_on_val.ckpt").is_file()


def test_main_job_trains_on_a_tree_in_the_aqa7_layout(
    tmp_path: Path, train_inside: Run, aqa7_tree: Callable[..., Path]
) -> None:
    root = aqa7_tree()
    before = sorted(root.rglob("*"))
    done = train_inside(
        tmp_path, "model=core", "data=aqa7", f"data.root={root}", "backbone=tiny", *AQA7_SMALL,
        "data.geometry.height=40", "data.geometry.width=64", "data.geometry.crop=32",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = result(tmp_path)
    assert set(found["predictions"]) == {"test"}
    assert set(found["predictions"]["test"]) == {f"diving/{index:03d}" for index in range(7, 11)}
    assert sorted(root.rglob("*")) == before  # nothing is written beside the data


@pytest.mark.slow
def test_main_job_trains_i3d(tmp_path: Path, train_process: Run, aqa7_tree: Callable[..., Path]) -> None:
    done = train_process(
        tmp_path, "model=core", "data=aqa7", "aug.ratio=2.0", *AQA7_SMALL,
        "data.geometry.height=40", "data.geometry.width=64", "data.geometry.crop=32",
        AQA7_ROOT=str(aqa7_tree()),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert "encoder.network.conv3d_1a_7x7.conv3d.weight" in state
    assert not any(value.isnan().any() for value in state.values())


def composed(train_inside: Run, folder: Path, *overrides: str) -> dict[str, Any]:
    done = train_inside(folder, *overrides, "--cfg", "job", "--resolve")
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def test_main_job_composes_the_full_experiment(tmp_path: Path, train_inside: Run) -> None:
    config = composed(train_inside, tmp_path, "model=core", "data=aqa7", "aug.ratio=2.0")
    assert config["model"]["encoder"]["_target_"].startswith("swapaqa.models.i3d.")
    assert config["data"]["boxes"]["_target_"] == "swapaqa.data.boxes.DarkLabelBoxes"
    assert config["data"]["augment"]["_target_"] == "swapaqa.augment.swap.ScaledBackgroundSwap"
    assert config["data"]["augment"]["ratio"] == 2.0
    assert config["data"]["voters"] == config["model"]["voters"] > 0


def test_the_box_source_names_the_ratio_and_the_command_line_wins(tmp_path: Path, train_inside: Run) -> None:
    assert composed(train_inside, tmp_path, "data=aqa7")["aug"]["ratio"] == 2.0
    assert composed(train_inside, tmp_path, "data=aqa7", "boxes=fixed")["aug"]["ratio"] == 1.0
    fixed = composed(train_inside, tmp_path, "data=aqa7", "boxes=fixed", "aug.ratio=1.1")
    assert fixed["data"]["augment"]["ratio"] == 1.1


@pytest.mark.slow
def test_without_a_key_wandb_runs_offline_and_asks_nothing(
    tmp_path: Path, train_process: Run, small_demo: list[str]
) -> None:
    overrides = [word for word in small_demo if word != "logger=csv"]
    done = train_process(tmp_path, *overrides, "trainer.max_epochs=1")
    assert done.returncode == 0, done.stderr
    offline = [path for path in (tmp_path / "run" / "wandb").iterdir() if path.name.startswith("offline-run-")]
    assert len(offline) == 1
    assert any(path.suffix == ".wandb" and os.path.getsize(path) > 0 for path in offline[0].iterdir())
    assert "api key" not in (done.stdout + done.stderr).lower()


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="two processes on the CPU")
def test_two_processes_evaluate_every_video_once_and_as_one_process_does(
    tmp_path: Path, train_process: Run, train_inside: Run, small_demo: list[str]
) -> None:
    """Five videos over two processes: one is seen twice. Rates of zero keep the weights of both runs equal."""
    overrides = [
        *small_demo, "data.settings.test=5", "trainer.max_epochs=1",
        "optim.learning_rate=0.0", "optim.backbone_learning_rate=0.0", "backbone.learning_rate=0.0",
    ]  # fmt: skip
    alone, both = tmp_path / "alone", tmp_path / "both"
    assert train_inside(alone, *overrides).returncode == 0
    done = train_process(both, *overrides, "trainer.devices=2")
    assert done.returncode == 0, done.stderr
    assert result(both)["world_size"] == 2
    one, two = result(alone)["predictions"], result(both)["predictions"]
    assert one["test"].keys() == two["test"].keys()
    for video_id, row in one["test"].items():
        assert two["test"][video_id] == pytest.approx(row, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["core", "dae", "usdl", "gdlt", "hgcn", "cofinal", "tpt", "t2cr", "tsa_net", "c3d_lstm"]
)
def test_all_actions_of_the_demo_train_in_one_model(
    model: str, tmp_path: Path, train_inside: Run, small_demo: list[str]
) -> None:
    """Dives and vaults, whose judges differ in number, in one batch; each is scored in points of its own action."""
    words = ["data=demo", "data.action=all", f"model={model}", "trainer.max_epochs=1", "logger=csv"]
    done = train_inside(tmp_path, *small_demo, *words)
    assert done.returncode == 0, done.stderr
    assert {row["action"] for row in table(tmp_path / "run" / "predictions_test.csv")} == {"diving", "gym_vault"}
    for protocol in result(tmp_path)["metrics"].values():
        for split in protocol["splits"].values():
            assert set(split["per_action"]) == {"diving", "gym_vault"}
