"""Out of memory on a device, as one line that names the key which makes it fit."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import reason

LOADER = "DataLoader worker"  # of torch, about a process that did not end by itself
WORDS = ("out of memory", "can't allocate memory")  # of CUDA's libraries, and of the CPU's allocator


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in WORDS)
    )


@contextmanager
def explained(advice: str) -> Iterator[None]:
    """Turn "out of memory" into an InputError: how much was asked for, and `advice`; and a loader's killed process."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if LOADER in str(error):
            raise InputError(
                f"{reason(error)} The system ends a process so when memory runs out: lower data.workers, or see "
                "what else is running"
            ) from error
        if not is_out_of_memory(error):
            raise
        said = " ".join(str(error).split()).split(". ")
        raise InputError(f"{'. '.join(said[:2]).rstrip('.')}: {advice}") from error


def advice(clips_per_pass: int | None, live_statistics: bool, batch_size: int, accumulate: int) -> str:
    """The keys that need less memory, the most effective one first.

    Args:
        clips_per_pass: of the backbone, None for all clips at once.
        live_statistics: whether BatchNorm uses the statistics of a batch, which cannot be had clip by clip.
        batch_size, accumulate: `data.batch_size` and `trainer.accumulate_grad_batches`.
    """
    if live_statistics:
        return (
            f"lower data.batch_size={batch_size}, or freeze BatchNorm's statistics and compute clip by clip: "
            "backbone.freeze_bn=true backbone.clips_per_pass=1"
        )
    if clips_per_pass != 1:
        return "say backbone.clips_per_pass=1, which computes clip by clip in the memory of one, with equal results"
    return (
        f"backbone.clips_per_pass=1 is set already: lower data.batch_size={batch_size} and raise "
        f"trainer.accumulate_grad_batches={accumulate} by the same factor, which keeps the videos of a step"
    )
