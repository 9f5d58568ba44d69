"""The table of the bias probes that `python -m src.evaluate probe=background` left."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from swapaqa.measures.ours import SPEARMAN
from swapaqa.probing.conditions import WORDS
from swapaqa.probing.outcome import CONDITIONS
from swapaqa.probing.probe_file import Probe
from swapaqa.probing.variance import Components
from swapaqa.report.table import Cell, Table, Value

SHARES = {"background": "background, %", "athlete": "athlete, %", "rest": "both together, %"}


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
