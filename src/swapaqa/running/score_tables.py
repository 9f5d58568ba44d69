"""Scores on the terminal: of a run, without a pixel, and under a probe."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from swapaqa.console import open_console
from swapaqa.measures.ours import STANDARD, stored_measures
from swapaqa.measures.record import Measure
from swapaqa.probing.conditions import WORDS

WAIT_WORTH_A_WORD = 0.1


def show(result: dict[str, Any], folder: Path) -> None:
    """Print the folder and the scores of every protocol."""
    measures = stored_measures(result).values()
    table = Table(title=result["name"])
    for column in ("protocol", "epoch", "split", *(measure.title for measure in measures)):
        table.add_column(escape(column))
    for protocol, found in result["metrics"].items():
        for split, metrics in found["splits"].items():
            numbers = (_number(metrics["average"][measure.name], measure.decimals) for measure in measures)
            table.add_row(protocol, str(found["epoch"]), split, *numbers)
    console = open_console()
    console.print(table)
    waited = result["timing"]["data_wait_share"]
    if waited > WAIT_WORTH_A_WORD:
        advice = "raise data.workers, or keep decoded frames with data.cache=packed or data.cache=bytes"
        console.print(f"{waited:.0%} of training was spent waiting for data: {advice}", soft_wrap=True)
    elif waited >= 0:
        console.print(f"{waited:.0%} of training was spent waiting for data", soft_wrap=True)
    console.print(f"written to {folder}", soft_wrap=True)


def show_floors(floors: Mapping[str, Mapping[str, Mapping[str, Any]]], videos: Mapping[str, int]) -> None:
    """Print `swapaqa.probing.baselines.floors` by split and baseline. `videos`: by split."""
    table = Table(title=f"Without a pixel: means of {videos['train']} training videos")
    for column in ("split", "videos", "baseline", "unseen", *(measure.title for measure in STANDARD)):
        table.add_column(column, justify="left" if column in ("split", "baseline") else "right", no_wrap=True)
    for split, found in floors.items():
        for name, floor in found.items():
            numbers = (_with_interval(floor, measure) for measure in STANDARD)
            table.add_row(split, str(videos[split]), name, str(floor["unseen"]), *numbers)
    console = open_console()
    console.print(table)
    legend = (
        "In brackets: 95 % interval over the test videos (BCa bootstrap). Unseen: videos whose competition (or, for "
    )
    console.print(f"{legend}difficulty, whose difficulty) no training video has.", soft_wrap=True, markup=False)


def show_probe(outcomes: Mapping[str, Mapping[str, Any]], lines: Sequence[str], folder: Path) -> None:
    """Print the scores of every condition by split, and `lines`. `outcomes`: see `swapaqa.probing.outcome`."""
    table = Table(title="What the prediction follows")
    for column in ("split", "shown", *(measure.title for measure in STANDARD)):
        table.add_column(column, no_wrap=True)
    for split, outcome in outcomes.items():
        for condition, scores in outcome["conditions"].items():
            numbers = (_with_interval(scores, measure) for measure in STANDARD)
            table.add_row(split, WORDS[condition], *numbers)
    console = open_console()
    console.print(table)
    for line in (*lines, f"written to {folder}"):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _with_interval(floor: Mapping[str, Any], measure: Measure) -> str:
    ends = floor["confidence"][measure.name]
    return _number(floor[measure.name], measure.decimals) + (escape(f" [{ends[0]:.2f}, {ends[1]:.2f}]") if ends else "")


def _number(value: float, decimals: int) -> str:
    return "undefined" if math.isnan(value) else f"{value:.{decimals}f}"
