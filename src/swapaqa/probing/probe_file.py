"""Bias probes that `python -m src.evaluate probe=background` left, as a report reads them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from swapaqa.errors import InputError
from swapaqa.files.file_form import first_fault
from swapaqa.files.foreign_file import read_json
from swapaqa.probing.form import Probe as ProbeForm
from swapaqa.probing.outcome import CONDITIONS, PICTURE, PROBE_FILE, sentences
from swapaqa.probing.variance import Components


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
    return [Probe(file.parent, read_probe(file)) for file in once.values()]


def read_probe(file: Path) -> Mapping[str, Any]:
    """The content of a `probe.json`. InputError where it is not one."""
    content: Mapping[str, Any] = read_json(file, "remove it and probe again")
    fault = first_fault(ProbeForm, content)
    if fault is None:
        parts = [*CONDITIONS, *Components._fields]
        known = [{*outcome["conditions"], *outcome["shares"]} for outcome in content["splits"].values()]
        fault = next((f"{part} is missing" for part in parts for names in known if part not in names), None)
    if fault:
        raise InputError(f"{file}: not the outcome of a probe ({fault}); remove it and probe again")
    return content
