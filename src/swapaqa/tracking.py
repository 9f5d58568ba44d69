"""Experiment loggers: the only place that knows wandb beside its yaml.

wandb must never ask a question, need a network or fail a training: without a key it runs offline, a server that does
not answer within 30 s is given up, and if it cannot start at all the run goes on with a table on disk.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import wandb
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger

log = logging.getLogger(__name__)

START_TIMEOUT = 30  # seconds


def wandb_logger(project: str, name: str, group: str | None, save_dir: str) -> Logger:
    """A started wandb run, online where a key is configured, else offline; a CSV table where wandb cannot start."""
    modes = ["online", "offline"] if has_key() else ["offline"]
    chosen = os.environ.get("WANDB_MODE")
    for mode in [chosen] if chosen else modes:
        try:
            logger = WandbLogger(
                project=project,
                name=name,
                group=group,
                save_dir=save_dir,
                mode=mode,
                settings=wandb.Settings(
                    init_timeout=START_TIMEOUT, silent=True, console="off", disable_git=True, quiet=True
                ),
            )
            logger.experiment.summary["mode"] = mode  # starts the run: a failure shows here, not in training
        except Exception as error:  # whatever wandb dies of, the training must not
            log.warning("wandb did not start %s: %s", mode, error)
            wandb.teardown()
        else:
            return logger
    log.warning("going on without wandb; metrics.csv in the run folder has the same numbers")
    return CSVLogger(save_dir, name="", version="")


def has_key() -> bool:
    """Whether a wandb key is configured, in the environment or by `wandb login`. Never asks."""
    try:
        return bool(wandb.Api(timeout=5).api_key) if os.environ.get("WANDB_API_KEY") else _netrc_has_key()
    except Exception:  # no key that wandb accepts is no key
        return False


def _netrc_has_key() -> bool:
    from wandb.sdk.lib import apikey  # its own reading of netrc, without a prompt

    return bool(apikey.api_key())


def log_images(loggers: Sequence[Logger], name: str, path: Path) -> None:
    """Show a picture file in every logger that takes pictures."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [str(path)])


def close(status: int) -> None:
    """End the wandb run, if one is open, as finished (0) or failed; the next job of a sweep starts its own."""
    if wandb.run is not None:
        wandb.finish(exit_code=status)
