"""The results that `docs/evidence_runs.tar.xz` holds are those of the sweep, and those that the page prints."""

import tarfile
from pathlib import Path

import pytest
from hydra import initialize_config_module

from swapaqa.files.foreign_file import read_json, read_yaml
from swapaqa.running import resolvers
from swapaqa.running.jobs import State
from swapaqa.running.jobs_file import JOBS_FILE
from swapaqa.running.plan import planned_job
from swapaqa.running.sweep_jobs import jobs_of
from swapaqa.runs.run import Run
from swapaqa.runs.run_folders import read_sweeps

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
COMMAND = ("+sweeps=evidence", "logger=csv")
ROWS = {  # of the page, by the overrides of the run with seed 0
    "aug=none": "**no swap**",
    "aug=swap": "**the swap**",
    "aug=swap aug.ratio=1": "ratio 1",
    "aug=swap aug.ratio=3": "ratio 3",
    "aug=swap boxes=fixed": "centred rectangle instead of boxes",
    "data.action=gym_vault aug=swap data.settings.keyframes=2": "vault, 2 keyframes",
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    with tarfile.open(DOCS / "evidence_runs.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "evidence"


@pytest.fixture(scope="module")
def runs(unpacked: Path) -> dict[str, Run]:
    """Finished runs by their overrides, without those that all have."""
    (sweep,) = read_sweeps([unpacked])
    same = {"seed=0", *COMMAND}
    return {" ".join(word for word in run.overrides if word not in same): run for run in sweep.in_state(State.DONE)}


def test_all_of_its_runs_are_finished_ones_of_one_commit(runs: dict[str, Run]) -> None:
    assert len(runs) == 46
    assert len({run.result["git_commit"] for run in runs.values() if run.result}) == 1


def test_the_sweep_goes_on_from_them(unpacked: Path, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    sweep = read_yaml(REPOSITORY / "sweeps" / "evidence.yaml", "")
    jobs = jobs_of(sweep["hydra"]["sweeper"], COMMAND)
    assert [job["overrides"] for job in read_json(unpacked / JOBS_FILE, "")["jobs"]] == jobs
    resolvers.register()
    with initialize_config_module("swapaqa.conf", version_base="1.3"):
        found = [planned_job(int(run.job), jobs[int(run.job)], unpacked, "train") for run in runs.values()]
    assert {(job.state, job.blocker) for job in found} == {(State.DONE, None)}


@pytest.mark.parametrize("overrides", ROWS)
def test_the_page_prints_what_the_run_reached(overrides: str, runs: dict[str, Run]) -> None:
    run, page = runs[overrides], (DOCS / "evidence.md").read_text()
    numbers = [run.metric("spearman", "last", split) for split in ("test", "shifted")]
    (row,) = (line for line in page.splitlines() if line.count("|") == 8 and f"| {ROWS[overrides]} |" in line)
    assert row.endswith("| {:.3f} | {:.3f} |".format(*numbers))
