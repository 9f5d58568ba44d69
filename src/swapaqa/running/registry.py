"""What a configuration that comes from a file may name: the classes of `conf`, each under its key, and nothing else.

A checkpoint, a `result.json` and a run folder carry a configuration, and whoever builds from it instantiates its
`_target_`s. A file is data: its `_target_`s are compared, as strings and before anything is imported, with those that
the yamls of `conf` write in the same place. Configurations that Hydra composed from `conf` and the search path in this
process are trusted and do not come here.

A class of the user's own, or a function that makes a metric, is admitted where they name its package
(`trust=[mypackage]`).
"""

import functools
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from swapaqa.configuration.moved import TARGET, todays_name
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import shown
from swapaqa.measures.record import Measure
from swapaqa.models.scorer import Scorer

CONFIG = Path(__file__).parents[1] / "conf"
WHOLE = "# @package _global_"  # the first line of a yaml whose keys are those of the whole configuration
SAME_AS = re.compile(r"\$\{(\w+)\}")  # a value that is another group's: `encoder: ${backbone}`
MEASURES = "measures"
BY_NAME = (MEASURES, "clips")  # places of many objects by name, all alike
NOT_BUILT = (
    "logger",
    "trainer",
    "optim",
    "auxiliary",
    "hydra",
    MEASURES,
)  # whoever builds from a file has its own
PRECISION, LENGTH = "precision", "max_epochs"  # what is read of a file's trainer
BASES = {"model": Scorer, "data": VideoSource}  # what a class of the user's own has to be there
DEEPEST, MOST_NODES = 20, 20_000  # of a configuration; ours have 5 levels and 150


class Registry(NamedTuple):
    """The keys of a configuration under which objects are made.

    Attributes:
        admitted: the classes by key, as `data.geometry`.
        same: places that hold what another has, `model.encoder`: `backbone`.
    """

    admitted: Mapping[str, frozenset[str]]
    same: Mapping[str, str]

    def key(self, path: str) -> str:
        """Where the object at `path` is described: `backbone.network` for `model.encoder.network`."""
        found = ""
        for part in path.split("."):
            found = f"{found}.{part}" if found else part
            found = self.same.get(found, found)
        return next((group for group in BY_NAME if found.startswith(f"{group}.")), found)


@functools.cache
def registry() -> Registry:
    """Read from the yamls of `conf`, so that a class with a yaml of its own is registered with it."""
    targets, same = defaultdict[str, set[str]](set), dict[str, str]()
    for path in sorted(CONFIG.glob("*/*.yaml")):
        text = path.read_text(encoding="utf-8")
        tree = yaml.safe_load(text) or {}
        for key, value in _strings(tree if text.startswith(WHOLE) else {path.parent.name: tree}, ""):
            if key.endswith(f".{TARGET}"):
                own = path.parent.name if path.parent.name in BY_NAME else key.removesuffix(f".{TARGET}")
                targets[own].add(value)
            elif group := SAME_AS.fullmatch(value):
                same[key] = group[1]
    groups = {key: group for key, group in same.items() if group in targets}
    return Registry({key: frozenset(names) for key, names in targets.items()}, groups)


def _strings(node: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _strings(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, str):
        yield key, node


def plain(config: Any, source: str) -> dict[str, Any]:
    """A copy of a file's configuration, plain values within bounds, whose classes nobody has looked at.

    What nobody builds from a file is left out: the logger, the optimiser, and all of the trainer but its precision and
    length.

    Raises:
        InputError: it is no dictionary, too large or too deep, or holds other than plain values.
    """
    copied: dict[str, Any] = _ConfigurationReader(source, None).plain(_built(config, source), "", DEEPEST)
    return copied


def admit(config: Any, source: str, trust: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration of a file, as one that may be built from: as `plain`, with registered classes only.

    Args:
        config: as it was read.
        source: the file, for messages.
        trust: packages whose classes are admitted besides.

    Raises:
        InputError: it names something else, holds other than plain values, or an interpolation.
    """
    copied: dict[str, Any] = _ConfigurationReader(source, tuple(trust)).plain(_built(config, source), "", DEEPEST)
    return copied


def admit_measure(node: Any, name: str, source: str, trust: Sequence[str]) -> dict[str, Any]:
    """A metric of a file's configuration, as one that may be made; errors as `admit`."""
    copied: dict[str, Any] = _ConfigurationReader(source, tuple(trust)).plain(node, f"{MEASURES}.{name}", DEEPEST)
    return copied


def _built(config: Any, source: str) -> dict[str, Any]:
    """The parts of a configuration that are built from."""
    if type(config) is not dict:
        raise InputError(f"{source}: its configuration is {shown(config)} and no dictionary; take another file")
    kept = {key: value for key, value in config.items() if key not in NOT_BUILT}
    if type(config.get("trainer")) is dict:
        kept["trainer"] = {key: config["trainer"][key] for key in (PRECISION, LENGTH) if key in config["trainer"]}
    return kept


class _ConfigurationReader:
    """Goes through one configuration and counts what it meets. `trust` None: classes are not looked at."""

    def __init__(self, source: str, trust: tuple[str, ...] | None) -> None:
        for package in trust or ():
            if package.partition(".")[0] in sys.stdlib_module_names or not package.isidentifier():
                words = "the name of a package of your own is needed, such as trust=[mypackage]"
                raise InputError(f"trust={package}: {words}")
        self.source, self.trust = source, trust
        self.left = MOST_NODES

    def plain(self, node: Any, path: str, levels: int) -> Any:
        """A copy of the node, whose classes are admitted."""
        self.left -= 1
        if self.left < 0 or levels < 0:
            raise InputError(f"{self.source}: its configuration is too large or too deep to be one of a run")
        if type(node) is list:
            return [self.plain(value, f"{path}[{position}]", levels - 1) for position, value in enumerate(node)]
        if type(node) is not dict:
            return self.value(node, path)
        if type(node.get(TARGET)) is str:
            node = node | {TARGET: todays_name(node[TARGET])}
        if TARGET in node and self.trust is not None:
            self.check_target(node[TARGET], path)
        for key in node:
            if type(key) is not str or (self.trust is not None and key.startswith("_") and key != TARGET):
                where = path or "the top"
                raise InputError(f"{self.source}: key {shown(key)} at {where}, which no file's configuration has")
        return {key: self.plain(value, f"{path}.{key}" if path else key, levels - 1) for key, value in node.items()}

    def value(self, value: Any, path: str) -> Any:
        if type(value) not in (str, int, float, bool, type(None)):
            raise InputError(f"{self.source}: {path} is a {type(value).__name__}; a configuration holds plain values")
        if type(value) is str and ("${" in value or value == "???"):
            raise InputError(
                f"{self.source}: {path}={shown(value)}: a file's configuration holds values; nothing in it is looked up"
            )
        return value

    def check_target(self, name: Any, path: str) -> None:
        """InputError for a class that is not registered there and not of a package that the user trusts."""
        known = registry()
        key = known.key(path)
        if type(name) is str and name in known.admitted.get(key, ()):
            return
        package = name.partition(".")[0] if type(name) is str else ""
        if package in (self.trust or ()):
            check_own_class(name, key, f"{self.source}: {path}.{TARGET}")
            return
        raise InputError(f"{self.source}: {path}.{TARGET}={shown(name)}: {_way_out(package)}")


def _way_out(package: str) -> str:
    ours = package in ("", "src", __name__.partition(".")[0]) or package in sys.stdlib_module_names
    if ours or not package.isidentifier():
        return "a file may name the classes of conf/ in their places and nothing else; it was not run"
    return (
        f"no class of this project; it was not run. Where you know the file and the package, say trust=[{package}] "
        f"(of the report: --trust {package})"
    )


def check_own_class(name: str, key: str, source: str) -> None:
    """Refuse what is not a class of the package that `name` begins with. Imports it, as the user trusts it.

    Args:
        name: `mypackage.module.Class`; nothing is looked for inside of a class or of another module's names.
        key: of the configuration, which some classes are made for.
        source: what says so, for messages.

    Raises:
        InputError: no such module or class, imported from elsewhere, no model where a model has to be.
    """
    module_name, _, attribute = name.rpartition(".")
    try:
        found = vars(import_module(module_name)).get(attribute)
    except (ImportError, ValueError) as error:
        raise InputError(f"{source}={shown(name)}: cannot be imported ({error})") from error
    package = name.partition(".")[0]
    if key == MEASURES:
        _check_own_measure(found, package, f"{source}={shown(name)}")
        return
    if not isinstance(found, type) or found.__module__.partition(".")[0] != package:
        raise InputError(f"{source}={shown(name)}: is no class of {package}")
    base = BASES.get(key)
    if base is not None and not issubclass(found, base):
        raise InputError(f"{source}={shown(name)}: is no {base.__name__}, which {key} has to be")


def _check_own_measure(found: Any, package: str, source: str) -> None:
    """InputError unless it is a function of the package that says that it returns a `Measure`."""
    own = inspect.isfunction(found) and found.__module__.partition(".")[0] == package
    returned = found.__annotations__.get("return") if own else None
    if returned not in (Measure, Measure.__name__):
        raise InputError(f"{source}: is no function of {package} that returns a Measure (def mine() -> Measure)")
