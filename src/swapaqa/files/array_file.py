"""Files of NumPy that others wrote, `.npy` and `.npz`: numbers and strings alone, of bounded size."""

import zipfile
from pathlib import Path

import numpy as np

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import HEAD, MIB, check_regular, reason, unreadable

MOST_UNPACKED = 4096 * MIB  # of an archive, which may be compressed
NPY, NPZ = b"\x93NUMPY", b"PK\x03\x04"


def read_arrays(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """The array of a `.npy`, or the arrays of a `.npz` by name. Nothing of the file is run: no object arrays.

    Raises:
        InputError: no such file, damaged, of Python objects, or larger unpacked than any such file.
    """
    check_regular(path)
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
        if not head.startswith(NPZ):
            return np.array(np.load(path, mmap_mode="r", allow_pickle=False))  # mapped: no more than the file has
        with zipfile.ZipFile(path) as archive:
            size = sum(record.file_size for record in archive.infolist())
        if size > MOST_UNPACKED:
            raise ValueError(f"{size // MIB} MiB unpacked, and such a file has {MOST_UNPACKED // MIB} at most")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from error
    except Exception as error:  # damaged bytes raise whatever they happen to spell
        known = b"?" if head.startswith((NPY, NPZ)) else head  # as it should begin
        raise InputError(f"{path}: {unreadable('NumPy file', known, error)}; write it again") from error
