"""The facts of a sweep's jobs before they start, from configurations composed as Hydra will compose them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from swapaqa.errors import InputError
from swapaqa.running.facts import facts_of
from swapaqa.running.jobs import resolved
from swapaqa.running.sweep_jobs import SEED


def compose_job(config_name: str, overrides: Sequence[str]) -> DictConfig:
    """The configuration of one job, as its process will have it; Hydra's errors for overrides that cannot be."""
    return GlobalHydra.instance().config_loader().load_configuration(config_name, list(overrides), RunMode.RUN)


def planned_facts(config_name: str, jobs: Sequence[Sequence[str]]) -> list[dict[str, Any] | None]:
    """The facts of every job, as `jobs.json` has them; None of one that cannot be composed, as it will say itself.

    Composing takes its time: jobs that differ in the seed alone are composed once.
    """
    state, before = HydraConfig.instance(), HydraConfig.instance().cfg
    known: dict[tuple[str, ...], dict[str, Any] | None] = {}
    found = []
    try:
        for job in jobs:
            seeds = [word for word in job if word.removeprefix(SEED).isdecimal()]
            rest = tuple(SEED if word in seeds else word for word in job)
            if rest not in known:
                known[rest] = _facts(config_name, job)
            facts = known[rest]
            found.append(facts | {"seed": int(seeds[-1].removeprefix(SEED))} if facts and seeds else facts)
    finally:
        state.cfg = before
    return found


def _facts(config_name: str, overrides: Sequence[str]) -> dict[str, Any] | None:
    try:
        cfg = compose_job(config_name, overrides)
        HydraConfig.instance().set_config(cfg)
        choices = {str(key): str(value) for key, value in cfg.hydra.runtime.choices.items()}
        return asdict(facts_of(resolved(cfg), choices))
    except (HydraException, OmegaConfBaseException, InputError):
        return None
