"""InputError, the one exception for wrong input: a line that says what is wrong and the way out."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

SHOWN = 200  # characters of a value or a reason in a message
LINE = 2000  # characters of a line of a message
FAULTS = 20  # faults of one kind that are listed at once
BETWEEN = "\n  "  # the faults of one message
OF_A_LOADER = "InputError: "  # what stands before our words in the traceback of a loader's process

Given = TypeVar("Given")
Made = TypeVar("Made")


class InputError(Exception):
    """Wrong input: a file, a configuration key, a data set. The message is one line for the user, see also `refuse`.

    It names the file or key, says what is wrong with it and what to do. The recipes print it without a
    traceback and exit with status 2. Anything else that escapes is a fault of this project and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(for_a_terminal(message.rsplit(OF_A_LOADER, 1)[-1]))


def for_a_terminal(message: str) -> str:
    """A message as one line, or as the lines of `refuse`."""
    return BETWEEN.join(one_line(fault, LINE) for fault in message.split(BETWEEN)[: FAULTS + 1])


def one_line(text: str, most: int = SHOWN) -> str:
    """Untrusted text for a terminal: one line, without what moves the cursor; a longer one loses its middle."""
    kept = text if len(text) <= 4 * most else text[: 2 * most] + text[-2 * most :]
    words = " ".join(kept.split())
    shown = "".join(sign if sign.isprintable() else "?" for sign in words)
    return shown if len(shown) <= most else f"{shown[: most // 2]}…{shown[most // 2 + 1 - most :]}"


def refuse(faults: Iterable[str]) -> None:
    """Raises InputError if there are `faults`: the first is its line, up to `FAULTS` stand below, indented."""
    found = list(dict.fromkeys(faults))  # what concerns all is said once
    if found:
        more = [f"and {len(found) - FAULTS} more"] if len(found) > FAULTS else []
        raise InputError(BETWEEN.join(found[:FAULTS] + more))


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
