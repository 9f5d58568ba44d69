"""A composed configuration on its way to a training: checked, its folder claimed, in this process or in others."""

import logging
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from swapaqa.command import spelled
from swapaqa.configuration.checking import check
from swapaqa.errors import InputError
from swapaqa.running import processes
from swapaqa.running.failures import failure, failure_recorded
from swapaqa.running.interruption import STOPPED
from swapaqa.running.jobs import FAILURE_FILE, Start, State, claim, config_content, state
from swapaqa.running.launchers import starts_processes
from swapaqa.running.rank import process_rank

log = logging.getLogger(__name__)


def start(cfg: DictConfig) -> None:
    """Train what Hydra composed, as a job of its sweep or alone.

    Raises:
        InputError: the configuration is wrong.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        job(cfg, folder)
    else:
        refuse_unswept(cfg)
        check(cfg)
        run(cfg, folder, in_sweep=False)


def start_pretraining(cfg: DictConfig) -> None:
    """Pretrain on what Hydra composed.

    Raises:
        InputError: the configuration is wrong, or one of a sweep's.
    """
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        raise InputError(
            "pretrain has no sweeps, as their list, plan and report are of scores, and it gives none: say "
            f"{spelled('pretrain')} once for each, without --multirun"
        )
    check(cfg)
    run(cfg, Path(HydraConfig.get().runtime.output_dir), in_sweep=False)


def job(cfg: DictConfig, folder: Path) -> None:
    """Run a job of a sweep. If it fails the sweep goes on, and says so again when all jobs have ended."""
    try:
        (folder / FAILURE_FILE).unlink(missing_ok=True)
        with failure_recorded(folder):
            check(cfg)
    except InputError:
        if state(folder) is State.DONE:
            raise  # its folder cannot say so: Hydra does, when all jobs have ended
        status = 2
    else:
        status = run(cfg, folder, in_sweep=True)
    if status:
        log.error("%s failed: %s", folder, failure(folder) or processes.explain(status))


def run(cfg: DictConfig, folder: Path, in_sweep: bool) -> int:
    """Train in this process or in others, as the configuration and whoever started this process want it.

    Returns:
        0, or in a sweep the exit status of a job that failed and said why in its folder.
    """
    ranked = process_rank()
    if ranked is not None and ranked.rank > 0:
        logging.getLogger().setLevel(logging.WARNING)  # one process tells for all
    start = claim(folder, cfg, in_sweep, write=ranked is None or ranked.rank == 0)
    if start is Start.DONE:
        log.info("%s is done: nothing to do", folder)
        return 0
    count = processes.process_count(cfg.trainer)
    if ranked is None and (in_sweep or count > 1):
        preloaded = in_sweep and not starts_processes(HydraConfig.get().launcher)
        status = processes.run_job(folder, config_content(cfg), count, preloaded)
        if status == STOPPED or (status and not in_sweep):
            sys.exit(status)
        return status
    return train_here(cfg, folder, in_sweep)


def train_here(cfg: DictConfig, folder: Path, in_sweep: bool) -> int:
    """Train in this process; the exit status in a sweep, where a failure is not raised."""
    from swapaqa.console import quieten  # here, as a wrong configuration is refused sooner without what trains
    from swapaqa.running.here import run_here

    quieten()
    try:
        run_here(cfg, folder)
    except Exception:
        if not in_sweep:
            raise
        return 1  # failed.txt has the traceback
    return 0


def refuse_unswept(cfg: DictConfig) -> None:
    """A sweep's file without --multirun would quietly be one job with none of its values."""
    if "sweep" in cfg:
        command = spelled(f"train --multirun +sweeps={cfg.sweep}")
        raise InputError(f"+sweeps={cfg.sweep} is a sweep and needs --multirun: {command}")
    if cfg.plan:
        raise InputError("plan=true lists the jobs of a sweep and needs --multirun")
