"""Files of PyTorch that others wrote: checkpoints and published weights, as tensors and plain values.

`torch.load(weights_only=True)` runs nothing of a file. Its memory is bounded here: records that are compressed, names
that make memory of a number, and tensors that are larger than what lies in the file are refused.
"""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import HEAD, MIB, check_regular, reason, unreadable
from swapaqa.files.pickle_cost import check_cost, check_tree

MOST_PICKLE = 64 * MIB  # of a checkpoint without its tensors
MOST_ELEMENTS = 5_000_000
ZIP, PICKLE = b"PK\x03\x04", b"\x80"
LEGACY_PICKLES = 5  # of files before PyTorch 1.6: magic number, protocol, system, content, keys of the storages
BY_NUMBER = ("bytearray", "Counter", "UntypedStorage", "TypedStorage", "Tensor", "_rebuild_wrapper_subclass")


def load_tensors(path: Path) -> Any:
    """The content of a file that `torch.save` wrote, on the CPU.

    Raises:
        InputError: no regular file, or it cannot be read.
        UnpicklingError: it is damaged, no such file, or holds anything but tensors and plain values of the file's own
            size; the message says what it is or why, `not a readable PyTorch file but a web page`.
    """
    check_regular(path)
    try:
        if zipfile.is_zipfile(path):
            _check_archive(path)
        else:
            _check_legacy(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        check_tree(content, MOST_ELEMENTS, _check_tensor)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from error
    except Exception as error:  # damaged bytes raise whatever they happen to spell
        with open(path, "rb") as file:
            head = file.read(HEAD)
        known = b"?" if head.startswith((ZIP, PICKLE)) else head  # as it should begin
        raise pickle.UnpicklingError(unreadable("PyTorch file", known, error)) from error
    return content


def makes_memory(name: str) -> bool:
    """Whether a `module name` of a pickle is called with a size; no tensor or value is written so."""
    return name.rpartition(" ")[2].endswith(BY_NUMBER)


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        if any(record.compress_type != zipfile.ZIP_STORED for record in records):
            raise pickle.UnpicklingError("its records are compressed, as torch.save never writes them")
        if sum(record.file_size for record in records) > path.stat().st_size:
            raise pickle.UnpicklingError("its records are larger than the file")
        for record in records:
            if record.filename.endswith(".pkl"):
                if record.file_size > MOST_PICKLE:
                    raise pickle.UnpicklingError(f"{record.filename} in it has {record.file_size // MIB} MiB")
                check_cost(archive.read(record), refused=makes_memory)
        broken = archive.testzip()  # PyTorch looks at no checksum
        if broken is not None:
            raise pickle.UnpicklingError(f"{broken} in it is not as it was written")


def _check_legacy(path: Path) -> None:
    with open(path, "rb") as file:
        head = file.read(MOST_PICKLE)
    position = 0
    for _ in range(LEGACY_PICKLES):
        position = check_cost(head, position, makes_memory)


def _check_tensor(value: Any) -> None:
    """A tensor may repeat its memory without end, and every copy of it then has that size."""
    if isinstance(value, Tensor) and value.layout is torch.strided:
        there = value.untyped_storage().nbytes()
        if value.numel() * value.element_size() > there:
            raise ValueError(f"a tensor of shape {tuple(value.shape)} in {there} bytes")
