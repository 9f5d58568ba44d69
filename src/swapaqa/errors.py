"""The one exception that means: what the user gave is wrong, and here is the way out."""

SHOWN = 200  # characters of a value or a reason in a message
LINE = 2000  # characters of a whole message
OF_A_LOADER = "InputError: "  # what stands before our words in the traceback of a loader's process


class InputError(Exception):
    """Wrong input: a file, a configuration key, a data set. The message is one line for the user.

    It names the file or key, says what is wrong with it and what to do. The recipes print it without a
    traceback and exit with status 2. Anything else that escapes is a fault of this project and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message.rsplit(OF_A_LOADER, 1)[-1], LINE))


def one_line(text: str, most: int = SHOWN) -> str:
    """Text of a stranger for a terminal: one line of at most `most` characters, without what moves the cursor."""
    words = " ".join(text[: 4 * most].split())
    shown = "".join(sign if sign.isprintable() else "?" for sign in words)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
