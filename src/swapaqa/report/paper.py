"""The numbers that the paper prints, from `paper_numbers.yaml`; a test compares every cell with the paper's text."""

import functools
from collections.abc import Mapping
from dataclasses import field
from importlib.resources import files

import yaml
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from swapaqa.measures.ours import RELATIVE_L2, SPEARMAN

STRICT = ConfigDict(extra="forbid")
DIFFERENCE = "Δ"  # the row of differences between the two above it, below 0 for a decrease


@dataclass(frozen=True, config=STRICT)
class PrintedRow:
    """One system. `reference`: its number in the paper; `own`: of the paper's runs with its augmentation.

    `notes`: misprints, by column.
    """

    system: str
    values: tuple[float, ...]
    reference: int | None = None
    own: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class PrintedTable:
    """One block of the paper's tables. `metric`: None where every column is one. `model`: of its rows if it is one."""

    number: int
    data: str
    metric: str | None
    columns: tuple[str, ...]
    rows: tuple[PrintedRow, ...]
    notes: tuple[str, ...] = ()
    model: str | None = None

    def row(self, system: str) -> PrintedRow:
        """Raises KeyError, naming it, for a system that the table has not."""
        for row in self.rows:
            if row.system == system:
                return row
        raise KeyError(system)

    def value(self, system: str, column: str) -> float:
        return self.row(system).values[self.columns.index(column)]

    @property
    def systems(self) -> tuple[PrintedRow, ...]:
        """The rows without the differences."""
        return tuple(row for row in self.rows if row.system != DIFFERENCE)


@dataclass(frozen=True, config=STRICT)
class PrintedGain:
    """One method of Fig. 9, in per cent of the value without the swap."""

    model: str
    spearman_gain: float
    relative_l2_decrease: float

    @property
    def by_metric(self) -> dict[str, float]:
        """Above 0 for the better."""
        return {SPEARMAN.name: self.spearman_gain, RELATIVE_L2.name: self.relative_l2_decrease}


@dataclass(frozen=True, config=STRICT)
class PrintedScatter:
    """Fig. 6 and its text, in per cent of the test videos of AQA-7."""

    close_ours: float
    close_baseline: float
    better_than_baseline: float


@dataclass(frozen=True, config=STRICT)
class PaperNumbers:
    """Everything that the paper prints as a number of its experiments. `best_ratios`: of Fig. 7, by Spearman's rho."""

    tables: Mapping[str, PrintedTable]
    plug_and_play: tuple[PrintedGain, ...]
    scatter: PrintedScatter
    best_ratios: tuple[float, ...]


@functools.cache
def paper_numbers() -> PaperNumbers:
    """Read the file once."""
    text = files("swapaqa.report").joinpath("paper_numbers.yaml").read_text(encoding="utf-8")
    return TypeAdapter(PaperNumbers).validate_python(yaml.safe_load(text))
