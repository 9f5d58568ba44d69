"""Half precision without a GPU, which a CPU hardly computes in.

On a CPU without instructions for them single bfloat16 convolutions take 44 to 170 times the time of float32, and some
operations do not exist; a run would seem to hang. On one with them (AVX512_BF16, oneDNN 3.12 in torch 2.13) the weight
gradients of a 3x3x3 convolution over two frames, I3D's last blocks, are what lay in memory before, without a warning.
"""

import logging

import torch
from omegaconf import DictConfig

from swapaqa.errors import InputError

log = logging.getLogger(__name__)

WIDE = "32-true"


def gpu_is_there() -> bool:
    """Whether PyTorch sees a GPU on this machine."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def half_on_cpu(trainer: DictConfig) -> bool:
    """Whether a trainer's configuration asks for float16 or bfloat16, and would compute on the CPU."""
    on_cpu = trainer.get("accelerator") == "cpu" or not gpu_is_there()
    return on_cpu and str(trainer.get("precision")).startswith(("16", "bf16"))


def refuse_half_on_cpu(trainer: DictConfig) -> None:
    """Raise InputError where `half_on_cpu`."""
    if half_on_cpu(trainer):
        raise InputError(
            f"trainer.precision={trainer.precision} needs a GPU: on a CPU it takes many times longer or has "
            f"wrong gradients; trainer.precision={WIDE} works everywhere"
        )


def precision_here(trainer: DictConfig) -> str:
    """The precision of a checkpoint's training; 32-true, with a warning, where it was of a GPU and here is none."""
    if not half_on_cpu(trainer):
        return str(trainer.precision)
    log.warning(
        "trainer.precision=%s of the training needs a GPU, and this evaluation has none: it computes in %s, and "
        "scores may differ in the third digit",
        trainer.precision, WIDE,
    )  # fmt: skip
    return WIDE
