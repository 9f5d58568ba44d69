"""Copies of batches to the device, beside the computation of the batch before."""

from typing import cast

import torch
from lightning_fabric.utilities.apply_func import move_data_to_device
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

from swapaqa.batch import Pair, Sample


class Upload:
    """Copies batches to a device; to a CUDA device in a queue (stream) of their own.

    In the queue of the computation a copy would wait for the step before, and the step after for the copy: of four
    pairs of CoRe, 124 MB. From pinned memory the host does not wait either, so the copy begins as soon as the host has
    queued the step before, while the device still computes it.
    """

    def __init__(self) -> None:
        self._streams: dict[torch.device, torch.cuda.Stream] = {}

    def __call__(self, batch: Sample | Pair, device: torch.device) -> Sample | Pair:
        """The batch on `device`; what is queued there from now on sees all of it."""
        if device.type != "cuda":
            return cast(Sample | Pair, move_data_to_device(batch, device))
        if device not in self._streams:
            self._streams[device] = torch.cuda.Stream(device)
        stream, computation = self._streams[device], torch.cuda.current_stream(device)
        with torch.cuda.stream(stream):
            moved = move_data_to_device(batch, device)
        computation.wait_stream(stream)
        # Its memory belongs to the copying queue, which must not reuse it before the computation is past it.
        apply_to_collection(moved, Tensor, lambda column: column.record_stream(computation))
        return cast(Sample | Pair, moved)
