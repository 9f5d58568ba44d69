"""What a run logs: the names as data, and what wandb really wrote, read back from its files without a network."""

import csv
import json
import logging
import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import wandb
from matplotlib.figure import Figure
from pytorch_lightning.loggers import CSVLogger
from wandb.proto.wandb_internal_pb2 import Record

from swapaqa.recording import logged, tracking
from swapaqa.recording.epoch_log import EpochLog
from swapaqa.recording.evaluation import Evaluation
from swapaqa.recording.recorder import Recorder

RESULT = {
    "metrics": {
        "last": {
            "epoch": 9,
            "splits": {
                "test": {
                    "average": {"spearman": 0.5, "relative_l2_x100": 1.5, "pairwise_accuracy": 0.75},
                    "per_action": {
                        "diving": {"spearman": 0.5, "relative_l2_x100": 1.5, "pairwise_accuracy": 0.75, "videos": 2}
                    },
                    "calibration": {"coverage_90": 0.8, "mean_std": float("nan")},
                }
            },
        },
        "best_on_test": {
            "epoch": 4,
            "splits": {
                "test": {
                    "average": {"spearman": None, "relative_l2_x100": 1.0},
                    "per_action": {"diving": {"videos": 2}},
                }
            },
        },
    },
    "replaced_share": {"mean": 0.25, "diving": 0.25},
    "timing": {"wall_s": 12.0, "step_median_s": float("nan")},
}


# names as data


@pytest.mark.parametrize(
    ("swept", "name"),
    [
        ({}, "core_aqa7_swap"),
        ({"aug.ratio": "1.5", "data.action": "diving"}, "ratio=1.5 action=diving"),
        ({"aug.ratio": "1.5", "boxes.ratio": "2"}, "aug.ratio=1.5 boxes.ratio=2"),
        ({"experiment": "usdl_as_published", "seed": "3"}, "experiment=usdl_as_published seed=3"),
    ],
)
def test_a_job_is_named_by_what_differs(swept: dict[str, str], name: str) -> None:
    assert logged.run_name("core_aqa7_swap", swept) == name


def test_swept_values_become_columns_without_dots_and_numbers_stay_numbers() -> None:
    swept = {"aug.ratio": "1.5", "seed": "3", "optim.learning_rate": "1e-3", "data.action": "diving"}
    columns = logged.swept_columns(swept)
    assert columns == {
        "swept/aug/ratio": 1.5, "swept/seed": 3, "swept/optim/learning_rate": 1e-3, "swept/data/action": "diving",
        "swept/setting": "1.5 1e-3",
    }  # fmt: skip
    assert isinstance(columns["swept/seed"], int)
    assert logged.swept_columns({"seed": "3"}) == {"swept/seed": 3}


def test_the_outcome_has_a_flat_name_for_every_number_and_none_for_what_is_undefined() -> None:
    assert logged.summary_numbers(RESULT) == {
        "last/epoch": 9,
        "last/test/spearman": 0.5,
        "last/test/relative_l2_x100": 1.5,
        "last/test/pairwise_accuracy": 0.75,
        "last/test/spearman/diving": 0.5,
        "last/test/relative_l2_x100/diving": 1.5,
        "last/test/pairwise_accuracy/diving": 0.75,
        "last/test/videos/diving": 2,
        "last/test/calibration/coverage_90": 0.8,
        "best_on_test/epoch": 4,
        "best_on_test/test/relative_l2_x100": 1.0,
        "best_on_test/test/videos/diving": 2,
        "replaced_share/mean": 0.25,
        "replaced_share/diving": 0.25,
        "timing/wall_s": 12.0,
    }


def test_time_shares() -> None:
    assert logged.time_numbers([3.0, 3.0], [1.0, 1.0]) == {
        "time/data_wait_share": 0.25, "time/step_share": 0.75, "time/step_mean_s": 3.0
    }  # fmt: skip
    assert logged.time_numbers([], []) == {}


def write_predictions(folder: Path, split: str = "test") -> Path:
    path = folder / f"predictions_{split}.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(
            [["video_id", "action", "true", "last"], ["007", "diving", "50.5", "48.25"], ["b,1", "diving", "70", "nan"]]
        )
    return path


def test_the_table_of_predictions_keeps_ids_as_text(tmp_path: Path) -> None:
    columns, rows = logged.prediction_table(write_predictions(tmp_path))
    assert columns == ["video_id", "action", "true", "last"]
    assert rows[0] == ["007", "diving", 50.5, 48.25]
    assert rows[1][0] == "b,1"


# once an epoch


class Collected(CSVLogger):
    """Keeps what it is given."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.rows: list[tuple[dict[str, float], int | None]] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.rows.append((dict(metrics), step))


def test_an_evaluation_logs_every_action_and_the_steps_since_the_last_one(tmp_path: Path) -> None:
    actions = ["diving"] * 3 + ["gym_vault"] * 3
    records = {"test": [SimpleNamespace(video_id=str(i), action=action) for i, action in enumerate(actions)]}
    recorder = Recorder(records)
    true = torch.tensor([1.0, 2.0, 3.0, 1.0, 2.0, 3.0]).double()
    predicted = torch.tensor([1.0, 2.0, 3.0, 5.0, 5.0, 5.0]).double()  # the second action: constant, undefined
    recorder.last = Evaluation(0, {"test": (torch.arange(6), predicted, true)})
    recorder.step_seconds, recorder.wait_seconds = [9.0], [9.0]  # of a run that is continued
    logger = Collected(tmp_path)
    trainer: Any = SimpleNamespace(loggers=[logger], sanity_checking=False, current_epoch=2, global_step=7)
    log = EpochLog(recorder)
    log.on_train_start(trainer, None)  # type: ignore[arg-type]
    recorder.step_seconds += [3.0]
    recorder.wait_seconds += [1.0]
    log.on_validation_end(trainer, None)  # type: ignore[arg-type]
    log.on_validation_end(trainer, None)  # type: ignore[arg-type]
    (first, step), (second, _) = logger.rows
    assert step == 7
    assert first["test/spearman/diving"] == pytest.approx(1.0)
    assert "test/spearman/gym_vault" not in first
    assert "test/relative_l2_x100/gym_vault" in first
    assert "test/relative_l2_x100/average" in first
    assert first["time/data_wait_share"] == 0.25
    assert "time/data_wait_share" not in second
    assert first["epoch"] == 2


# without wandb: the same numbers on disk


def test_a_logger_without_a_summary_gets_the_outcome_as_a_row(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    logger.log_metrics({"train/loss": 1.0}, 3)
    tracking.log_result([logger], RESULT, tmp_path, 8)
    with open(tmp_path / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["last/test/spearman/diving"]) == 0.5
    assert rows[-1]["step"] == "8"
    assert rows[0]["train/loss"] == "1.0"


# wandb without a network


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run folder, a person without a key, and nothing of wandb left behind."""
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody answers there
    for kind in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{kind}_DIR", str(tmp_path / kind.lower()))
    wandb.teardown()  # its settings are from the environment of whoever used it first
    folder = tmp_path / "run"
    folder.mkdir()
    yield folder
    tracking.close(0)
    wandb.teardown()


def read_records(log: Path) -> list[Any]:
    """The records of a `.wandb` file: LevelDB's log format with a header of seven bytes, protobuf inside."""
    data, place, parts, found = log.read_bytes(), 7, b"", []
    assert data[:4] == b":W&B"
    while place + 7 <= len(data):
        room = 32768 - place % 32768
        if room < 7:  # the rest of a block too small for a header is padding
            place += room
            continue
        _, size, kind = struct.unpack("<IHB", data[place : place + 7])
        if kind == 0:
            break
        parts += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(parts))
            parts = b""
    return found


def logs(folder: Path) -> list[Path]:
    """The offline runs of a folder. Their service writes until it ends, after `finish` has returned."""
    wandb.teardown()
    return sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))


def tree(items: Any) -> dict[str, Any]:
    """Keys and JSON values; a value that is a tree comes as its leaves."""
    found: dict[str, Any] = {}
    for item in items:
        *path, last = item.nested_key or [item.key]
        node = found
        for part in path:
            node = node.setdefault(part, {})
        node[last] = json.loads(item.value_json)
    return found


def read_back(log: Path) -> SimpleNamespace:
    """What a `.wandb` file says of its run."""
    records = read_records(log)
    told = SimpleNamespace(config={}, history=[], summary={}, exit_code=None)
    told.run = next(record.run for record in records if record.HasField("run"))
    for update in [told.run.config, *(record.config for record in records if record.HasField("config"))]:
        told.config |= tree(update.update)
    for record in records:
        if record.HasField("history"):
            told.history.append(tree(record.history.item))
        if record.HasField("summary"):
            told.summary |= tree(record.summary.update)
        if record.HasField("exit"):
            told.exit_code = record.exit.exit_code
    return told


def picture(path: Path) -> Path:
    Figure(figsize=(1, 1)).savefig(path)
    return path


def test_all_that_a_job_of_a_sweep_logged_is_in_the_file_that_wandb_wrote(offline: Path) -> None:
    write_predictions(offline)
    logger = tracking.wandb_logger(
        "aqa", "core_demo_swap", "ratio", str(offline), {"aug.ratio": "1.5", "data.action": "diving"}
    )
    logger.log_hyperparams({"aug": {"ratio": 1.5}, "seed": 0})
    logger.log_metrics({"train/loss_step": 2.0}, step=4)
    tracking.log_images([logger], "swap", picture(offline / "swap.png"))
    tracking.log_result([logger], RESULT, offline, 8)
    tracking.close(1)
    (log,) = logs(offline)
    told = read_back(log)
    assert (told.run.project, told.run.run_group, told.run.display_name) == ("aqa", "ratio", "ratio=1.5 action=diving")
    assert told.config["swept/aug/ratio"] == 1.5
    assert told.config["swept/data/action"] == "diving"
    assert told.config["aug"] == {"ratio": 1.5}
    assert any(row.get("train/loss_step") == 2.0 and row.get("trainer/global_step") == 4 for row in told.history)
    assert told.summary["last/test/spearman/diving"] == 0.5
    assert "best_on_test/test/spearman" not in told.summary
    assert told.exit_code == 1  # a failed job is marked failed
    table = next(row["predictions/test"] for row in told.history if "predictions/test" in row)
    stored = json.loads((log.parent / "files" / table["path"]).read_text())
    assert stored["columns"] == ["video_id", "action", "true", "last"]
    assert stored["data"][0] == ["007", "diving", 50.5, 48.25]
    shown = next(row["swap"] for row in told.history if "swap" in row)
    assert (log.parent / "files" / shown["filenames"][0]).is_file()


def test_a_run_that_is_continued_in_its_folder_keeps_its_id(offline: Path) -> None:
    tracking.wandb_logger("aqa", "first", None, str(offline)).log_metrics({"a": 1.0}, 1)
    tracking.close(1)
    time.sleep(1.1)  # wandb's folders are named by the second
    tracking.wandb_logger("aqa", "first", None, str(offline)).log_metrics({"a": 2.0}, 2)
    tracking.close(0)
    first, second = map(read_back, logs(offline))
    assert first.run.run_id == second.run.run_id == (offline / "wandb_id.txt").read_text().strip()
    assert (first.exit_code, second.exit_code) == (1, 0)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Ours: what wandb says to its own log stays there."""
    ours = [record for record in caplog.records if record.name == tracking.log.name]
    return [record.getMessage() for record in ours if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("use", ["metrics", "image", "table", "summary", "hyperparams"])
def test_a_wandb_that_fails_in_the_middle_is_one_warning(
    offline: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, use: str
) -> None:
    logger = tracking.wandb_logger("aqa", "n", None, str(offline))
    assert isinstance(logger, tracking.TolerantWandbLogger)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wandb.Run, "log", full)
    monkeypatch.setattr(type(logger.experiment.summary), "update", full)
    monkeypatch.setattr(type(logger.experiment.config), "update", full)
    calls: dict[str, Callable[[], None]] = {
        "metrics": lambda: logger.log_metrics({"a": 1.0}, 1),
        "image": lambda: tracking.log_images([logger], "swap", picture(offline / "swap.png")),
        "table": lambda: logger.add_table("t", ["a"], [[1]]),
        "summary": lambda: logger.summarise({"a": 1.0}),
        "hyperparams": lambda: logger.log_hyperparams({"a": 1.0}),
    }
    calls[use]()
    for call in calls.values():
        call()
    assert len(warnings(caplog)) == 1
    assert "No space left" in warnings(caplog)[0]


def own_wandb_service() -> int:
    """The process that wandb started for this one."""
    children = [int(pid) for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]
    return next(pid for pid in children if "wandb-core" in Path(f"/proc/{pid}/cmdline").read_text())


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds wandb's process through /proc")
def test_a_service_that_dies_costs_one_warning_and_the_next_job_has_a_service_again(
    offline: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = tracking.wandb_logger("aqa", "n", None, str(offline))
    os.kill(own_wandb_service(), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while not warnings(caplog) and time.monotonic() < deadline:
        logger.log_metrics({"a": 1.0}, 1)
    logger.log_metrics({"a": 1.0}, 1)
    assert len(warnings(caplog)) == 1
    tracking.log_result([logger], RESULT, offline, 8)
    tracking.close(0)
    assert len(warnings(caplog)) == 1
    following = tmp_path / "next"
    following.mkdir()
    tracking.wandb_logger("aqa", "next", None, str(following)).log_metrics({"a": 3.0}, 1)
    tracking.close(0)
    (log,) = logs(following)
    assert read_back(log).exit_code == 0
    assert any(row.get("a") == 3.0 for row in read_back(log).history)


def test_a_wandb_that_cannot_start_leaves_a_table(
    offline: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no service")

    monkeypatch.setattr(wandb, "init", broken)
    logger = tracking.wandb_logger("aqa", "n", "ratio", str(offline), {"aug.ratio": "1.5"})
    assert isinstance(logger, CSVLogger)
    assert "metrics.csv" in warnings(caplog)[-1]


def test_a_key_without_a_network_is_an_offline_run(
    offline: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    logger = tracking.wandb_logger("aqa", "n", None, str(offline))
    assert isinstance(logger, tracking.TolerantWandbLogger)
    assert len(logs(offline)) == 1
    assert "does not answer" in warnings(caplog)[0]


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(tracking, "ANSWER_TIMEOUT", 0.2)
        assert "does not answer" in str(tracking.why_unreachable())


def test_the_figures_of_a_report_are_a_run_of_the_sweeps_group(offline: Path) -> None:
    tracking.log_report("aqa", "ratio", [picture(offline / "ratio_curves.png")], offline)
    (log,) = logs(offline)
    told = read_back(log)
    assert (told.run.run_group, told.run.display_name) == ("ratio", "report of ratio")
    assert any("report/ratio_curves" in row for row in told.history)


# the entry point


@pytest.mark.slow
def test_a_training_logs_what_the_documentation_names(
    tmp_path: Path, train_process: Callable[..., Any], small_demo: list[str]
) -> None:
    overrides = [word for word in small_demo if word != "logger=csv"]
    done = train_process(tmp_path, *overrides, "trainer.max_epochs=1", "trainer.log_every_n_steps=1")
    assert done.returncode == 0, done.stderr
    (log,) = logs(tmp_path / "run")
    told = read_back(log)
    names = {name for row in told.history for name in row}
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    action = next(iter(result["metrics"]["last"]["splits"]["test"]["per_action"]))
    assert names >= {
        "train/loss_step", "train/loss_epoch", "train/replaced_share", "test/spearman", "test/relative_l2_x100",
        "test/spearman/average", f"test/spearman/{action}", f"test/relative_l2_x100/{action}", "lr-Adam/head",
        "lr-Adam/backbone", "time/data_wait_share", "swap", "scatter", "predictions/test", "predictions/shifted",
    }  # fmt: skip
    expected = logged.summary_numbers(result)
    assert {name: told.summary.get(name) for name in expected} == pytest.approx(expected)
    assert told.config["aug"]["ratio"] == result["config"]["aug"]["ratio"]
    assert told.exit_code == 0
