"""The results that `docs/evidence_runs.tar.xz` holds are those of the sweeps, and those that the page prints."""

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
SWEEPS = {"evidence": 304, "evidence_3d": 55}  # jobs, all of them done
ROWS = {  # of the stick figures, by the overrides of their runs but for the seed
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
    return folder


def done(folder: Path) -> list[Run]:
    (sweep,) = read_sweeps([folder])
    return sweep.in_state(State.DONE)


def command(sweep: str) -> tuple[str, str]:
    return (f"+sweeps={sweep}", "logger=csv")


def seeds_of(overrides: str, sweep: str, runs: list[Run]) -> list[Run]:
    """The runs of one setting, by their seeds."""
    wanted = {*overrides.split(), *command(sweep)}
    same = [run for run in runs if {word for word in run.overrides if not word.startswith("seed=")} == wanted]
    return sorted(same, key=lambda run: run.seed or 0)


@pytest.mark.parametrize("sweep", SWEEPS)
def test_it_holds_every_seed_that_the_page_counts(sweep: str, unpacked: Path) -> None:
    runs = done(unpacked / sweep)
    assert len(runs) == SWEEPS[sweep]
    assert len({frozenset(run.overrides) for run in runs}) == len(runs)


@pytest.mark.parametrize("sweep", SWEEPS)
def test_the_sweep_goes_on_from_them(sweep: str, unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    folder = unpacked / sweep
    jobs = jobs_of(read_yaml(REPOSITORY / "sweeps" / f"{sweep}.yaml", "")["hydra"]["sweeper"], command(sweep))
    assert [job["overrides"] for job in read_json(folder / JOBS_FILE, "")["jobs"]] == jobs
    resolvers.register()
    with initialize_config_module("swapaqa.conf", version_base="1.3"):
        found = [planned_job(int(run.job), jobs[int(run.job)], folder, "train") for run in done(folder)]
    assert {(job.state, job.blocker) for job in found} == {(State.DONE, None)}


@pytest.fixture(scope="module")
def stick_figures(unpacked: Path) -> list[Run]:
    return done(unpacked / "evidence")


@pytest.mark.parametrize("overrides", ROWS)
def test_the_page_prints_what_the_runs_reached(overrides: str, stick_figures: list[Run]) -> None:
    same = seeds_of(overrides, "evidence", stick_figures)
    values = [[run.metric("spearman", "last", split) or 0.0 for run in same] for split in ("test", "shifted")]
    spread = [f" ± {stdev(found):.3f}" if len(found) > 1 else "" for found in values]
    printed = " | ".join(f"{fmean(found):.3f}{after}" for found, after in zip(values, spread, strict=True))
    (row,) = (line for line in (DOCS / "evidence.md").read_text().splitlines() if f"| {ROWS[overrides]} |" in line)
    assert row.endswith(f"| {len(same)} | {printed} |")


@pytest.mark.parametrize(
    ("overrides", "row"),
    {
        "aug=none": "CoRe, no swap",
        "aug=swap": "CoRe, the swap",
        "model=tsa_net aug=swap": "TSA-Net, the swap",
        "aug=swap data.settings.cue=banner": "the banners alone, the swap",
    }.items(),
)
def test_the_page_prints_what_rendered_dives_reached(overrides: str, row: str, unpacked: Path) -> None:
    same = seeds_of(overrides, "evidence_3d", done(unpacked / "evidence_3d"))
    cells = (", ".join(f"{run.metric('spearman', 'last', split):.3f}" for run in same) for split in ("test", "shifted"))
    assert f"\n| {row} | {' | '.join(cells)} |" in (DOCS / "evidence.md").read_text()
