"""The jobs of a sweep: one product of all swept values, or a product for each setting of a list."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

SEED = "seed="


def jobs_of(sweeper: Mapping[str, Any], overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of every job, in the order in which Hydra's sweeper runs and numbers them.

    Args:
        sweeper: `hydra.sweeper`, with `params` and, where the sweep is a list of settings, `settings`.
        overrides: of the command line, which win over both.
    """
    common = [f"{key!s}={value}" for key, value in (sweeper.get("params") or {}).items()]
    if sweeper.get("settings"):
        return jobs_of_settings(common, sweeper["settings"], overrides)
    return product_jobs(OverridesParser.create().parse_overrides([*common, *overrides]))


def product_jobs(overrides: list[Override]) -> list[list[str]]:
    """Every combination of the swept values, as Hydra's own sweeper."""
    return [job for batch in BasicSweeper.split_arguments(overrides, max_batch_size=None) for job in batch]


def jobs_of_settings(common: Sequence[str], settings: Sequence[str], overrides: Sequence[str]) -> list[list[str]]:
    """The products of all settings without repetitions, all settings of a seed before those of the next."""
    parser = OverridesParser.create()
    jobs = [
        job
        for setting in settings
        for job in product_jobs(parser.parse_overrides([*common, *setting.split(), *overrides]))
    ]  # fmt: skip
    firsts: dict[frozenset[str], list[str]] = {}
    for job in jobs:
        firsts.setdefault(frozenset(job), job)
    return sorted(firsts.values(), key=_seed)


def _seed(job: Sequence[str]) -> int:
    return next((int(word.removeprefix(SEED)) for word in job if word.startswith(SEED)), 0)
