"""Hydra's way to a sweep that is a list of settings: it takes sweepers from the package `hydra_plugins` only.

Every start of a Hydra program imports this file, so it imports little.
"""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override

from swapaqa.running.sweep_jobs import jobs_of_settings


class SettingsSweeper(BasicSweeper):
    """Runs the jobs of `swapaqa.running.sweep_jobs.jobs_of_settings`.

    Args:
        max_batch_size: as of Hydra's own sweeper.
        params: of all settings.
        settings: a small sweep each.
        cells: what 0.1 called them; `conf/hydra/sweeper/cells.yaml` makes them `settings`.
    """

    def __init__(
        self,
        max_batch_size: int | None,
        params: dict[str, str] | None,
        settings: Sequence[str],
        cells: Sequence[str] = (),  # noqa: ARG002
    ) -> None:
        super().__init__(max_batch_size, params)
        self.settings = settings
        self._overrides: list[str] = []

    def sweep(self, arguments: list[str]) -> Any:
        self._overrides = arguments
        return super().sweep(arguments)

    def split_arguments(self, overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:  # type: ignore[override]  # noqa: ARG002
        """One batch: the launcher gets all jobs at once, as from Hydra's own sweeper."""
        return [jobs_of_settings(self._parse_config(), self.settings, self._overrides)]
