"""Peak memory of one step or encoding, each variant in a fresh process: nothing of another one is left there."""

import gc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import torch

from swapaqa.bench.loop import Batch, Loop, Variant, one_video_or_batch
from swapaqa.console import quieten

CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
RESET_HIGH_WATER = "5"  # what the kernel wants written there
STEPS_ON_CUDA = 3  # the optimiser's moments are there from the second on


class Peak(NamedTuple):
    """Of a CUDA device everything allocated, weights included; of a CPU what the call added to the process."""

    nbytes: int | None  # None where it cannot be measured: no Linux
    fits: bool = True  # within the cap


def peak_memory(variant: Variant, inference: bool, cap: float | None = None) -> Peak:
    """Of a variant in a process of its own. `cap`: GiB that a CUDA process may allocate."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(_peak_here, variant, inference, cap).result()


def _peak_here(variant: Variant, inference: bool, cap: float | None) -> Peak:
    quieten()
    loop = Loop(variant, inference)
    batch = one_video_or_batch(loop)
    if loop.device.type == "cuda":
        return _peak_on_cuda(loop, batch, cap)
    return Peak(resident_peak(loop, batch))


def resident_peak(loop: Loop, batch: Batch) -> int | None:
    """Bytes by which a run raises the process's resident memory at the most."""
    if not CLEAR.exists():
        return None
    gc.collect()
    CLEAR.write_text(RESET_HIGH_WATER)
    before = _status("VmRSS")
    loop.run(batch)
    return _status("VmHWM") - before


def _status(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024  # in kB, as the kernel calls KiB


def _peak_on_cuda(loop: Loop, batch: Batch, cap: float | None) -> Peak:
    if cap is not None:
        whole = torch.cuda.get_device_properties(loop.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, cap * 2**30 / whole), loop.device)
    torch.cuda.reset_peak_memory_stats(loop.device)
    try:
        for _ in range(STEPS_ON_CUDA):
            loop.run(batch)
    except torch.OutOfMemoryError:
        return Peak(torch.cuda.max_memory_allocated(loop.device), fits=False)
    return Peak(torch.cuda.max_memory_allocated(loop.device))
