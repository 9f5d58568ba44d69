"""Claims as data: what somebody says that runs show, in a fixed schema, and how their file is read.

A claim has one of four forms:

- `order`: every one of `arms` does better than the next (boxes above the rectangle above no swap);
- `first`: one arm does better than each of others (the best row of a table);
- `no_worse`: one arm does not do worse than another by `margin` (three keyframes suffice);
- `top`: over the values of `key`, the best one is among `values` (the scale ratio's top).

An arm is the runs that have certain values. Two arms are compared where everything else is the same: such a group of
runs is a case, and a claim holds where it holds in all of its cases. Nothing in a file is run: its keys are looked up
in the configurations of runs, and no code is named.
"""

from collections.abc import Mapping
from dataclasses import field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from swapaqa.errors import InputError, one_line
from swapaqa.files.file_form import Number
from swapaqa.files.foreign_file import parse_yaml, read_bytes, unreadable
from swapaqa.measures.ours import SPEARMAN

STRICT = ConfigDict(extra="forbid")
FOLDER = files("swapaqa.verdict").joinpath("claims")
PAPER = "paper"
LOCKED = ".lock.yaml"  # what the name of a file's lock ends in
REMEDY = "docs/evidence.md shows the form"
OWN = "own"  # of `ratio`: the one that the source of boxes has where none is given

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*$", max_length=100)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]\w*$", max_length=60)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Word = StrictBool | StrictInt | StrictFloat | Annotated[str, Strict(), StringConstraints(min_length=1, max_length=200)]
Wanted = Annotated[tuple[Word, ...], Field(min_length=1, max_length=50)]
Where = Annotated[Mapping[Key, Word | Wanted], Field(max_length=20)]
Positive = Annotated[Number, Field(gt=0)]


@dataclass(frozen=True, config=STRICT)
class Arm:
    """Runs that have the values `where`, of a fact (data, model, aug, boxes, ratio, action) or a configuration's key.

    `name`: what they are called in tables, and after "no run of".
    """

    name: Words
    where: Where


@dataclass(frozen=True, config=STRICT)
class Over:
    """The claim is made of each of these values, as of each of three models; one without a run is missing."""

    key: Key
    values: Wanted


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Claim:
    """What all forms have.

    Attributes:
        says: the claim in words.
        printed: where it stands.
        metric: by name; `gain` is always for the better, whichever way the metric goes.
        actions: each a case of its own, or averaged as the metric is.
        alike: what two arms have in common, beside data set and action: everything that they do not name themselves,
            the model, or nothing.
        within: of all arms.
        data: options of data sets, of which it is said; none: any.
        over: see `Over`.
    """

    says: Words
    printed: Annotated[str, Field(max_length=100)] = ""
    metric: Name = SPEARMAN.name
    actions: Literal["each", "average"] = "average"
    alike: Literal["everything", "model", "data"] = "everything"
    within: Where = field(default_factory=dict)
    data: Annotated[tuple[Name, ...], Field(max_length=20)] = ()
    over: Over | None = None


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Order(Claim):
    """Every arm above the next, by more than `at_least`."""

    form: Literal["order"]
    arms: Annotated[tuple[Arm, ...], Field(min_length=2, max_length=20)]
    at_least: Annotated[Number, Field(ge=0)] = 0.0


@dataclass(frozen=True, config=STRICT, kw_only=True)
class First(Claim):
    """`arm` above each of `others`, by more than `at_least`."""

    form: Literal["first"]
    arm: Arm
    others: Annotated[tuple[Arm, ...], Field(min_length=1, max_length=50)]
    at_least: Annotated[Number, Field(ge=0)] = 0.0


@dataclass(frozen=True, config=STRICT, kw_only=True)
class NoWorse(Claim):
    """`arm` loses less than `margin` against `than`."""

    form: Literal["no_worse"]
    arm: Arm
    than: Arm
    margin: Positive


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Top(Claim):
    """One of `values` of `key` is above every other value that was run, of which some lie below and some above them."""

    form: Literal["top"]
    key: Key
    values: Annotated[tuple[Number, ...], Field(min_length=1, max_length=50)]


AnyClaim = Annotated[Order | First | NoWorse | Top, Field(discriminator="form")]


@dataclass(frozen=True, config=STRICT)
class ClaimsFile:
    """A file of claims. `source`: whose they are. `level`: of all tests together. `power`: for which seeds suffice."""

    source: Words
    claims: Annotated[Mapping[Name, AnyClaim], Field(min_length=1, max_length=100)]
    level: Annotated[Number, Field(gt=0, lt=0.5)] = 0.05
    power: Annotated[Number, Field(ge=0.5, lt=1)] = 0.8


def claims_path(name: str) -> Path:
    """The file of claims at a path, or the shipped one of a name; InputError where there is none."""
    shipped = {
        path.name.removesuffix(".yaml"): Path(str(path))
        for path in FOLDER.iterdir()
        if path.name.endswith(".yaml") and not path.name.endswith(LOCKED)
    }
    if name in shipped:
        return shipped[name]
    if not Path(name).is_file():
        known = ", ".join(sorted(shipped))
        raise InputError(f"{name}: no such file of claims; name a file of yours ({REMEDY}), or {known}")
    return Path(name)


def read_claims(path: Path) -> tuple[ClaimsFile, bytes]:
    """The claims of a file, and its bytes, which a lock is of; InputError where it has another form."""
    content = read_bytes(path, most=2**20)
    try:
        tree = parse_yaml(content.decode("utf-8-sig"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {unreadable('YAML', content, error)}; {REMEDY}") from error
    try:
        return TypeAdapter(ClaimsFile).validate_python(tree), content
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        fault = one_line(f"{'.'.join(map(str, problem['loc'])) or 'the whole'}: {problem['msg']}")
        raise InputError(f"{path}: no claims ({fault}); {REMEDY}") from error
