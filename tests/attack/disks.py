"""Disks that are full and disks that cannot be written, under everything that a program writes.

A small file system in memory is mounted for each; that needs a superuser on Linux.
"""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swapaqa.errors import InputError
from swapaqa.files.disk_errors import STANDARD_OUTPUT
from tests.attack import inputs
from tests.attack.calls import CHECKPOINT
from tests.attack.counts import Counts
from tests.attack.kills import TWO
from tests.attack.programs import DIVING, SMALL, common_cache, write_aqa7, write_import
from tests.attack.reading import LONGEST
from tests.conftest import isolated
from tests.forked import run_forked

ROOMS = (0, 32, 128, 256, 512, 768, 1024)  # KiB; a run of SMALL takes a little more, the caches and the rest less
AMPLE = 64 * 1024  # KiB: here everything works
SECONDS = 300.0  # after which a program counts as hanging; attempts run side by side
PAGE = 4  # KiB: the smallest file
TRACKED = ("boxes=tracker", "boxes.method=kcf", "boxes.max_lost=1.0")
KEPT = "kept-from-before"
LANDED = f"checkpoint={CHECKPOINT}"


@dataclass(frozen=True)
class Place:
    """Something that a program writes to.

    Attributes:
        name: for the table.
        command: module and words, given the folder of the attempt and the disk.
        environment: variables, given the disk.
        prepare: writes what the program reads.
        works_read_only: it should write nothing there.
        output: the file on the disk that its standard output goes to.
    """

    name: str
    command: Callable[[Path, Path], tuple[str, Sequence[str]]]
    environment: Callable[[Path], dict[str, str]] = lambda disk: {}  # noqa: ARG005
    prepare: Callable[[Path], None] = lambda folder: None  # noqa: ARG005
    works_read_only: bool = False
    output: str = ""


def training(folder: Path, *words: str) -> tuple[str, Sequence[str]]:
    return "src.train", [*SMALL, f"hydra.run.dir={folder}/run", *words]


def sweeping(folder: Path) -> tuple[str, Sequence[str]]:
    return "src.train", ["--multirun", *SMALL, "seed=1", f"hydra.sweep.dir={folder}/sweep"]


def boxes_making(folder: Path, disk: Path) -> tuple[str, Sequence[str]]:
    words = ["make", *DIVING, f"data.root={folder}/aqa7", f"boxes.root={disk}/boxes", *TRACKED]
    return "src.boxes", [*words, "--processes", "1"]


def boxes_checking(folder: Path, disk: Path) -> tuple[str, Sequence[str]]:
    words = ["check", *DIVING, f"data.root={folder}/aqa7", "boxes=darklabel", "--out", f"{disk}/check"]
    return "src.boxes", [*words, "--processes", "1", "--tolerate", "1"]


def boxes_page(folder: Path, disk: Path) -> tuple[str, Sequence[str]]:
    words = ["draw", *DIVING, f"data.root={folder}/aqa7", f"boxes.root={folder}/boxes", "--id", "diving/005"]
    return "src.boxes", [*words, "--html", f"{disk}/page.html"]


def boxes_import(folder: Path, disk: Path) -> tuple[str, Sequence[str]]:
    words = ["import", *DIVING, f"data.root={folder}/aqa7", f"boxes.root={disk}/boxes"]
    return "src.boxes", [*words, f"{folder}/from/005.xml"]


def film(folder: Path, disk: Path) -> tuple[str, Sequence[str]]:
    videos = [word for number in (1, 2) for word in ("--video", f"{folder}/aqa7/diving-out/00{number}.avi")]
    return "src.demo", ["swap", *videos, "boxes=fixed", "--out", f"{disk}/swap"]


PLACES = (
    Place("run folder", lambda folder, disk: training(disk)),  # noqa: ARG005
    Place("run folder, two processes", lambda folder, disk: training(disk, *TWO)),  # noqa: ARG005
    Place("folder of a sweep", lambda folder, disk: sweeping(disk)),  # noqa: ARG005
    Place("evaluation", lambda folder, disk: ("src.evaluate", [LANDED, f"hydra.run.dir={disk}/out"])),  # noqa: ARG005
    Place("gradcam", lambda folder, disk: ("src.gradcam", [LANDED, "videos=1", f"hydra.run.dir={disk}/out"])),  # noqa: ARG005
    Place("run folder, wandb offline", lambda folder, disk: training(disk, "logger=wandb"),  # noqa: ARG005
          lambda disk: {"WANDB_MODE": "offline"}),  # noqa: ARG005
    Place("cache: demo data", lambda folder, disk: training(folder), lambda disk: {"SWAPAQA_CACHE": str(disk)}),  # noqa: ARG005
    Place("cache: packed frames", lambda folder, disk: training(folder, "data.cache=packed"),  # noqa: ARG005
          lambda disk: {"SWAPAQA_CACHE": str(disk)}),
    Place("cache: frames as bytes", lambda folder, disk: training(folder, "data.cache=bytes"),  # noqa: ARG005
          lambda disk: {"SWAPAQA_CACHE": str(disk)}),
    Place("cache: tracks", lambda folder, disk: training(folder, *TRACKED),  # noqa: ARG005
          lambda disk: {"SWAPAQA_CACHE": str(disk)}),
    Place("home", lambda folder, disk: training(folder), lambda disk: {"HOME": str(disk)}, works_read_only=True),  # noqa: ARG005
    Place("home, cache in it", lambda folder, disk: training(folder),  # noqa: ARG005
          lambda disk: {"HOME": str(disk), "SWAPAQA_CACHE": ""}),
    Place("cache: tracks, by a loader", lambda folder, disk: training(folder, *TRACKED, "data.workers=1"),  # noqa: ARG005
          lambda disk: {"SWAPAQA_CACHE": str(disk)}),
    Place("temporary files", lambda folder, disk: training(folder, "data.workers=1"),  # noqa: ARG005
          lambda disk: {"TMPDIR": str(disk)}, works_read_only=True),
    Place("standard output", lambda folder, disk: training(folder), output="output.txt"),  # noqa: ARG005
    Place("standard output of a report", lambda folder, disk: ("src.report", ["show", f"{folder}/sweep"]),  # noqa: ARG005
          prepare=inputs.write_sweep, output="output.txt"),
    Place("box files", boxes_making, prepare=write_aqa7),
    Place("imported box files", boxes_import, prepare=write_import),
    Place("sheets of boxes check", boxes_checking, prepare=write_aqa7),
    Place("page of boxes draw", boxes_page, prepare=write_aqa7),
    Place("strip and film", film, prepare=write_aqa7),
    Place("report", lambda folder, disk: ("src.report", ["show", f"{folder}/sweep", "--out", f"{disk}/report"]),
          prepare=inputs.write_sweep),
    Place("doctor's folder", lambda folder, disk: ("src.doctor", [*SMALL, f"hydra.run.dir={disk}/doctor"])),  # noqa: ARG005
)  # fmt: skip


def attack_disks(folder: Path, at_once: int, words: Sequence[str] = ()) -> Counts:
    """Every place on disks of all sizes in ROOMS, on one without any write, and a data set on such a one.

    `at_once`: attempts side by side. `words`: of the names of places; all.
    """
    columns = ("what is written to", "disk", "attempts", "worked", "one line, status 2", "wrong")
    problem = no_mounts(folder)
    if problem:
        return Counts(f"Full and read-only disks: left out, {problem}", columns, [], 0)
    rows, wrong = [], 0
    chosen = [place for place in PLACES if not words or any(word in place.name for word in words)]
    disks = [(place, read_only) for place in chosen for read_only in (False, True)[: 1 if place.output else 2]]
    with ThreadPoolExecutor(at_once) as pool:
        tried = [[pool.submit(attempt, *one) for one in attempts(folder, *disk)] for disk in disks]
    for (place, read_only), found in zip(disks, tried, strict=True):
        verdicts = [one.result() for one in found]
        bad = [verdict for verdict in verdicts if verdict not in ("worked", "refused")]
        counts = [str(len(verdicts)), *(str(verdicts.count(word) or "") for word in ("worked", "refused"))]
        rows.append((place.name, "read-only" if read_only else "full", *counts, "; ".join(dict.fromkeys(bad))))
        wrong += len(bad)
    verdict = read_only_data(folder / "data-root")
    right = verdict == "worked"
    rows.append(("nothing: the data set", "read-only", "1", "1" if right else "", "", "" if right else verdict))
    return Counts("Full and read-only disks", columns, rows, wrong + (not right))


def attempts(folder: Path, place: Place, read_only: bool) -> list[tuple[Place, Path, int, bool]]:
    """The arguments of `attempt`, by the room on the disk."""
    own = re.sub(r"\W+", "-", place.name) + "-read-only" * read_only
    rooms = (AMPLE,) if read_only else (*ROOMS, AMPLE)
    return [(place, folder / f"{own}-{room}", room, read_only) for room in rooms]


def no_mounts(folder: Path) -> str:
    """Why nothing can be mounted here; empty if it can."""
    if os.geteuid() != 0:
        return "mounting needs a superuser"
    try:
        with mounted(folder / "trial", 64):
            return ""
    except InputError as error:
        return str(error)


@contextmanager
def mounted(disk: Path, room: int) -> Iterator[None]:
    """A disk of `room` KiB, with a file on it. InputError where that cannot be."""
    disk.mkdir(parents=True, exist_ok=True)
    size = f"size={room + PAGE}k,nr_inodes=4096"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "attack", str(disk)], capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"mount failed: {done.stderr.strip()}")
    try:
        (disk / KEPT).write_text("what was there before")
        yield
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def lock(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def attempt(place: Place, folder: Path, room: int, read_only: bool) -> str:
    """`worked`, `refused` (rightly), or what is wrong."""
    disk = folder / "disk"
    folder.mkdir(parents=True)
    place.prepare(folder)
    with mounted(disk, room):
        if read_only:
            lock(disk)
        verdict = judged(place, folder, disk, read_only)
        if room == AMPLE and not read_only and verdict != "worked":
            return f"does not work with room enough: {verdict}"
        if (disk / KEPT).read_text() != "what was there before":
            return "what was there before is gone"
        torn = [path.name for path in disk.rglob("*.ckpt") if not whole(path)]
        return f"torn: {torn[0]}" if torn else verdict


def judged(place: Place, folder: Path, disk: Path, read_only: bool) -> str:
    module, words = place.command(folder, disk)
    environment = isolated(folder, common_cache()) | place.environment(disk)
    try:
        done = run_forked(module, words, environment, SECONDS, disk / place.output if place.output else None)
    except subprocess.TimeoutExpired:
        return "hang"
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    (folder / "output").write_text(f"{done.returncode}\n{done.stdout}\n{done.stderr}")
    if "Traceback" in done.stdout + done.stderr:
        return f"traceback: {shortened(done.stderr.strip().splitlines()[-1], folder)}"
    if done.returncode == 0:
        return "worked"
    if read_only and place.works_read_only:
        return f"status {done.returncode}, but nothing need be written there"
    said = lines or ([done.stdout] if module == "src.boxes" and done.returncode == 1 else [])
    if len(said) != 1 or done.returncode not in (1, 2):
        return f"status {done.returncode}, {len(lines)} error lines"
    if lines and len(lines[0]) > LONGEST:
        return f"a line of {len(lines[0])} characters"
    named = STANDARD_OUTPUT if place.output else str(disk)
    return "refused" if named in " ".join(said) else f"does not name the disk: {shortened(said[0], folder)}"


def shortened(message: str, folder: Path) -> str:
    return message.replace(str(folder), "...").replace("\n", " ")[:100]


def whole(path: Path) -> bool:
    """Whether a checkpoint has its zip archive's end."""
    return b"PK\x05\x06" in path.read_bytes()[-256:]


def tree_digest(root: Path) -> str:
    content = [(str(path), path.read_bytes()) for path in sorted(root.rglob("*")) if path.is_file()]
    return hashlib.sha256(repr(content).encode()).hexdigest()


def read_only_data(folder: Path) -> str:
    """A training writes nothing into a data set's folder, so that one that cannot be written works."""
    disk = folder / "disk"
    with mounted(disk, 4096):
        write_aqa7(disk)
        before = tree_digest(disk)
        lock(disk)
        words = [*DIVING, *SMALL[3:], f"data.root={disk}/aqa7", "boxes=darklabel", f"hydra.run.dir={folder}/run"]
        place = Place("data", lambda *_: ("src.train", words))
        verdict = judged(place, folder, disk, read_only=True)
        return verdict if tree_digest(disk) == before else "the data changed"
