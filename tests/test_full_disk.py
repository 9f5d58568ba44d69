"""A disk that is full: one line that names the place, and what was there before is there afterwards.

`/dev/full` under a file's name is such a disk: the system refuses every write to it as it does on a full one.
`python -m tests.attack --only disks` tries the programs on real ones.
"""

import errno
import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, CompletedProcess
from typing import Any
from unittest.mock import patch
from uuid import UUID

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from matplotlib.figure import Figure

from swapaqa.annotate import box_file
from swapaqa.annotate.box_file import write_text
from swapaqa.annotate.sheet import write_table
from swapaqa.boxes import tracker_boxes
from swapaqa.boxes.ledger import Ledger
from swapaqa.boxes.shots import Filmed
from swapaqa.boxes.tracker_boxes import write_track
from swapaqa.data.demo_files import DemoSettings, write_boxes, write_list
from swapaqa.errors import InputError
from swapaqa.files import whole_file
from swapaqa.files.disk_errors import STANDARD_OUTPUT, full_disk_explained, place_of
from swapaqa.files.whole_file import whole, write_whole
from swapaqa.pictures.figures import save_figure
from swapaqa.recording.result_file import write_json
from swapaqa.running import failures
from swapaqa.running.program import fail_of_system, run_program
from swapaqa.video.film import write_film
from tests.attack import inputs
from tests.conftest import isolated
from tests.forked import REPOSITORY, run_forked

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.is_char_device(), reason="no /dev/full on this system")
BEFORE = "what was there before"
PICTURES = [np.full((32, 48, 3), 20 * t, np.uint8) for t in range(8)]
Run = Callable[..., "CompletedProcess[str]"]

WRITERS: dict[str, Callable[[Path], Any]] = {  # of a whole file at a path
    "a.bin": lambda path: write_whole(path, b"new"),
    "a.txt": lambda path: write_whole(path, "new"),
    "result.json": lambda path: write_json(path, {"new": 1.0}),
    "a.png": lambda path: save_figure(Figure(), path),
    "a.pdf": lambda path: save_figure(Figure(), path),
    "boxes.csv": lambda path: write_table([], path),
    "list.mat": lambda path: write_list(path, {"list": np.eye(2)}),
}


def full(path: Path) -> Path:
    """Make a full disk of what is written under this name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(FULL)
    return path


@pytest.mark.parametrize("name", WRITERS)
def test_a_whole_file_stays_as_it_was_and_the_error_names_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_file, "uuid4", lambda: UUID(int=0))
    path = tmp_path / "folder" / name
    full(path.with_name(f"{name}.{UUID(int=0).hex[:8]}{whole_file.UNFINISHED}"))
    path.write_text(BEFORE)
    with pytest.raises(OSError, match="No space left") as refused:
        WRITERS[name](path)
    assert (refused.value.errno, refused.value.filename) == (errno.ENOSPC, str(path))
    assert pickle.loads(pickle.dumps(refused.value)).filename == str(path)  # as from a process of a pool
    assert path.read_text() == BEFORE
    assert list(path.parent.iterdir()) == [path]


def test_a_whole_file_is_new_where_there_is_room(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        path = tmp_path / "folder" / name
        write(path)
        assert path.stat().st_size
        write(path)
    assert {path.name for path in (tmp_path / "folder").iterdir()} == set(WRITERS)


def test_what_fails_otherwise_leaves_nothing_either(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(ZeroDivisionError), whole(path) as unfinished:
        unfinished.write_text(str(unfinished.write_text("half") / 0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.mp4", "vp09")])
def test_a_film_that_was_not_written_as_a_whole_is_an_error(name: str, codec: str, tmp_path: Path) -> None:
    """OpenCV says nothing of it."""
    path = tmp_path / name
    write_film(path, PICTURES, [codec], 25)
    for cut in (0, 10, path.stat().st_size // 2):
        torn = TornFilm(path.read_bytes()[:cut])
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("swapaqa.video.film.cv2.VideoWriter", torn)
            with pytest.raises(OSError, match="Input/output error") as refused:
                write_film(tmp_path / f"torn-{name}", PICTURES, [codec], 25)
        assert refused.value.filename == str(tmp_path / f"torn-{name}")


def test_a_film_on_a_full_disk_says_so(tmp_path: Path) -> None:
    path = full(tmp_path / "a.avi")
    with pytest.raises(OSError, match="No space left") as refused:
        write_film(path, PICTURES, ["MJPG"], 15)
    assert refused.value.filename == str(path)
    with pytest.raises(InputError, match="can write none of XXXX"):
        write_film(tmp_path / "b.avi", PICTURES, ["XXXX"], 15)


class TornFilm:
    """OpenCV's writer on a disk that took only the beginning."""

    fourcc = staticmethod(lambda *_: 0)

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __call__(self, path: str, *_: Any) -> "TornFilm":
        self.path = Path(path)
        return self

    def isOpened(self) -> bool:  # noqa: N802  OpenCV's name
        return True

    def write(self, picture: np.ndarray) -> None:
        pass

    def release(self) -> None:
        self.path.write_bytes(self.content)


def tracked(path: Path) -> None:
    write_track(path, [Filmed(np.array([[1.0, 2, 3, 4]]), np.ones(1), np.zeros(1, bool))], 0.4, range(1), "kcf")


@pytest.mark.parametrize("write", [lambda path: write_text(path, "new", None), tracked])
def test_box_files_name_themselves_and_leave_nothing(
    write: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_a_full_disk(prefix: str, dir: Path, text: bool = False) -> tuple[int, str]:  # noqa: ARG001
        (Path(dir) / prefix).touch()
        return os.open(FULL, os.O_WRONLY), str(Path(dir) / prefix)

    for module in (box_file, tracker_boxes):
        monkeypatch.setattr(module, "mkstemp", on_a_full_disk)
    path = tmp_path / "diving" / "001.txt"
    with pytest.raises(OSError, match="No space left") as refused:
        write(path)
    assert refused.value.filename == str(path)
    assert list(path.parent.iterdir()) == []


def test_a_ledger_and_the_demos_boxes_name_themselves(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    full(ledger.path)
    with pytest.raises(OSError, match="No space left") as refused:
        ledger.add(tmp_path / "001.txt", "0" * 64, "hand")
    assert refused.value.filename == str(ledger.path)
    boxes, settings = full(tmp_path / "002.txt"), DemoSettings(2, 2, 2, 1.0, 4, 0)
    with pytest.raises(OSError, match="No space left") as refused:
        write_boxes(boxes, np.full((4, 2), 16.0), settings, np.random.default_rng(0))
    assert refused.value.filename == str(boxes)


def test_a_place_is_named_by_the_file_that_a_library_has_open(tmp_path: Path) -> None:
    def library(path: Path) -> None:
        with open(tmp_path / "read.txt") as source, open(path, "w") as file:
            file.write(source.read())

    (tmp_path / "read.txt").write_text("new")
    path = full(tmp_path / "library.txt")
    with pytest.raises(OSError, match="No space left") as refused:
        library(path)
    assert refused.value.filename is None
    assert place_of(refused.value, "the run") == str(path)
    assert place_of(OSError(errno.ENOSPC, "No space left"), "the run") == "the run"


def test_a_run_names_what_is_full_and_not_itself(tmp_path: Path) -> None:
    cache = full(tmp_path / "cache" / "a.npz")
    with pytest.raises(InputError, match=f"^{cache}: no space left .* resume=true$"), full_disk_explained(tmp_path):
        cache.write_bytes(b"new")
    with pytest.raises(InputError, match=f"^{tmp_path}: no space left"), full_disk_explained(tmp_path):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    with pytest.raises(PermissionError), full_disk_explained(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_a_reason_that_has_no_room_is_not_half_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_a_full_disk(path: Path, mode: str, **options: Any) -> Any:
        path.touch()
        assert mode == "x"
        return open(FULL, "w", **options)

    monkeypatch.setattr(failures, "open", on_a_full_disk, raising=False)
    failures.write_failure(tmp_path / "0", "the reason")
    assert failures.failure(tmp_path / "0") is None
    assert list((tmp_path / "0").iterdir()) == []


@pytest.mark.parametrize("recipe", ["train", "evaluate", "doctor"])
def test_a_full_disk_under_hydras_own_files_is_one_line(recipe: str, recipe_inside: Run, tmp_path: Path) -> None:
    config = full(tmp_path / "run" / ".hydra" / "config.yaml")
    done = recipe_inside(recipe, tmp_path / "run")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith(f"error: {config}: no space left on the disk; ")


@pytest.mark.slow
def test_a_full_disk_under_the_standard_output_is_one_line(tmp_path: Path) -> None:
    inputs.write_sweep(tmp_path)
    words = ["show", f"{tmp_path}/sweep", "--out", f"{tmp_path}/report"]
    done = run_forked("src.report", words, isolated(tmp_path, tmp_path / "cache"), out=FULL)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {STANDARD_OUTPUT}: no space left on the disk")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EROFS])
def test_a_disk_that_fails_is_one_line(number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise OSError(number, os.strerror(number), str(tmp_path))

    with patch.dict(os.environ), patch.object(logging, "raiseExceptions", True), pytest.raises(SystemExit) as left:
        run_program(main)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: cannot be written or read ({os.strerror(number)})")


def test_a_disk_that_fails_while_a_sweep_is_planned_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A planned job has a composed configuration but no folder of a run yet."""
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        planned = compose("train", ["data=demo"], return_hydra_config=True)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", planned)
    with pytest.raises(SystemExit) as left:
        fail_of_system(OSError(errno.EIO, os.strerror(errno.EIO)))
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: a file: cannot be written or read ({os.strerror(errno.EIO)})")


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_a_program_without_a_word() -> None:
    """As in `python -m src.report show ... | head`."""
    program = "from swapaqa.running.program import run_program; run_program(lambda: print(10**5 * 'word '))"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    started = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=PIPE, stderr=PIPE, text=True)
    assert started.stdout is not None
    started.stdout.close()
    assert started.communicate()[1] == ""
    assert started.returncode == 128 + signal.SIGPIPE
