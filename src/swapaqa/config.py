"""Refuse a wrong configuration before any data is read, and turn every user's error into one line.

Values live in yaml, names and types in the signatures that they reach. `check` compares the two: every `_target_` must
exist, every key must be one of its parameters, every parameter without a default must be given, and every value must
have the annotated type.
"""

import errno
import functools
import inspect
import io
import logging
import os
import re
import signal
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from rich.console import Console

from swapaqa.disk_errors import NO_PLACE, NO_ROOM, STANDARD_OUTPUT, place_of
from swapaqa.errors import InputError, for_a_terminal
from swapaqa.foreign_file import reason
from swapaqa.running import data_sets, orphans, processes, resolvers
from swapaqa.running.overrides import OF_A_GROUP, explain_group, explain_override, suggestion

TOP_LEVEL = (
    "trainer", "logger", "clips", "backbone", "boxes", "aug", "optim", "model", "schedule", "data", "measures", "name",
    "seed", "sweep", "save_every", "resume", "plan",
)  # fmt: skip
SCHEDULE = ("epochs", "batch_size", "accumulate", "freeze_bn", "rate_scale")
STRICT_LIBRARIES = ("swapaqa.", "pytorch_lightning.")  # a user's own classes may annotate a tuple and get a list
LOOSE_LIBRARIES = ("torch.", "hydra_plugins.")  # whose annotations are not always what they accept
resolvers.register()
SHORT_ERRORS = "SWAPAQA_SHORT_ERRORS"  # tells the processes that Lightning starts that the user did not ask for more
UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")
PLACE_OF_OBJECT = re.compile(r"full_key: (\S+)")  # in what Hydra says of an object that it could not make
ANY_CLASS = ConfigDict(arbitrary_types_allowed=True)  # annotations that are networks, protocols


def run_recipe(main: Callable[[], None]) -> None:
    """Run a Hydra program: a user's error is one line and exit status 2, a fault of ours keeps its traceback.

    With HYDRA_FULL_ERROR=1 in the environment every error keeps its traceback.
    """
    if orphans.PARENT in os.environ or processes.place() is not None:
        orphans.watch_parent()
    refuse_rerun(sys.argv[1:])
    if os.environ.get("HYDRA_FULL_ERROR") and not os.environ.get(SHORT_ERRORS):
        if not in_sweep(sys.argv[1:]) or processes.lead_sweep():
            main()
        return
    write_any_text()
    processes.ignore_allocation()
    os.environ |= {"HYDRA_FULL_ERROR": "1", SHORT_ERRORS: "1"}  # Hydra's own short form would hide the error from us
    logging.raiseExceptions = False  # a log's full disk would fill the terminal with tracebacks
    try:
        if not in_sweep(sys.argv[1:]) or processes.lead_sweep():
            main()
        sys.stdout.flush()  # here, as nobody catches what Python does at its end
    except InputError as error:
        fail(str(error))
    except InstantiationException as error:
        if not isinstance(error.__cause__, InputError):
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
    except MisconfigurationException as error:  # an accelerator that is not there, options that exclude each other
        fail(f"trainer: {' '.join(str(error).split())}")


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
def interpolations_explained() -> Iterator[None]:
    """Raise InputError, naming its key, for a value with a ${name} that is none, as one that a shell was to fill in."""
    try:
        yield
    except InterpolationKeyError as error:
        words = str(error).partition("\n")[0]
        raise InputError(f"{error.full_key}: {words}; ${{...}} stands for a key of the configuration") from error


@contextmanager
def keywords_explained(cfg: DictConfig) -> Iterator[None]:
    """Raise InputError, naming the key, for one that a constructor took into its **kwargs and what it calls refuses."""
    try:
        yield
    except InstantiationException as error:
        keyword, place = UNEXPECTED.search(str(error.__cause__)), PLACE_OF_OBJECT.search(str(error))
        node = OmegaConf.select(cfg, place[1]) if keyword and place else None
        if not keyword or not place or not isinstance(node, DictConfig) or keyword[1] not in node:
            raise
        key, name = f"{place[1]}.{keyword[1]}", node.get("_target_")
        raise InputError(f"{key}: no such key of {name}, nor of what it hands it on to") from error


def fail(message: str, status: int = 2) -> None:
    """Print `error: ...` and leave with a status, 2 for a user's error."""
    line = f"error: {for_a_terminal(message)}"
    with suppress(OSError):  # a disk that is full has no room for this either
        Console(stderr=True, soft_wrap=True, highlight=False).print(line, markup=False)
    sys.exit(status)


def compose_quietly(folder: Path, overrides: Sequence[str], name: str) -> DictConfig:
    """The configuration of `src.train` for a program that trains nothing: no wandb, no run folder. Not checked.

    `folder`: of the configuration, `conf`.
    """
    with hydra.initialize_config_dir(str(folder), version_base="1.3"):
        cfg = hydra.compose("train", [*overrides, "logger=csv", f"name={name}"])
    cfg.logger.save_dir = "."  # only a run has a folder
    return cfg


def check(cfg: DictConfig) -> None:
    """Refuse unknown, missing and mistyped keys below every `_target_`.

    Raises:
        InputError: naming the key and what it takes.
    """
    try:
        with interpolations_explained():
            tree = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise InputError(" ".join(str(error).split())) from error
    assert isinstance(tree, dict)
    _check_top(tree)
    check_objects(tree)


def _check_top(tree: dict) -> None:
    for key in tree:
        if key not in TOP_LEVEL:
            raise InputError(f"{key}: no such key{suggestion(str(key), str(key), TOP_LEVEL)}")
    for key in tree.get("schedule", {}):
        if key not in SCHEDULE:
            raise InputError(f"schedule.{key}: no such key{suggestion(f'schedule.{key}', str(key), SCHEDULE)}")
    if isinstance(tree["seed"], bool) or not isinstance(tree["seed"], int) or tree["seed"] < 0:
        raise InputError(f"seed={tree['seed']}: a whole number from 0 on is needed")


def check_objects(node: Any, path: str = "") -> None:
    """Compare every `_target_` in and below a node with its signature; InputError as `check`."""
    if isinstance(node, list):
        for position, value in enumerate(node):
            check_objects(value, f"{path}[{position}]")
    elif isinstance(node, dict):
        if "_target_" in node:
            _check_target(node, path)
        for key, value in node.items():
            check_objects(value, f"{path}.{key}" if path else str(key))


def _check_target(node: dict, path: str) -> None:
    name = node["_target_"]
    try:
        target = hydra.utils.get_object(name)
    except Exception as error:
        raise InputError(f"{path}._target_={name}: cannot be imported ({error})") from error
    described = data_sets.described_by(target)
    try:
        parameters = data_sets.parameters(described)
    except ValueError:  # compiled code does not say what it takes
        return
    given = {key for key in node if key not in ("_target_", "_partial_", "_recursive_", "_convert_")}
    known = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):  # **kwargs take any key
        for key in sorted(given - set(known)):
            raise InputError(f"{path}.{key}: no such key of {name}{suggestion(f'{path}.{key}', key, known)}")
    if not node.get("_partial_"):
        for parameter in parameters:
            if parameter.name in known and parameter.default is parameter.empty and parameter.name not in given:
                raise InputError(f"{path}.{parameter.name}: missing, and {name} needs it")
    if not name.startswith(LOOSE_LIBRARIES):
        for one in described:
            _check_types(node, given, one, path)


def _check_types(node: dict, given: set[str], target: Any, path: str) -> None:
    strict = node["_target_"].startswith(STRICT_LIBRARIES)
    try:
        hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError):  # imported for a type checker only; no function
        return
    for key in sorted(given):
        value = node[key]
        if (isinstance(value, dict) and "_target_" in value) or key not in hints:
            continue  # an object of its own, checked by itself
        try:
            TypeAdapter(hints[key], config=ANY_CLASS).validate_python(value, strict=strict)
        except (SchemaError, PydanticUserError) as error:  # of a class or a protocol
            if not strict:
                continue  # Hydra makes a DictConfig or a list of objects of it
            raise InputError(f"{path}.{key}={value}: an object with a _target_ is needed") from error
        except ValidationError as error:
            if not strict and any(problem["type"] == "is_instance_of" for problem in error.errors()):
                continue
            problem = error.errors()[0]
            remedy = f"; a text is written '{path}.{key}=\"...\"'" if _takes_text(hints[key]) else ""
            raise InputError(
                f"{path}.{key}={value}: {problem['msg'][0].lower()}{problem['msg'][1:]} "
                f"({_written(hints[key])}){remedy}"
            ) from None


def _takes_text(hint: Any) -> bool:
    return hint is str or str in typing.get_args(hint)


def require_text(cfg: DictConfig, *keys: str) -> None:
    """Raises InputError where one of the top-level `keys`, paths that may be null, is something else than a text."""
    for key in keys:
        if cfg[key] is not None and not isinstance(cfg[key], str):
            raise InputError(f"{key}={cfg[key]}: a path is needed; a text is written '{key}=\"...\"'")


def _written(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
