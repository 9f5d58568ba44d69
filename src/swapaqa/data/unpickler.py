"""Reading untrusted annotation pickles: plain values and NumPy arrays, and nothing that could run.

A pickle is a program: it may name any function and call it. This reader looks every name up in the table below, so
that nothing else can be named, and what stands there for NumPy are functions of this file that check their arguments
(NumPy's own would let a pickle describe memory that it does not own). Python 2 and NumPy 1 pickles load too.

What a pickle costs is bounded by its size: its opcodes are weighed before (`swapaqa.files.pickle_cost`), nothing is
made of a length alone, and what came out is no giant of shared parts for whoever walks through it.
"""

import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from swapaqa.errors import InputError, one_line
from swapaqa.files.foreign_file import MIB, read_bytes, shown, unreadable
from swapaqa.files.pickle_cost import check_cost, check_tree

PLAIN_DTYPE = re.compile(r"[<>|=]?([bB?]|[biufcSU][1-9]\d*)")  # booleans, numbers, strings; never O: it holds pointers
MOST_BYTES, MOST_ELEMENTS = 64 * MIB, 2_000_000  # those of MTL-AQA have 0.3 MiB and 60,000
LONGEST_EMPTY = 10_000  # axis of an array without content


class _DType:
    """Stands for `numpy.dtype`: takes its code and byte order from the pickle and nothing else."""

    def __init__(self, code: str | bytes, align: bool = False, copy: bool = False) -> None:  # noqa: ARG002  NumPy's
        text = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(text, str) or not PLAIN_DTYPE.fullmatch(text):
            raise pickle.UnpicklingError(f"an array of {shown(text)}, which is neither numbers nor strings")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in (">", b">"):
            self.dtype = self.dtype.newbyteorder(">")
        elif state[1] in ("<", b"<"):
            self.dtype = self.dtype.newbyteorder("<")


class _Array(np.ndarray):
    """An array as a pickle builds it: made empty first, then given shape and bytes."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, kind, fortran, raw = state[-4:]  # the version in front is missing in the oldest pickles
        data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)  # Python 2 wrote bytes as a string
        super().__setstate__((1, tuple(shape), _plain(kind), bool(fortran), data))  # type: ignore[arg-type]
        _check_axes(self)


def _check_axes(array: np.ndarray) -> None:
    """An array without content has any shape, and loops over it would not end."""
    if not array.size and max(array.shape) > LONGEST_EMPTY:
        raise pickle.UnpicklingError(f"an array of shape {array.shape} and no content")


def _plain(kind: object) -> np.dtype:
    if not isinstance(kind, _DType):
        raise pickle.UnpicklingError("an array without a type")
    return kind.dtype


def _reconstruct(array: object, shape: tuple[Any, ...], code: object) -> np.ndarray:  # noqa: ARG001  NumPy's signature
    return np.empty(0, np.uint8).view(_Array)


def _scalar(kind: _DType, raw: str | bytes) -> np.generic:
    data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    value: np.generic = np.frombuffer(data, _plain(kind), count=1)[0]
    return value


def _from_buffer(raw: bytes | bytearray, kind: _DType, shape: tuple[Any, ...], order: str) -> np.ndarray:
    array = np.frombuffer(bytes(raw), _plain(kind)).reshape(tuple(shape), order="F" if order == "F" else "C")
    _check_axes(array)
    return array


def _encode(text: str, encoding: str) -> bytes:
    """Python 3 writes bytes so in the protocols of Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding!r}")
    return text.encode("latin1")


def _text(*arguments: str | bytes) -> str:
    """Not of any value: `str` writes out whatever it is given."""
    if not all(isinstance(argument, str | bytes) for argument in arguments):
        raise pickle.UnpicklingError("a string of another value")
    return str(*arguments)


def _bytes(*arguments: Any) -> bytes:
    return bytes(_bytearray(*arguments))


def _bytearray(*arguments: Any) -> bytearray:
    """Not of a number, which is a length."""
    if not all(isinstance(argument, str | bytes | bytearray | list | tuple) for argument in arguments):
        raise pickle.UnpicklingError("bytes by their number instead of their values")
    return bytearray(*arguments)


BUILTINS: dict[str, Any] = {
    "int": int, "long": int, "float": float, "complex": complex, "bool": bool,
    "str": _text, "unicode": _text, "bytes": _bytes, "bytearray": _bytearray,
    "list": list, "tuple": tuple, "dict": dict, "set": set, "frozenset": frozenset,
}  # fmt: skip
NUMPY: dict[str, Any] = {"dtype": _DType, "ndarray": "ndarray"}  # the array's class is only ever an argument
MULTIARRAY: dict[str, Callable[..., Any]] = {"_reconstruct": _reconstruct, "scalar": _scalar}
NUMERIC: dict[str, Callable[..., Any]] = {"_frombuffer": _from_buffer}
ADMITTED: dict[str, dict[str, Any]] = {
    "builtins": BUILTINS,
    "__builtin__": BUILTINS,  # Python 2
    "numpy": NUMPY,
    "numpy.core.multiarray": MULTIARRAY,  # NumPy 1
    "numpy._core.multiarray": MULTIARRAY,
    "numpy.core.numeric": NUMERIC,
    "numpy._core.numeric": NUMERIC,
    "_codecs": {"encode": _encode},
}


class _RefusedError(Exception):
    """A name outside of the table."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        admitted = ADMITTED.get(module_name, {})
        if global_name not in admitted:
            raise _RefusedError(f"{module_name}.{global_name}")
        return admitted[global_name]


def load_pickle(path: Path) -> Any:
    """The content of a pickle that consists of Python's plain types and NumPy arrays of numbers or strings.

    Strings of Python 2 are decoded as latin1.

    Raises:
        InputError: the pickle names anything else (with that name; nothing of it has run), is no whole pickle, or
            stands for more than a file of its size can hold.
    """
    content = read_bytes(path, MOST_BYTES)
    try:
        check_cost(content)
        value = _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
        check_tree(value, MOST_ELEMENTS)
    except _RefusedError as refused:
        raise InputError(
            f"{path}: names {one_line(str(refused))}, and an annotation file holds plain values and NumPy arrays "
            "only; it was not run; take the file from its authors' release"
        ) from None
    except Exception as error:  # damaged bytes raise whatever they happen to spell
        raise InputError(f"{path}: {unreadable('pickle', content, error)}; download it again") from error
    return value
