"""Small files that ask for gigabytes, never end or wait: refused at once, within a limit of memory and time."""

import multiprocessing
import os
import pickle
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch

from swapaqa.annotate.importing import recognise
from swapaqa.annotate.sheet import read_severities
from swapaqa.boxes.cvat_xml import ALL, read_cvat
from swapaqa.boxes.darklabel_format import read_formats
from swapaqa.boxes.ledger import read_ledger
from swapaqa.boxes.mot import read_mot
from swapaqa.boxes.tracker_results import result_rows
from swapaqa.boxes.tracks import existing, parse_xml
from swapaqa.data.clips import read_table
from swapaqa.data.demo import read_judges
from swapaqa.data.mtl_aqa import read_records
from swapaqa.data.unpickler import load_pickle
from swapaqa.errors import LINE, InputError
from swapaqa.files.foreign_file import check_regular, read_bytes, read_json, read_yaml, shown
from swapaqa.models.i3d_weights import read_weights
from swapaqa.running.checkpoint import read_checkpoint
from swapaqa.running.jobs import State, state
from swapaqa.video.frames import frame_count, read_frames
from swapaqa.video.index import make_index
from tests.attack.inputs import FRAMES, write_video
from tests.attack.malformed import giant_json, giant_yaml
from tests.attack.strange import bombs

MEMORY, SECONDS = 2**29, 20  # more than the process has; seconds of a reader, which needs a hundredth


def doubled(empty: bytes, pair: Callable[[bytes], bytes], levels: int = 60) -> bytes:
    """A pickle's opcodes for `levels` values of which each holds the one before twice."""
    content = empty
    for level in range(levels):
        content += b"q" + bytes([level]) + pair(b"h" + bytes([level]))
    return content


TUPLES = doubled(b")", lambda get: get + b"\x86")
LISTS = doubled(b"]", lambda get: b"0]" + get + b"a" + get + b"a")
BOMBS: dict[str, bytes] = {
    "bytes by their number": b"cbuiltins\nbytearray\n(I2147483647\ntR.",
    "bytes of Python 2": b"c__builtin__\nbytes\n(I2147483647\ntR.",
    "a place far away": b"\x80\x02]r\xff\xff\xff\x7f.",
    "a length without content": b"\x80\x04\x8e" + struct.pack("<Q", 2**31) + b".",
    "a frame without content": b"\x80\x04\x95" + struct.pack("<Q", 2**31) + b"K\x01.",
    "lists within lists": b"\x80\x02" + LISTS + b".",
    "tuples within tuples": b"\x80\x02" + TUPLES + b".",
    "a key that takes years to hash": b"\x80\x02}" + TUPLES + b"K\x01s.",
    "a set of such keys": b"\x80\x04\x8f(" + TUPLES + b"\x90.",
    "text of a giant": b"\x80\x02cbuiltins\nstr\n" + LISTS + b"\x85R.",
    "many copies": b"\x80\x02cbuiltins\nbytearray\nq\x01(B" + struct.pack("<I", 10**6) + b"x" * 10**6 + b"q\x02tR0"
    + b"h\x01h\x02\x85R" * 5000 + b".",
    "deep": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "itself": b"\x80\x02]q\x00h\x00a.",
    "digits": b"I" + b"9" * 100_000 + b"\n.",
    "an endless empty array": pickle.dumps(np.zeros((0, 10**12))),
    "a change of its reader": b"\x80\x02cnumpy\ndtype\nN}X\x01\x00\x00\x00aK\x01s\x86b.",
}  # fmt: skip


def limited(function: Callable[[], Any], answer: Any) -> None:
    """In a process of its own: the words of the InputError, or what else came out."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    try:
        answer.send(("accepted", shown(function())))
    except InputError as error:
        answer.send(("refused", str(error)))
    except BaseException as error:
        answer.send(("traceback", repr(error)[:500]))


def refusal(function: Callable[[], Any]) -> str:
    """The words with which `function` refuses, in half a gibibyte more than the process has and 20 seconds."""
    ours, its = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=limited, args=(function, its))
    process.start()
    its.close()
    try:
        assert ours.poll(SECONDS), "it does not end"
        what, words = ours.recv()
    finally:
        process.kill()
        process.join()
    assert what == "refused", words
    assert "\n" not in words
    assert len(words) <= LINE
    return words


@pytest.mark.parametrize("name", BOMBS)
def test_a_pickle_costs_no_more_than_its_size(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(BOMBS[name])
    assert refusal(lambda: load_pickle(path)).startswith(f"{path}: not a readable pickle (")


def test_a_pickle_that_was_refused_leaves_the_reader_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(BOMBS["a change of its reader"])
    with pytest.raises(InputError, match="changes a function or class of its reader"):
        load_pickle(path)
    path.write_bytes(pickle.dumps(np.arange(3)))
    assert load_pickle(path).tolist() == [0, 1, 2]


def test_a_split_of_giants_is_refused_with_a_short_message(tmp_path: Path) -> None:
    """The key of a dive goes into the message."""
    (tmp_path / "final_annotations_dict.pkl").write_bytes(pickle.dumps({(1, 2): {}}))
    part: Any = "x" * 50
    for _ in range(12):
        part = [part, part]  # 4096 values, which are few enough to be read
    (tmp_path / "train_split_0.pkl").write_bytes(pickle.dumps([part]))
    words = refusal(lambda: read_records(tmp_path, "train"))
    assert len(words) < 800


@pytest.mark.parametrize(
    "content", [giant_yaml(), giant_json(), b"format1: " + b"9" * 100_000], ids=["aliases", "deep", "digits"]
)
def test_texts_within_bounds(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    for read in (read_formats, lambda path: read_json(path, "remove it"), lambda path: read_yaml(path, "remove it")):
        assert str(path) in refusal(lambda read=read: read(path))


def test_a_file_larger_than_any_of_its_kind_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    with open(path, "wb") as file:
        file.truncate(2**40)  # sparse: no disk
    for read in (load_pickle, parse_xml, read_formats, lambda path: read_json(path, "remove it"), read_bytes):
        assert "MiB, and such a file has" in refusal(lambda read=read: read(path))


READERS: dict[str, Callable[[Path], Any]] = {
    "pickle": load_pickle,
    "xml": parse_xml,
    "yaml": read_formats,
    "json": lambda path: read_json(path, "remove it"),
    "checkpoint": lambda path: read_checkpoint(str(path)),
    "weights": read_weights,
    "video": lambda path: read_frames(path, [0]),
    "count": frame_count,
    "boxes to import": recognise,
    "CVAT": lambda path: read_cvat(path, ALL),
    "tracker's results": result_rows,
    "ledger": read_ledger,
    "table of boxes check": read_severities,
    "demo's judges": read_judges,
    "table of videos": read_table,
    "CVAT's archive": lambda path: read_cvat(as_zip(path), ALL),
    "MOT's archive": lambda path: read_mot(as_zip(path)),
    "archive to import": lambda path: recognise(as_zip(path)),
}


def as_zip(path: Path) -> Path:
    """The same under a name that says it is an archive."""
    link = Path(mkdtemp()) / f"{path.name}.zip"
    link.symlink_to(path)
    return link


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_and_not_waited_for(reader: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.avi"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        words = refusal(lambda path=path: READERS[reader](path))
        assert path.name in words
        assert ": is a pipe, a socket or a device and no file" in words


def test_a_result_that_is_no_file_is_a_damaged_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "result.json")
    assert state(tmp_path) is State.DAMAGED


def test_a_line_of_a_million_numbers_is_no_box(tmp_path: Path) -> None:
    path = tmp_path / "001.txt"
    path.write_bytes(b"1," * 5_000_000)
    assert f"{path}, line 1: '1,1," in refusal(lambda: result_rows(path))
    assert str(path) in refusal(lambda: recognise(path))


TABLES = {
    b"": "but empty",
    b"video\nan": "no column 'severity'",
    b"video,severity\na,b\n": "line 2: could not convert string to float: 'b'",
    b"video,severity\na\n": "line 2: 1 cells for 2 columns",
    b"video,severity\n" + b"x" * 200_000: "line 2: field larger than field limit (131072)",
    b"video,severity\n\x80,1\n": "can't decode byte 0x80",
    b"<html><body>Sign in": "a web page",
}


@pytest.mark.parametrize("content", TABLES, ids=list(TABLES.values()))
def test_a_damaged_table_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "check.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_severities(path)
    assert str(refused.value).startswith(f"{path}: not a readable CSV")
    assert TABLES[content] in str(refused.value)


@pytest.mark.parametrize("name", bombs())
def test_what_unpacks_to_much_is_no_annotation(name: str, tmp_path: Path) -> None:
    path = tmp_path / "001.zip"
    path.write_bytes(bombs()[name])
    for read in (lambda path: read_cvat(path, ALL), read_mot):
        assert str(path) in refusal(lambda read=read: read(path))


def test_attributes_without_number_are_no_annotation(tmp_path: Path) -> None:
    path = tmp_path / "001.xml"
    path.write_bytes(b"<a>" + b'<b c="" d="" e="" f="" g="" h=""/>' * 1_500_000 + b"</a>")
    assert f"{path}: has 10500002 tags and attributes" in refusal(lambda: read_cvat(path, ALL))


def test_opened_animations_leave_no_threads(tmp_path: Path) -> None:
    """FFmpeg's conversion of a picture with a palette starts as many as there are cores, and keeps them."""
    write_video(tmp_path / "a.gif")
    before = len(list(Path("/proc/self/task").iterdir()))
    index = make_index(tmp_path / "a.gif")
    assert len(index) == FRAMES
    assert len(list(Path("/proc/self/task").iterdir())) == before


def test_a_pipe_among_images_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "00001.jpg")
    words = refusal(lambda: read_frames(tmp_path, [0]))
    assert f"{tmp_path / '00001.jpg'}: no regular file" in words


def test_a_pipe_is_no_box_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "001.txt")
    assert existing([tmp_path / "001.txt"]) is None


def test_names_that_no_system_takes(tmp_path: Path) -> None:
    for path in (Path("a\0b"), tmp_path / ("x" * 5000), tmp_path / "nothing"):
        with pytest.raises(InputError, match="cannot be read"):
            check_regular(path)


def test_messages_are_one_short_line_without_what_moves_a_cursor() -> None:
    error = InputError("a.txt: \x1b[2J\r\n" + "x" * 10**6)
    assert str(error).startswith("a.txt: ?[2J x")
    assert len(str(error)) == LINE
    assert str(InputError("a" * 10**6 + ": is a pipe; name a file")).endswith("a: is a pipe; name a file")
    assert (
        str(InputError("Caught InputError in worker 0.\nTraceback\nswapaqa.errors.InputError: b: wrong")) == "b: wrong"
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    endless: list[Any] = []
    for _ in range(60):
        endless = [endless, endless]
    assert len(shown(endless)) <= 200
    assert shown(10**5000) == "a int"


def test_tensors_within_bounds(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1).expand(10**10)}}, tmp_path / "a.pt")
    for read in (read_weights, lambda path: read_checkpoint(str(path))):
        assert "a tensor of shape (10000000000,) in 4 bytes" in refusal(lambda read=read: read(tmp_path / "a.pt"))
