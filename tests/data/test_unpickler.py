"""The restricted unpickler: what annotation files hold is read, and nothing else can be named or run."""

import collections
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swapaqa.data.unpickler import load_pickle
from swapaqa.errors import InputError

PLAIN: dict[str, Any] = {
    "matrix": np.arange(6.0).reshape(2, 3).T,
    "big_endian": np.arange(3, dtype=">i4"),
    "scalar": np.float32(2.5),
    "words": np.array(["ab", "c"]),
    "bools": np.array([True, False]),
    "empty": np.zeros((0, 3)),
    "set": {1, 2},
    "frozenset": frozenset({3}),
    "complex": 1 + 2j,
    "bytes": b"\xff\x00",
    "bytearray": bytearray(b"x"),
    "nested": [(1, 2.5, None, True), {"key": 10**20}],
}


def written(folder: Path, content: bytes) -> Path:
    path = folder / "annotations.pkl"
    path.write_bytes(content)
    return path


def python2_array() -> bytes:
    """An array of two float64 as Python 2 and NumPy 1 wrote it, protocol 0: the bytes are a string."""
    raw = np.array([9.5, 1.0]).tobytes().decode("latin1")
    escaped = "".join(f"\\x{ord(c):02x}" for c in raw)
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n"
        b"(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'" + escaped.encode() + b"'\ntb."
    )


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_and_arrays_are_read_as_pickle_reads_them(name: str, protocol: int, tmp_path: Path) -> None:
    content = pickle.dumps(PLAIN[name], protocol)
    found, expected = load_pickle(written(tmp_path, content)), pickle.loads(content)
    if isinstance(expected, np.ndarray | np.generic):
        np.testing.assert_array_equal(found, expected, strict=True)
    else:
        assert (found, type(found)) == (expected, type(expected))


def test_numpy_1_names_are_read(tmp_path: Path) -> None:
    content = pickle.dumps(np.arange(3), 2).replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core.multiarray" in content
    assert load_pickle(written(tmp_path, content)).tolist() == [0, 1, 2]


def test_python_2_pickles_are_read(tmp_path: Path) -> None:
    assert load_pickle(written(tmp_path, python2_array())).tolist() == [9.5, 1.0]
    text = b"(dp0\nS'name'\np1\nS'caf\\xe9'\np2\ns."
    assert load_pickle(written(tmp_path, text)) == {"name": "café"}
    assert load_pickle(written(tmp_path, b"c__builtin__\nset\n((lI1\naI2\natR.")) == {1, 2}


def test_real_annotations_are_read_as_pickle_reads_them(real_data: Path) -> None:
    files = [*(real_data / "mtl_aqa").glob("*.pkl"), *(real_data / "unlv_dive").glob("*.pkl")]
    assert len(files) >= 5
    for path in files:
        found = load_pickle(path)
        with open(path, "rb") as file:
            expected = pickle.load(file, encoding="latin1")
        if isinstance(expected, dict):
            assert found.keys() == expected.keys()
            assert all((found[k]["judge_scores"] == expected[k]["judge_scores"]).all() for k in expected)
        else:
            np.testing.assert_array_equal(found, expected)


HOSTILE = {
    "os.system": b"cos\nsystem\n(S'touch {trap}'\ntR.",
    "posix.system": b"cposix\nsystem\n(S'touch {trap}'\ntR.",
    "builtins.eval": b'cbuiltins\neval\n(S\'open("{trap}", "w")\'\ntR.',
    "__builtin__.eval": b'c__builtin__\neval\n(S\'open("{trap}", "w")\'\ntR.',
    "builtins.getattr": b"cbuiltins\ngetattr\n(cbuiltins\ndict\nS'fromkeys'\ntR.",
    "builtins.open": b"(ibuiltins\nopen\n.".replace(b"(i", b"(S'{trap}'\nS'w'\ni"),  # INST
    "subprocess.Popen": b"\x80\x04\x8c\x0asubprocess\x8c\x05Popen\x93(]\x8c\x05touchatR.",  # STACK_GLOBAL
    "numpy.f2py.compile": b"cnumpy.f2py\ncompile\n(S'end'\ntR.",
    "numpy.load": b"cnumpy\nload\n(S'{trap}'\ntR.",
    "numpy.fromfile": b"cnumpy\nfromfile\n(S'{trap}'\ntR.",
    "numpy.testing._private.utils.runstring": b"cnumpy.testing._private.utils\nrunstring\n(S'1'\n}tR.",
    "numpy.core.multiarray.fromfile": b"cnumpy.core.multiarray\nfromfile\n(S'{trap}'\ntR.",
    "builtins.int.from_bytes": b"\x80\x04\x8c\x08builtins\x8c\x0eint.from_bytes\x93.",  # a path into a class
    "copyreg._reconstructor": b"ccopyreg\n_reconstructor\n(cbuiltins\nlist\ncbuiltins\nlist\nNtR.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_any_other_name_is_refused_with_that_name_and_not_run(name: str, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    content = HOSTILE[name].replace(b"{trap}", str(trap).encode())
    with pytest.raises(InputError) as error:
        load_pickle(written(tmp_path, content))
    assert f"names {name}," in str(error.value)
    assert str(tmp_path / "annotations.pkl") in str(error.value)
    assert "\n" not in str(error.value)
    assert not trap.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("function", [os.system, subprocess.check_call, np.fromfile, eval])
def test_calls_are_refused_in_every_protocol(function: Any, protocol: int, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    content = pickle.dumps({"score": 1.0, "hidden": Calls(function, f"touch {trap}")}, protocol)
    with pytest.raises(InputError, match=function.__name__):
        load_pickle(written(tmp_path, content))
    assert not trap.exists()


@pytest.mark.parametrize("value", [collections.OrderedDict(a=1), Path("x"), range(3)], ids=["ordered", "path", "range"])
def test_other_types_are_refused(value: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds plain values and NumPy arrays only"):
        load_pickle(written(tmp_path, pickle.dumps(value)))


@pytest.mark.parametrize(
    "value",
    [
        np.array([None, "x"], dtype=object),
        np.zeros(2, dtype=[("a", "f8"), ("b", object)]),
        np.dtype(object),
        np.array([np.datetime64("2020")]),
    ],
    ids=["objects", "fields", "type", "dates"],
)
def test_arrays_of_anything_but_numbers_and_strings_are_refused(value: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither numbers nor strings"):
        load_pickle(written(tmp_path, pickle.dumps(value)))


def test_an_array_cannot_claim_more_memory_than_its_bytes(tmp_path: Path) -> None:
    content = pickle.dumps(np.arange(3), 2)
    assert content.count(b"K\x03\x85") == 1
    with pytest.raises(InputError, match="not a readable pickle"):
        load_pickle(written(tmp_path, content.replace(b"K\x03\x85", b"K\xff\x85")))


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x04K", pickle.dumps([1] * 9)[:-3], b"I1\n" * 3])
def test_damaged_files_are_one_line(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"annotations\.pkl: not a readable pickle") as error:
        load_pickle(written(tmp_path, content))
    assert "\n" not in str(error.value)
