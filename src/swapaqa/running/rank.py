"""Who started this process: nobody but the user, or torchrun, srun or submitit as one of several.

The environment says whether there is anything to ask Lightning, which takes seconds to import.
"""

import os
from typing import NamedTuple

from swapaqa.errors import InputError

FROM_OUTSIDE = ("TORCHELASTIC_", "SLURM_", "TORCHRUN_")
SITE = "SLURM_CONF"  # where the cluster is, not what was started on it
RANK_VARIABLES = (
    "RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE",
    "ROLE_WORLD_SIZE", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK",
)  # fmt: skip


class ProcessRank(NamedTuple):
    """Where this process stands among those that torchrun, srun or submitit started."""

    rank: int
    world_size: int


def process_rank() -> ProcessRank | None:
    """None for a process that stands alone."""
    if "TORCHELASTIC_RUN_ID" in os.environ:  # by torchrun
        return ProcessRank(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    if on_slurm():
        return ProcessRank(int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"]))
    return None


def on_slurm() -> bool:
    """Whether srun (or submitit, by it) started this process; not so for a script's own processes, and for shells."""
    if "SLURM_STEP_ID" not in os.environ:
        return False
    from lightning_fabric.plugins.environments import SLURMEnvironment

    return SLURMEnvironment.detect()


def ignore_allocation() -> None:
    """Forget the number of tasks of a SLURM job whose script runs this process without srun: it stands alone.

    Lightning would take it for the first of so many and wait for the others.
    """
    if "SLURM_STEP_ID" not in os.environ:
        os.environ.pop("SLURM_NTASKS", None)


def lead_sweep() -> bool:
    """Make this process the one that leads a sweep; False for the others that torchrun or srun started.

    The leader starts its jobs' processes itself, so it forgets what it was started among.

    Raises:
        InputError: started on several nodes, where it cannot start processes.
    """
    found = process_rank()
    if found is None:
        return True
    if int(os.environ.get("GROUP_WORLD_SIZE", os.environ.get("SLURM_NNODES", "1"))) > 1:
        raise InputError("--multirun over several nodes: leave torchrun or srun out and say hydra/launcher=slurm")
    for name in [
        name for name in os.environ if (name.startswith(FROM_OUTSIDE) and name != SITE) or name in RANK_VARIABLES
    ]:
        del os.environ[name]
    return found.rank == 0
