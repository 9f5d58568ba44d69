"""The real functions, called as the programs call them on a file in a folder, and what no value of theirs may be."""

import contextlib
import csv
import hashlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import hydra
import numpy as np
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from swapaqa.annotate.box_file import write_text
from swapaqa.annotate.importing import Reading, import_file
from swapaqa.boxes.ledger import Ledger, warn_of_changed
from swapaqa.boxes.source import BoxRequest
from swapaqa.configuration.checking import check
from swapaqa.configuration.data_sets import make_data, make_source
from swapaqa.data.frame_store import FrameStore, WantedFrames
from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.models.scorer import CONFIG_KEY
from swapaqa.probing.probe_file import find_probes
from swapaqa.report.page_pictures import as_film
from swapaqa.report.probes import probe_tables
from swapaqa.report.render import FORMATS
from swapaqa.report.tables import build_tables
from swapaqa.running.checkpoint import build, check_evaluation_config, evaluation_config, make, read_checkpoint
from swapaqa.running.program import compose_quietly, run_program
from swapaqa.running.published_checkpoint import with_configuration
from swapaqa.runs.compare import Protocol, compare
from swapaqa.runs.run_folders import read_sweeps
from swapaqa.video.frames import read_frames
from swapaqa.video.index import cached_path, identity, index_of, make_and_keep
from tests.attack import inputs
from tests.forked import REPOSITORY

CHECKPOINT = REPOSITORY / "tests" / "landed" / "core.ckpt"
DEMO = [f"data.settings.{split}={count}" for split, count in (("train", 4), ("test", 2), ("shifted", 2))]


@cache
def configuration(program: str, *words: str) -> DictConfig:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose(program, list(words))


def instantiate(node: DictConfig, make: Callable[[DictConfig], Any] = hydra.utils.instantiate) -> Any:
    """As the programs do it: the user's error is the one inside of Hydra's."""
    try:
        return make(node)
    except InstantiationException as error:
        raise (error.__cause__ or error) from None


def opened(folder: Path, *words: str) -> Any:
    """The data set of `src.train` with these words and its root in `folder`."""
    cfg = configuration("train", "logger=csv", "name=attack", *words).copy()
    cfg.data.root = str(folder)
    return instantiate(cfg.data, make_source)


def records(*words: str) -> Callable[[Path], list[Any]]:
    """A reader of the lists of a data set, which also looks for the files; of training records without the folder."""

    def read(folder: Path) -> list[Any]:
        data = opened(folder, *words)
        found = data.read_splits()["train"]
        for record in found:
            data.box_files(record)
            with contextlib.suppress(InputError):  # there are none
                data.media(record)
        return [replace(record, place="") if hasattr(record, "place") else record for record in found]

    return read


def listed_rightly(found: Sequence[Record]) -> str:
    """What no valid list holds."""
    ids = [record.video_id for record in found]
    numbers = [n for record in found for n in (record.score, *record.judge_scores)]
    difficulties = [record.difficulty for record in found if record.difficulty is not None]
    return (
        "the same video twice" if len(set(ids)) < len(ids)
        else "no video" if not ids
        else "a score that is no finite number" if not np.isfinite(numbers).all()
        else "a difficulty that is none" if difficulties and not (0 < min(difficulties) <= max(difficulties) < np.inf)
        else "frames in the wrong order" if any((r.first_frame or 1) > (r.last_frame or np.inf) for r in found)
        else ""
    )  # fmt: skip


def scored_rightly(found: Sequence[Record]) -> str:
    ranges = {"diving": (21.6, 102.6), "gym_vault": (12.3, 16.87)}
    outside = [
        r for r in found if not ranges.get(r.action, (0, 105))[0] <= r.score <= ranges.get(r.action, (0, 105))[1]
    ]
    return listed_rightly(found) or ("a score outside of its action's range" if outside else "")


def boxes(*words: str) -> Callable[[Path], np.ndarray]:
    """A reader of a video's boxes by a box source of conf/boxes."""

    def read(folder: Path) -> np.ndarray:
        cfg = configuration("train", "logger=csv", "name=attack", *words).copy()
        if cfg.boxes.get("settings_file"):
            cfg.boxes.settings_file = str(folder / "darklabel.yml")
        source = instantiate(cfg.boxes)
        media = folder / "001.avi"
        size = (inputs.HEIGHT, inputs.WIDTH)
        return source.read(BoxRequest([folder / "001"], size, range(inputs.FRAMES), media if media.exists() else None))

    return read


def boxed_rightly(found: np.ndarray) -> str:
    """What no valid boxes are."""
    return (
        f"boxes of shape {found.shape}" if found.shape != (inputs.FRAMES, 4)
        else "a corner that is no finite number" if not np.isfinite(found).all()
        else "a box without extent" if (found[:, 2:] - found[:, :2] <= -1).any()
        else "a corner a million pixels away" if np.abs(found).max() > 1e6
        else ""
    )  # fmt: skip


def frames(media: str) -> Callable[[Path], np.ndarray]:
    return lambda folder: read_frames(folder / media, range(inputs.FRAMES))


def framed_rightly(found: np.ndarray) -> str:
    wanted = (inputs.FRAMES, inputs.HEIGHT, inputs.WIDTH, 3)
    return "" if found.shape == wanted and found.dtype == np.uint8 else f"frames {found.shape} {found.dtype}"


def animated_rightly(found: np.ndarray) -> str:
    """A GIF's size is two numbers that nothing else in it depends on: its pictures may be smaller."""
    return "" if len(found) == inputs.FRAMES and found.dtype == np.uint8 else f"frames {found.shape} {found.dtype}"


def cached(folder: Path) -> None:
    os.environ["SWAPAQA_CACHE"] = str(folder / "cache")


def write_old_video(path: Path) -> None:
    """Caches are named by a file's time too."""
    inputs.write_video(path)
    os.utime(path, ns=(0, 0))


def store(kind: Any) -> tuple[Callable[[Path], None], Callable[[Path], Any], str]:
    """Writer and reader of the frame store, and the name of its file, which is made of the video's."""

    def read(folder: Path) -> np.ndarray:
        cached(folder)
        video = folder / "001.avi"
        kept = FrameStore(kind, (24, 32))
        want = WantedFrames(video, tuple(range(inputs.FRAMES)))
        written = next(iter(sorted((folder / "cache" / "frames").glob("*"))), None) if kept.folder.is_dir() else None
        if written is not None:
            written.rename(kept.path(want))  # the folder, which the name is made of, is another one
        found = kept.read(want, list(range(inputs.FRAMES)))
        return np.stack([np.array(frame) for frame in found.frames])

    def write(folder: Path) -> None:
        write_old_video(folder / "001.avi")
        read(folder)
        (written,) = (folder / "cache" / "frames").glob("*")
        written.rename(written.with_name("frames.kept"))

    return write, read, "cache/frames/frames.kept"


def stored_rightly(found: np.ndarray) -> str:
    return "" if found.shape == (inputs.FRAMES, 24, 32, 3) else f"frames {found.shape}"


def write_tracked(folder: Path) -> None:
    """What boxes=tracker keeps of a video."""
    write_old_video(folder / "001.avi")
    (folder / "001.txt").write_text("0,0,0,16,17,17,diver\n")
    read_tracked(folder)
    (written,) = (folder / "cache" / "boxes").glob("*.txt")
    written.rename(written.with_name("track.txt"))


def read_tracked(folder: Path) -> np.ndarray:
    cached(folder)
    video, kept = folder / "001.avi", folder / "cache" / "boxes" / "track.txt"
    cfg = configuration("train", "logger=csv", "name=attack", "boxes=tracker", "boxes.method=kcf")
    source = instantiate(cfg.boxes)
    if os.path.lexists(kept):
        kept.rename(source.cached(video, range(inputs.FRAMES), {0: np.array([0.0, 16, 16, 32])}))
    return boxes("boxes=tracker", "boxes.method=kcf")(folder)


def scored(folder: Path) -> dict[str, Any]:
    """What `src.evaluate checkpoint=` does until the model is ready."""
    path = str(folder / "last.ckpt")
    cfg = OmegaConf.merge(configuration("evaluate", *DEMO), {"checkpoint": path})
    assert isinstance(cfg, DictConfig)
    content = with_configuration(path, read_checkpoint(path), cfg, [])
    cfg = evaluation_config(cfg, content[CONFIG_KEY], [])
    check_evaluation_config(cfg)
    model = build(cfg, content)
    make(cfg.data, cfg.checkpoint, make_data)
    return model.state_dict() | {"epoch": content["epoch"], "frames": cfg.data.frames}


def write_checkpoint(folder: Path) -> None:
    (folder / "last.ckpt").write_bytes(CHECKPOINT.read_bytes())


def report_tables(folder: Path) -> list[str]:
    """The tables of `src.report show`."""
    return [FORMATS["csv"][1](table) for table in build_tables(read_sweeps([folder / "sweep"]))]


def probed(folder: Path) -> list[str]:
    found = find_probes([folder])
    return [FORMATS["csv"][1](table) for table in probe_tables(found)] + [line for one in found for line in one.lines]


def compared(folder: Path) -> str:
    return compare(str(folder / "a"), str(folder / "b"), Protocol("spearman", "last", "test")).replace(str(folder), "")


def write_two_runs(folder: Path) -> None:
    for seed, name in enumerate("ab"):
        inputs.write_run(folder / name, seed, ("diving", "vault"))


def imported(file: str, folder: Path) -> bytes:
    """What `src.boxes import` writes of a file; the format is found out."""
    target = folder / "imported.txt"
    target.unlink(missing_ok=True)
    size = (inputs.HEIGHT, inputs.WIDTH)
    import_file(folder / file, target, Reading(None, None, None, None), size, inputs.FRAMES, False)
    return target.read_bytes()


def imported_rightly(content: bytes) -> str:
    try:
        rows = list(csv.reader(io.StringIO(content.decode())))
        found = np.array([[float(value) for value in (row[0], *row[2:6])] for row in rows])
    except ValueError:
        return "numbers that are none"
    return "" if len(found) and np.isfinite(found).all() and (found[:, 3:] > 0).all() else "boxes that are none"


def write_ledger(folder: Path) -> None:
    inputs.writes({"boxes/diving/001.txt": inputs.DARKLABEL, "boxes/diving/002.txt": inputs.DARKLABEL})(folder)
    digest = hashlib.sha256(inputs.DARKLABEL.encode()).hexdigest()
    (folder / "boxes" / "boxes_ledger.csv").write_text(inputs.LEDGER.format(digest=digest))


def ledger_states(folder: Path) -> list[str]:
    ledger = Ledger(folder / "boxes")
    return [ledger.state(folder / "boxes" / "diving" / f"00{number}.txt") for number in (1, 2)]


def stated_rightly(states: list[str]) -> str:
    """Whatever the ledger does not know was drawn by hand, which nothing overwrites."""
    return "" if states[0] in ("tracker", "hand") and states[1] == "hand" else "a state that nobody gave"


def write_our_boxes(folder: Path) -> None:
    """A box file that this package wrote, and its ledger."""
    path = folder / "boxes" / "001.txt"
    Ledger(path.parent).add(path, write_text(path, inputs.DARKLABEL, None), "csrt")


def read_our_boxes(folder: Path) -> np.ndarray:
    """With the warning that a training gives."""
    warn_of_changed([folder / "boxes" / "001.txt"])
    return boxes("boxes=darklabel")(folder / "boxes")


def write_indexed(folder: Path) -> None:
    """What is kept of a video once it was decoded."""
    video = folder / "001.avi"
    write_old_video(video)
    make_and_keep(video, folder / "cache" / "index" / "index.kept")


def read_indexed(folder: Path) -> Any:
    cached(folder)
    video, kept = folder / "001.avi", folder / "cache" / "index" / "index.kept"
    if os.path.lexists(kept):
        kept.rename(cached_path(*identity(video)))
    return index_of(video)


FILM = {"title": "a", "strip": "a.png", "film": "a.mp4"}


def write_film(folder: Path) -> None:
    inputs.write_video(folder / FILM["film"])
    cv2.imwrite(str(folder / FILM["strip"]), inputs.pictures()[0])


def read_film(folder: Path) -> Any:
    """What a report's page shows of a video under Grad-CAM."""
    return as_film(folder, FILM, folder)


def filmed_rightly(found: Any) -> str:
    right = found.film is None or found.film.startswith("data:video/mp4;base64,")
    return "" if right and found.link in (None, FILM["film"]) else "no film"


def write_demo(folder: Path) -> None:
    cached(folder)
    opened_demo().read_splits()
    (written,) = (folder / "cache").glob("demo-*")
    written.rename(folder / "demo")


def opened_demo() -> Any:
    return instantiate(configuration("train", "logger=csv", *DEMO).data, make_source)


def read_demo(folder: Path) -> list[Record]:
    return opened(folder / "demo", *DEMO).read_splits()["train"]


def overridden(folder: Path) -> Any:
    """What `src.train` makes of the words in a file, up to the start of training."""
    words = (folder / "overrides.txt").read_bytes().decode("utf-8", errors="surrogateescape").splitlines()
    found: dict[str, Any] = {}

    def main() -> None:
        cfg = compose_quietly(words, "attack")
        check(cfg)
        found["cfg"] = OmegaConf.to_container(cfg, resolve=True)

    run_program(main)
    return found["cfg"]
