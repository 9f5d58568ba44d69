"""Where the time of a step goes, by operation: `python -m src.bench step --operations`."""

from collections.abc import Mapping

from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from swapaqa.bench.loop import Loop, one_video_or_batch

SHOWN = 12  # operations; the rest in one line


def operations_table(loops: Mapping[str, Loop]) -> Table:
    """The operations of one step of every variant, after one that warms up, by their own time on its device."""
    table = Table("variant", "operation", title="operations of a step")
    for column in ("calls", "ms", "share"):
        table.add_column(column, justify="right")
    for name, loop in loops.items():
        found = operations(loop)
        whole = sum(ms for _, ms in found.values())
        first = sorted(found, key=lambda key: -found[key][1])[:SHOWN]
        for number, key in enumerate(first):
            calls, ms = found[key]
            table.add_row("" if number else name, key, str(calls), f"{ms:.2f}", f"{ms / whole:.1%}")
        rest = [numbers for key, numbers in found.items() if key not in first]
        calls, ms = sum(calls for calls, _ in rest), sum(ms for _, ms in rest)
        table.add_row("", f"{len(rest)} others", str(calls), f"{ms:.2f}", f"{ms / whole:.1%}", end_section=True)
    return table


def operations(loop: Loop) -> dict[str, tuple[int, float]]:
    """Calls and own milliseconds of each operation in one step."""
    on_cuda = loop.device.type == "cuda"
    batch = one_video_or_batch(loop)
    loop.run(batch)
    with profile(activities=[ProfilerActivity.CUDA if on_cuda else ProfilerActivity.CPU]) as profiled:
        loop.run(batch)
    found: dict[str, tuple[int, float]] = {}
    for event in profiled.key_averages():
        own = event.self_device_time_total if on_cuda else event.self_cpu_time_total
        if own:
            found[event.key] = (event.count, own / 1e3)
    return found
