"""The swap beside the published form and a plain copy: `python -m src.bench augment`.

Exact candidates are compared bit by bit before anything is timed. On a CUDA device every call takes the next of several
batches, together larger than any cache.
"""

import argparse
import itertools
import math
import statistics
from typing import NamedTuple

import torch
from rich.table import Table
from torch import Tensor

from swapaqa.augment.swap import Variant, swap_background
from swapaqa.bench.synthetic import moving_boxes
from swapaqa.bench.timing import Candidates, best_device, describe, median_ratio, time_rounds
from swapaqa.console import open_console

COPY, NAIVE = "copy, bytes, kept buffer", "naive official, float32"
CACHE_BYTES = 512 * 2**20  # above the largest cache of any device


class SwapCase(NamedTuple):
    """One batch to swap: bytes and the same values as float32, both (B, C, T, H, W)."""

    video: Tensor
    floats: Tensor
    kept: Tensor  # for results, as video
    kept_floats: Tensor
    boxes: Tensor  # (B, T, 4) float32, a moving box of about 13 % of the frame
    masks: Tensor  # (B, T, H, W) bool, the ellipse that fills each box
    donors: Tensor  # (B,) int64
    ratio: float


def add_augment(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    augment = commands.add_parser("augment", help="the swap beside the published form and a plain copy")
    augment.add_argument("--batch", type=int, default=4, help="videos in a batch")
    augment.add_argument("--frames", type=int, default=103)
    augment.add_argument("--size", type=int, default=224, help="height and width in pixels")
    augment.add_argument("--rounds", type=int, default=7)
    augment.set_defaults(run=bench_augment)


def bench_augment(arguments: argparse.Namespace) -> None:
    """Print the table of the swap of bytes."""
    device = best_device()
    cases = make_swap_cases(arguments.batch, arguments.frames, arguments.size, device)
    video = cases[0].video
    check_swap(cases[0])
    console = open_console()
    console.print(
        f"swap of (B, C, T, H, W) = {tuple(video.shape)}, {video.nbytes / 1e6:.0f} MB as bytes, "
        f"ratio {cases[0].ratio}, {arguments.rounds} rounds\n{describe(device)}",
        soft_wrap=True,
    )
    console.print(swap_table(time_rounds(swap_candidates(cases), arguments.rounds, device), video.nbytes))


def make_swap_cases(batch: int, frames: int, size: int, device: torch.device) -> list[SwapCase]:
    """One batch, or on a CUDA device as many as its caches cannot hold."""
    first = make_swap_case(batch, frames, size, device)
    if device.type != "cuda":
        return [first]
    count = math.ceil(CACHE_BYTES / first.video.nbytes)
    return [first, *(another(first) for _ in range(count))]


def another(case: SwapCase) -> SwapCase:
    """The same in other memory."""
    return case._replace(
        video=case.video.clone(),
        floats=case.floats.clone(),
        kept=torch.empty_like(case.video),
        kept_floats=torch.empty_like(case.floats),
    )


def make_swap_case(batch: int, frames: int, size: int, device: torch.device) -> SwapCase:
    """A batch as the loader makes it: (B, T, H, W, C) in memory, seen as (B, C, T, H, W)."""
    generator = torch.Generator().manual_seed(0)
    stored = torch.randint(0, 256, (batch, frames, size, size, 3), dtype=torch.uint8, generator=generator)
    video = stored.to(device).permute(0, 4, 1, 2, 3)
    floats = video.float().contiguous()
    boxes = moving_boxes(batch, frames, size, generator).to(device)
    donors = torch.arange(batch, device=device).roll(1)
    kept, kept_floats = torch.empty_like(video), torch.empty_like(floats)
    return SwapCase(video, floats, kept, kept_floats, boxes, ellipses(boxes, size), donors, ratio=2.0)


def ellipses(boxes: Tensor, size: int) -> Tensor:
    """The ellipse that fills each box (B, T, 4), on frames of `size` pixels a side: (B, T, H, W) bool."""
    at = torch.arange(size, device=boxes.device)
    x1, y1, x2, y2 = (side[..., None] for side in boxes.unbind(-1))
    across = ((2 * at - x1 - x2) / (x2 - x1 + 1)) ** 2  # (B, T, W)
    down = ((2 * at - y1 - y2) / (y2 - y1 + 1)) ** 2  # (B, T, H)
    return down[..., :, None] + across[..., None, :] <= 1


def swap_candidates(cases: list[SwapCase]) -> Candidates:
    """What is timed of the swap of bytes, by the name it has in the table; every call takes the next case."""
    turns = itertools.cycle(cases)
    return {
        COPY: lambda: (case := next(turns)).kept.copy_(case.video),
        "ours, kept buffer": lambda: run_swap(case := next(turns), "paper", case.kept),
        "ours, fresh": lambda: run_swap(next(turns), "paper", None),
        "ours official, kept buffer": lambda: run_swap(case := next(turns), "official", case.kept),
        "ours clean, kept buffer": lambda: run_swap(case := next(turns), "clean", case.kept),
        "ours, a mask at ratio 1": lambda: run_masked(case := next(turns), 1.0, 0, case.kept),
        "ours, a mask grown to ratio 2": lambda: run_masked(case := next(turns), 2.0, 0, case.kept),
        "ours, soft edge of 3 pixels": lambda: run_masked(case := next(turns), 1.0, 3, case.kept),
        "copy, float32, kept buffer": lambda: (case := next(turns)).kept_floats.copy_(case.floats),
        NAIVE: lambda: naive_swap(next(turns), "official"),
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
    masked = torch.where(case.masks.unsqueeze(1), case.video, case.video[case.donors])
    if not torch.equal(run_masked(case, 1.0, 0, None), masked):
        raise AssertionError("the swap of masks differs from a choice of pixels: trust no time")


def run_swap(case: SwapCase, variant: Variant, out: Tensor | None) -> Tensor:
    """The project's swap on the bytes of `case`."""
    return swap_background(case.video, case.boxes, case.donors, ratio=case.ratio, variant=variant, out=out)


def run_masked(case: SwapCase, ratio: float, edge: int, out: Tensor | None) -> Tensor:
    """The same with masks in the place of boxes."""
    return swap_background(case.video, case.masks, case.donors, ratio=ratio, edge=edge, out=out)


def swap_table(seconds: dict[str, list[float]], nbytes: int) -> Table:
    """Rows in the order of the candidates; GB/s counts the video's bytes read once and written once."""
    table = Table("candidate", "ms", "GB/s", "x copy", "naive / this")
    copy, naive = seconds[COPY], seconds[NAIVE]
    for name, times in seconds.items():
        median = statistics.median(times)
        moved = 2 * nbytes * (4 if "float32" in name else 1)
        table.add_row(
            name,
            f"{median * 1e3:.3f}",
            f"{moved / median / 1e9:.1f}",
            f"{median_ratio(times, copy):.2f}",
            f"{median_ratio(naive, times):.1f}",
        )
    return table
