"""The bias probes of a report: what `python -m src.evaluate probe=background` left, and their table."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from swapaqa.errors import InputError
from swapaqa.files.file_form import first_fault
from swapaqa.files.foreign_file import read_json
from swapaqa.measures.ours import SPEARMAN
from swapaqa.probing.conditions import WORDS
from swapaqa.probing.form import Probe as ProbeForm
from swapaqa.probing.outcome import CONDITIONS, PICTURE, PROBE_FILE, sentences
from swapaqa.probing.variance import Components
from swapaqa.report.table import Cell, Table, Value

SHARES = {"background": "background, %", "athlete": "athlete, %", "rest": "both together, %"}


class Probe(NamedTuple):
    """One probe. `content`: of its probe.json, see `swapaqa.probing.outcome`."""

    folder: Path
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.content['trained']}, {self.content['checkpoint']}"

    @property
    def title(self) -> str:
        boxes = str(self.content["boxes"]["_target_"]).rpartition(".")[2]
        return f"{self.name} ({self.folder.name}): {boxes} at ratio {self.content['ratio']:g}"

    @property
    def lines(self) -> list[str]:
        """What it says, in sentences."""
        return [line for split, outcome in self.content["splits"].items() for line in sentences(split, outcome)]

    @property
    def picture(self) -> Path:
        return self.folder / PICTURE


def find_probes(paths: Sequence[Path]) -> list[Probe]:
    """The probes in the given folders and two levels below: of an evaluation, of `outputs/evaluate`, of a sweep's runs.

    Raises:
        InputError: a file that is not the outcome of a probe.
    """
    levels = ("", "*/", "*/*/")
    found = [file for path in paths for level in levels for file in sorted(path.glob(f"{level}{PROBE_FILE}"))]
    once = {file.resolve(): file for file in found}
    return [Probe(file.parent, _read(file)) for file in once.values()]


def _read(file: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = read_json(file, "remove it and probe again")
    fault = first_fault(ProbeForm, content)
    if fault is None:
        parts = [*CONDITIONS, *Components._fields]
        known = [{*outcome["conditions"], *outcome["shares"]} for outcome in content["splits"].values()]
        fault = next((f"{part} is missing" for part in parts for names in known if part not in names), None)
    if fault:
        raise InputError(f"{file}: not the outcome of a probe ({fault}); remove it and probe again")
    return content


def probe_tables(probes: Sequence[Probe]) -> list[Table]:
    """One table, a row a probe and split; none without probes."""
    if not probes:
        return []
    rows = [_row(probe, split, outcome) for probe in probes for split, outcome in probe.content["splits"].items()]
    caption = (
        "What explains the variance of the predictions for exchanged videos (Henderson's method 3); and "
        "Spearman's rho of what the checkpoint predicts for the test videos as they are, with the backgrounds of other "
        "test videos, without the athlete and for the athlete alone."
    )
    notes = (
        '"[low, high]": 95 % interval over the test videos; of rho by BCa bootstrap, of shares by jackknife',
        "Cut edges are new to a network that was not trained on them; boxes that cut limbs leave parts of the athlete "
        "in the background and hide them from the rest",
    )
    columns = ("run", "protocol", "folder", "split", "ratio", *SHARES.values(), *(WORDS[name] for name in CONDITIONS))
    return [Table("bias_probe", "Bias probe", caption, columns, tuple(rows), notes)]


def _row(probe: Probe, split: str, outcome: Mapping[str, Any]) -> tuple[Cell, ...]:
    conditions = (outcome["conditions"][name] for name in CONDITIONS)
    name = SPEARMAN.name
    rhos = [_cell(found[name], found["confidence"][name], 1, SPEARMAN.decimals) for found in conditions]
    parts = (outcome["shares"][name] for name in Components._fields)
    shares = [_cell(part["value"], part["interval"], 100, 1) for part in parts]
    content = probe.content
    return (
        content["trained"],
        content["checkpoint"],
        probe.folder.name,
        split,
        f"{content['ratio']:g}",
        *shares,
        *rhos,
    )


def _cell(value: float | None, ends: Sequence[float] | None, unit: int, decimals: int) -> Value:
    interval = None if ends is None else (unit * ends[0], unit * ends[1])
    return Value(math.nan if value is None else unit * value, None, decimals, interval=interval)
