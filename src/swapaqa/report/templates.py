"""The templates of the report's pages, which share their looks and the form of a table."""

import functools
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from swapaqa.report.table import Cell, Value, cell_text


def read_template(name: str) -> Template:
    """A template beside this file; every text that it is given is escaped."""
    return _environment().get_template(name)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_text)
    )
    environment.globals |= {"cell_text": cell_text, "is_number": _is_number}
    return environment


def _text(name: str) -> str:
    return files("swapaqa.report").joinpath(name).read_text(encoding="utf-8")


def _is_number(cell: Cell) -> bool:
    return cell is None or isinstance(cell, Value)
