"""Experiment loggers: the only place that knows wandb beside its yaml.

wandb must never ask a question, need a network or fail a training: without a key it runs offline, a server that does
not answer within 30 s is given up, and if it cannot start at all the run goes on with a table on disk.
"""

import logging
import os
from collections.abc import Sequence
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

import wandb
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.utilities import rank_zero_only

log = logging.getLogger(__name__)

START_TIMEOUT = 30  # seconds
Mode = Literal["online", "offline", "disabled", "shared"]


def wandb_logger(project: str, name: str, group: str | None, save_dir: str) -> Logger:
    """A started wandb run, online where a key is configured, else offline; a CSV table where wandb cannot start."""
    if getattr(rank_zero_only, "rank", 0):
        return DummyLogger()  # one run of wandb for all processes, in the first
    modes = ["online", "offline"] if has_key() else ["offline"]
    chosen = os.environ.get("WANDB_MODE")
    settings = wandb.Settings(init_timeout=START_TIMEOUT, silent=True, console="off", disable_git=True)
    for mode in [chosen] if chosen else modes:
        try:
            # started here, so that a failure shows now and not in the middle of training
            run = wandb.init(
                project=project,
                name=name,
                group=group,
                dir=save_dir,
                mode=cast(Mode, mode),
                settings=settings,
            )
        except Exception as error:  # whatever wandb dies of, the training must not
            log.warning("wandb did not start in mode %s: %s", mode, error)
            wandb.teardown()
        else:
            return WandbLogger(experiment=run, save_dir=save_dir)
    log.warning("going on without wandb: metrics.csv in the run folder has the same numbers")
    return CSVLogger(save_dir, name="", version="")


def has_key() -> bool:
    """Whether a wandb key is configured: WANDB_API_KEY, or what `wandb login` left in the netrc file. Never asks."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or str(wandb.Settings().base_url)).hostname or ""
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        return netrc(path).authenticators(host) is not None
    except (OSError, NetrcParseError):
        return False


def log_images(loggers: Sequence[Logger], name: str, path: Path) -> None:
    """Show a picture file in every logger that takes pictures."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [str(path)])


def close(status: int) -> None:
    """End the wandb run, if one is open, as finished (0) or failed; the next job of a sweep starts its own."""
    if wandb.run is not None:
        wandb.finish(exit_code=status)
