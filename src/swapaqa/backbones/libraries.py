"""Libraries that bring networks and are not of the base installation: imported when a backbone of theirs is made."""

from importlib import import_module
from typing import Any

import torch

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import reason


def library(module: str, extra: str) -> Any:
    """The module of a library.

    Args:
        module: as it is imported; its first part is the library.
        extra: of this project, that installs it.

    Raises:
        InputError: it is not installed, or does not load beside this PyTorch.
    """
    name = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = "it is not installed" if error.name == name else f"it misses {error.name}"
        raise InputError(f"backbone: needs {name}, and {missing}; pip install 'swapaqa[{extra}]'") from error
    except (ImportError, RuntimeError, OSError) as error:  # a build for another PyTorch has none of its operators
        raise InputError(
            f"backbone: needs {name}, which does not load beside PyTorch {torch.__version__} ({reason(error)}); "
            f"install the builds of both that belong together: pip install 'swapaqa[{extra}]'"
        ) from error
