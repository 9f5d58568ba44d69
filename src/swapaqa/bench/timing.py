"""Timing side by side: whatever else the machine does falls on all candidates.

Every round runs all candidates once, in an order drawn anew; a ratio is the median of the rounds' ratios, not a ratio
of medians. On a CUDA device what is timed is the device: calls are queued behind other work, so that the host's
launching hides as it does in training.
"""

import gc
import platform
import random
import statistics
import time
from collections.abc import Callable

import torch

Candidates = dict[str, Callable[[], object]]

DEVICE_CALLS = 20  # timed together on a CUDA device


def time_rounds(candidates: Candidates, rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every candidate in every round, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    for counted in range(-1, rounds):
        random.shuffle(order)
        for name in order:
            gc.collect()
            elapsed = _seconds_on_cuda(candidates[name]) if device.type == "cuda" else _seconds(candidates[name])
            if counted >= 0:
                seconds[name].append(elapsed)
    return seconds


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    result = call()
    elapsed = time.perf_counter() - start
    del result  # giving the memory back is not timed
    return elapsed


def _seconds_on_cuda(call: Callable[[], object]) -> float:
    """Device time of one call, of several in a row. A call that waits for the device is timed with its waiting."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    ahead = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    for _ in range(50):  # some 10 ms of work, while which the host queues all that follows
        ahead.fill_(0)
    start.record()
    for _ in range(DEVICE_CALLS):
        call()
    end.record()
    end.synchronize()
    milliseconds: float = start.elapsed_time(end)
    return milliseconds / 1e3 / DEVICE_CALLS


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


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
