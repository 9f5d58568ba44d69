"""Schemas of JSON and YAML files, so that a damaged or foreign one is known before it is used.

A form is a `TypedDict`, checked by pydantic; keys that it does not name are not looked at.
"""

import functools
from typing import Annotated, Any

from pydantic import Strict, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic's, before Python 3.12

from swapaqa.errors import one_line

Number = Annotated[float, Strict()]  # and no text that spells one
Whole = Annotated[int, Strict()]
Pair = tuple[Number, Number]


class Named(TypedDict):
    """A node of a configuration that names a class."""

    _target_: str


checker = functools.cache(TypeAdapter)


def first_fault(form: Any, content: Any) -> str | None:
    """Where `content`, as JSON or YAML has it, is not of a form (a TypedDict), `metrics.last.epoch: ...`; else None."""
    try:
        checker(form).validate_python(content)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the whole"
        return one_line(f"{place}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
    return None
