"""Start a program of ours, and turn every user's error into one line."""

import errno
import functools
import io
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from swapaqa.configuration.keys import interpolations_explained
from swapaqa.configuration.overrides import OF_A_GROUP, explain_group, explain_override
from swapaqa.errors import InputError, for_a_terminal
from swapaqa.files.disk_errors import NO_PLACE, NO_ROOM, STANDARD_OUTPUT, place_of
from swapaqa.files.foreign_file import reason
from swapaqa.running import orphans, rank, resolvers

resolvers.register()
SHORT_ERRORS = "SWAPAQA_SHORT_ERRORS"  # tells the processes that Lightning starts that the user did not ask for more
NO_OPERATOR = "operator torchvision::"
UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")
KEY_OF_OBJECT = re.compile(r"full_key: (\S+)")  # in what Hydra says of an object that it could not make


def run_program(main: Callable[[], None]) -> None:
    """Run a Hydra program: a user's error is one line and exit status 2, a fault of ours keeps its traceback.

    With HYDRA_FULL_ERROR=1 in the environment every error keeps its traceback.
    """
    if orphans.PARENT in os.environ or rank.process_rank() is not None:
        orphans.watch_parent()
    refuse_rerun(sys.argv[1:])
    if os.environ.get("HYDRA_FULL_ERROR") and not os.environ.get(SHORT_ERRORS):
        if not in_sweep(sys.argv[1:]) or rank.lead_sweep():
            main()
        return
    write_any_text()
    rank.ignore_allocation()
    os.environ |= {"HYDRA_FULL_ERROR": "1", SHORT_ERRORS: "1"}  # Hydra's own short form would hide the error from us
    logging.raiseExceptions = False  # a log's full disk would fill the terminal with tracebacks
    try:
        if not in_sweep(sys.argv[1:]) or rank.lead_sweep():
            main()
        sys.stdout.flush()  # here, as nobody catches what Python does at its end
    except InputError as error:
        fail(str(error))
    except InstantiationException as error:
        if not isinstance(error.__cause__, InputError):
            fail_of_torchvision(error)
            raise
        fail(str(error.__cause__))
    except HydraException as error:
        fail(explain_override(error))
    except ValueError as error:
        if not str(error).startswith(OF_A_GROUP):
            raise
        fail(explain_group(sys.argv[1:]))
    except KeyboardInterrupt:
        fail("stopped by Ctrl-C", 128 + signal.SIGINT)
    except OSError as error:
        fail_of_system(error)
    except Exception as error:
        fail_of_torchvision(error)
        if not _of_the_trainer(error):
            raise
        fail(f"trainer: {' '.join(str(error).split())}")


def _of_the_trainer(error: Exception) -> bool:
    """Whether Lightning refused an accelerator that is not there, or options that exclude each other."""
    lightning = sys.modules.get("pytorch_lightning.utilities.exceptions")  # not imported for the error of another
    return lightning is not None and isinstance(error, lightning.MisconfigurationException)


def fail_of_torchvision(error: BaseException | None) -> None:
    """Leave with one line where torchvision is of another PyTorch: torchmetrics imports any that is installed."""
    while error is not None:
        if NO_OPERATOR in str(error):
            fail(
                "torchvision: is installed and is of another PyTorch than this one, so that torchmetrics does not load "
                "either; pip uninstall torchvision, or install the builds of both that belong together"
            )
        error = error.__cause__ or error.__context__


def fail_of_system(error: OSError) -> None:
    """Leave with one line for an error of a disk, without a word where nobody reads any more; raise any other."""
    if error.errno not in (*NO_ROOM, *NO_PLACE, errno.EPIPE):
        raise error
    place = place_of(error, run_folder() or "a file")
    if error.errno in NO_ROOM:
        fail(f"{place}: no space left on the disk; free some and give the command again")
    if error.errno in NO_PLACE:
        remedy = "name a folder of your own with hydra.run.dir=, hydra.sweep.dir=, --out or SWAPAQA_CACHE"
        fail(f"{place}: cannot be written or read ({reason(error)}); {remedy}")
    if place != STANDARD_OUTPUT:
        raise error
    sys.exit(128 + signal.SIGPIPE)


def run_folder() -> str | None:
    """The folder that Hydra has given this run; None while a sweep is planned and in a program without Hydra."""
    composed = HydraConfig.instance().cfg
    return OmegaConf.select(composed, "hydra.runtime.output_dir") if isinstance(composed, DictConfig) else None


def write_any_text() -> None:
    """Let a terminal or a log that knows ASCII only have a question mark for what it does not know."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def refuse_rerun(arguments: Sequence[str]) -> None:
    """Leave where Hydra would load a pickled configuration, which may run anything."""
    if any(word.startswith("--experimental-") for word in arguments):
        fail("--experimental-rerun: runs what a file says; give the run's command again, with resume=true to continue")


def in_sweep(arguments: Sequence[str]) -> bool:
    """Whether a Hydra program's arguments ask for a sweep."""
    return "--multirun" in arguments or "-m" in arguments


def one_line_errors(task: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Wrap a Hydra task so that a user's error is our line alone, without Hydra's list of overrides above it.

    In a sweep the error goes on to Hydra, which runs the other jobs first.
    """

    @functools.wraps(task)
    def wrapped(cfg: DictConfig) -> None:
        try:
            with interpolations_explained(), keywords_explained(cfg):
                task(cfg)
        except (InputError, InstantiationException) as error:
            cause = error if isinstance(error, InputError) else error.__cause__
            if (
                HydraConfig.get().mode is RunMode.MULTIRUN
                or not isinstance(cause, InputError)
                or not os.environ.get(SHORT_ERRORS)
            ):
                raise
            fail(str(cause))
        except OSError as error:
            if HydraConfig.get().mode is RunMode.MULTIRUN or not os.environ.get(SHORT_ERRORS):
                raise
            fail_of_system(error)

    return wrapped


@contextmanager
def keywords_explained(cfg: DictConfig) -> Iterator[None]:
    """Raise InputError, naming the key, for one that a constructor took into its **kwargs and what it calls refuses."""
    try:
        yield
    except InstantiationException as error:
        keyword, found = UNEXPECTED.search(str(error.__cause__)), KEY_OF_OBJECT.search(str(error))
        node = OmegaConf.select(cfg, found[1]) if keyword and found else None
        if not keyword or not found or not isinstance(node, DictConfig) or keyword[1] not in node:
            raise
        key, name = f"{found[1]}.{keyword[1]}", node.get("_target_")
        raise InputError(f"{key}: no such key of {name}, nor of what it hands it on to") from error


def fail(message: str, status: int = 2) -> None:
    """Print `error: ...` and leave with a status, 2 for a user's error."""
    line = f"error: {for_a_terminal(message)}"
    with suppress(OSError):  # a disk that is full has no room for this either
        Console(stderr=True, soft_wrap=True, highlight=False).print(line, markup=False)
    sys.exit(status)


def compose_quietly(overrides: Sequence[str], name: str) -> DictConfig:
    """The configuration of `src.train` for a program that trains nothing: no wandb, no run folder. Not checked."""
    with hydra.initialize_config_module("swapaqa.conf", version_base="1.3"):
        cfg = hydra.compose("train", [*overrides, "logger=csv", f"name={name}"])
    cfg.logger.save_dir = "."  # only a run has a folder
    return cfg
