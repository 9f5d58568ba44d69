"""The facts of a sweep's jobs before they start, from configurations composed as Hydra will compose them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from typing import Any, TypeVar

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.progress import track

from swapaqa.console import open_console
from swapaqa.errors import InputError
from swapaqa.pool import cores, in_processes
from swapaqa.running.facts import facts_of
from swapaqa.running.jobs import resolved
from swapaqa.running.sweep_jobs import SEED

Item = TypeVar("Item")
Found = TypeVar("Found")

MANY = 50  # jobs that are composed in several processes, a tenth of a second each


def compose_job(config_name: str, overrides: Sequence[str]) -> DictConfig:
    """The configuration of one job, as its process will have it; Hydra's errors for overrides that cannot be."""
    return GlobalHydra.instance().config_loader().load_configuration(config_name, list(overrides), RunMode.RUN)


def compose_job_of_many(config_name: str, overrides: Sequence[str]) -> DictConfig:
    """`compose_job`, where of jobs in a row that differ in the seed alone one is composed, and given the others' seeds.

    So what was composed before is the same object. `hydra.overrides` are those of the seed 0.
    """
    seeds = _seeds(overrides)
    if not seeds:
        return compose_job(config_name, overrides)
    cfg = _composed_with_seed_0(GlobalHydra.instance().config_loader(), config_name, but_for_seed(overrides))
    cfg.seed = int(seeds[-1].removeprefix(SEED))
    return cfg


@lru_cache(maxsize=1)
def _composed_with_seed_0(loader: ConfigLoader, config_name: str, overrides: tuple[str, ...]) -> DictConfig:
    given = [f"{SEED}0" if word == SEED else word for word in overrides]
    return loader.load_configuration(config_name, given, RunMode.RUN)


def planned_facts(config_name: str, jobs: Sequence[Sequence[str]]) -> list[dict[str, Any] | None]:
    """The facts of every job, as `jobs.json` has them; None of one that cannot be composed, as it will say itself.

    Composing takes its time: jobs that differ in the seed alone are composed once, and many in several processes.
    """
    state, before = HydraConfig.instance(), HydraConfig.instance().cfg
    first = {but_for_seed(job): list(job) for job in reversed(jobs)}
    try:
        known = dict(of_all_jobs(partial(_facts, config_name), list(first.items())))
    finally:
        state.cfg = before
    return [_with_seed(known[but_for_seed(job)], job) for job in jobs]


def of_all_jobs(facts: Callable[[Item], Found], jobs: list[Item]) -> Iterable[Found]:
    """What a function that composes a job finds of each; of many in all cores, so not in their order."""
    if len(jobs) < MANY:
        return map(facts, jobs)
    found = in_processes(facts, jobs, cores())
    return track(found, "composing jobs", len(jobs), console=open_console(), transient=True)


def _seeds(job: Sequence[str]) -> list[str]:
    return [word for word in job if word.removeprefix(SEED).isdecimal()]


def but_for_seed(job: Sequence[str]) -> tuple[str, ...]:
    """A job's overrides, without the numbers of its seed."""
    seeds = _seeds(job)
    return tuple(SEED if word in seeds else word for word in job)


def _with_seed(facts: dict[str, Any] | None, job: Sequence[str]) -> dict[str, Any] | None:
    seeds = _seeds(job)
    return facts | {"seed": int(seeds[-1].removeprefix(SEED))} if facts and seeds else facts


def _facts(config_name: str, job: tuple[tuple[str, ...], list[str]]) -> tuple[tuple[str, ...], dict[str, Any] | None]:
    """The job but for its seed, and its facts."""
    key, overrides = job
    try:
        cfg = compose_job(config_name, overrides)
        HydraConfig.instance().set_config(cfg)
        choices = {str(name): str(value) for name, value in cfg.hydra.runtime.choices.items()}
        return key, asdict(facts_of(resolved(cfg), choices))
    except (HydraException, OmegaConfBaseException, InputError):
        return key, None
