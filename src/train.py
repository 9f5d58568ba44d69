"""Train a method: `python -m src.train`, `python -m src.train model=core data=aqa7 aug.ratio=2.0`.

A single run on one device trains in this process. A job of a sweep, and a run on several devices, trains in processes
of its own, which read the resolved configuration from the job's folder.
"""

import logging
import os
import sys
import warnings
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from swapaqa.config import check, one_line_errors, run_recipe
from swapaqa.console import quieten
from swapaqa.errors import InputError
from swapaqa.running import processes
from swapaqa.running.interruption import STOPPED
from swapaqa.running.jobs import Start, claim, failure
from swapaqa.running.training import run_here

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
@one_line_errors
def main(cfg: DictConfig) -> None:
    in_sweep = HydraConfig.get().mode is RunMode.MULTIRUN
    refuse_unswept(cfg, in_sweep)
    check(cfg)
    quieten()
    folder = Path(HydraConfig.get().runtime.output_dir)
    place = processes.place()
    start = claim(folder, cfg, in_sweep, write=place is None or place.rank == 0)
    if start is Start.DONE:
        log.info("%s is done: nothing to do", folder)
        return
    count = processes.wanted(cfg.trainer)
    if place is None and (in_sweep or count > 1):
        status = processes.run_job(folder, count)
        if status == STOPPED or (status and not in_sweep):
            sys.exit(status)
        if status:
            log.error("%s failed: %s", folder, failure(folder))
        return
    try:
        run_here(cfg, folder)
    except Exception:
        if not in_sweep:
            raise
        log.exception("%s failed: %s", folder, failure(folder))  # the sweep says so again when all jobs have ended


def refuse_unswept(cfg: DictConfig, in_sweep: bool) -> None:
    """A sweep's file without --multirun would quietly be one job with none of its values."""
    if "sweep" in cfg and not in_sweep:
        command = f"python -m src.train --multirun +sweeps={cfg.sweep}"
        raise InputError(f"+sweeps={cfg.sweep} is a sweep and needs --multirun: {command}")
    if cfg.plan:
        raise InputError("plan=true lists the jobs of a sweep and needs --multirun")


if __name__ == "__main__":
    warnings.filterwarnings(
        "ignore", r"\s*'hydra/launcher/ray' is validated", UserWarning
    )  # ours, by the plugin's name
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports to its makers otherwise
    run_recipe(main)
