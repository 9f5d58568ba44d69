"""`plan=true`: what a sweep would do, and what it would cost, without starting a job.

One job of each kind is estimated: in a process of its own, or by the launcher, on a node of those that the jobs would
run on.
"""

import copy
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from swapaqa.configuration.checking import check
from swapaqa.console import open_console
from swapaqa.errors import InputError
from swapaqa.files.whole_file import write_whole
from swapaqa.running.cost_estimate import COST_FILE, STEPS, Cost, estimate_job
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
from swapaqa.running.launchers import jobs_at_once, prepare_launcher, starts_processes
from swapaqa.running.planned_facts import but_for_seed, compose_job_of_many, of_all_jobs

GIB = 2**30
MARGIN = 1.3  # of a job's time limit
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


class Kind(NamedTuple):
    """Jobs that cost about the same: how many, and hours, bytes of checkpoints and of the shared cache of each."""

    jobs: int
    hours: float
    disk: int
    cache: int


def show_plan(config: DictConfig, jobs: Sequence[list[str]]) -> None:
    """Print the jobs with their states, the hours from a cost estimate of each kind of job, and the disk."""
    folder = Path(config.hydra.sweep.dir)
    console = open_console(highlight=False, soft_wrap=True)
    planned = planned_jobs(jobs, folder, config.hydra.job.config_name)
    console.print(jobs_table(planned, folder))
    left = [job for job in planned if job.state is not State.DONE and job.blocker is None]
    console.print(f"{len(planned)} jobs, {sum(job.state is State.DONE for job in planned)} of them done")
    if left:
        show_costs(left, config, console)


def planned_jobs(jobs: Sequence[list[str]], folder: Path, config_name: str) -> list[Planned]:
    """`planned_job` of every job."""
    alike_in_a_row = sorted(enumerate(jobs), key=lambda job: but_for_seed(job[1]))
    found = dict(of_all_jobs(partial(_composed, folder, config_name), alike_in_a_row))
    return [found[number] or planned_job(number, job, folder, config_name) for number, job in enumerate(jobs)]


def _composed(folder: Path, config_name: str, job: tuple[int, list[str]]) -> tuple[int, Planned | None]:
    """A job's number and plan; None where it cannot be composed: not all errors of Hydra pass between processes."""
    try:
        return job[0], planned_job(*job, folder, config_name)
    except (HydraException, OmegaConfBaseException):
        return job[0], None


def planned_job(number: int, overrides: list[str], folder: Path, config_name: str) -> Planned:
    """Compose a job and look at what is in its folder."""
    cfg = compose_job_of_many(config_name, overrides)
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


def show_costs(left: Sequence[Planned], config: DictConfig, console: Console) -> None:
    """Estimate one job of each kind and print time and disk of all jobs that are not done."""
    kinds: dict[str, list[Planned]] = {}
    for job in left:
        kinds.setdefault(kind(job.tree), []).append(job)
    firsts = [jobs[0] for jobs in kinds.values()]
    with console.status(f"{STEPS} steps of each of {len(firsts)} kinds of jobs"):
        costs = by_launcher(config, firsts) if starts_processes(config.hydra.launcher) else map(estimated_cost, firsts)
        known = [one for pair in zip(kinds.values(), costs, strict=True) if (one := show_kind(*pair, console))]
    if known:
        jobs = sum(one.jobs for one in known)
        rest = f", and {len(left) - jobs} jobs without an estimate" if jobs < len(left) else ""
        show_total(known, config, rest, console)


def show_kind(jobs: Sequence[Planned], cost: Cost | str, console: Console) -> Kind | None:
    """Print what one kind of jobs costs."""
    name = jobs[0].tree["name"]
    if isinstance(cost, str):
        console.print(f"{len(jobs)} jobs like {name}: no estimate: {cost}", markup=False)
        return None
    found = Kind(
        len(jobs),
        run_hours(cost, jobs[0].tree),
        cost.checkpoint_bytes * checkpoints_kept(jobs[0].tree),
        cost.cache_bytes,
    )
    console.print(
        f"{len(jobs)} jobs like {name}: {duration(found.hours)} and {found.disk / GIB:.2g} GiB each; a step takes "
        f"{cost.step_s:.2g} s, of which an epoch has {cost.steps_per_epoch}, an evaluation {cost.evaluation_s:.2g} s, "
        f"setting up {cost.start_s:.2g} s",
        markup=False,
    )
    return found


def show_total(known: Sequence[Kind], config: DictConfig, rest: str, console: Console) -> None:
    """Print the time on one device, by as many jobs at once as the launcher runs, and the disk."""
    launcher, hours = config.hydra.launcher, sum(one.hours * one.jobs for one in known)
    longest, at_once = max(one.hours for one in known), jobs_at_once(config.hydra.launcher, torch.cuda.device_count())
    wall = f", {duration(max(longest, hours / at_once))} by {at_once} jobs at once" if at_once > 1 else ""
    folder = Path(config.hydra.sweep.dir)
    space, cache = sum(one.disk * one.jobs for one in known), max(one.cache for one in known)
    kept = f" and {cache / GIB:.2g} GiB of data.cache" if cache else ""
    free = shutil.disk_usage(_existing(folder)).free
    console.print(
        f"left: {duration(hours)} on one device like that of the estimate{wall}; {space / GIB:.2g} GiB of checkpoints"
        f"{kept}, and {free / GIB:.3g} GiB are free{rest}"
    )
    if launcher.get("timeout_min") is not None:
        wanted = math.ceil(longest * 60 * MARGIN / 10) * 10
        word = "is enough" if wanted <= launcher.timeout_min else f"is short: say hydra.launcher.timeout_min={wanted}"
        console.print(
            f"the longest job takes {duration(longest)}; hydra.launcher.timeout_min={launcher.timeout_min} {word}"
        )


def duration(hours: float) -> str:
    """`40 s`, `12 min`, `3.2 h`, `210 h`."""
    seconds = 3600 * hours
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 5400 else f"{hours:.3g} h"


def kind(tree: dict[str, Any]) -> str:
    """Jobs with equal keys cost about the same."""
    kept = {key: value for key, value in tree.items() if key not in (*SAME_COST, *NOT_IDENTITY)}
    kept["data"] = {k: v for k, v in kept["data"].items() if k not in ("seed", "action", "augment", "boxes")}
    if "settings" in kept["data"]:
        kept["data"]["settings"] = {k: v for k, v in kept["data"]["settings"].items() if k in SIZES}
    return json.dumps(kept, sort_keys=True, default=str)


def estimated_cost(job: Planned) -> Cost | str:
    """The cost of a run, estimated in a process of its own; the reason where it cannot be had."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        config = config_content(OmegaConf.create(job.tree))
        write_whole(folder / CONFIG_FILE, config)
        command = [sys.executable, "-m", "swapaqa.running.cost_estimate", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=vouching_environment(config))
        if done.returncode:
            return failure(folder) or f"the cost estimate ended with status {done.returncode}"
        return Cost(**json.loads((folder / COST_FILE).read_text()))


def by_launcher(config: DictConfig, jobs: Sequence[Planned]) -> list[Cost | str]:
    """The same of several jobs, each estimated on one device of the launcher's, in the order of `jobs`."""
    prepare_launcher(config.hydra.launcher, torch.cuda.device_count())
    folder = Path(config.hydra.sweep.dir).absolute() / ".plan"
    own = copy.deepcopy(config)
    OmegaConf.set_readonly(own.hydra, False)
    own.hydra.sweep.dir = str(folder)
    for key in ("nodes", "tasks_per_node"):
        if key in own.hydra.launcher:
            own.hydra.launcher[key] = 1
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=HydraContext(GlobalHydra.instance().config_loader(), Callbacks()),
        task_function=estimate_job,
        config=own,
    )
    try:
        found = launcher.launch([[*job.overrides, f"hydra.sweep.dir='{folder}'"] for job in jobs], initial_job_idx=0)
        return [one.return_value for one in found]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_hours(cost: Cost, tree: dict[str, Any]) -> float:
    """Hours of a whole run on one device: its set-up, its steps, and its evaluations."""
    epochs: int = tree["trainer"]["max_epochs"]
    evaluations = math.ceil(epochs / (tree["trainer"]["check_val_every_n_epoch"] or 1))  # the last epoch always is one
    steps = epochs * cost.steps_per_epoch * cost.step_s
    return (cost.start_s + steps + evaluations * cost.evaluation_s) / 3600


def checkpoints_kept(tree: dict[str, Any]) -> int:
    """How many checkpoints of a run lie on the disk at once: last, best on test, on val, and the one to resume from."""
    return 4 if tree["data"]["val_fraction"] > 0 else 3


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
