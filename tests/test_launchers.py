"""Launchers that could not start a job are refused before the sweep begins."""

import os
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from swapaqa.errors import InputError
from swapaqa.running import launchers, resolvers

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


def test_slurm_needs_sbatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchers.shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="sbatch"):
        launchers.prepare_launcher(composed("hydra/launcher=slurm"), gpus=0)


def test_hydras_own_launcher_needs_nothing() -> None:
    launchers.prepare_launcher(composed(), gpus=0)
