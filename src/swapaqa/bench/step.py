"""One training step beside the published form of it: `python -m src.bench step`.

Overrides are those of `src.train`, for the model, the backbone and the batch; no data set is needed. Variants are the
configuration itself, one more for every `--also`, and the published form (`swapaqa.bench.published`). Each is counted,
its peak memory is measured in a process of its own, and then rounds run all variants in an order drawn anew; a ratio is
the median of the rounds' ratios. A step is one batch with one step of the optimiser.

Loading is what one loader process does: copying the drawn crops out of files of `data.cache=bytes`, which have just
been written and so are in memory. It is shown beside the step and not added to it: in training it runs in
`data.workers` other processes.
"""

import argparse
import gc
import random
import shlex
import statistics
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from swapaqa.batch import map_columns
from swapaqa.bench.counting import Counts, count_loop
from swapaqa.bench.loop import LOAD, Loop, Variant, one_video_or_batch
from swapaqa.bench.memory import Peak, peak_memory
from swapaqa.bench.operations import operations_table
from swapaqa.bench.scratch import cache_of_its_own
from swapaqa.bench.synthetic import CachedVideos
from swapaqa.bench.timing import describe, median_ratio
from swapaqa.console import open_console
from swapaqa.errors import InputError

CONFIGURATION, PUBLISHED = "configuration", "published form"
GIB = 2**30
STORED = (256 / 224, 455 / 224)  # height and width of stored frames, by the side of the crop
REPEATS_ON_CUDA = 10

Times = list[dict[str, float]]  # seconds of every part, a round each
Item = TypeVar("Item")
console = open_console()


class Measured(NamedTuple):
    """All that is known of a variant."""

    counts: Counts
    peak: Peak | None  # None where it was not asked for
    times: Times


def add_step(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    step = commands.add_parser("step", help="one training step (or --inference) beside the published form")
    step.add_argument(
        "--also", action="append", default=[], metavar="OVERRIDES", help="one more variant, with these too"
    )
    step.add_argument("--frames", type=int, help="of a video; default: the configuration's")
    step.add_argument("--size", type=int, help="height and width in pixels; default: the configuration's")
    step.add_argument("--inference", action="store_true", help="encode one video without gradients instead")
    step.add_argument("--rounds", type=int, default=5, help="0: only count")
    step.add_argument("--warm-ups", type=int, default=1, help="rounds before, which are not counted")
    step.add_argument("--operations", action="store_true", help="only say which operations take a step's time")
    step.add_argument("--cap", type=float, metavar="GIB", help="only say whether a card of so many GiB is enough")
    step.set_defaults(run=bench_step, overrides=[])


def bench_step(given: argparse.Namespace) -> None:
    """Print the tables of a comparison."""
    loops, refused = open_variants(given)
    device = next(iter(loops.values())).device
    console.print(f"{title(given, next(iter(loops.values())))}\n{describe(device)}", soft_wrap=True, highlight=False)
    if given.cap is not None:
        console.print(cap_table(loops, given))
    elif given.operations:
        console.print(operations_table(loops))
    else:
        found = measure(loops, given)
        if given.rounds:
            console.print(parts_table(loops, found))
        console.print(variants_table(found, device.type))
    for name, reason in refused.items():
        console.print(f"{name}: not measured: {reason}", soft_wrap=True, markup=False, highlight=False)


def open_variants(given: argparse.Namespace) -> tuple[dict[str, Loop], dict[str, str]]:
    """The variants that can be built, and of the others the reason. InputError where it is the configuration itself."""
    overrides = (*given.overrides, *size_overrides(given.frames, given.size))
    variants = [Variant(CONFIGURATION, overrides)]
    variants += [Variant(also, (*overrides, *shlex.split(also))) for also in given.also]
    variants.append(Variant(PUBLISHED, overrides, published=True))
    loops: dict[str, Loop] = {}
    refused: dict[str, str] = {}
    for variant in variants:
        try:
            loops[variant.name] = Loop(variant, given.inference)
        except InputError as error:
            if variant.name == CONFIGURATION:
                raise
            refused[variant.name] = str(error)
    return loops, refused


def size_overrides(frames: int | None, size: int | None) -> list[str]:
    """Overrides for videos of so many frames of size x size pixels, cut out of larger ones as in training."""
    overrides = [] if frames is None else [f"data.frames={frames}"]
    if size is not None:
        height, width = (round(size * share) for share in STORED)
        overrides += [
            f"data.geometry.{key}={value}" for key, value in (("crop", size), ("height", height), ("width", width))
        ]
    return overrides


def title(given: argparse.Namespace, loop: Loop) -> str:
    """What is measured, in a line."""
    data, source, what = loop.data, loop.data.source, "encoding of one video" if given.inference else "training step"
    videos = 1 if given.inference else data.batch_size * (2 if data.voters else 1)
    shape = (videos, 3, source.frames, source.geometry.crop, source.geometry.crop)
    overrides = " ".join(given.overrides) or "no overrides"
    return f"{what}: {overrides}; (B, C, T, H, W) = {shape}, {given.rounds} rounds after {given.warm_ups}"


def measure(loops: dict[str, Loop], given: argparse.Namespace) -> dict[str, Measured]:
    """Count every variant, measure its peak, then time all of them side by side."""
    counts = {
        name: count_loop(loop, one_video_or_batch(loop)) for name, loop in with_progress(loops.items(), "counting")
    }
    peaks: dict[str, Peak | None] = dict.fromkeys(loops)
    times: dict[str, Times] = {name: [] for name in loops}
    if given.rounds:
        for name, loop in with_progress(loops.items(), "peak memory"):
            peaks[name] = peak_memory(loop.variant, given.inference)
        times = time_variants(loops, given.rounds, given.warm_ups)
    return {name: Measured(counts[name], peaks[name], times[name]) for name in loops}


def time_variants(loops: dict[str, Loop], rounds: int, warm_ups: int) -> dict[str, Times]:
    """Seconds of every part of every variant in every round."""
    times: dict[str, Times] = {name: [] for name in loops}
    order = list(loops)
    with cache_of_its_own() as room:
        videos = open_videos(loops, room)
        for loop in loops.values():
            loop.watch()
        turns = [(counted, name) for counted in range(-warm_ups, rounds) for name in random.sample(order, len(order))]
        for counted, name in with_progress(turns, "rounds"):
            gc.collect()
            found = take_turn(loops[name], videos[name])
            if counted >= 0:
                times[name].append(found)
    return times


def with_progress(work: Collection[Item], description: str) -> Iterable[Item]:
    """The same, with a bar that shows how far it is."""
    return track(work, description=description, transient=True, console=Console(stderr=True))


def open_videos(loops: dict[str, Loop], room: Path) -> dict[str, CachedVideos]:
    """What each variant loads; variants differ in batch and size only where their overrides say so."""
    videos = {}
    for number, (name, loop) in enumerate(loops.items()):
        folder = room / str(number)
        folder.mkdir()
        videos[name] = CachedVideos(one_video_or_batch(loop), loop.data.source, folder)
    return videos


def take_turn(loop: Loop, videos: CachedVideos) -> dict[str, float]:
    """Seconds of every part: of one run, or on a CUDA device the mean of several behind one that is not counted."""
    start = time.perf_counter()
    batch = videos.load()
    load = time.perf_counter() - start
    repeats = 1
    if loop.device.type == "cuda":
        repeats = REPEATS_ON_CUDA
        batch = map_columns(batch, Tensor.pin_memory)  # as the loader hands it on
        loop.run(batch)
        loop.clock.take()
    for _ in range(repeats):
        loop.run(batch)
    return {LOAD: load} | {part: seconds / repeats for part, seconds in loop.clock.take().items()}


def duration(parts: dict[str, float]) -> float:
    """Of a step: of all its parts but the loading, which runs beside it."""
    return sum(seconds for part, seconds in parts.items() if part != LOAD)


def parts_table(loops: dict[str, Loop], found: dict[str, Measured]) -> Table:
    """Median ms of every part of every variant, and its share of the variant's step."""
    table = Table("variant", "part", title="parts of a step")
    for column in ("ms", "share"):
        table.add_column(column, justify="right")
    for name, loop in loops.items():
        times = found[name].times
        whole = statistics.median(duration(parts) for parts in times)
        for part in loop.parts:
            seconds = statistics.median(parts[part] for parts in times)
            label = f"{part} (beside)" if part == LOAD else part
            table.add_row(name if part == LOAD else "", label, f"{seconds * 1e3:.2f}", f"{seconds / whole:.2%}")
        table.add_row("", "step", f"{whole * 1e3:.2f}", "", end_section=True)
    return table


def variants_table(found: dict[str, Measured], device: str) -> Table:
    """Counts, memory and time of every variant, and its ratios to the published form."""
    table = Table("variant", title="variants: TFLOP, GiB saved and GiB live are counted; the rest is measured")
    for column in ("TFLOP", "saved", "live", "peak", "step ms", "published / this"):
        table.add_column(column, justify="right", no_wrap=column != "published / this")
    for name, variant in found.items():
        counts = (
            f"{variant.counts.flop / 1e12:.4g}",
            f"{variant.counts.saved / GIB:.3f}",
            f"{variant.counts.live / GIB:.3f}",
        )
        table.add_row(name, *counts, peak_cell(variant, found[PUBLISHED]), *time_cells(variant, found[PUBLISHED]))
    what = "allocated on the device" if device == "cuda" else "that the step adds to a fresh process"
    table.caption = f"saved: what autograd keeps; live: all tensors; peak: GiB {what} (share of the published form)"
    return table


def peak_cell(variant: Measured, published: Measured) -> str:
    """Peak memory, and its share of the published form's."""
    own, theirs = (measured.peak.nbytes if measured.peak else None for measured in (variant, published))
    return "-" if own is None or theirs is None else f"{own / GIB:.3f} ({own / theirs:.1%})"


def time_cells(variant: Measured, published: Measured) -> tuple[str, str]:
    """Median time of a step, and how many times faster than the published form."""
    if not variant.times:
        return "-", "-"
    own, theirs = ([duration(parts) for parts in measured.times] for measured in (variant, published))
    return f"{statistics.median(own) * 1e3:.2f}", f"{median_ratio(theirs, own):.2f}"


def cap_table(loops: dict[str, Loop], given: argparse.Namespace) -> Table:
    """Whether each variant runs on a card of `given.cap` GiB: tried on a CUDA device, counted without one."""
    tried = all(loop.device.type == "cuda" for loop in loops.values())
    need = "allocated GiB, tried" if tried else "needed GiB, counted"
    table = Table("variant", need, f"under {given.cap:g} GiB", title="a process under a cap")
    for name, loop in with_progress(loops.items(), "trying" if tried else "counting"):
        if tried:
            peak = peak_memory(loop.variant, given.inference, given.cap)
            table.add_row(name, f"{(peak.nbytes or 0) / GIB:.2f}", "runs" if peak.fits else "out of memory")
        else:
            live = count_loop(loop, one_video_or_batch(loop)).live / GIB
            table.add_row(name, f"{live:.2f}", "less is counted" if live < given.cap else "more is counted")
    if not tried:
        table.caption = "counted: weights, gradients, Adam's moments, input, tensors; not workspaces, not CUDA itself"
    return table
