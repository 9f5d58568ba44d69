"""Sweeps: what they compose, where they write, and that a sweep's file alone does not run."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from swapaqa.running import resolvers

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.parametrize("overrides", [[], ["+sweeps=ratio"], ["+sweeps=ratio", "data=demo", "data.action=diving"]])
def test_the_folder_of_a_sweep_is_known_before_any_job_runs(overrides: list[str], monkeypatch) -> None:
    """Hydra reads it in the process that has no job yet, where `hydra:` interpolations have no value."""
    monkeypatch.chdir(REPOSITORY)  # hydra.searchpath is relative to it
    monkeypatch.setenv(resolvers.STARTED, "2026-11-23_21-30-00")
    resolvers.register()
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        cfg = compose("train", overrides, return_hydra_config=True)
    folder = OmegaConf.select(cfg, "hydra.sweep.dir")
    assert folder == "outputs/ratio" if overrides else folder == "outputs/multirun/2026-11-23_21-30-00"


def test_the_ratio_sweep_has_the_papers_five_ratios_and_six_actions(monkeypatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        params = compose("train", ["+sweeps=ratio"], return_hydra_config=True).hydra.sweeper.params
    assert [float(ratio) for ratio in params["aug.ratio"].split(",")] == [1, 1.5, 2, 2.5, 3]
    assert len(params["data.action"].split(",")) == 6


def test_a_sweep_file_without_multirun_is_refused_with_the_right_command(train_process, tmp_path: Path) -> None:
    run = train_process(tmp_path, "+sweeps=ratio")
    assert run.returncode == 2
    assert run.stderr.strip().splitlines()[-1].endswith("python -m src.train --multirun +sweeps=ratio")


@pytest.mark.slow
def test_each_job_has_a_folder_and_a_failed_one_does_not_stop_the_next(
    train_process, small_demo, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    run = train_process(
        tmp_path,
        "+sweeps=ratio",
        "data=demo",
        "data.action=diving",
        "aug.ratio=-1,2.5",
        f"hydra.sweep.dir={folder}",
        *small_demo,
        "--multirun",  # last: the fixture's own override stands first, and argparse takes no flag between
    )
    assert run.returncode == 1, run.stderr
    assert "job 0 failed: aug.ratio=-1" in run.stdout
    jobs = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    assert [job.name for job in jobs] == ["0", "1"]
    assert [OmegaConf.load(job / "config.yaml").aug.ratio for job in jobs] == [-1, 2.5]
    assert [(job / "result.json").is_file() for job in jobs] == [False, True]
    assert [(job / "failed.txt").is_file() for job in jobs] == [True, False]
