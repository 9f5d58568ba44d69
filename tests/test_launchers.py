"""Launchers that could not start a job are refused before the sweep begins."""

import os
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from swapaqa.errors import InputError
from swapaqa.running import launchers, plan, resolvers

resolvers.register()
CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both launchers and SLURM's commands are there, whatever this machine has."""
    monkeypatch.setattr(launchers, "find_spec", lambda name: name)
    monkeypatch.setattr(launchers.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=list(overrides), return_hydra_config=True).hydra.launcher


def test_ray_gives_a_job_as_many_gpus_as_it_has_devices() -> None:
    assert composed("hydra/launcher=ray").ray.remote.num_gpus == 1
    assert composed("hydra/launcher=ray", "trainer.devices=2").ray.remote.num_gpus == 2


def test_slurm_starts_a_task_per_device_and_node() -> None:
    launcher = composed("hydra/launcher=slurm", "trainer.devices=4", "trainer.num_nodes=2")
    assert (launcher.nodes, launcher.tasks_per_node, launcher.gpus_per_node) == (2, 4, 4)
    assert launcher.submitit_folder.endswith("/.submitit/%j")


@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_a_missing_launcher_is_one_line_with_the_way_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchers, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=rf"pip install 'swapaqa\[{name}\]'"):
        launchers.prepare_launcher(composed(f"hydra/launcher={name}"), gpus=8)


@pytest.mark.parametrize(
    ("overrides", "gpus"),
    [([], 0), (["trainer.devices=4"], 2), (["hydra.launcher.ray.init.num_gpus=1", "trainer.devices=2"], 8)],
)
def test_ray_refuses_jobs_that_would_wait_for_ever(overrides: list[str], gpus: int) -> None:
    with pytest.raises(InputError, match="num_gpus=0"):
        launchers.prepare_launcher(composed("hydra/launcher=ray", *overrides), gpus)


@pytest.mark.parametrize(
    ("override", "gpus"),
    [
        ("trainer.devices=2", 2),
        ("hydra.launcher.ray.remote.num_gpus=0", 0),
        ("hydra.launcher.ray.remote.num_gpus=0.5", 1),
        ("hydra.launcher.ray.init.num_gpus=8", 0),
    ],
)
def test_ray_starts_where_there_are_enough(override: str, gpus: int) -> None:
    launchers.prepare_launcher(composed("hydra/launcher=ray", override), gpus)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_devices_must_be_a_number(name: str) -> None:
    with pytest.raises(InputError, match=r"trainer\.devices"):
        launchers.prepare_launcher(composed(f"hydra/launcher={name}", "trainer.devices=auto"), gpus=8)


@pytest.mark.parametrize(
    ("overrides", "gpus", "jobs"),
    [
        ([], 8, 1),
        (["hydra/launcher=slurm", "hydra.launcher.array_parallelism=3"], 0, 3),
        (["hydra/launcher=ray"], 4, 4),
        (["hydra/launcher=ray", "trainer.devices=2"], 5, 2),
        (["hydra/launcher=ray", "hydra.launcher.ray.remote.num_gpus=0.5", "hydra.launcher.ray.init.num_gpus=3"], 8, 6),
    ],
)
def test_how_many_jobs_run_at_once(overrides: list[str], gpus: int, jobs: int) -> None:
    launcher = composed(*overrides)
    assert launchers.jobs_at_once(launcher, gpus) == jobs
    assert launchers.starts_processes(launcher) == bool(overrides)


def test_what_a_sweep_takes_is_said_of_one_device_and_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 20 jobs of 3 hours and one of 5: 65 hours, 16 at once at best 5; 5 hours and a margin are 390 minutes."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=["hydra/launcher=slurm"], return_hydra_config=True)
    OmegaConf.update(config, "hydra.sweep.dir", "outputs/here")
    known = [plan.Kind(20, 3.0, 2**30, 2**31), plan.Kind(1, 5.0, 2**30, 2**31)]
    plan.show_total(known, config, ", and 2 jobs without an estimate", Console(soft_wrap=True))
    said = capsys.readouterr().out
    assert "left: 65 h on one device like that of the estimate, 5 h by 16 jobs at once; 21 GiB of checkpoints" in said
    assert "and 2 GiB of data.cache, and " in said
    assert (
        "the longest job takes 5 h; hydra.launcher.timeout_min=240 is short: say hydra.launcher.timeout_min=390" in said
    )


@pytest.mark.parametrize(
    ("hours", "said"), [(0.01, "36 s"), (0.1, "6 min"), (1.4, "84 min"), (1.6, "1.6 h"), (210.4, "210 h")]
)
def test_a_duration_has_the_unit_that_people_use(hours: float, said: str) -> None:
    assert plan.duration(hours) == said


def test_slurm_needs_sbatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchers.shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="sbatch"):
        launchers.prepare_launcher(composed("hydra/launcher=slurm"), gpus=0)


def test_hydras_own_launcher_needs_nothing() -> None:
    launchers.prepare_launcher(composed(), gpus=0)
