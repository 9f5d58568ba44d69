"""`plan=true`: what a sweep would do, and what it would cost, without starting a job."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from swapaqa.configuration.checking import check
from swapaqa.console import open_console
from swapaqa.errors import InputError
from swapaqa.files.whole_file import write_whole
from swapaqa.running.cost_estimate import COST_FILE, STEPS, Cost
from swapaqa.running.failures import failure
from swapaqa.running.jobs import (
    CONFIG_FILE,
    NOT_IDENTITY,
    State,
    config_content,
    identity,
    state,
    stored_identity,
    vouching_environment,
)
from swapaqa.running.planned_facts import compose_job

GIB = 2**30
SAME_COST = ("seed", "name", "aug", "boxes")  # runs that differ in these, and in the action, cost about the same
SIZES = ("train", "test", "shifted", "frames", "size")  # of made videos: what else is set changes what they show


@dataclass(frozen=True)
class Planned:
    """A job before it starts. `blocker`: why it would not run as it is; None if nothing is known to stop it."""

    number: int
    overrides: list[str]
    tree: dict[str, Any]
    state: State
    blocker: str | None


def show_plan(config: DictConfig, jobs: Sequence[list[str]]) -> None:
    """Print the jobs with their states, the hours from a cost estimate of each kind of job, and the disk."""
    folder = Path(config.hydra.sweep.dir)
    planned = [planned_job(number, job, folder, config.hydra.job.config_name) for number, job in enumerate(jobs)]
    console = open_console(highlight=False, soft_wrap=True)
    console.print(jobs_table(planned, folder))
    left = [job for job in planned if job.state is not State.DONE and job.blocker is None]
    console.print(f"{len(planned)} jobs, {sum(job.state is State.DONE for job in planned)} of them done")
    if left:
        show_costs(left, folder, console)


def planned_job(number: int, overrides: list[str], folder: Path, config_name: str) -> Planned:
    """Compose a job and look at what is in its folder."""
    cfg = compose_job(config_name, overrides)
    HydraConfig.instance().set_config(cfg)
    job = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in ("hydra", "logger")])
    own = folder / str(number)
    try:
        check(job)
        tree = OmegaConf.to_container(job, resolve=True)
        blocker = None
    except InputError as error:
        tree, blocker = {}, str(error)
    assert isinstance(tree, dict)
    found = state(own)
    if found is State.DONE and stored_identity(own) != identity(tree):  # type: ignore[arg-type]
        found, blocker = State.NOT_STARTED, f"{own} holds a finished run of another configuration"
    return Planned(number, overrides, tree, found, blocker)  # type: ignore[arg-type]


def jobs_table(planned: Sequence[Planned], folder: Path) -> Table:
    """One line a job: what it has of its own, and how far it is."""
    common = set(planned[0].overrides).intersection(*(job.overrides for job in planned))
    table = Table(title=f"{folder}: {' '.join(item for item in planned[0].overrides if item in common)}")
    for column in ("job", "what differs", "state"):
        table.add_column(column)
    for job in planned:
        differs = " ".join(item for item in job.overrides if item not in common)
        note = job.blocker or (failure(folder / str(job.number)) if job.state is State.FAILED else None)
        table.add_row(str(job.number), differs, job.state.value + (f": {note}" if note else ""))
    return table


def show_costs(left: Sequence[Planned], folder: Path, console: Console) -> None:
    """Probe one job of each kind and print hours and disk of all jobs that are not done."""
    kinds: dict[str, list[Planned]] = {}
    for job in left:
        kinds.setdefault(kind(job.tree), []).append(job)
    hours, space, unknown = 0.0, 0.0, 0
    for jobs in kinds.values():
        name = jobs[0].tree["name"]
        with console.status(f"{STEPS} steps of {name}"):
            cost = estimated_cost(jobs[0].tree)
        if isinstance(cost, str):
            console.print(f"{len(jobs)} jobs like {name}: no estimate: {cost}", markup=False)
            unknown += len(jobs)
            continue
        one = run_hours(cost, jobs[0].tree)
        disk = cost.checkpoint_bytes * checkpoints_kept(jobs[0].tree) / GIB
        console.print(
            f"{len(jobs)} jobs like {name}: {one:.2g} h and {disk:.2g} GiB each; a step takes {cost.step_s:.2g} s, of "
            f"which an epoch has {cost.steps_per_epoch}, an evaluation {cost.evaluation_s:.2g} s"
        )
        hours, space = hours + one * len(jobs), space + disk * len(jobs)
    if unknown == len(left):
        return
    free = shutil.disk_usage(_existing(folder)).free / GIB
    rest = f", and {unknown} jobs without an estimate" if unknown else ""
    console.print(f"left: {hours:.2g} h on one device like this one, {space:.2g} GiB of {free:.3g} GiB free{rest}")


def kind(tree: dict[str, Any]) -> str:
    """Jobs with equal keys cost about the same."""
    kept = {key: value for key, value in tree.items() if key not in (*SAME_COST, *NOT_IDENTITY)}
    kept["data"] = {k: v for k, v in kept["data"].items() if k not in ("seed", "action", "augment", "boxes")}
    if "settings" in kept["data"]:
        kept["data"]["settings"] = {k: v for k, v in kept["data"]["settings"].items() if k in SIZES}
    return json.dumps(kept, sort_keys=True, default=str)


def estimated_cost(tree: dict[str, Any]) -> Cost | str:
    """The cost of a run, estimated in a process of its own; the reason where it cannot be had."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        config = config_content(OmegaConf.create(tree))
        write_whole(folder / CONFIG_FILE, config)
        command = [sys.executable, "-m", "swapaqa.running.cost_estimate", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=vouching_environment(config))
        if done.returncode:
            return failure(folder) or f"the cost estimate ended with status {done.returncode}"
        return Cost(**json.loads((folder / COST_FILE).read_text()))


def run_hours(cost: Cost, tree: dict[str, Any]) -> float:
    """Hours of a whole run on one device: its steps, and its evaluations."""
    epochs: int = tree["trainer"]["max_epochs"]
    evaluations = math.ceil(epochs / (tree["trainer"]["check_val_every_n_epoch"] or 1))  # the last epoch always is one
    return (epochs * cost.steps_per_epoch * cost.step_s + evaluations * cost.evaluation_s) / 3600


def checkpoints_kept(tree: dict[str, Any]) -> int:
    """How many checkpoints of a run lie on the disk at once: last, best on test, on val, and the one to resume from."""
    return 4 if tree["data"]["val_fraction"] > 0 else 3


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
