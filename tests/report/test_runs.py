"""Reading run folders: every job of the plan is there, in its state; wrong input is named."""

import json
import math
import re
import shutil

import pytest

from swapaqa.errors import InputError
from swapaqa.running.jobs import State
from swapaqa.runs.run_folders import read_sweep, read_sweeps


@pytest.fixture
def ratio_sweep(sweep_folder, make_job):
    """A job in each of the four states."""

    def overrides(ratio: float) -> list[str]:
        return ["data=aqa7", f"aug.ratio={ratio}"]

    return sweep_folder(
        "ratio",
        [
            make_job(overrides(1.0), {"diving": (0.8, 1.5)}, ratio=1.0),
            make_job(overrides(1.5), ratio=1.5, failure="aqa7/videos: no such folder"),
            make_job(overrides(2.0), ratio=2.0),
            make_job(overrides(2.5), started=False),
        ],
    )


def test_missing_jobs_are_kept_in_their_states(ratio_sweep) -> None:
    sweep = read_sweep(ratio_sweep)
    assert sweep.name == "ratio"
    assert sweep.command == "python -m src.train --multirun +sweeps=ratio"
    assert [run.state for run in sweep.runs] == [State.DONE, State.FAILED, State.UNFINISHED, State.NOT_STARTED]
    assert [run.failure for run in sweep.runs] == [None, "aqa7/videos: no such folder", None, None]
    assert sweep.swept == ("aug.ratio",)
    assert [sweep.values(run) for run in sweep.runs] == [{"aug.ratio": str(r)} for r in (1.0, 1.5, 2.0, 2.5)]
    assert all(run.result is None and run.protocols == () for run in sweep.runs[1:])
    assert sweep.in_state(State.FAILED, State.NOT_STARTED) == (sweep.runs[1], sweep.runs[3])


def test_metrics_and_predictions_of_a_finished_run(ratio_sweep) -> None:
    run = read_sweep(ratio_sweep).runs[0]
    assert run.protocols == ("last", "best_on_test")
    assert run.metric("spearman", "last") == 0.8
    assert run.metric("spearman", "best_on_test", action="diving") == pytest.approx(0.81)
    assert run.metric("relative_l2_x100", "best_on_test") == pytest.approx(1.4)
    assert run.metric("spearman", "best_on_val") is None
    assert run.metric("spearman", "last", split="shifted") is None
    assert run.metric("spearman", "last", action="gym_vault") is None
    assert run.predictions("best_on_test")["diving/002"] == (37.0, 39.0)
    assert run.predictions("best_on_val") == {}
    assert run.configured("data.action") == "diving"
    assert run.configured("data.action.name") is None


def test_an_undefined_number_is_nan_and_not_missing(sweep_folder, make_job) -> None:
    run = read_sweep(sweep_folder("one", [make_job([], {"diving": (None, 1.0)})])).runs[0]
    assert math.isnan(run.metric("spearman", "last", action="diving"))


def test_folders_without_a_plan_are_read_in_the_order_of_their_numbers(sweep_folder, make_job) -> None:
    jobs = [make_job([f"seed={n}"], {"diving": (0.8, 1.5)}, seed=n) for n in range(11)]
    folder = sweep_folder("seeds", jobs, plan=False)
    (folder / "report").mkdir()
    sweep = read_sweep(folder)
    assert sweep.command is None
    assert [run.job for run in sweep.runs] == [str(n) for n in range(11)]
    assert sweep.swept == ("seed",)
    single = read_sweep(folder / "10")
    assert [run.configured("seed") for run in single.runs] == [10]


def test_a_value_that_no_override_says_is_taken_from_the_configuration(sweep_folder, make_job) -> None:
    jobs = [make_job([], {"diving": (0.8, 1)}, ratio=2.0), make_job(["aug.ratio=3"], {"diving": (0.8, 1)}, ratio=3.0)]
    sweep = read_sweep(sweep_folder("ratio", jobs, plan=False))
    assert [sweep.values(run) for run in sweep.runs] == [{"aug.ratio": "2.0"}, {"aug.ratio": "3"}]


def test_a_folder_with_a_run_of_another_plan_is_not_counted_as_the_job(ratio_sweep) -> None:
    shutil.move(ratio_sweep / "0", ratio_sweep / "3")
    last = read_sweep(ratio_sweep).runs[3]
    assert last.state is State.NOT_STARTED
    assert last.result is None
    assert last.failure == "the folder holds a run with aug.ratio=1.0"


def test_the_same_folder_twice_is_one(ratio_sweep) -> None:
    assert len(read_sweeps([ratio_sweep, ratio_sweep / ".." / "ratio"])) == 1


def test_a_run_that_never_evaluated_is_not_done(ratio_sweep) -> None:
    """The first version wrote a result without metrics, which drew empty figures."""
    result = json.loads((ratio_sweep / "0" / "result.json").read_text())
    (ratio_sweep / "0" / "result.json").write_text(json.dumps(result | {"metrics": {}, "predictions": {}}))
    first = read_sweep(ratio_sweep).runs[0]
    assert first.state is State.UNFINISHED
    assert first.result is None


@pytest.mark.parametrize("content", ["{", "[]", '{"metrics": {"last": {}}}', ""])
def test_a_run_with_a_damaged_result_is_shown_as_such(ratio_sweep, content) -> None:
    (ratio_sweep / "0" / "result.json").write_text(content)
    run, *others = read_sweep(ratio_sweep).runs
    assert run.state is State.DAMAGED
    assert re.search(r"ratio/0/result\.json: .*remove it and run again", run.failure)
    assert run.result is None
    assert [other.state for other in others] == [State.FAILED, State.UNFINISHED, State.NOT_STARTED]


@pytest.mark.parametrize("content", ["{", "[1]", json.dumps({"sweep": "x", "command": "y", "jobs": [{"job": "0"}]})])
def test_a_plan_that_cannot_be_read_is_named(ratio_sweep, content) -> None:
    (ratio_sweep / "jobs.json").write_text(content)
    with pytest.raises(InputError, match=r"ratio/jobs\.json"):
        read_sweep(ratio_sweep)


def test_a_run_with_a_damaged_configuration_is_shown_as_such(ratio_sweep) -> None:
    (ratio_sweep / "2" / "config.yaml").write_text("a: [")
    run = read_sweep(ratio_sweep).runs[2]
    assert run.state is State.DAMAGED
    assert "ratio/2/config.yaml: not a readable YAML" in run.failure


def test_folders_without_runs_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_sweep(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no run"):
        read_sweep(tmp_path)
