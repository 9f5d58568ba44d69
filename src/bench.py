"""Measure what costs time: `python -m src.bench augment`.

Every round runs all candidates once, in an order drawn anew, so that whatever else the machine does falls on
all of them; a ratio is the median of the rounds' ratios, not a ratio of medians. Exact candidates are
compared bit by bit before anything is timed.
"""

import argparse
import gc
import math
import platform
import random
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from swapaqa.augment.swap import Variant, swap_background

Candidates = dict[str, Callable[[], object]]


class SwapCase(NamedTuple):
    """One batch to swap: bytes and the same values as float32, both (B, C, T, H, W)."""

    video: Tensor
    floats: Tensor
    boxes: Tensor  # (B, T, 4) float32, a moving box of about 13 % of the frame
    donors: Tensor  # (B,) int64
    ratio: float


def main() -> None:
    """Entry point: one subcommand per part of the project."""
    parser = argparse.ArgumentParser(prog="python -m src.bench", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    augment = commands.add_parser("augment", help="the swap beside the published form and a plain copy")
    augment.add_argument("--batch", type=int, default=4, help="videos in a batch")
    augment.add_argument("--frames", type=int, default=103)
    augment.add_argument("--size", type=int, default=224, help="height and width in pixels")
    augment.add_argument("--rounds", type=int, default=7)
    augment.set_defaults(run=bench_augment)
    arguments = parser.parse_args()
    arguments.run(arguments)


def time_rounds(candidates: Candidates, rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every candidate in every round, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    for counted in range(-1, rounds):
        random.shuffle(order)
        for name in order:
            gc.collect()
            _wait(device)
            start = time.perf_counter()
            result = candidates[name]()
            _wait(device)
            elapsed = time.perf_counter() - start
            del result
            if counted >= 0:
                seconds[name].append(elapsed)
    return seconds


def median_ratio(numerator: list[float], denominator: list[float]) -> float:
    """Median over the rounds of one candidate's time over another's."""
    return statistics.median(above / below for above, below in zip(numerator, denominator, strict=True))


def describe(device: torch.device) -> str:
    """The machine in a line: device, threads, versions."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{_processor()}, {torch.get_num_threads()} threads"
    return f"{name}; torch {torch.__version__}, python {platform.python_version()}"


def best_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def bench_augment(arguments: argparse.Namespace) -> None:
    """Table of the swap: into a kept buffer, into a fresh one, the published form, a copy."""
    device = best_device()
    case = make_swap_case(arguments.batch, arguments.frames, arguments.size, device)
    candidates = swap_candidates(case)
    check_swap(case)
    seconds = time_rounds(candidates, arguments.rounds, device)
    console = Console()
    console.print(
        f"swap of (B, C, T, H, W) = {tuple(case.video.shape)}, {case.video.nbytes / 1e6:.0f} MB as bytes, "
        f"ratio {case.ratio}, {arguments.rounds} rounds\n{describe(device)}",
        soft_wrap=True,
    )
    console.print(swap_table(seconds, case.video.nbytes))


def make_swap_case(batch: int, frames: int, size: int, device: torch.device) -> SwapCase:
    """A batch as the loader makes it: (B, T, H, W, C) in memory, seen as (B, C, T, H, W)."""
    generator = torch.Generator().manual_seed(0)
    stored = torch.randint(0, 256, (batch, frames, size, size, 3), dtype=torch.uint8, generator=generator)
    video = stored.to(device).permute(0, 4, 1, 2, 3)
    side = 0.18 * size * (0.8 + 0.4 * torch.rand(batch, frames, 2, generator=generator))  # doubled by the ratio
    centre = size * (0.3 + 0.4 * torch.rand(batch, frames, 2, generator=generator))
    boxes = torch.cat([centre - side / 2, centre + side / 2], dim=-1).to(device)
    donors = torch.arange(batch, device=device).roll(1)
    return SwapCase(video, video.float().contiguous(), boxes, donors, ratio=2.0)


def swap_candidates(case: SwapCase) -> Candidates:
    """What is timed, by the name it has in the table."""
    kept = torch.empty_like(case.video)
    kept_floats = torch.empty_like(case.floats)

    return {
        "copy, bytes, kept buffer": lambda: kept.copy_(case.video),
        "ours, kept buffer": lambda: run_swap(case, "paper", kept),
        "ours, fresh": lambda: run_swap(case, "paper", None),
        "ours official, kept buffer": lambda: run_swap(case, "official", kept),
        "ours clean, kept buffer": lambda: run_swap(case, "clean", kept),
        "copy, float32, kept buffer": lambda: kept_floats.copy_(case.floats),
        "naive official, float32": lambda: naive_swap(case, "official"),
    }


def naive_swap(case: SwapCase, variant: Variant) -> Tensor:
    """The published form, written for this table: float masks filled frame by frame, then float arithmetic.

    `official` or `paper`, for boxes inside the frame: own * scaled mask + donor * (neither scaled mask, nor,
    in `official`, the donor's own mask).
    """
    batch, _, frames, height, width = case.floats.shape
    first = int if variant == "official" else math.ceil
    scaled = torch.zeros(batch, 1, frames, height, width)
    hole = torch.zeros(batch, 1, frames, height, width)
    for sample in range(batch):
        for frame in range(frames):
            x1, y1, x2, y2 = (case.boxes[sample, frame, side].item() for side in range(4))
            if variant == "official":
                hole[sample, 0, frame, int(y1) : int(y2) + 1, int(x1) : int(x2) + 1] = 1
            grow_x, grow_y = (case.ratio - 1) * (x2 - x1) / 2, (case.ratio - 1) * (y2 - y1) / 2
            left, right = max(x1 - grow_x, 0), min(x2 + grow_x, width)
            top, bottom = max(y1 - grow_y, 0), min(y2 + grow_y, height)
            scaled[sample, 0, frame, first(top) : int(bottom) + 1, first(left) : int(right) + 1] = 1
    scaled, hole = scaled.to(case.floats.device), hole.to(case.floats.device)
    return case.floats * scaled + case.floats[case.donors] * ((1 - scaled) * (1 - hole[case.donors]))


def check_swap(case: SwapCase) -> None:
    """Every exact candidate against the published form, bit by bit, before a time means anything."""
    variants: tuple[Variant, ...] = ("paper", "official")
    for variant in variants:
        expected = naive_swap(case, variant).to(torch.uint8)
        for out in (None, torch.empty_like(case.video)):
            if not torch.equal(run_swap(case, variant, out), expected):
                raise AssertionError(f"the swap ({variant}) differs from the published form: trust no time")


def run_swap(case: SwapCase, variant: Variant, out: Tensor | None) -> Tensor:
    """The project's swap on the bytes of `case`."""
    return swap_background(case.video, case.boxes, case.donors, ratio=case.ratio, variant=variant, out=out)


def swap_table(seconds: dict[str, list[float]], nbytes: int) -> Table:
    """Rows in the order of the candidates; GB/s counts the video's bytes read once and written once."""
    table = Table("candidate", "ms", "GB/s", "x copy", "naive / this")
    copy, naive = seconds["copy, bytes, kept buffer"], seconds["naive official, float32"]
    for name, times in seconds.items():
        median = statistics.median(times)
        moved = 2 * nbytes * (4 if "float32" in name else 1)
        table.add_row(
            name,
            f"{median * 1e3:.2f}",
            f"{moved / median / 1e9:.1f}",
            f"{median_ratio(times, copy):.2f}",
            f"{median_ratio(naive, times):.1f}",
        )
    return table


if __name__ == "__main__":
    main()
