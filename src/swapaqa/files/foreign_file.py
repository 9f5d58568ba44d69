"""Files that others wrote or that a disk has damaged: of bounded size, regular, and called what they are.

Every reader of such a file opens it here, or has it looked at here before a library opens it.
"""

import csv
import io
import json
import math
import reprlib
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from swapaqa.errors import InputError, one_line

Row = TypeVar("Row")

MIB = 2**20
MOST = 256 * MIB  # bytes of an annotation, a run's result, a settings file: the largest in circulation has one
MOST_YAML = MIB  # whose reader is slow
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # of the same values; a build without libyaml lacks it
DEEPEST = 64  # levels of values within values
HEAD = 1024
GIT_LFS = b"version https://git-lfs.github.com/spec/"
WEB_PAGE = (b"<!doctype html", b"<html", b"<head", b"<script")
DAMAGED_COPY = "nothing but zeros, as an interrupted copy or a full disk leaves"
BEGINNINGS = (  # of other kinds of files that are saved under a wrong name
    (b"PK\x03\x04", "a zip archive; unpack it"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet or document of an old Office"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"BZh", "a bzip2 archive; unpack it"),
    (b"\xfd7zXZ", "an xz archive; unpack it"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (b"Rar!", "a rar archive; unpack it"),
    (b"\x89HDF\r\n", "an HDF5 file, which MATLAB 7.3 writes; save it again with -v7"),
    (b"MATLAB 7.3", "an HDF5 file, which MATLAB 7.3 writes; save it again with -v7"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"%PDF", "a PDF"),
    (b"\x80\x02", "a pickle"), (b"\x80\x03", "a pickle"), (b"\x80\x04", "a pickle"), (b"\x80\x05", "a pickle"),
)  # fmt: skip


def check_regular(path: Path, most: int | None = None) -> None:
    """Refuse what is no regular file, before anything opens it: a pipe would be waited for without end.

    Raises:
        InputError: a pipe, a device, a folder, more than `most` bytes, or nothing that can be looked at.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # a name with a zero byte
        raise InputError(f"{path}: cannot be read ({reason(error)})") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe, a socket or a device"
        raise InputError(f"{path}: is {kind} and no file; name a file")
    if most is not None and found.st_size > most:
        raise InputError(f"{path}: has {found.st_size / MIB:.0f} MiB, and such a file has {most // MIB} at most")


def read_bytes(path: Path, most: int = MOST) -> bytes:
    """The content of a regular file; InputError as `check_regular`."""
    check_regular(path, most)
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from error


def read_json(path: Path, remedy: str) -> Any:
    """The content of a JSON file.

    Args:
        path: of the file.
        remedy: what a user does about a damaged one, the end of the message.

    Raises:
        InputError: not JSON, or nested too deeply to be any file of ours.
    """
    return _parsed(
        path, MOST, "JSON", remedy, lambda text: json.loads(text, parse_constant=_no_number, parse_float=_finite)
    )


def read_yaml(path: Path, remedy: str) -> Any:
    """The content of a YAML file of plain values; arguments and errors as `read_json`, also for aliases.

    Aliases are refused because nothing writes them here, and a few lines of them are a billion values.
    """
    return _parsed(path, MOST_YAML, "YAML", remedy, parse_yaml)


def read_csv(path: Path, columns: Sequence[str], convert: Callable[[Mapping[str, str]], Row], remedy: str) -> list[Row]:
    """The rows of a table that we wrote, in UTF-8 with commas and a line of column names; `data.table` reads others'.

    Args:
        path: of the file.
        columns: without which it is no such table.
        convert: a row from its cells by column; LookupError and ValueError mean that they are damaged.
        remedy: as in `read_json`, errors too.
    """
    rows: list[Row] = _parsed(path, MOST, "CSV", remedy, lambda text: _rows(text, columns, convert))
    return rows


def _rows(text: str, columns: Sequence[str], convert: Callable[[Mapping[str, str]], Row]) -> list[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(lines, [])
        missing = [name for name in columns if name not in header]
        if missing:
            raise ValueError(f"no column '{missing[0]}'")
        return [convert(_cells(header, row)) for row in lines if row]
    except (csv.Error, LookupError, ValueError) as error:
        raise ValueError(f"line {lines.line_num}: {reason(error)}") from error


def _cells(header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    if len(row) != len(header):
        raise ValueError(f"{len(row)} cells for {len(header)} columns")
    return dict(zip(header, row, strict=True))


def parse_yaml(text: str) -> Any:
    """Plain values. YAMLError for anything else, for aliases, and for values within values without end."""
    levels = 0
    for event in yaml.parse(text, Loader=YAML_LOADER):
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if levels > DEEPEST:
            raise yaml.YAMLError(f"values within values, over {DEEPEST} levels")
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name), which such a file does not need")
    return yaml.load(text, Loader=YAML_LOADER)


def _parsed(path: Path, most: int, form: str, remedy: str, parse: Callable[[str], Any]) -> Any:
    content = read_bytes(path, most)
    try:
        return parse(content.decode("utf-8-sig"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {unreadable(form, content, error)}; {remedy}") from error


def _no_number(name: str) -> float:
    raise ValueError(f"{name}, which JSON does not have")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


def unreadable(wanted: str, content: bytes, error: BaseException) -> str:
    """What a message says of a file that a reader failed on with `error`: what it is, or why it is no `wanted`."""
    kind = kind_of(content)
    return f"not a readable {wanted} " + (f"({reason(error)})" if kind is None or wanted in kind else f"but {kind}")


def kind_of(content: bytes) -> str | None:
    """What a file is that is not what its name says; None where its beginning does not tell."""
    start = content[:HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not content:
        return "empty"
    if not content.strip(b"\0"):
        return DAMAGED_COPY
    if content.startswith(GIT_LFS):
        return "a git-lfs pointer and not the file itself; fetch that with `git lfs pull`"
    if start.lower().startswith(WEB_PAGE):
        return "a web page, saved in the file's place"
    if start.startswith(b"<?xml") and b"<Error" in start:
        return "a download server's error message"
    found = next((words for beginning, words in BEGINNINGS if content.startswith(beginning)), None)
    return "a tar archive; unpack it" if found is None and content[257:262] == b"ustar" else found


def is_name(text: str) -> bool:
    """Whether a word names something in a folder, and nothing outside of it."""
    return text == Path(text).name and text not in ("", "..") and "\0" not in text


def reason(error: BaseException) -> str:
    """Why something failed, in a few words: the system's, or the error's own."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return one_line(words) or type(error).__name__


def shown(value: object) -> str:
    """An untrusted value for a message: how it is written in Python, as far as a line has room.

    Not by `repr`, whose time and length a few nested lists make endless.
    """
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother, short.maxlong = 3, 80, 80, 40
    try:
        return one_line(short.repr(value))
    except Exception:  # numbers of thousands of digits, arrays of a damaged type
        return f"a {type(value).__name__}"
