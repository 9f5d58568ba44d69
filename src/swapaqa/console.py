"""Terminal output of `train` and `evaluate`, without what libraries say to their developers."""

import logging
import os
import warnings

from rich.console import Console

UNCUT = 10_000  # characters; wider than any table


def open_console(soft_wrap: bool = False, highlight: bool = True) -> Console:
    """A console whose tables are whole in a pipe or a file, which rich takes for 80 characters wide."""
    console = Console(soft_wrap=soft_wrap, highlight=highlight)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNCUT
    return console


def quieten() -> None:
    """Silence what libraries say to their developers on every run."""
    import torch  # here, as programs that compute nothing print too

    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*The `srun` command is available on your system but is not used.*")
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*The number of training batches.*")
    warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")
    warnings.filterwarnings("ignore", ".*nn.functional.all_gather is deprecated.*")
    warnings.filterwarnings("ignore", ".*It is recommended to use .self.log.*sync_dist.*")  # the values are already
    warnings.filterwarnings("ignore", ".*your dataloader is not resumable.*")  # it is: see interruption.py
    warnings.filterwarnings("ignore", ".* (is|are) undefined: .*")  # the recorder says it, once
    warnings.filterwarnings("ignore", ".*Experiment logs directory .* exists.*")  # Hydra made it, for this run
    torch.set_float32_matmul_precision("high")
