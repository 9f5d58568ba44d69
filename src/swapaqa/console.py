"""Terminal output of `train` and `evaluate`, without what libraries say to their developers."""

import logging
import math
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import RichProgressBar
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from swapaqa.measures.ours import STANDARD, stored_measures
from swapaqa.measures.record import Measure
from swapaqa.probing.conditions import WORDS

WAIT_WORTH_A_WORD = 0.1
UNCUT = 10_000  # characters; wider than any table


def open_console(soft_wrap: bool = False, highlight: bool = True) -> Console:
    """A console whose tables are whole in a pipe or a file, which rich takes for 80 characters wide."""
    console = Console(soft_wrap=soft_wrap, highlight=highlight)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNCUT
    return console


class ProgressBar(RichProgressBar):
    """Lightning's, with epochs counted from 1 as in tables and files."""

    def _get_train_description(self, current_epoch: int) -> str:
        counted_from_0 = super()._get_train_description(current_epoch)  # Epoch 0/24
        return re.sub(r"\d+", lambda number: str(int(number[0]) + 1), counted_from_0)


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


def quieten() -> None:
    """Silence what libraries say to their developers on every run."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*The `srun` command is available on your system but is not used.*")
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*The number of training batches.*")
    warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")
    warnings.filterwarnings("ignore", ".*nn.functional.all_gather is deprecated.*")
    warnings.filterwarnings("ignore", ".*It is recommended to use .self.log.*sync_dist.*")  # the values are already
    warnings.filterwarnings("ignore", ".*your dataloader is not resumable.*")  # it is: see interruption.py
    warnings.filterwarnings("ignore", ".* (is|are) undefined: .*")  # the recorder says it, once
    warnings.filterwarnings("ignore", ".*Experiment logs directory .* exists.*")  # Hydra made it, for this run
    torch.set_float32_matmul_precision("high")
