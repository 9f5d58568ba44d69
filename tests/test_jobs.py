"""The folder of a run as its state, and what a second start in it does."""

import json
import multiprocessing
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from swapaqa.errors import InputError
from swapaqa.running.failures import failure, failure_recorded, write_failure
from swapaqa.running.jobs import (
    FolderContent,
    Start,
    State,
    choose_start,
    claim,
    first_difference,
    locked,
    newest_unfinished,
    state,
)
from swapaqa.running.jobs_file import refuse_another_list, write_jobs
from swapaqa.running.sweep_jobs import jobs_of

REPOSITORY = Path(__file__).parents[1]


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose("train", ["name=x", "logger=csv", "logger.save_dir=x", "aug.ratio=2", *overrides])


def unfinished(folder: Path, cfg: DictConfig) -> None:
    """As a run leaves it that was killed after its first step checkpoint."""
    assert claim(folder, cfg, in_sweep=False) is Start.FRESH
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "resume.ckpt").write_bytes(b"weights")


def finished(folder: Path, cfg: DictConfig) -> None:
    unfinished(folder, cfg)
    (folder / "result.json").write_text('{"metrics": {"last": {}}}')


def test_a_folder_goes_through_its_states(tmp_path: Path) -> None:
    assert state(tmp_path / "run") is State.NOT_STARTED
    unfinished(tmp_path / "run", composed())
    assert state(tmp_path / "run") is State.UNFINISHED
    write_failure(tmp_path / "run", "no luck")
    assert state(tmp_path / "run") is State.FAILED
    (tmp_path / "run" / "result.json").write_text('{"metrics": {"last": {}}}')
    assert state(tmp_path / "run") is State.DONE


def test_a_result_without_metrics_is_none(tmp_path: Path) -> None:
    """The first version wrote one where no epoch was evaluated, with a `last.ckpt` beside it."""
    unfinished(tmp_path / "x", composed())
    (tmp_path / "x" / "checkpoints" / "resume.ckpt").rename(tmp_path / "x" / "checkpoints" / "last.ckpt")
    (tmp_path / "x" / "result.json").write_text('{"metrics": {}}')
    assert state(tmp_path / "x") is State.UNFINISHED
    assert newest_unfinished(tmp_path, composed()) == tmp_path / "x"
    with pytest.raises(InputError, match="unfinished run; continue it with resume=true"):
        claim(tmp_path / "x", composed(), in_sweep=False)
    assert claim(tmp_path / "x", composed(), in_sweep=True) is Start.FRESH
    assert not (tmp_path / "x" / "result.json").exists()


@pytest.mark.parametrize("content", ["", "{}", '{"metrics": null}', '{"metrics": {"la', "[]"])
def test_a_damaged_result_is_neither_done_nor_overwritten(tmp_path: Path, content: str) -> None:
    finished(tmp_path, composed())
    (tmp_path / "result.json").write_text(content)
    assert state(tmp_path) is State.DAMAGED
    for words, in_sweep in (("resume=true", False), ("resume=false", True)):
        with pytest.raises(InputError, match=r"result\.json: damaged.*remove it"):
            claim(tmp_path, composed(words), in_sweep=in_sweep)
    assert (tmp_path / "result.json").read_text() == content


def test_an_unfinished_run_is_continued_with_resume_and_otherwise_left_alone(tmp_path: Path) -> None:
    unfinished(tmp_path, composed())
    with pytest.raises(InputError, match="unfinished run; continue it with resume=true"):
        claim(tmp_path, composed(), in_sweep=False)
    assert claim(tmp_path, composed("resume=true"), in_sweep=False) is Start.CONTINUE
    assert (tmp_path / "checkpoints" / "resume.ckpt").read_bytes() == b"weights"


def test_continuing_another_configuration_is_refused_with_the_key(tmp_path: Path) -> None:
    unfinished(tmp_path, composed())
    with pytest.raises(InputError, match=r"aug.ratio \(2, now 3\)"):
        claim(tmp_path, composed("resume=true", "aug.ratio=3"), in_sweep=False)


def test_a_finished_run_is_never_overwritten(tmp_path: Path) -> None:
    finished(tmp_path, composed())
    with pytest.raises(InputError, match="finished run"):
        claim(tmp_path, composed(), in_sweep=False)
    with pytest.raises(InputError, match=r"another configuration: aug.ratio \(2, now 3\)"):
        claim(tmp_path, composed("aug.ratio=3"), in_sweep=True)
    assert claim(tmp_path, composed("resume=true"), in_sweep=False) is Start.DONE


def test_a_sweep_skips_what_is_done_and_continues_or_restarts_what_is_not(tmp_path: Path) -> None:
    finished(tmp_path / "0", composed())
    unfinished(tmp_path / "1", composed())
    unfinished(tmp_path / "2", composed("aug.ratio=3"))
    starts = [claim(tmp_path / job, composed(), in_sweep=True) for job in "0123"]
    assert starts == [Start.DONE, Start.CONTINUE, Start.FRESH, Start.FRESH]
    assert not (tmp_path / "2" / "checkpoints").exists()  # weights of another ratio


def test_what_does_not_decide_the_outcome_does_not_make_another_run(tmp_path: Path) -> None:
    finished(tmp_path, composed())
    cfg = composed("save_every=7", "logger.name=other")
    assert claim(tmp_path, cfg, in_sweep=True) is Start.DONE


def occupy(folder: Path, inside: Event) -> None:
    with locked(folder):
        inside.set()
        time.sleep(300)


def test_a_folder_in_which_a_process_trains_is_left_alone(tmp_path: Path) -> None:
    unfinished(tmp_path, composed())
    (tmp_path / "metrics.csv").write_text("of the process inside")
    context = multiprocessing.get_context("fork")
    inside = context.Event()
    other = context.Process(target=occupy, args=(tmp_path, inside))
    other.start()
    assert inside.wait(timeout=60)
    with pytest.raises(InputError, match="another process is training"):
        claim(tmp_path, composed("resume=true"), in_sweep=False)
    other.kill()
    other.join()
    assert (tmp_path / "metrics.csv").exists()
    assert claim(tmp_path, composed("resume=true"), in_sweep=False) is Start.CONTINUE


def test_only_the_writing_process_changes_the_folder(tmp_path: Path) -> None:
    write_failure(tmp_path, "of the last time")
    assert claim(tmp_path, composed(), in_sweep=True, write=False) is Start.FRESH
    assert failure(tmp_path) == "of the last time"
    claim(tmp_path, composed(), in_sweep=True)
    assert failure(tmp_path) is None


def test_the_csv_table_of_the_first_part_is_kept(tmp_path: Path) -> None:
    unfinished(tmp_path, composed())
    for part in (1, 2):
        (tmp_path / "metrics.csv").write_text(f"part {part}")
        claim(tmp_path, composed("resume=true"), in_sweep=False)
    assert [(tmp_path / f"metrics_before_{part}.csv").read_text() for part in (1, 2)] == ["part 1", "part 2"]


def test_resume_finds_the_newest_unfinished_run_of_the_same_configuration(tmp_path: Path) -> None:
    unfinished(tmp_path / "same", composed())
    unfinished(tmp_path / "other", composed("seed=1"))
    finished(tmp_path / "finished", composed())
    assert newest_unfinished(tmp_path, composed()) == tmp_path / "same"
    assert newest_unfinished(tmp_path, composed("seed=2")) is None


def test_the_first_failure_is_the_one_that_is_kept(tmp_path: Path) -> None:
    for reason in ("the cause", "its consequence"):
        with pytest.raises(RuntimeError), failure_recorded(tmp_path):
            raise RuntimeError(reason)
    assert failure(tmp_path) == "RuntimeError: the cause"
    assert "Traceback" in (tmp_path / "failed.txt").read_text()


def test_the_list_of_jobs_says_what_differs(tmp_path: Path) -> None:
    jobs = jobs_of({"params": {"aug.ratio": "1,1.5", "+data.x": "7"}}, ["seed=0,1", "model=core"])
    write_jobs(tmp_path, "mine", "command", jobs, [{"model": "core"}, None, None, None])
    written = json.loads((tmp_path / "jobs.json").read_text())
    assert [job["job"] for job in written["jobs"]] == ["0", "1", "2", "3"]
    assert written["jobs"][1]["swept"] == {"aug.ratio": "1", "seed": "1"}
    assert written["jobs"][1]["overrides"] == ["aug.ratio=1", "+data.x=7", "seed=1", "model=core"]
    assert [job["facts"] for job in written["jobs"]] == [{"model": "core"}, None, None, None]


def test_another_list_of_jobs_does_not_take_the_numbers_of_finished_ones(tmp_path: Path) -> None:
    write_jobs(tmp_path, "mine", "command", [["aug.ratio=1"], ["aug.ratio=2"]], [None, None])
    refuse_another_list(tmp_path, [["aug.ratio=3"]])  # nothing is done yet
    finished(tmp_path / "1", composed())
    refuse_another_list(tmp_path, [["aug.ratio=7"], ["aug.ratio=2", "resume=true"], ["aug.ratio=3"]])
    for jobs in ([["aug.ratio=1"], ["aug.ratio=3"]], [["aug.ratio=1"]]):
        with pytest.raises(InputError, match=r"job 1 is done and was aug\.ratio=2"):
            refuse_another_list(tmp_path, jobs)


@pytest.mark.parametrize("content", ["", "a: [1,", "only text"])
def test_a_damaged_configuration_is_named(tmp_path: Path, content: str) -> None:
    unfinished(tmp_path, composed())
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(InputError, match=r"config\.yaml: damaged"):
        claim(tmp_path, composed("resume=true"), in_sweep=False)


def test_a_damaged_run_does_not_hide_the_one_to_continue(tmp_path: Path) -> None:
    unfinished(tmp_path / "same", composed())
    unfinished(tmp_path / "damaged", composed())
    (tmp_path / "damaged" / "config.yaml").write_text("")
    assert newest_unfinished(tmp_path, composed()) == tmp_path / "same"


@pytest.mark.parametrize("in_sweep", [False, True])
def test_checkpoints_of_somebody_else_are_left_alone(tmp_path: Path, in_sweep: bool) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "theirs.ckpt").write_bytes(b"weights")
    with pytest.raises(InputError, match=r"holds checkpoints and no config\.yaml"):
        claim(tmp_path, composed(), in_sweep=in_sweep)
    assert (tmp_path / "checkpoints" / "theirs.ckpt").exists()


def test_the_last_epoch_of_an_unfinished_run_is_not_thrown_away(tmp_path: Path) -> None:
    unfinished(tmp_path, composed())
    (tmp_path / "checkpoints" / "resume.ckpt").rename(tmp_path / "checkpoints" / "last.ckpt")
    with pytest.raises(InputError, match="unfinished run"):
        claim(tmp_path, composed(), in_sweep=False)


def test_a_finished_run_cannot_fail(tmp_path: Path) -> None:
    finished(tmp_path, composed())
    write_failure(tmp_path, "too late")
    assert failure(tmp_path) is None


def test_a_sweep_of_one_job_has_nothing_that_differs(tmp_path: Path) -> None:
    write_jobs(tmp_path, "mine", "command", jobs_of({}, ["seed=3"]), [None])
    assert json.loads((tmp_path / "jobs.json").read_text())["jobs"][0]["swept"] == {}


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1}}, None),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b (1, now 2)"),
        ({"a": 1}, {"a": 1, "c": None, "d": 3}, "d (None, now 3)"),
    ],
)
def test_the_first_difference_is_named_by_its_key(one: dict, other: dict, found: str | None) -> None:
    assert first_difference(one, other) == found


def test_a_failure_does_not_outlive_a_success(tmp_path: Path) -> None:
    unfinished(tmp_path, composed())
    write_failure(tmp_path, "another process could not start")
    (tmp_path / "result.json").write_text('{"metrics": {"last": {}}}')
    assert claim(tmp_path, composed("resume=true"), in_sweep=False, write=False) is Start.DONE
    assert failure(tmp_path) is not None  # another process of the run writes nothing
    assert claim(tmp_path, composed("resume=true"), in_sweep=False) is Start.DONE
    assert failure(tmp_path) is None


NOTHING = FolderContent(State.NOT_STARTED, is_run=False, difference=None, has_checkpoints=False, can_continue=False)
BEGUN = FolderContent(State.UNFINISHED, is_run=True, difference=None, has_checkpoints=True, can_continue=True)
FINISHED = BEGUN._replace(state=State.DONE)
OTHER = {"difference": "aug.ratio (1.0, now 1.5)"}
STARTS = {  # what is in the folder, in a sweep, with resume=true: how the run begins, or the words that refuse it
    "nothing": (NOTHING, False, False, Start.FRESH),
    "somebody's checkpoints": (NOTHING._replace(has_checkpoints=True), True, True, "no config.yaml of ours"),
    "begun, single": (BEGUN, False, False, "holds an unfinished run; continue it with resume=true"),
    "begun, single, resume": (BEGUN, False, True, Start.CONTINUE),
    "begun, sweep": (BEGUN, True, False, Start.CONTINUE),
    "only a configuration": (BEGUN._replace(can_continue=False, has_checkpoints=False), False, False, Start.FRESH),
    "begun as another, single, resume": (BEGUN._replace(**OTHER), False, True, "another configuration: aug.ratio"),
    "begun as another, sweep": (BEGUN._replace(**OTHER), True, False, Start.FRESH),
    "failed, sweep": (BEGUN._replace(state=State.FAILED), True, False, Start.CONTINUE),
    "done, single": (FINISHED, False, False, "holds a finished run; choose another hydra.run.dir"),
    "done, single, resume": (FINISHED, False, True, Start.DONE),
    "done, sweep": (FINISHED, True, False, Start.DONE),
    "done as another, sweep": (FINISHED._replace(**OTHER), True, True, "configuration: aug.ratio (1.0, now 1.5)"),
    "damaged": (BEGUN._replace(state=State.DAMAGED), True, True, "/result.json: damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", STARTS)
def test_what_is_in_the_folder_decides_how_a_run_begins(case: str) -> None:
    found, in_sweep, resume, expected = STARTS[case]
    outcome = choose_start(found, in_sweep, resume)
    assert outcome is expected if isinstance(expected, Start) else expected in str(outcome)
