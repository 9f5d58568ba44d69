"""A run in this process, whatever its configuration is of: a training or a pretraining."""

from contextlib import nullcontext
from pathlib import Path

from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_only

from swapaqa.files.disk_errors import full_disk_explained
from swapaqa.recording import tracking
from swapaqa.running.failures import failure_recorded
from swapaqa.running.interruption import left_on_sigterm
from swapaqa.running.jobs import locked
from swapaqa.running.pretraining import pretrain
from swapaqa.running.training import train

PRETEXT = "pretext"  # the key that only a pretraining has


def run_here(cfg: DictConfig, folder: Path) -> None:
    """Run `cfg` in this process, as one of several or alone, and leave `failed.txt` if that fails."""
    status = 1
    alone = locked(folder) if getattr(rank_zero_only, "rank", 0) == 0 else nullcontext()
    with alone, left_on_sigterm(), failure_recorded(folder), full_disk_explained(folder):
        try:
            (pretrain if PRETEXT in cfg else train)(cfg, folder)
            status = 0
        finally:
            tracking.close(status)
