"""The programs as readers: the same damaged files through `python -m src....`, and what a user sees of it."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any

import numpy as np
from scipy.io import savemat

from swapaqa.errors import InputError
from tests.attack import inputs
from tests.attack.calls import write_checkpoint
from tests.attack.readers import NO_DIGEST, PICTURES, TYPED
from tests.attack.reading import ProgramError, Reader
from tests.conftest import isolated
from tests.forked import REPOSITORY, run_forked

SECONDS = 120.0  # after which a program counts as hanging
TINY = ("logger=csv", "backbone=tiny", "backbone.network.width=4", "model=dae", "data.workers=0", "data.batch_size=2")
SMALL = (
    *(f"data.settings.{split}=8" for split in ("train", "test", "shifted")), *TINY, "save_every=1",
    "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=1",
)  # fmt: skip
GEOMETRY = (
    "data.frames=12",
    "clips.frames=12",
    "data.geometry.height=40",
    "data.geometry.width=64",
    "data.geometry.crop=32",
)
DIVING = ("data=aqa7", "data.action=diving", *GEOMETRY)
LIST, BOX, VIDEO = "aqa7/Split_4/split_4_test_list.mat", "aqa7/boxes/diving/005.txt", "aqa7/diving-out/005.avi"


@cache
def common_cache() -> Path:
    """One for all inputs, so that the demo is written once; in a folder that the processes of an attack share."""
    found = Path(gettempdir(), "attack-cache")
    found.mkdir(exist_ok=True)
    return found


def run(
    folder: Path, module: str, words: Sequence[str], statuses: Sequence[int] = (0,)
) -> "subprocess.CompletedProcess[str]":
    """A program, which ended with one of `statuses`.

    Raises:
        InputError: with its `error:` line, if there is one and the status is 2.
        ProgramError: it ended in another way.
    """
    done = run_forked(f"src.{module}", words, isolated(folder, common_cache()) | {"COLUMNS": "400"}, SECONDS)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    if "Traceback" in done.stdout + done.stderr or done.returncode not in (*statuses, 2):
        raise ProgramError(f"status {done.returncode}\n{done.stderr[-1500:]}")
    if done.returncode == 2:
        if len(lines) != 1:
            raise ProgramError(f"{len(lines)} error lines\n{done.stderr[-1500:]}")
        raise InputError(lines[0])
    return done


def trains(*words: str) -> Callable[[Path], str]:
    """Train one epoch on the small AQA-7; the predictions."""

    def read(folder: Path) -> str:
        place = [f"data.root={folder}/aqa7", f"hydra.run.dir={folder}/run", "trainer.max_epochs=1"]
        run(folder, "train", [*DIVING, *TINY, *place, *words])
        return (folder / "run" / "predictions_test.csv").read_text()

    return read


def examined(folder: Path) -> Any:
    """What the doctor says. A problem that blocks is a refusal."""
    words = [*DIVING, *TINY, f"data.root={folder}/aqa7", f"hydra.run.dir={folder}/doctor"]
    done = run(folder, "doctor", words, (0, 1))
    report = json.loads((folder / "doctor" / "doctor.json").read_text())
    if done.returncode:
        raise InputError(next(problem["message"] for problem in report["problems"] if problem["blocks"]))
    return report["problems"]


def checked(folder: Path) -> str:
    """The table of `src.boxes check`. A video without boxes is a refusal."""
    words = ["check", *DIVING, f"data.root={folder}/aqa7", "boxes=darklabel", "--out", f"{folder}/check"]
    done = run(folder, "boxes", [*words, "--processes", "1", "--tolerate", "1"], (0, 1))
    if done.returncode:
        raise InputError(next(line for line in done.stdout.splitlines() if "diving/005" in line)[:500])
    return (folder / "check" / "boxes.csv").read_text() if (folder / "check" / "boxes.csv").exists() else ""


def imported(folder: Path) -> str:
    """What `src.boxes import` writes. A file that fails is a refusal."""
    words = ["import", *DIVING, f"data.root={folder}/aqa7", f"boxes.root={folder}/boxes", f"{folder}/from/005.xml"]
    done = run(folder, "boxes", words, (0, 1))
    if done.returncode:
        raise InputError(done.stdout.strip().splitlines()[0])
    return (folder / "boxes" / "diving" / "005.txt").read_text()


def evaluated(folder: Path) -> str:
    run(folder, "evaluate", [f"checkpoint={folder}/last.ckpt", f"hydra.run.dir={folder}/out"])
    return (folder / "out" / "predictions_test.csv").read_text()


def looked_at(folder: Path) -> Any:
    run(folder, "gradcam", [f"checkpoint={folder}/last.ckpt", "videos=1", f"hydra.run.dir={folder}/out"])
    return json.loads((folder / "out" / "gradcam.json").read_text())["splits"]


def reported(folder: Path) -> str:
    return run(folder, "report", ["show", f"{folder}/sweep", "--format", "csv", "--out", f"{folder}/report"]).stdout


def continued(folder: Path) -> str:
    run(folder, "train", [*SMALL, f"hydra.run.dir={folder}/run", "resume=true"])
    return (folder / "run" / "predictions_test.csv").read_text()


def write_aqa7(folder: Path) -> None:
    """Four training and two test dives with boxes."""
    root = folder / "aqa7"
    (root / "Split_4").mkdir(parents=True)
    for split, first, count in (("train", 1, 4), ("test", 5, 2)):
        rows = [[1, index, 30 + 9.5 * index] for index in range(first, first + count)]
        savemat(root / "Split_4" / f"split_4_{split}_list.mat", {f"consolidated_{split}_list": np.array(rows)})
    for index in range(1, 7):
        inputs.write_video(root / "diving-out" / f"{index:03d}.avi")
        inputs.writes({f"boxes/diving/{index:03d}.txt": inputs.DARKLABEL})(root)


def write_import(folder: Path) -> None:
    write_aqa7(folder)
    inputs.writes({"from/005.xml": inputs.CVAT})(folder)


@cache
def unfinished_run() -> Path:
    """A run that was killed when its first step checkpoint lay there.

    Not `Forked`: a worker cannot use the server of a process that it was forked from.
    """
    folder = Path(mkdtemp(prefix="attack-unfinished-"))
    command = [sys.executable, "-m", "src.train", *SMALL, f"hydra.run.dir={folder}/run"]
    environment = isolated(folder, common_cache()) | {"PYTHONPATH": str(REPOSITORY / "src")}
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
    while not (folder / "run" / "checkpoints" / "resume.ckpt").exists():
        if process.poll() is not None:
            raise ProgramError((folder / "output").read_text())
        time.sleep(0.01)
    process.kill()
    process.wait()
    return folder


def write_unfinished(folder: Path) -> None:
    shutil.copytree(unfinished_run() / "run", folder / "run")


def program(name: str, file: str, write: Callable[[Path], None], read: Callable[[Path], Any], **more: Any) -> Reader:
    return Reader(name, file, write, read, seconds=3 * SECONDS, costly=True, **more)


PROGRAMS = (
    program("train: list", LIST, write_aqa7, trains(), unknowable=NO_DIGEST),
    program("train: boxes", BOX, write_aqa7, trains("boxes=darklabel"), unknowable=TYPED),
    program("train: video", VIDEO, write_aqa7, trains(), unknowable=PICTURES, named=("diving-out/005",)),
    program("train resume=true: resume.ckpt", "run/checkpoints/resume.ckpt", write_unfinished, continued,
            edit=inputs.torch_edit, ours=True, may_miss=True),
    program("evaluate: checkpoint", "last.ckpt", write_checkpoint, evaluated, edit=inputs.torch_edit),
    program("gradcam: checkpoint", "last.ckpt", write_checkpoint, looked_at, edit=inputs.torch_edit),
    program("doctor: list", LIST, write_aqa7, examined, unknowable=NO_DIGEST),
    program("doctor: boxes", BOX, write_aqa7, examined, unknowable=TYPED),
    program("doctor: video", VIDEO, write_aqa7, examined, unknowable=PICTURES, named=("diving-out/005",)),
    program("boxes check: boxes", BOX, write_aqa7, checked, unknowable=TYPED, named=("diving/005",)),
    program("boxes import: CVAT xml", "from/005.xml", write_import, imported, unknowable=TYPED),
    program("report show: result.json", "sweep/1/result.json", inputs.write_sweep, reported, unknowable=NO_DIGEST,
            edit=inputs.json_edit, named=("sweep/1",), may_miss=True),
    program("report show: jobs.json", "sweep/jobs.json", inputs.write_sweep, reported, unknowable=NO_DIGEST,
            edit=inputs.json_edit, may_miss=True),
)  # fmt: skip
