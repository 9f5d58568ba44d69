"""Hydra's way to a sweep that is a list of cells: it takes sweepers from the package `hydra_plugins` only.

Every start of a Hydra program imports this file, so it imports little.
"""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override

from swapaqa.running.cells import cell_jobs


class CellSweeper(BasicSweeper):
    """Runs the jobs of `swapaqa.running.cells.cell_jobs`. `params`: of all cells; `cells`: a small sweep each."""

    def __init__(self, max_batch_size: int | None, params: dict[str, str] | None, cells: Sequence[str]) -> None:
        super().__init__(max_batch_size, params)
        self.cells = cells
        self._overrides: list[str] = []

    def sweep(self, arguments: list[str]) -> Any:
        self._overrides = arguments
        return super().sweep(arguments)

    def split_arguments(self, overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:  # type: ignore[override]  # noqa: ARG002
        """One batch: the launcher gets all jobs at once, as from Hydra's own sweeper."""
        return [cell_jobs(self._parse_config(), self.cells, self._overrides)]
