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
    """Text of a stranger for a terminal: one line, without what moves the cursor; a longer one loses its middle."""
    kept = text if len(text) <= 4 * most else text[: 2 * most] + text[-2 * most :]
    words = " ".join(kept.split())
    shown = "".join(sign if sign.isprintable() else "?" for sign in words)
    return shown if len(shown) <= most else f"{shown[: most // 2]}…{shown[most // 2 + 1 - most :]}"
