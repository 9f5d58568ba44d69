"""Rows of other authors: what the paper prints, the files shipped in `published_rows`, and the user's own (`--beside`).

A file names its source, and tables of a data set by their columns: actions and `average`, or metrics. The paper's own
file has figures of its text too; a test compares every cell with the paper's text.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import field
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from swapaqa.errors import InputError, one_line
from swapaqa.files.foreign_file import read_yaml
from swapaqa.measures.ours import RELATIVE_L2, SPEARMAN

STRICT = ConfigDict(extra="forbid")
DIFFERENCE = "Δ"  # the row of differences between the two above it, below 0 for a decrease
PAPER = "paper"
FOLDER = files("swapaqa.report").joinpath("published_rows")
REMEDY = "docs/sweeps.md shows the form"


@dataclass(frozen=True, config=STRICT)
class PublishedRow:
    """One system. `reference`: its number in the paper; `own`: of the paper's runs with its augmentation.

    `notes`: misprints, by column. `cite`: a key for LaTeX.
    """

    system: str
    values: tuple[float, ...]
    reference: int | None = None
    own: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)
    cite: str | None = None

    @property
    def name(self) -> str:
        """`CoRe [46]`."""
        return f"{self.system} [{self.reference}]" if self.reference else self.system


@dataclass(frozen=True, config=STRICT)
class PublishedTable:
    """Rows on one data set. `metric`: None where every column is one. `model`: of its rows if it is one.

    `number`: in the paper. `source`: that of its file.
    """

    data: str
    metric: str | None
    columns: tuple[str, ...]
    rows: tuple[PublishedRow, ...]
    number: int | None = None
    notes: tuple[str, ...] = ()
    model: str | None = None
    source: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(f"{row.system}: {len(row.values)} values for {len(self.columns)} columns")

    def row(self, system: str) -> PublishedRow:
        """Raises KeyError, naming it, for a system that the table has not."""
        for row in self.rows:
            if row.system == system:
                return row
        raise KeyError(system)

    def value(self, system: str, column: str) -> float:
        return self.row(system).values[self.columns.index(column)]

    @property
    def systems(self) -> tuple[PublishedRow, ...]:
        """The rows without the differences."""
        return tuple(row for row in self.rows if row.system != DIFFERENCE)


@dataclass(frozen=True, config=STRICT)
class RowsFile:
    """A file of published rows. `citations`: keys for LaTeX by the reference of a row; `own_citation`: of own rows."""

    source: str
    tables: Mapping[str, PublishedTable]
    citations: Mapping[int, str] = field(default_factory=dict)
    own_citation: str | None = None


@dataclass(frozen=True, config=STRICT)
class PublishedGain:
    """One method of Fig. 9, in per cent of the value without the swap."""

    model: str
    spearman_gain: float
    relative_l2_decrease: float

    @property
    def by_metric(self) -> dict[str, float]:
        """Above 0 for the better."""
        return {SPEARMAN.name: self.spearman_gain, RELATIVE_L2.name: self.relative_l2_decrease}


@dataclass(frozen=True, config=STRICT)
class PublishedScatter:
    """Fig. 6 and its text, in per cent of the test videos of AQA-7."""

    close_ours: float
    close_baseline: float
    better_than_baseline: float


@dataclass(frozen=True, config=STRICT, kw_only=True)
class PaperNumbers(RowsFile):
    """Everything that the paper prints as a number of its experiments. `best_ratios`: of Fig. 7, by Spearman's rho."""

    plug_and_play: tuple[PublishedGain, ...]
    scatter: PublishedScatter
    best_ratios: tuple[float, ...]


@functools.cache
def paper_numbers() -> PaperNumbers:
    """Read the file once."""
    text = FOLDER.joinpath(f"{PAPER}.yaml").read_text(encoding="utf-8")
    return TypeAdapter(PaperNumbers).validate_python(yaml.safe_load(text))


class Published:
    """The rows that a report shows beside its own: the paper's, and those of the files given."""

    def __init__(self, rows: Sequence[RowsFile] = ()) -> None:
        self.tables = [(file, table) for file in rows for table in file.tables.values()]
        self.citations = {
            row.name: key
            for file, table in self.tables
            for row in table.rows
            if (key := row.cite or file.citations.get(row.reference or 0) or (row.own and file.own_citation))
        }

    def of_data(self, data: str) -> list[PublishedTable]:
        """The tables on a data set."""
        return [table for _, table in self.tables if table.data == data]

    def source(self, wanted: PublishedTable) -> str:
        """Where a table stands, as the end of a sentence."""
        file = next(file for file, table in self.tables if table is wanted)
        return (wanted.source or file.source).replace("{number}", str(wanted.number))


def published(beside: Sequence[str] = ()) -> Published:
    """The paper's rows and those of the files `beside`, paths or names of shipped ones; InputError as `read_rows`."""
    return Published([paper_numbers(), *map(read_rows, beside)])


def read_rows(name: str) -> RowsFile:
    """A file of published rows, by its path or the name of a shipped one.

    Raises:
        InputError: there is no such file, or it has another form.
    """
    shipped = sorted(path.name.removesuffix(".yaml") for path in FOLDER.iterdir() if path.name.endswith(".yaml"))
    if name in shipped and name != PAPER:
        return TypeAdapter(RowsFile).validate_python(yaml.safe_load(FOLDER.joinpath(f"{name}.yaml").read_text("utf-8")))
    if not Path(name).is_file():
        others = ", ".join(one for one in shipped if one != PAPER)
        raise InputError(f"--beside {name}: no such file; name a file of yours ({REMEDY}), or {others}")
    try:
        return TypeAdapter(RowsFile).validate_python(read_yaml(Path(name), REMEDY))
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        fault = one_line(f"{'.'.join(map(str, problem['loc'])) or 'the whole'}: {problem['msg']}")
        raise InputError(f"{name}: no rows of a table ({fault}); {REMEDY}") from error
