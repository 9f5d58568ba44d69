"""Matrices of numbers from MATLAB 5 files (`-v6`, `-v7`), which the split lists of AQA-7 are.

By our own hand because `scipy.io.loadmat` (1.18) ends the process with a segmentation fault where one byte of a type is
damaged. Format: "MAT-File Format", The MathWorks, chapter 1. Other variables are known by name only.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

HEADER, TAG = 128, 8  # bytes
MATRIX, COMPRESSED = 14, 15  # kinds of elements
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
NUMBERS = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}  # classes
COMPLEX = 0x800  # a flag


class Element(NamedTuple):
    """A piece of a file. `content`: without tag and padding."""

    kind: int
    content: bytes


def read_matrices(content: bytes, most: int) -> dict[str, np.ndarray | None]:
    """The variables of a file by name; None for what is no matrix of real numbers.

    Args:
        content: of the file.
        most: bytes that a compressed variable may have.

    Raises:
        ValueError: no MATLAB 5 file, cut off or damaged; struct.error, zlib.error likewise.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[HEADER - 2 : HEADER])
    if order is None or not content.startswith(b"MATLAB"):
        raise ValueError("its header is not that of MATLAB 5")
    found: dict[str, np.ndarray | None] = {}
    for element in _elements(content, HEADER, order, padded=False):
        if element.kind == COMPRESSED:
            inflated = _inflated(element.content, most)
            element = next(_elements(inflated, 0, order, padded=False), Element(0, b""))
        if element.kind != MATRIX:
            raise ValueError(f"an element of kind {element.kind}, which is no variable")
        name, values = _variable(element.content, order)
        found[name] = values
    return found


def _elements(content: bytes, position: int, order: str, padded: bool = True) -> Iterator[Element]:
    while position < len(content):
        kind, size = struct.unpack_from(f"{order}II", content, position)
        first, end = position + TAG, position + TAG + size + (-size % TAG if padded else 0)
        if kind >> 16:  # a small element: size and kind in one word, and four bytes behind it
            kind, size, first, end = kind & 0xFFFF, kind >> 16, position + TAG // 2, position + TAG
        if first + size > min(end, len(content)):
            raise ValueError(f"cut off: {size} bytes are announced at {first} and {len(content) - first} are there")
        yield Element(kind, content[first : first + size])
        position = end


def _inflated(content: bytes, most: int) -> bytes:
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(content, most)
    if not inflater.eof:
        raise ValueError("a compressed variable is cut off, or larger than any list")
    return inflated


def _variable(content: bytes, order: str) -> tuple[str, np.ndarray | None]:
    """Name and values of a matrix element: flags, dimensions, name, values."""
    flags, axes, name, *parts = _elements(content, 0, order)
    (word,) = struct.unpack_from(f"{order}I", flags.content)
    text = name.content.decode("latin1")
    shape = np.frombuffer(axes.content, f"{order}i4").tolist()
    if word & COMPLEX or (word & 0xFF) not in NUMBERS or not parts or parts[0].kind not in STORED:
        return text, None
    values = np.frombuffer(parts[0].content, order + STORED[parts[0].kind])
    if min(shape, default=-1) < 0:
        raise ValueError(f"{text} has axes {shape}")
    return text, values.reshape(shape, order="F").astype(NUMBERS[word & 0xFF])
