"""What is said of a key that is none: the nearest one, or what it is called today.

Without a library that takes seconds to import: most errors are said before anything is trained.
"""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from omegaconf.errors import InterpolationKeyError

from swapaqa.errors import InputError

MOVED = {  # keys that once were, and what they are now
    "model.learning_rate": "optim.learning_rate",
    "model.backbone_learning_rate": "optim.backbone_learning_rate",
    "model.weight_decay": "optim.weight_decay",
    "model.epsilon": "optim.optimizer.eps",
    "backbone.clip_frames": "clips.frames",
    "backbone.clip_stride": "clips.stride",
    "backbone.last_start": "clips.last_start",
}


@contextmanager
def interpolations_explained() -> Iterator[None]:
    """Raise InputError, naming its key, for a value with a ${name} that is none, as one that a shell was to fill in."""
    try:
        yield
    except InterpolationKeyError as error:
        words = str(error).partition("\n")[0]
        raise InputError(f"{error.full_key}: {words}; ${{...}} stands for a key of the configuration") from error


def suggestion(path: str, key: str, known: Sequence[str]) -> str:
    """The end of a message about `key`, which is the last part of `path`.

    What it is now, if it was one before; the nearest of `known`; or all of them.
    """
    if path in MOVED:
        return f"; it is {MOVED[path]} now"
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"; did you mean {path.removesuffix(key)}{close[0]}?"
    return f"; there are {', '.join(known)}" if known else ""
