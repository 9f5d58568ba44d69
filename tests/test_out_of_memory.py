"""A device that is full, through the real entry point: one line with the key that makes it fit."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.models.tiny import TinyBackbone
from swapaqa.running.out_of_memory import advice, explained, is_out_of_memory

Run = Callable[..., "CompletedProcess[str]"]

FULL = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.02 GiB is "
    "free. Including non-PyTorch memory, this process has 78.08 GiB memory in use."
)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], ["say backbone.clips_per_pass=1"]),
        (
            ["backbone.clips_per_pass=1", "data.batch_size=4"],
            ["is set already", "data.batch_size=4", "trainer.accumulate_grad_batches=1"],
        ),
    ],
)
def test_a_full_device_names_the_key_that_makes_it_fit(
    overrides: list[str], words: list[str], tmp_path: Path, train_inside: Run, small_demo: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def full(network: TinyBackbone, clips: Tensor) -> Tensor:  # noqa: ARG001
        raise torch.OutOfMemoryError(FULL)

    monkeypatch.setattr(TinyBackbone, "forward", full)
    done = train_inside(tmp_path, *small_demo, *overrides)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    failed = (tmp_path / "run" / "failed.txt").read_text().splitlines()[0]
    for word in ["out of memory. Tried to allocate 2.00 GiB", *words]:
        assert word in lines[0]
        assert word in failed


def test_live_statistics_have_another_way_out() -> None:
    said = advice(None, live_statistics=True, batch_size=4, accumulate=1)
    assert "data.batch_size=4" in said
    assert "backbone.freeze_bn=true backbone.clips_per_pass=1" in said


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError(FULL), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("size mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
    with pytest.raises(InputError if expected else type(error)), explained("do something"):
        raise error
