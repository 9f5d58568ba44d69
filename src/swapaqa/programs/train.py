"""Train a method: `python -m src.train`, `python -m src.train model=core data=aqa7 aug.ratio=2.0`.

A single run on one device trains in this process. A job of a sweep, and a run on several devices, trains in processes
of its own, which read the resolved configuration from the job's folder.
"""

import logging
import sys
import warnings
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from swapaqa.command import spelled
from swapaqa.configuration.checking import check
from swapaqa.console import quieten
from swapaqa.errors import InputError
from swapaqa.running import processes
from swapaqa.running.failures import failure, failure_recorded
from swapaqa.running.here import run_here
from swapaqa.running.interruption import STOPPED
from swapaqa.running.jobs import FAILURE_FILE, Start, State, claim, config_content, state
from swapaqa.running.program import one_line_errors, run_program

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path="pkg://swapaqa.conf", config_name="train")
@one_line_errors
def main(cfg: DictConfig) -> None:
    quieten()
    in_sweep = HydraConfig.get().mode is RunMode.MULTIRUN
    folder = Path(HydraConfig.get().runtime.output_dir)
    if in_sweep:
        job(cfg, folder)
    else:
        refuse_unswept(cfg)
        check(cfg)
        run(cfg, folder, in_sweep=False)


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
    ranked = processes.process_rank()
    if ranked is not None and ranked.rank > 0:
        logging.getLogger().setLevel(logging.WARNING)  # one process tells for all
    start = claim(folder, cfg, in_sweep, write=ranked is None or ranked.rank == 0)
    if start is Start.DONE:
        log.info("%s is done: nothing to do", folder)
        return 0
    count = processes.process_count(cfg.trainer)
    if ranked is None and (in_sweep or count > 1):
        status = processes.run_job(folder, config_content(cfg), count)
        if status == STOPPED or (status and not in_sweep):
            sys.exit(status)
        return status
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


if __name__ == "__main__":
    # the launcher of ours has the plugin's own name
    warnings.filterwarnings("ignore", r"\s*'hydra/launcher/ray' is validated", UserWarning)
    run_program(main)
