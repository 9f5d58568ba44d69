"""Values of the configuration that depend on where and when it is used: the folder of a run, what a sweep varies."""

import json
import os
from datetime import datetime
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_bytes
from swapaqa.running.jobs import JOBS_FILE, newest_unfinished
from swapaqa.running.scaling import rate, scaled

STARTED = "SWAPAQA_STARTED"  # the time that names a folder, one for all processes of a run


def started() -> str:
    """When this run began, `2026-11-23_21-30-00`: the same in all processes that torchrun or srun started for it."""
    if STARTED not in os.environ:
        os.environ[STARTED] = _agreed(f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    return os.environ[STARTED]


def _agreed(own: str) -> str:
    """The first process's word for all: through the store of torchrun's agent, or by the number of SLURM's step."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        from torch.distributed import TCPStore  # here, as torch takes a second to import

        store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
        return store.compare_set("swapaqa/started", "", own).decode()
    if "SLURM_STEP_ID" in os.environ:  # srun; a requeued job keeps its number and so its folder
        return f"slurm-{os.environ['SLURM_JOB_ID']}-{os.environ['SLURM_STEP_ID']}"
    return own


def run_folder(*, _root_: DictConfig) -> str:
    """`outputs/<name>/<time>`; with `resume=true` the newest unfinished run of the same configuration, if any."""
    runs = Path("outputs") / _root_.name
    found = newest_unfinished(runs, _root_) if _root_.get("resume") else None
    return str(found or runs / started())


def swept() -> DictConfig:
    """What this job of a sweep has of its own, `{"aug.ratio": "1.5"}`; empty for a single run."""
    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        return OmegaConf.create({})
    try:
        jobs = json.loads(read_bytes(Path(HydraConfig.get().sweep.dir) / JOBS_FILE))["jobs"]
    except (InputError, ValueError, KeyError):
        return OmegaConf.create({})
    number = str(HydraConfig.get().job.num)
    own: dict[str, str] = next((job["swept"] for job in jobs if job["job"] == number), {})
    return OmegaConf.create({key: str(value).replace("${", r"\${") for key, value in own.items()})  # words, to be read


def register() -> None:
    """Make `${run_folder:}`, `${started:}`, `${swept:}`, `${scaled:KEY}` and `${rate:VALUE}` known to OmegaConf."""
    OmegaConf.register_new_resolver("started", started, replace=True)
    OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)
    OmegaConf.register_new_resolver("swept", swept, replace=True)
    OmegaConf.register_new_resolver("scaled", scaled, replace=True)
    OmegaConf.register_new_resolver("rate", rate, replace=True)
