"""Sweeps: what they compose, where they write, and that a sweep's file alone does not run."""

from dataclasses import asdict
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import OmegaConf

from swapaqa.running import resolvers
from swapaqa.running.facts import facts_of
from swapaqa.running.jobs import resolved
from swapaqa.running.plan import planned_jobs
from swapaqa.running.planned_facts import compose_job, planned_facts

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


def test_the_facts_of_a_planned_job_are_those_that_its_run_will_have(monkeypatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    jobs = [
        ["+sweeps=plug_and_play", "data=demo", "experiment=none", "model=usdl", "aug=none", "seed=3"],
        ["data=aqa7", "boxes=fixed", "boxes.frame=source", "aug.ratio=1.5", "data.action=gym_vault"],
        ["data=mtl_aqa", "data.split=by_event", "data.fold=2", "experiment=sbs_mtl_aqa"],
        ["model=none_such"],
    ]
    resolvers.register()
    jobs += [[*jobs[0][:-1], f"seed={seed}"] for seed in (4, 11)]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        before = HydraConfig.instance().cfg
        found = planned_facts("train", jobs)
        composed = compose_job("train", jobs[1])
        assert HydraConfig.instance().cfg is before
        HydraConfig.instance().set_config(composed)
        choices = {str(key): str(value) for key, value in composed.hydra.runtime.choices.items()}
        own = facts_of(resolved(composed), choices)
    keys = ("data", "model", "aug", "boxes", "ratio", "own_ratio", "action", "seed")
    assert [one and tuple(one[key] for key in keys) for one in found] == [
        ("demo", "usdl", "none", "none", None, 2.0, "diving", 3),
        ("aqa7", "core", "swap", "fixed (source)", 1.5, 1.0, "gym_vault", 0),
        ("mtl_aqa, by_event, fold 2", "core", "swap", "fixed (input)", 1.0, 1.0, None, 0),
        None,  # its process will say what is wrong with it
        ("demo", "usdl", "none", "none", None, 2.0, "diving", 4),
        ("demo", "usdl", "none", "none", None, 2.0, "diving", 11),
    ]
    assert found[1] == asdict(own)


def test_many_jobs_are_composed_in_processes_and_listed_in_order(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(REPOSITORY)
    jobs = [["data=demo", f"model={model}", f"seed={seed}"] for model in ("usdl", "core") for seed in (1, 2)]
    resolvers.register()
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        facts, planned = planned_facts("train", jobs), planned_jobs(jobs, tmp_path, "train")
        monkeypatch.setattr("swapaqa.running.planned_facts.MANY", 2)
        assert planned_facts("train", jobs) == facts
        assert planned_jobs(jobs, tmp_path, "train") == planned
        for job in planned:
            cfg = compose_job("train", job.overrides)
            HydraConfig.instance().set_config(cfg)
            own = OmegaConf.masked_copy(cfg, [key for key in cfg if key not in ("hydra", "logger")])
            assert job.tree == OmegaConf.to_container(own, resolve=True)
        with pytest.raises(HydraException, match="none_such"):
            planned_jobs([*jobs, ["model=none_such"]], tmp_path, "train")
    assert [job.number for job in planned] == [0, 1, 2, 3]
    assert [one and (one["model"], one["seed"]) for one in facts] == [
        ("usdl", 1),
        ("usdl", 2),
        ("core", 1),
        ("core", 2),
    ]


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
