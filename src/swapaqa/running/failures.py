"""`failed.txt` in the folder of a run: why it failed, said by the process that failed first."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from swapaqa.errors import LINE, InputError, one_line
from swapaqa.files.foreign_file import read_bytes, reason
from swapaqa.running.interruption import STOPPED, stop_request
from swapaqa.running.jobs import FAILURE_FILE, State, state

log = logging.getLogger(__name__)

LEFT_ALONE = 3  # the exit status of a process that ended because another one of the run did
OF_A_PEER = ("Connection closed by peer", "Connection reset by peer", "ncclRemoteError")


@contextmanager
def failure_recorded(folder: Path) -> Iterator[None]:
    """Leave `failed.txt` in the folder when what happens inside fails: one line, then the traceback.

    Of several processes the first to fail writes it. One that fails because another has ended has nothing to say.
    """
    try:
        yield
    except Exception as error:
        if stop_request.signal is not None:  # another process left first, and a collective operation failed
            raise SystemExit(STOPPED) from error
        if is_peer_failure(error):
            log.warning("another process of this run has ended, and so does this one: %s", reason(error))
            raise SystemExit(LEFT_ALONE) from error
        cause = error.__cause__ if isinstance(error.__cause__, InputError) else error
        line = str(cause) if isinstance(cause, InputError) else f"{type(cause).__name__}: {cause}"
        write_failure(folder, one_line(line, LINE), traceback.format_exc())
        raise


def is_peer_failure(error: BaseException) -> bool:
    """Whether a collective operation failed because another process of the run has ended, by gloo's or NCCL's words."""
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OF_A_PEER)


def write_failure(folder: Path, line: str, details: str = "") -> None:
    """Write `failed.txt`, unless another process of the run did, or the run is done."""
    if state(folder) is State.DONE:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / FAILURE_FILE, "x", encoding="utf-8", errors="replace") as file:
            file.write(f"{line}\n\n{details}")
    except FileExistsError:
        return
    except OSError:  # no room for it, or the folder cannot be written
        with suppress(OSError):  # half a reason is none
            (folder / FAILURE_FILE).unlink()


def failure(folder: Path) -> str | None:
    """The line that says why the run in `folder` failed; None if it did not."""
    path = folder / FAILURE_FILE
    if not path.is_file():
        return None
    return one_line(read_bytes(path).decode(errors="replace").partition("\n")[0], LINE)
