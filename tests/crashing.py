"""An augmentation that ends its process as the system does when memory runs out; for sweeps whose job must crash."""

import os
import signal
from typing import Any

import torch

from swapaqa.augment.swap import ScaledBackgroundSwap


class CrashingSwap(ScaledBackgroundSwap):
    """The swap, until the last process of the run draws."""

    def draw(self, batch_size: int, generator: torch.Generator) -> Any:
        if os.environ.get("RANK", "0") == str(int(os.environ.get("WORLD_SIZE", "1")) - 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(batch_size, generator)
