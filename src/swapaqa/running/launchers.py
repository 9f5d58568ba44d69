"""Launchers, which run a sweep's jobs side by side (`conf/hydra/launcher/`): what must be there before they start."""

import os
import shutil
from importlib.util import find_spec

from omegaconf import DictConfig

from swapaqa.errors import InputError

RAY, SLURM = "ray", "slurm"  # names of the yaml files and of the extras
ONE_AFTER_ANOTHER = "BasicLauncher"  # Hydra's; others start a process for every job themselves
PLUGINS = {"hydra_ray_launcher": RAY, "hydra_submitit_launcher": SLURM}


def prepare_launcher(launcher: DictConfig, gpus: int) -> None:
    """Refuse a launcher whose jobs could not start; keep Ray from reporting its use to its makers.

    Args:
        launcher: `hydra.launcher`, as composed for the sweep.
        gpus: how many this machine has.

    Raises:
        InputError: not installed, no SLURM on this machine, or a job that wants more GPUs than there are.
    """
    package, _, module = launcher._target_.partition(".")
    plugin = module.partition(".")[0]
    if package != "hydra_plugins" or plugin not in PLUGINS:
        return
    if find_spec(package) is None or find_spec(f"{package}.{plugin}") is None:
        extra = PLUGINS[plugin]
        raise InputError(f"hydra/launcher={extra}: not installed; pip install 'swapaqa[{extra}]'")
    if "ray" in launcher:
        _check_gpus(launcher.ray, gpus)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    elif launcher._target_.endswith(".SlurmLauncher"):
        _check_slurm(launcher)


def starts_processes(launcher: DictConfig) -> bool:
    """Whether the launcher itself starts a process for every job, here or elsewhere."""
    return not launcher._target_.endswith(ONE_AFTER_ANOTHER)


def jobs_at_once(launcher: DictConfig, gpus: int) -> int:
    """How many jobs of a sweep run at once, at most. `gpus`: how many this machine has."""
    if "array_parallelism" in launcher:
        return int(launcher.array_parallelism)
    if "ray" in launcher:
        each, there = launcher.ray.remote.get("num_gpus") or 0, launcher.ray.init.get("num_gpus")
        if each:
            return max(1, int((gpus if there is None else there) / each))
        return max(1, (os.cpu_count() or 1) // max(1, launcher.ray.remote.get("num_cpus") or 1))
    return 1


def _check_gpus(ray: DictConfig, gpus: int) -> None:
    """A job for which there are never enough GPUs would wait for ever."""
    wanted = ray.remote.get("num_gpus") or 0
    there = ray.init.get("num_gpus")
    there = gpus if there is None else there
    if not isinstance(wanted, int | float):
        raise InputError(f"hydra/launcher=ray needs the number of devices: trainer.devices=1, not {wanted}")
    if wanted > there:
        raise InputError(
            f"hydra/launcher=ray: a job asks for {wanted} GPUs and there are {there}; without GPUs say "
            "hydra.launcher.ray.remote.num_gpus=0 hydra.launcher.ray.remote.num_cpus=1"
        )


def _check_slurm(launcher: DictConfig) -> None:
    if shutil.which("sbatch") is None:
        raise InputError("hydra/launcher=slurm: no sbatch on this machine; start the sweep where jobs are submitted")
    for key in ("nodes", "tasks_per_node"):
        if not isinstance(launcher[key], int):
            raise InputError(
                f"hydra.launcher.{key}={launcher[key]}: hydra/launcher=slurm needs a number; say trainer.devices=1 "
                "or as many as a job shall have"
            )
