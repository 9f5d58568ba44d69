"""The table of readers: every kind of file, the real function that reads it, and when a changed value is right."""

import csv
import hashlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import av  # noqa: F401  before decord, whose libraries would take the place of its VP8 encoder
import hydra
import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from swapaqa.annotate.box_file import Ledger
from swapaqa.annotate.importing import Reading, import_file
from swapaqa.annotate.sheet import read_severities
from swapaqa.config import check, compose_quietly, run_recipe
from swapaqa.data.box_source import BoxRequest
from swapaqa.data.frame_store import FrameStore, Want
from swapaqa.data.records import Record
from swapaqa.data.video import read_frames
from swapaqa.models.i3d_weights import read_weights
from swapaqa.models.scorer import CONFIG_KEY
from swapaqa.report.attention import read_attention, rows
from swapaqa.report.compare import Protocol, compare
from swapaqa.report.probes import find_probes, probe_tables
from swapaqa.report.render import FORMATS
from swapaqa.report.runs import read_sweeps
from swapaqa.report.tables import build_tables
from swapaqa.running.checkpoint import as_trained, build, read_checkpoint
from swapaqa.running.jobs import refuse_another_list, stored_identity
from tests.attack import inputs
from tests.attack.damage import Edit
from tests.attack.reading import Reader
from tests.forked import REPOSITORY

CHECKPOINT = REPOSITORY / "tests" / "landed" / "core.ckpt"
DEMO = [f"data.settings.{split}={count}" for split, count in (("train", 4), ("test", 2), ("shifted", 2))]
TYPED = "a digit of a table that people type and edit may be meant"
PICTURES = "a changed pixel is a picture, and these formats have no checksum of what is decoded"
NO_DIGEST = "the numbers of a file without a digest are taken as they are"
EDITED = "people correct these boxes by hand, as documented"


@cache
def _configuration(program: str, *words: str) -> DictConfig:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose(program, list(words))


def opened(folder: Path, *words: str) -> Any:
    """The data set of `src.train` with these words and its root in `folder`."""
    cfg = _configuration("train", "logger=csv", "name=attack", *words).copy()
    cfg.data.root = str(folder)
    return hydra.utils.instantiate(cfg.data)


def records(*words: str) -> Callable[[Path], list[Any]]:
    """A reader of the training list of a data set; of records what does not name the folder."""

    def read(folder: Path) -> list[Any]:
        found = opened(folder, *words).read_split("train")
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
    outside = [r for r in found if not ranges.get(r.action, (0, 105))[0] <= r.score <= ranges.get(r.action, (0, 105))[1]]
    return listed_rightly(found) or ("a score outside of its action's range" if outside else "")


def boxes(*words: str) -> Callable[[Path], np.ndarray]:
    """A reader of a video's boxes by a box source of conf/boxes."""

    def read(folder: Path) -> np.ndarray:
        cfg = _configuration("train", "logger=csv", "name=attack", *words).copy()
        if cfg.boxes.get("settings_file"):
            cfg.boxes.settings_file = str(folder / "darklabel.yml")
        source = hydra.utils.instantiate(cfg.boxes)
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


def cached(folder: Path) -> None:
    os.environ["SWAPAQA_CACHE"] = str(folder / "cache")


def store(kind: Any) -> tuple[Callable[[Path], None], Callable[[Path], Any], str]:
    """Writer and reader of the frame store, and the name of its file, which is made of the video's."""

    def read(folder: Path) -> np.ndarray:
        cached(folder)
        video = folder / "001.avi"
        os.utime(video, ns=(0, 0))
        kept = FrameStore(kind, (24, 32))
        want = Want(video, tuple(range(inputs.FRAMES)))
        written = next(iter(sorted((folder / "cache" / "frames").glob("*"))), None) if kept.folder.is_dir() else None
        if written is not None:
            written.rename(kept.path(want))  # the folder, which the name is made of, is another one
        found = kept.read(want, list(range(inputs.FRAMES)))
        return np.stack([np.array(frame) for frame in found.frames])

    def write(folder: Path) -> None:
        inputs.write_video(folder / "001.avi")
        read(folder)
        (written,) = (folder / "cache" / "frames").glob("*")
        written.rename(written.with_name("frames.kept"))

    return write, read, "cache/frames/frames.kept"


def stored_rightly(found: np.ndarray) -> str:
    return "" if found.shape == (inputs.FRAMES, 24, 32, 3) else f"frames {found.shape}"


def write_tracked(folder: Path) -> None:
    """What boxes=tracker keeps of a video."""
    inputs.write_video(folder / "001.avi")
    (folder / "001.txt").write_text("0,0,0,16,17,17,diver\n")
    read_tracked(folder)
    (written,) = (folder / "cache" / "boxes").glob("*.txt")
    written.rename(written.with_name("track.txt"))


def read_tracked(folder: Path) -> np.ndarray:
    cached(folder)
    video, kept = folder / "001.avi", folder / "cache" / "boxes" / "track.txt"
    os.utime(video, ns=(0, 0))
    cfg = _configuration("train", "logger=csv", "name=attack", "boxes=tracker", "boxes.method=kcf")
    source = hydra.utils.instantiate(cfg.boxes)
    if os.path.lexists(kept):
        kept.rename(source.cached(video, range(inputs.FRAMES), np.array([0.0, 16, 16, 32])))
    return boxes("boxes=tracker", "boxes.method=kcf")(folder)


def scored(folder: Path) -> dict[str, Any]:
    """What `src.evaluate checkpoint=` does until the model is ready."""
    content = read_checkpoint(str(folder / "last.ckpt"))
    cfg = OmegaConf.merge(_configuration("evaluate", *DEMO), {"checkpoint": str(folder / "last.ckpt")})
    assert isinstance(cfg, DictConfig)
    cfg = as_trained(cfg, content[CONFIG_KEY], [])
    known = ("trainer", "backbone", "aug", "boxes", "model", "data", "name", "seed", "schedule")
    check(OmegaConf.masked_copy(cfg, [key for key in cfg if key in known]))
    model = build(cfg, content)
    hydra.utils.instantiate(cfg.data)
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


def imported(folder: Path) -> bytes:
    """What `src.boxes import` writes; the format is found out."""
    target = folder / "imported.txt"
    target.unlink(missing_ok=True)
    source = next(path for path in sorted(folder.iterdir()) if path.stem == "source")
    import_file(source, target, Reading(None, None, None, None), (inputs.HEIGHT, inputs.WIDTH), inputs.FRAMES, False)
    return target.read_bytes()


def imported_rightly(content: bytes) -> str:
    lines = [[float(value) for value in row[:6]] for row in csv.reader(io.StringIO(content.decode()))]
    found = np.array(lines)
    return "" if len(lines) and np.isfinite(found).all() and (found[:, 4:] > 0).all() else "boxes that are none"


def write_ledger(folder: Path) -> None:
    inputs.writes({"boxes/diving/001.txt": inputs.DARKLABEL, "boxes/diving/002.txt": inputs.DARKLABEL})(folder)
    digest = hashlib.sha256(inputs.DARKLABEL.encode()).hexdigest()
    (folder / "boxes" / "boxes_ledger.csv").write_text(inputs.LEDGER.format(digest=digest))


def ledger_states(folder: Path) -> list[str]:
    ledger = Ledger(folder / "boxes")
    return [ledger.state(folder / "boxes" / "diving" / f"00{number}.txt") for number in (1, 2)]


def write_demo(folder: Path) -> None:
    cached(folder)
    opened_demo().read_split("train")
    (written,) = (folder / "cache").glob("demo-*")
    written.rename(folder / "demo")


def opened_demo() -> Any:
    return hydra.utils.instantiate(_configuration("train", "logger=csv", *DEMO).data)


def read_demo(folder: Path) -> list[Record]:
    return opened(folder / "demo", *DEMO).read_split("train")


def overridden(folder: Path) -> Any:
    """What `src.train` makes of the words in a file, up to the start of training."""
    words = (folder / "overrides.txt").read_bytes().decode("utf-8", errors="surrogateescape").splitlines()
    found: dict[str, Any] = {}

    def main() -> None:
        cfg = compose_quietly(REPOSITORY / "conf", words, "attack")
        check(cfg)
        found["cfg"] = OmegaConf.to_container(cfg, resolve=True)

    run_recipe(main)
    return found["cfg"]


OVERRIDES = "model=core\ndata=aqa7\naug.ratio=2.0\nseed=3\nmodel.depth=5\ndata.action=diving\n"


def simple(name: str, file: str, text: str, read: Callable[[Path], Any], **more: Any) -> Reader:
    return Reader(name, file, inputs.writes({file: text}), read, **more)


def of_boxes(name: str, file: str, text: str, *words: str, **more: Any) -> Reader:
    return simple(name, file, text, boxes(*words), unknowable=TYPED, sound=boxed_rightly, **more)


MAT = "Split_4/split_4_train_list.mat"
PKL = "info/final_annotations_dict_with_dive_number.pkl"
LISTS = (
    Reader("AQA-7 list, points", MAT, lambda folder: inputs.write_aqa7(folder, 1.0), records("data=aqa7", "data.action=all"),
           NO_DIGEST, scored_rightly, inputs.aqa7_list("train")),
    Reader("AQA-7 list, points x 100", MAT, lambda folder: inputs.write_aqa7(folder, 100.0),
           records("data=aqa7", "data.action=all"), NO_DIGEST, scored_rightly, inputs.aqa7_list("train")),
    Reader("AQA-7 list, compressed", MAT, lambda folder: inputs.write_aqa7(folder, 1.0, compress=True),
           records("data=aqa7", "data.action=all"), NO_DIGEST, scored_rightly),
    Reader("MTL-AQA annotations", PKL, inputs.write_mtl_aqa, records("data=mtl_aqa"), NO_DIGEST, listed_rightly,
           inputs.pickle_edit, named=("train_split_0.pkl",)),
    Reader("MTL-AQA annotations, arrays", PKL, lambda folder: inputs.write_mtl_aqa(folder, arrays=True),
           records("data=mtl_aqa"), NO_DIGEST, listed_rightly, named=("train_split_0.pkl",)),
    Reader("MTL-AQA split", "info/train_split_0.pkl", inputs.write_mtl_aqa, records("data=mtl_aqa"), NO_DIGEST,
           listed_rightly, inputs.pickle_edit),
    simple("videos.csv", "videos.csv", inputs.TABLE, records("data=videos"), unknowable=TYPED, sound=listed_rightly,
           named=("data=videos",)),
    Reader("demo's list in the cache", f"demo/{MAT}", write_demo, read_demo, "", scored_rightly,
           inputs.aqa7_list("train")),
    Reader("demo's judges in the cache", "demo/Split_4/judges.csv", write_demo, read_demo, "", scored_rightly),
)  # fmt: skip
BOXES = (
    of_boxes("DarkLabel txt", "001.txt", inputs.DARKLABEL, "boxes=darklabel"),
    of_boxes("DarkLabel csv", "001.csv", inputs.DARKLABEL, "boxes=darklabel", "boxes.gt_file_ext=csv"),
    of_boxes("DarkLabel xml", "001/00004.xml", inputs.VOC, "boxes=darklabel", "boxes.gt_file_ext=xml",
             "boxes.gt_merged=false", "boxes.data_fmt=[cname,x1,y1,x2,y2]", named=("001",)),
    of_boxes("DarkLabel txt an image", "001/00004.txt", inputs.PER_IMAGE, "boxes=darklabel", "boxes.gt_merged=false",
             "boxes.delimiter=' '", "boxes.data_fmt=[cname,x1,y1,w,h]", named=("001",)),
    Reader("darklabel.yml", "darklabel.yml",
           inputs.writes({"darklabel.yml": inputs.DARKLABEL_YML, "001.txt": "0,0,0,1,1,9,9\n5,0,0,2,2,9,9\n"}),
           boxes("boxes=darklabel", "boxes.settings_file=darklabel.yml", "boxes.format=1"), TYPED, boxed_rightly,
           Edit(lambda content: inputs.yaml_edit.load(content.partition(b"\n")[2]), inputs.yaml_edit.dump),
           named=("001.txt", "001.csv", "001.xml", "settings_file", "data_fmt")),
    of_boxes("CVAT xml", "001.xml", inputs.CVAT, "boxes=cvat"),
    of_boxes("MOT", "001.txt", inputs.MOT, "boxes=mot"),
    of_boxes("tracker's results", "001.txt", inputs.RESULTS, "boxes=results"),
    of_boxes("tracker's polygons", "001.txt", inputs.POLYGONS, "boxes=results"),
    Reader("tracks in the cache", "cache/boxes/track.txt", write_tracked, read_tracked, EDITED, boxed_rightly,
           named=("001", "cache/boxes"), ours=True),
    simple("import: DarkLabel", "source.txt", inputs.DARKLABEL, imported, unknowable=TYPED, sound=imported_rightly),
    simple("import: MOT", "source.txt", inputs.MOT, imported, unknowable=TYPED, sound=imported_rightly),
    simple("import: polygons", "source.txt", inputs.POLYGONS, imported, unknowable=TYPED, sound=imported_rightly),
    simple("import: CVAT xml", "source.xml", inputs.CVAT, imported, unknowable=TYPED, sound=imported_rightly),
    Reader("boxes_ledger.csv", "boxes/boxes_ledger.csv", write_ledger, ledger_states, "", may_miss=True),
    simple("table of boxes check", "suspicions.csv", inputs.SEVERITIES,
           lambda folder: read_severities(folder / "suspicions.csv"), unknowable=TYPED, may_miss=True),
)  # fmt: skip
MEDIA = (
    *(Reader(f"video {suffix}", f"001.{suffix}", lambda folder, s=suffix: inputs.write_video(folder / f"001.{s}"),
             frames(f"001.{suffix}"), PICTURES, framed_rightly) for suffix in inputs.CODECS),
    *(Reader(f"image folder, {suffix}", f"001/00004.{suffix}",
             lambda folder, s=suffix: inputs.write_images(folder / "001", f".{s}"), frames("001"), PICTURES,
             framed_rightly, named=("001",)) for suffix in ("jpg", "png")),
    *(Reader(f"frame store, {kind}", file, write, read, PICTURES if kind == "bytes" else "", stored_rightly,
             named=("frames", "001.avi"), ours=True) for kind in ("packed", "bytes") for write, read, file in [store(kind)]),
)  # fmt: skip
RUNS = (
    Reader("checkpoint", "last.ckpt", write_checkpoint, scored, "", edit=inputs.torch_edit),
    Reader("pretrained weights", "i3d.pth", inputs.write_weights, lambda folder: read_weights(folder / "i3d.pth"),
           NO_DIGEST, edit=inputs.torch_edit),
    *(Reader(f"report: {Path(file).name}", f"sweep/{file}", inputs.write_sweep, report_tables, NO_DIGEST, edit=edit,
             named=(f"sweep/{Path(file).parts[0]}",), may_miss=True)
      for file, edit in (("1/result.json", inputs.json_edit), ("1/config.yaml", inputs.yaml_edit),
                         ("1/.hydra/hydra.yaml", inputs.yaml_edit), ("1/.hydra/overrides.yaml", inputs.yaml_edit),
                         ("jobs.json", inputs.json_edit), ("2/failed.txt", None))),
    Reader("compare: result.json", "a/result.json", write_two_runs, compared, NO_DIGEST, edit=inputs.json_edit, named=("/a",)),
    Reader("compare: predictions csv", "a/predictions_test.csv", write_two_runs, compared, NO_DIGEST, named=("/a",)),
    Reader("probe.json", "run/probe.json", inputs.write_json("run/probe.json", inputs.probe), probed, NO_DIGEST,
           edit=inputs.json_edit, may_miss=True),
    Reader("attention.json", "attention.json", inputs.write_json("attention.json", inputs.attention),
           lambda folder: rows(read_attention(folder / "attention.json")), NO_DIGEST, edit=inputs.json_edit),
    Reader("sweep's jobs.json", "sweep/jobs.json", inputs.write_sweep,
           lambda folder: refuse_another_list(folder / "sweep", [["model=core", f"seed={n}"] for n in range(3)]),
           NO_DIGEST, edit=inputs.json_edit, named=("sweep",), may_miss=True),
    Reader("config.yaml to continue", "sweep/1/config.yaml", inputs.write_sweep,
           lambda folder: stored_identity(folder / "sweep" / "1"), NO_DIGEST, edit=inputs.yaml_edit,
           named=("sweep/1",), may_miss=True),
    simple("overrides", "overrides.txt", OVERRIDES, overridden, unknowable=TYPED, named=("=", ":", "overrid"),
           weight=0.6),
)  # fmt: skip
READERS = (*LISTS, *BOXES, *MEDIA, *RUNS)
