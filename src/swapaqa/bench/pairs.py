"""Pairs of videos before a network sees one, group borders and exemplar draws: `python -m src.bench pairs`.

Labels and groups are random, so any number of videos costs no files.
"""

import argparse
import resource
import time
from collections.abc import Callable, Hashable

import torch
from rich.console import Console
from rich.table import Table

from swapaqa.bench.timing import describe
from swapaqa.data.exemplars import ExemplarBank
from swapaqa.data.records import Record
from swapaqa.models.score_groups import build_groups_of_videos

DEPTH, MAX_LABEL, VOTERS, COMPETITIONS = 5, 100.0, 10, 50


def add_pairs(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    pairs = commands.add_parser("pairs", help="group borders, exemplar draws and voters of many videos")
    pairs.add_argument("--videos", type=int, default=100_000)
    pairs.set_defaults(run=bench_pairs)


def bench_pairs(arguments: argparse.Namespace) -> None:
    """Run each of them once, and print its time on the processor and the process's peak memory so far."""
    table = Table(f"{arguments.videos:,} videos in one group", "processor seconds", "peak GB so far")
    for name, call in candidates(arguments.videos).items():
        start = time.process_time()
        call()
        elapsed = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        table.add_row(name, f"{elapsed:.2f}", f"{peak:.2f}")
    console = Console()
    console.print(describe(torch.device("cpu")), soft_wrap=True)
    console.print(table)


def candidates(videos: int) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    generator = torch.Generator().manual_seed(0)
    free = MAX_LABEL * torch.rand(videos, dtype=torch.float64, generator=generator)
    rounded = (2 * free).round() / 2
    records = [
        Record(f"{i:06d}", "diving", score, "train", first_frame=i % COMPETITIONS)
        for i, score in enumerate(free.tolist())
    ]

    def draw(apart: Callable[[Record], Hashable] | None) -> None:
        bank = ExemplarBank(records, lambda record: record.action, 0, apart=apart)
        for record in records:
            bank.draw(record, 0)

    def vote() -> None:
        bank = ExemplarBank(records, lambda record: record.action, 0)
        for record in records:
            bank.voters(record, VOTERS)

    return {
        "group borders, labels to half a point": lambda: borders(rounded),
        "group borders, no two labels alike": lambda: borders(free),
        "an exemplar for every video": lambda: draw(None),
        "the same, never of its competition": lambda: draw(lambda record: record.first_frame),
        f"{VOTERS} voters for every video": vote,
    }


def borders(label: torch.Tensor) -> torch.Tensor:
    """(K, 2) group borders of labels (N,) in one group."""
    return build_groups_of_videos(label, torch.zeros(len(label), dtype=torch.int64), DEPTH, MAX_LABEL)
