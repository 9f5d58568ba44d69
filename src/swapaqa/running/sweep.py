"""The callback of a sweep: the list of its jobs before the first, their states after the last."""

import shlex
import sys
from pathlib import Path

import torch
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console

from swapaqa.command import spelled
from swapaqa.errors import InputError
from swapaqa.running.failures import failure
from swapaqa.running.jobs import State, state
from swapaqa.running.jobs_file import refuse_another_list, write_jobs
from swapaqa.running.launchers import prepare_launcher
from swapaqa.running.planned_facts import planned_facts
from swapaqa.running.program import fail
from swapaqa.running.sweep_jobs import jobs_of


class Overview(Callback):
    """Writes `jobs.json` before a sweep's first job; after the last says which are done and which failed.

    A sweep with a failed job ends with exit status 1, after all others have run.
    """

    def on_multirun_start(self, config: DictConfig, config_name: str | None) -> None:  # type: ignore[override]  # noqa: ARG002
        if config.get("plan"):
            from swapaqa.running.plan import show_plan  # it trains for a few steps, and so imports everything

            try:
                show_plan(config, self._jobs(config))
            except InputError as error:  # Hydra makes a warning of what a callback raises
                fail(str(error))
            sys.exit(0)
        folder = Path(config.hydra.sweep.dir)
        try:
            prepare_launcher(config.hydra.launcher, torch.cuda.device_count())
            refuse_another_list(folder, self._jobs(config))
        except InputError as error:  # as above
            fail(str(error))
        command = spelled(f"train --multirun {shlex.join(config.hydra.overrides.task)}")
        jobs = self._jobs(config)
        facts = planned_facts(config.hydra.job.config_name, jobs)
        write_jobs(folder, config.get("sweep", folder.name), command, jobs, facts)

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
        return jobs_of(config.hydra.sweeper, config.hydra.overrides.task)
