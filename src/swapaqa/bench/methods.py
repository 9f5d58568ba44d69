"""What it costs every method to look at a video: `python -m src.bench methods`.

One row a preset of `conf/experiment`, at its own frames, size, clips and backbone: the operations that encoding one
video takes, counted on tensors without memory, and with `--rounds` the time on this machine. Heads are small beside it
and not in it. No data set is needed.
"""

import argparse
import statistics
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rich.table import Table
from torch._subclasses.fake_tensor import DataDependentOutputException

from swapaqa.bench.counting import count_loop
from swapaqa.bench.loop import Loop, Variant, one_video_or_batch
from swapaqa.bench.step import duration, time_variants, with_progress
from swapaqa.bench.timing import describe
from swapaqa.console import open_console
from swapaqa.errors import InputError

PRESETS = Path(__file__).parents[1] / "conf" / "experiment"
STUDIES = ("box_source_", "none")  # presets of no method of their own


class Cost(NamedTuple):
    """Of encoding one video."""

    clips: int
    flop: int | None  # two for a multiplication with its addition; None where it depends on the video's boxes
    seconds: float | None  # None where it was not measured


def add_methods(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    methods = commands.add_parser("methods", help="operations and time to encode a video, of every published method")
    methods.add_argument("--experiment", action="append", default=[], metavar="NAME", help="of these presets alone")
    methods.add_argument("--rounds", type=int, default=0, help="also time the encoding, so often")
    methods.add_argument("--warm-ups", type=int, default=1, help="rounds before, which are not counted")
    methods.set_defaults(run=bench_methods, overrides=[])


def bench_methods(given: argparse.Namespace) -> None:
    """Print the table."""
    names = given.experiment or presets()
    unknown = set(names) - set(presets())
    if unknown:
        raise InputError(f"--experiment {min(unknown)}: no such preset of a method; there are {', '.join(presets())}")
    found = {
        name: cost((f"experiment={name}", *given.overrides), given.rounds, given.warm_ups)
        for name, _ in with_progress([(name, None) for name in names], "presets")
    }
    console = open_console()
    console.print(costs_table(found))
    if given.rounds:
        device = Loop(Variant(names[0], (f"experiment={names[0]}", *given.overrides)), inference=True).device
        console.print(describe(device), soft_wrap=True, highlight=False)


def presets() -> list[str]:
    """The presets of methods, by name."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml") if not path.stem.startswith(STUDIES))


def cost(overrides: Sequence[str], rounds: int = 0, warm_ups: int = 1) -> Cost:
    """What encoding one video takes under overrides of `src.train`."""
    loop = Loop(Variant("", tuple(overrides)), inference=True)
    video = one_video_or_batch(loop)
    seconds, flop = None, None
    with suppress(DataDependentOutputException):
        flop = count_loop(loop, video).flop
    if rounds:
        (times,) = time_variants({"": loop}, rounds, warm_ups).values()
        seconds = statistics.median(duration(parts) for parts in times)
    frames = loop.data.source.frames
    return Cost(sum(len(plan.starts(frames)) for plan in loop.model.encoder.plans), flop, seconds)


def costs_table(found: dict[str, Cost]) -> Table:
    """A row a preset, the cheapest first."""
    table = Table("experiment", title="encoding one video")
    for column in ("clips", "TFLOP", "ms"):
        table.add_column(column, justify="right")
    for name, own in sorted(found.items(), key=lambda pair: pair[1].flop or 0):
        count, time = (own.flop and own.flop / 1e12, "3f"), (own.seconds and own.seconds * 1e3, "0f")
        table.add_row(
            name, str(own.clips), *("-" if value is None else f"{value:.{form}}" for value, form in (count, time))
        )
    table.caption = "-: not measured; of operations: their number depends on the video's boxes"
    return table
