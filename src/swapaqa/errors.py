"""The one exception that means: what the user gave is wrong, and here is the way out."""


class InputError(Exception):
    """Wrong input: a file, a configuration key, a data set. The message is one line for the user.

    It names the file or key, says what is wrong with it and what to do. The recipes print it without a
    traceback and exit with status 2. Anything else that escapes is a fault of this project and keeps its traceback.
    """
