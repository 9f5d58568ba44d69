"""How many devices of a machine the trainer's options name."""

from typing import Any

from omegaconf import DictConfig


def per_node(trainer: DictConfig) -> int:
    """How many devices the trainer's options name on each machine."""
    devices = trainer.devices
    if isinstance(devices, int) and devices > 0:
        return devices
    if devices in ("auto", -1, "-1"):
        return _gpus() if trainer.accelerator in ("auto", "gpu", "cuda") else 1
    return len(devices.split(",")) if isinstance(devices, str) and "," in devices else max(1, _length(devices))


def _gpus() -> int:
    from torch.cuda import device_count  # here, as torch takes a second to import

    return max(1, device_count())


def _length(devices: Any) -> int:
    return 1 if isinstance(devices, str | int) else len(devices)
