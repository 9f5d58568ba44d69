"""The one exception that means: what the user gave is wrong, and here is the way out."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

SHOWN = 20  # faults of one kind that are listed at once

Given = TypeVar("Given")
Made = TypeVar("Made")


class InputError(Exception):
    """Wrong input: a file, a configuration key, a data set. The message is one line for the user, see also `refuse`.

    It names the file or key, says what is wrong with it and what to do. The recipes print it without a
    traceback and exit with status 2. Anything else that escapes is a fault of this project and keeps its traceback.
    """


def refuse(faults: Iterable[str]) -> None:
    """Raises InputError if there are `faults`: the first is its line, up to `SHOWN` stand below, indented."""
    found = list(dict.fromkeys(faults))  # what concerns all is said once
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise InputError("\n  ".join(found[:SHOWN] + more))


def for_each(make: Callable[[Given], Made], given: Sequence[Given]) -> list[Made]:
    """`make` of everything in `given`; if it is refused for some, one error that lists them all, as `refuse` does."""
    made, faults = [], []
    for one in given:
        try:
            made.append(make(one))
        except InputError as error:
            faults.append(str(error))
    refuse(faults)
    return made
