"""What surrounds the jobs of a sweep: their list before, how they went after."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console

from swapaqa.config import fail
from swapaqa.errors import InputError
from swapaqa.running.jobs import State, failure, refuse_another_list, state, write_jobs
from swapaqa.running.launchers import prepare_launcher


def jobs_of(params: DictConfig | None, overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of every job, in the order in which Hydra's sweeper runs and numbers them.

    `params`: `hydra.sweeper.params`. `overrides`: the words of the command line.
    """
    words = [f"{key!s}={value}" for key, value in (params or {}).items()] + list(overrides)
    parsed = OverridesParser.create().parse_overrides(words)
    return [job for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None) for job in batch]


class Overview(Callback):
    """Writes `jobs.json` before a sweep's first job; after the last says which are done and which failed.

    A sweep with a failed job ends with exit status 1, after all others have run.
    """

    def on_multirun_start(self, config: DictConfig, config_name: str | None) -> None:  # type: ignore[override]  # noqa: ARG002
        if config.get("plan"):
            from swapaqa.running.plan import show_plan  # it trains for a few steps, and so imports everything

            show_plan(config, self._jobs(config))
            sys.exit(0)
        folder = Path(config.hydra.sweep.dir)
        try:
            prepare_launcher(config.hydra.launcher, torch.cuda.device_count())
            refuse_another_list(folder, self._jobs(config))
        except InputError as error:  # Hydra makes a warning of what a callback raises
            fail(str(error))
        command = f"python -m src.train --multirun {shlex.join(config.hydra.overrides.task)}"
        write_jobs(folder, config.get("sweep", folder.name), command, self._jobs(config))

    def on_multirun_end(self, config: DictConfig, config_name: str | None) -> None:  # type: ignore[override]  # noqa: ARG002
        folder, count = Path(config.hydra.sweep.dir), len(self._jobs(config))
        states = {number: state(folder / str(number)) for number in range(count)}
        console = Console(soft_wrap=True, highlight=False)
        done = sum(found is State.DONE for found in states.values())
        console.print(f"{done} of {count} jobs are done in {folder}")
        for number, found in states.items():
            if found is not State.DONE:
                console.print(f"  job {number} {found.value}: {failure(folder / str(number)) or ''}", markup=False)
        if done < count:
            sys.exit(1)

    @staticmethod
    def _jobs(config: DictConfig) -> list[list[str]]:
        return jobs_of(config.hydra.sweeper.get("params"), config.hydra.overrides.task)
