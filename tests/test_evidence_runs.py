"""The results that `docs/evidence_runs.tar.xz` holds are those of the sweep, and those that the page prints."""

import tarfile
from pathlib import Path
from statistics import fmean, stdev

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
ROWS = {  # of the page, by the overrides of its runs but for the seed
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
def runs(unpacked: Path) -> list[Run]:
    """The finished ones."""
    (sweep,) = read_sweeps([unpacked])
    return sweep.in_state(State.DONE)


def test_it_holds_every_seed_that_the_page_counts(runs: list[Run]) -> None:
    assert len(runs) == 304
    assert len({frozenset(run.overrides) for run in runs}) == len(runs)


def test_the_sweep_goes_on_from_them(unpacked: Path, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    sweep = read_yaml(REPOSITORY / "sweeps" / "evidence.yaml", "")
    jobs = jobs_of(sweep["hydra"]["sweeper"], COMMAND)
    assert [job["overrides"] for job in read_json(unpacked / JOBS_FILE, "")["jobs"]] == jobs
    resolvers.register()
    with initialize_config_module("swapaqa.conf", version_base="1.3"):
        found = [planned_job(int(run.job), jobs[int(run.job)], unpacked, "train") for run in runs]
    assert {(job.state, job.blocker) for job in found} == {(State.DONE, None)}


@pytest.mark.parametrize("overrides", ROWS)
def test_the_page_prints_what_the_runs_reached(overrides: str, runs: list[Run]) -> None:
    wanted = {*overrides.split(), *COMMAND}
    same = [run for run in runs if {word for word in run.overrides if not word.startswith("seed=")} == wanted]
    values = [[run.metric("spearman", "last", split) or 0.0 for run in same] for split in ("test", "shifted")]
    spread = [f" ± {stdev(found):.3f}" if len(found) > 1 else "" for found in values]
    printed = " | ".join(f"{fmean(found):.3f}{after}" for found, after in zip(values, spread, strict=True))
    (row,) = (line for line in (DOCS / "evidence.md").read_text().splitlines() if f"| {ROWS[overrides]} |" in line)
    assert row.endswith(f"| {len(same)} | {printed} |")
