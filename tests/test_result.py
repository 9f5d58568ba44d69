"""What a run writes: metrics by protocol and action, predictions by id, in one piece."""

import csv
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
import torch
from torch import Tensor

from swapaqa.metrics import fisher_mean, relative_l2_x100, spearman
from swapaqa.recording.checkout import git_commit
from swapaqa.recording.evaluation import Evaluation, split_metrics
from swapaqa.recording.recorder import Recorder
from swapaqa.recording.result_file import RESULT_FILE, epoch_in, write_result

Table = tuple[Tensor, Tensor, Tensor]


@dataclass
class Row:
    video_id: str
    action: str


ROWS = [Row(f"{action}/{i:03d}", action) for action in ("diving", "gym_vault") for i in range(5)]
TRUE = torch.tensor([50.0, 60, 70, 80, 90, 12.5, 13, 14, 15, 16], dtype=torch.float64)


def table(seed: int, rows: Sequence[int] = range(10)) -> Table:
    """Noisy predictions of the chosen rows."""
    noise = torch.randn(10, generator=torch.Generator().manual_seed(seed)).double()
    index = torch.tensor(list(rows))
    return index, (TRUE + 4 * noise)[index], TRUE[index]


def recorder(val: bool = False) -> Recorder:
    """A recorder after three epochs, of which the second was the best on test and the first on val."""
    splits = ["test"] + (["val"] if val else [])
    found = Recorder(dict.fromkeys(splits, ROWS), step_seconds=[0.1, 0.3, 0.2])
    evaluations = [Evaluation(epoch, {split: table(epoch) for split in splits}) for epoch in range(3)]
    found.last = evaluations[2]
    found.best = {"test": evaluations[1]} | ({"val": evaluations[0]} if val else {})
    return found


def test_metrics_are_those_of_the_actions() -> None:
    index, predicted, true = table(0)
    found = split_metrics((index, predicted, true), ROWS)
    for action, part in (("diving", slice(0, 5)), ("gym_vault", slice(5, 10))):
        metrics = found["per_action"][action]
        assert metrics["videos"] == 5
        assert metrics["spearman"] == pytest.approx(float(spearman(predicted[part], true[part])))
        assert metrics["relative_l2_x100"] == pytest.approx(float(relative_l2_x100(predicted[part], true[part])))


def test_correlations_are_averaged_by_fishers_z_and_the_rest_plainly() -> None:
    found = split_metrics(table(0), ROWS)
    by_action = found["per_action"].values()
    rhos = torch.tensor([metrics["spearman"] for metrics in by_action])
    assert found["average"]["spearman"] == pytest.approx(float(fisher_mean(rhos)))
    assert found["average"]["spearman"] != pytest.approx(float(rhos.mean()), abs=1e-6)
    mean = sum(metrics["relative_l2_x100"] for metrics in by_action) / 2
    assert found["average"]["relative_l2_x100"] == pytest.approx(mean)


def test_actions_follow_the_index_and_not_the_order_of_the_rows() -> None:
    order = [9, 0, 5, 3, 1, 7, 2, 8, 4, 6]
    shuffled, sorted_ = split_metrics(table(0, order), ROWS), split_metrics(table(0), ROWS)
    for action in ("diving", "gym_vault"):
        assert shuffled["per_action"][action] == pytest.approx(sorted_["per_action"][action])
    assert shuffled["average"] == pytest.approx(sorted_["average"])


@pytest.mark.parametrize("val", [False, True])
def test_protocols_are_columns(val: bool, tmp_path: Path) -> None:
    found = write_result(tmp_path, recorder(val), {"name": "a run", "seed": 3})
    protocols = ["last", "best_on_test", *(["best_on_val"] if val else [])]
    assert list(found["metrics"]) == protocols
    assert [found["metrics"][name]["epoch"] for name in protocols] == [3, 2, 1][: len(protocols)]  # from 1
    assert found["prediction_columns"] == ["true", *protocols]
    expected = [float(TRUE[7]), *(float(table(epoch)[1][7]) for epoch in (2, 1, 0))][: 1 + len(protocols)]
    assert found["predictions"]["test"]["gym_vault/002"] == pytest.approx(expected)


def test_predictions_csv(tmp_path: Path) -> None:
    write_result(tmp_path, recorder(val=True), {})
    for split in ("test", "val"):
        with open(tmp_path / f"predictions_{split}.csv", newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert list(rows[0]) == ["video_id", "action", "true", "last", "best_on_test", "best_on_val"]
        assert [row["video_id"] for row in rows] == [row.video_id for row in ROWS]
        assert [row["action"] for row in rows] == [row.action for row in ROWS]
        assert [float(row["last"]) for row in rows] == pytest.approx(table(2)[1].tolist(), abs=1e-6)


def test_result_file_is_what_was_returned(tmp_path: Path) -> None:
    found = write_result(tmp_path, recorder(), {"name": "a run", "seed": 3, "skipped": []})
    assert json.loads((tmp_path / RESULT_FILE).read_text()) == found
    assert found["seed"] == 3
    assert found["timing"]["wall_s"] >= 0
    assert found["timing"]["step_median_s"] == pytest.approx(0.2)
    assert set(found["versions"]) >= {"python", "torch", "av", "decord"}


def test_a_result_says_when_its_run_first_began(tmp_path: Path) -> None:
    """Of a run that was continued, the first part; a checkpoint from before that was kept says how long it had run."""
    first, continued, older = recorder(), recorder(), recorder()
    first.began -= 3600
    state = first.state_dict()
    continued.load_state_dict(state)
    said = datetime.fromisoformat(write_result(tmp_path, continued, {})["began"])
    assert said.timestamp() == pytest.approx(first.began, abs=1)
    state.pop("began")
    older.load_state_dict(state | {"elapsed": 60.0})
    assert older.began == pytest.approx(time.time() - 60, abs=30)


def test_undefined_numbers_are_valid_json(tmp_path: Path) -> None:
    """Without training steps their median is not a number, and of constant predictions no rank correlation exists."""
    constant = recorder()
    index, _, true = table(0)
    constant.last = Evaluation(0, {"test": (index, torch.full_like(true, 5.0), true)})
    with pytest.warns(UserWarning, match="constant"):
        write_result(tmp_path, constant, {})

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    found = json.loads((tmp_path / RESULT_FILE).read_text(), parse_constant=refuse)
    assert found["metrics"]["last"]["splits"]["test"]["average"]["spearman"] is None


def test_an_undefined_correlation_is_said_once_a_run(caplog: pytest.LogCaptureFixture) -> None:
    """With what can be done about it: the demo's warning of an untrained I3D with frozen statistics."""
    found = recorder()
    index, _, true = table(0)
    same = torch.where(torch.arange(10) < 5, 93.519283, 93.519284).double()  # of diving, of gym_vault
    found.say_undefined()
    assert not caplog.records
    found.last = Evaluation(0, {"test": (index, same.flip(0), true)})
    for _ in range(3):
        found.say_undefined()
    [said] = caplog.messages
    assert "test diving: the 5 predictions are constant; test gym_vault: the 5 predictions are constant" in said
    assert "random weights under frozen BatchNorm cannot learn" in said


def test_epochs_count_from_1_in_files_of_every_format() -> None:
    assert [epoch_in({"format": 2}, 3), epoch_in({}, 2)] == [3, 3]


def test_a_result_that_could_not_be_written_whole_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_result(tmp_path, recorder(), {"name": object()})
    assert not (tmp_path / RESULT_FILE).exists()


def test_an_older_result_survives_a_failed_one(tmp_path: Path) -> None:
    write_result(tmp_path, recorder(), {"name": "first"})
    with pytest.raises(TypeError):
        write_result(tmp_path, recorder(), {"name": object()})
    assert json.loads((tmp_path / RESULT_FILE).read_text())["name"] == "first"


def test_no_evaluation_is_no_protocol(tmp_path: Path) -> None:
    found = write_result(tmp_path, Recorder({"test": ROWS}), {})
    assert found["metrics"] == found["predictions"] == {}
    assert json.loads((tmp_path / RESULT_FILE).read_text())["timing"].get("step_median_s") is None


def test_the_commit_is_one() -> None:
    commit = git_commit()
    assert commit is None or len(commit.removesuffix("+changes")) == 40


def test_the_share_of_waiting_is_what_passed_before_the_steps() -> None:
    recorder = Recorder({}, step_seconds=[3.0, 3.0], wait_seconds=[1.0, 1.0])
    assert recorder.timing()["data_wait_share"] == 0.25


def test_an_evaluation_between_epochs_is_not_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 101.0, 104.0])  # the epoch starts late; its batch starts; its batch ends
    monkeypatch.setattr("swapaqa.recording.recorder.time.monotonic", lambda: next(clock))
    recorder = Recorder({})
    recorder.on_train_epoch_start(None, None)
    recorder.on_train_batch_start(None, None, None, 0)
    recorder.on_train_batch_end(None, None, None, None, 0)
    assert recorder.wait_seconds == [1.0]
    assert recorder.step_seconds == [3.0]
