"""Refuse a wrong configuration before any data is read.

Values live in yaml, names and types in the signatures that they reach. `check` compares the two: every `_target_` must
exist, every key must be one of its parameters, every parameter without a default must be given, and every value must
have the annotated type.
"""

import inspect
import typing
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

from swapaqa.configuration import data_sets
from swapaqa.configuration.keys import interpolations_explained, suggestion
from swapaqa.errors import InputError

TOP_LEVEL = (
    "trainer", "logger", "clips", "backbone", "boxes", "aug", "optim", "model", "auxiliary", "schedule", "data",
    "pretext", "weights", "measures", "name", "seed", "sweep", "save_every", "resume", "plan",
)  # fmt: skip
SCHEDULE = ("epochs", "batch_size", "accumulate", "freeze_bn", "c3d_feature", "frozen", "poses", "rate_scale")
STRICT_LIBRARIES = ("swapaqa.", "pytorch_lightning.")  # a user's own classes may annotate a tuple and get a list
LOOSE_LIBRARIES = ("torch.", "hydra_plugins.")  # whose annotations are not always what they accept
ANY_CLASS = ConfigDict(arbitrary_types_allowed=True)  # annotations that are networks, protocols


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


def _check_top(tree: dict[Any, Any]) -> None:
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


def _check_target(node: dict[Any, Any], path: str) -> None:
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


def _check_types(node: dict[Any, Any], given: set[str], target: Any, path: str) -> None:
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


def _written(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def require_text(cfg: DictConfig, *keys: str) -> None:
    """Raises InputError where one of the top-level `keys`, paths that may be null, is something else than a text."""
    for key in keys:
        if cfg[key] is not None and not isinstance(cfg[key], str):
            raise InputError(f"{key}={cfg[key]}: a path is needed; a text is written '{key}=\"...\"'")
