"""One input read by one reader, and what became of it."""

import contextlib
import ctypes
import hashlib
import io
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from enum import StrEnum
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from swapaqa.errors import BETWEEN, FAULTS, InputError
from tests.attack.damage import Edit
from tests.attack.strange import Damage

LONGEST = 600  # characters of a message
CAPABILITIES = 0x20080522  # version 3 of capget(2)
READ_EVERYTHING = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


class Verdict(StrEnum):
    """What became of an input. The first three are right."""

    REFUSED = "refused in one line"
    SAME = "same value"
    OTHER = "another value that may be right"
    WRONG = "wrong value accepted"
    UNCLEAR = "unclear message"
    CRASHED = "traceback"
    HUNG = "hang"
    MEMORY = "memory"
    RAN = "ran code"
    OVERWRITTEN = "file overwritten"


RIGHT = (Verdict.REFUSED, Verdict.SAME, Verdict.OTHER)


class Outcome(NamedTuple):
    """`detail`: the message, or what went wrong; `signature`: equal for equal faults."""

    verdict: Verdict
    detail: str = ""
    signature: str = ""


def nothing_wrong(value: Any) -> str:  # noqa: ARG001
    return ""


@dataclass(frozen=True)
class Reader:
    """One kind of file, and the real function that reads it.

    Attributes:
        name: for tables.
        file: what is damaged, relative to the folder of an input.
        write: makes a folder in which `read` works.
        read: the value, comparable by `digest`. InputError is the right refusal.
        unknowable: why a changed value cannot be told from a meant one; empty where it can, so that any other value is
            wrong unless a warning says it.
        sound: what is wrong with a value that no valid file has; empty if nothing is.
        edit: how the file's values are changed, where it holds any.
        named: words besides the file's name by one of which a message names it.
        may_miss: without the file there is another value, rightly.
        ours: we write the file, and write it again where it is not there.
        seconds: after which reading counts as hanging.
        weight: inputs, relative to other readers'.
        a_file: False for words that no program reads from a file, so that nothing else can lie there.
        costly: read by a program: inputs that went wrong are kept as they are, and not made smaller.
    """

    name: str
    file: str
    write: Callable[[Path], None]
    read: Callable[[Path], Any]
    unknowable: str = ""
    sound: Callable[[Any], str] = nothing_wrong
    edit: Edit | None = None
    named: tuple[str, ...] = ()
    may_miss: bool = False
    ours: bool = False
    seconds: float = 20.0
    weight: float = 1.0
    a_file: bool = True
    costly: bool = False


class ProgramError(Exception):
    """A program ended otherwise than with one `error:` line and its status."""


class Value(NamedTuple):
    """What a reader made of an input. `said`: the warnings that came with it."""

    digest: str
    said: str


def digest(value: Any) -> str:
    """Equal for equal values, NaN included."""
    return hashlib.sha256(repr(plain(value)).encode()).hexdigest()


def plain(value: Any) -> Any:
    """A value as tuples of plain values."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return tuple((str(key), plain(part)) for key, part in value.items())
    if isinstance(value, list | tuple):
        return tuple(plain(part) for part in value)
    return value


class Said(logging.Handler):
    """Keeps the warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Heard(NamedTuple):
    """What came with a value."""

    warnings: Said
    stderr: io.StringIO


@contextlib.contextmanager
def overheard() -> Iterator[Heard]:
    """What is logged and printed inside."""
    heard, root = Heard(Said(), io.StringIO()), logging.getLogger()
    handlers, root.handlers[:] = root.handlers[:], [heard.warnings]
    try:
        with contextlib.redirect_stderr(heard.stderr), contextlib.redirect_stdout(io.StringIO()):
            yield heard
    finally:
        root.handlers[:] = handlers


@contextlib.contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """`path` cannot be read, not even by a superuser, who lays down the right to read everything."""
    path.chmod(0)
    libc, header, sets = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    before = sets[0]  # what is in effect, capabilities 0 to 31
    sets[0] = before & ~READ_EVERYTHING
    libc.capset(header, sets)
    try:
        yield
    finally:
        sets[0] = before
        libc.capset(header, sets)


def value_of(reader: Reader, folder: Path) -> tuple[Value, str]:
    """The value that a reader gives, and what is unsound about it."""
    with overheard() as heard:
        return _read(reader, folder, heard)


def _read(reader: Reader, folder: Path, heard: Heard) -> tuple[Value, str]:
    value = reader.read(folder)
    return Value(digest(value), " | ".join(heard.warnings.lines)), reader.sound(value)


def attempt(reader: Reader, folder: Path, damage: Damage, valid: Value, canary: Path) -> Outcome:
    """Read the damaged file in `folder` and judge what happens. `valid`: what the undamaged file gives."""
    path = folder / reader.file
    before = path.read_bytes() if path.is_file() and damage.content is not None else None
    blocked = unreadable(path) if damage.place == "unreadable" else contextlib.nullcontext()
    with blocked:
        outcome = _judged(reader, folder, damage, valid)
    if canary.exists():
        canary.unlink()
        return Outcome(Verdict.RAN, outcome.detail, f"ran code: {damage.kind}")
    if before is not None and not reader.ours and (not path.is_file() or path.read_bytes() != before):
        return Outcome(Verdict.OVERWRITTEN, outcome.detail, "overwritten")
    return outcome


def _judged(reader: Reader, folder: Path, damage: Damage, valid: Value) -> Outcome:
    try:
        with overheard() as heard:
            found, unsound = _read(reader, folder, heard)
    except InputError as error:
        return refusal(reader, folder, str(error))
    except SystemExit as left:
        lines = [line for line in heard.stderr.getvalue().splitlines() if line.startswith("error:")]
        if left.code == 2 and len(lines) == 1:
            return refusal(reader, folder, lines[0])
        return Outcome(Verdict.UNCLEAR, f"status {left.code}: {heard.stderr.getvalue()[-300:]}", "status")
    except (MemoryError, RecursionError) as error:
        return Outcome(Verdict.MEMORY, repr(error)[:300], f"{type(error).__name__} {place_of(error)}")
    except TimeoutExpired as error:
        return Outcome(Verdict.HUNG, f"the program runs after {error.timeout:.0f} s", f"program {damage.kind}")
    except ProgramError as error:
        return Outcome(Verdict.CRASHED, str(error)[-1500:], str(error).strip().splitlines()[-1][:120])
    except Exception as error:
        detail = "".join(traceback.format_exception(error))[-1500:]
        return Outcome(Verdict.CRASHED, detail, f"{type(error).__name__} in {place_of(error)}")
    return acceptance(reader, damage, valid, found, unsound)


def refusal(reader: Reader, folder: Path, message: str) -> Outcome:
    """A refusal is right if it is one short line that names the file, or as `swapaqa.errors.refuse` lists several."""
    names = (Path(reader.file).name, *reader.named)
    first, *more = message.replace(str(folder), "").strip().split("\n")
    problem = (
        "several lines" if len(more) > FAULTS or not all(line.startswith(BETWEEN[1:]) for line in more)
        else f"longer than {LONGEST} characters" if max(map(len, (first, *more))) > LONGEST
        else "" if any(name in first for name in names)
        else f"names none of {', '.join(names)}"
    )  # fmt: skip
    if problem:
        return Outcome(Verdict.UNCLEAR, f"{problem}: {message[:1000]}", f"unclear: {problem}")
    return Outcome(Verdict.REFUSED, message)


def acceptance(reader: Reader, damage: Damage, valid: Value, found: Value, unsound: str) -> Outcome:
    """An accepted value is right if it is the valid one, or if nobody can know that it is not."""
    if unsound:
        return Outcome(Verdict.WRONG, unsound, f"unsound: {unsound[:40]}")
    if found.digest == valid.digest:
        return Outcome(Verdict.SAME)
    missing = damage.place in ("missing", "link to nothing")
    if (missing and reader.may_miss) or (not missing and (reader.unknowable or found.said != valid.said)):
        return Outcome(Verdict.OTHER, found.said)
    return Outcome(Verdict.WRONG, "another value, without a word", f"silent: {damage.kind}")


def place_of(error: BaseException) -> str:
    """The innermost function of the project that an error passed through, and of a library otherwise."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "swapaqa" in f.filename or "/src/" in f.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "nowhere"
