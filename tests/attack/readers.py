"""The table of readers: every kind of file, the real function that reads it, and when a changed value is right."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av  # noqa: F401  before decord, whose libraries would take the place of its VP8 encoder

from swapaqa.annotate.sheet import read_severities
from swapaqa.data.finefs import read_record
from swapaqa.gradcam.summary import read_gradcam, rows
from swapaqa.models.i3d_weights import read_weights
from swapaqa.recording.tracking import stored_id
from swapaqa.running.jobs import stored_identity
from swapaqa.running.jobs_file import refuse_another_list
from swapaqa.scrutiny.given_files import read_array, read_given
from tests.attack import archives, calls, checkpoints, inputs
from tests.attack.calls import boxed_rightly, framed_rightly, imported_rightly, listed_rightly, scored_rightly
from tests.attack.damage import Edit
from tests.attack.reading import Reader
from tests.routine_trees import write_finefs, write_fisv, write_logo, write_rg

TYPED = "a digit of a table that people type and edit may be meant"
PICTURES = "a changed pixel is a picture, and these formats have no checksum of what is decoded"
NO_DIGEST = "the numbers of a file without a digest are taken as they are"
EDITED = "people correct these boxes by hand, as documented"
OVERRIDES = "model=core\ndata=aqa7\naug.ratio=2.0\nseed=3\nmodel.depth=5\ndata.action=diving\n"
MAT = "Split_4/split_4_train_list.mat"
PKL = "info/final_annotations_dict_with_dive_number.pkl"


def simple(name: str, file: str, text: str, read: Callable[[Path], Any], **more: Any) -> Reader:
    """A reader of a text that people type."""
    return Reader(name, file, inputs.writes({file: text}), read, unknowable=TYPED, **more)


def of_boxes(name: str, file: str, text: str, *words: str, **more: Any) -> Reader:
    return simple(name, file, text, calls.boxes(*words), sound=boxed_rightly, **more)


def of_masks(name: str, file: str, content: Callable[[], Any]) -> Reader:
    """A reader of the masks of a video in a JSON file."""
    text = json.dumps(content())
    return of_boxes(f"masks of {name}", file, text, "boxes=masks", edit=inputs.json_edit, named=("001",))


def of_import(name: str, file: str, text: str) -> Reader:
    return simple(f"import: {name}", file, text, partial(calls.imported, file), sound=imported_rightly)


def of_run(name: str, file: str, write: Callable[[Path], None], read: Callable[[Path], Any], **more: Any) -> Reader:
    """A reader of what a run or a program of ours left."""
    edit = {".json": inputs.json_edit, ".yaml": inputs.yaml_edit}.get(Path(file).suffix)
    return Reader(name, file, write, read, unknowable=NO_DIGEST, edit=edit, **more)


def of_report(file: str) -> Reader:
    named = (f"sweep/{Path(file).parts[0]}",)
    return of_run(
        f"report: {file}", f"sweep/{file}", inputs.write_sweep, calls.report_tables, named=named, may_miss=True
    )


def of_table(name: str, write: Callable[[Path], None]) -> Reader:
    return Reader(
        name, "videos.csv", write, calls.records("data=videos"), TYPED, listed_rightly, named=("data=videos",)
    )


def of_zip(name: str, content: Callable[[], bytes], *words: str) -> Reader:
    """A reader of boxes in an archive."""
    write = archives.writes("001.zip", content)
    return Reader(
        name, "001.zip", write, calls.boxes(*words), TYPED, boxed_rightly, archives.zip_edit, ("001.xml", "001.txt")
    )


of_aqa7 = partial(Reader, file=MAT, read=calls.records("data=aqa7", "data.action=all"), sound=scored_rightly)
of_mtl_aqa = partial(Reader, read=calls.records("data=mtl_aqa"), unknowable=NO_DIGEST, sound=listed_rightly)
of_finediving = partial(
    Reader, write=inputs.write_finediving, read=calls.records("data=finediving"), unknowable=NO_DIGEST,
    sound=listed_rightly, edit=inputs.pickle_edit,
)  # fmt: skip


def of_routines(name: str, file: str, write: Callable[..., Any], *rest: Any, **more: Any) -> Reader:
    """A reader of a data set of routines, whose tree is in a folder that is there."""
    return Reader(name, file, lambda folder: write(folder, exist_ok=True), *rest, sound=listed_rightly, **more)


def read_programme(folder: Path) -> list[Any]:
    return [read_record(folder / "annotation" / "0.json", "train", "short_program_tes")]


LISTS = (
    of_aqa7("AQA-7 list, points", write=partial(inputs.write_aqa7, scale=1.0), unknowable=NO_DIGEST,
            edit=inputs.aqa7_list("train")),
    of_aqa7("AQA-7 list, points x 100", write=partial(inputs.write_aqa7, scale=100.0), unknowable=NO_DIGEST,
            edit=inputs.aqa7_list("train")),
    of_aqa7("AQA-7 list, compressed", write=partial(inputs.write_aqa7, scale=1.0, compress=True), unknowable=NO_DIGEST),
    of_mtl_aqa("MTL-AQA annotations", PKL, inputs.write_mtl_aqa, edit=inputs.pickle_edit, named=("train_split_0.pkl",)),
    of_mtl_aqa("MTL-AQA annotations, arrays", PKL, partial(inputs.write_mtl_aqa, arrays=True),
               named=("train_split_0.pkl",)),
    of_mtl_aqa("MTL-AQA split", "info/train_split_0.pkl", inputs.write_mtl_aqa, edit=inputs.pickle_edit),
    of_finediving("FineDiving annotations", "Annotations/fine-grained_annotation_aqa.pkl", named=("train_split.pkl",)),
    of_finediving("FineDiving sessions", "Annotations/FineDiving_coarse_annotation.pkl", may_miss=True),
    of_finediving("FineDiving split", "Annotations/train_split.pkl"),
    of_routines("RG list", "train.txt", write_rg, calls.records("data=rg", "data.action=all"), TYPED),
    of_routines("Fis-V list", "train_dataset.txt", write_fisv, calls.records("data=fisv"), TYPED),
    of_routines("Fis-V skaters", "scores.csv", write_fisv, calls.records("data=fisv"), TYPED, may_miss=True),
    of_routines("LOGO annotations", "anno_dict.pkl", write_logo, calls.records("data=logo"), NO_DIGEST,
                edit=inputs.pickle_edit, named=("train_split3.pkl",)),
    of_routines("LOGO split", "train_split3.pkl", write_logo, calls.records("data=logo"), NO_DIGEST,
                edit=inputs.pickle_edit),
    of_routines("FineFS annotation", "annotation/0.json", partial(write_finefs, numbers=range(1)), read_programme,
                NO_DIGEST),
    Reader("a log by epoch", "log.csv", inputs.write_log, lambda folder: read_given(folder / "log.csv", None), TYPED),
    Reader("predictions as an array", "pred.npy", inputs.write_predictions,
           lambda folder: read_array(folder / "pred.npy"), NO_DIGEST),
    of_aqa7("AQA-7 list, whole numbers", write=partial(inputs.write_aqa7, scale=100.0, kind="i4"),
            unknowable=NO_DIGEST),
    of_aqa7("AQA-7 list, big-endian", write=archives.write_big_endian_lists, unknowable=NO_DIGEST),
    of_table("videos.csv in UTF-16", inputs.writes({"videos.csv": inputs.TABLE}, "utf-16")),
    of_table("videos.csv of a spreadsheet", inputs.writes({"videos.csv": inputs.SPREADSHEET}, "cp1252")),
    simple("videos.csv", "videos.csv", inputs.TABLE, calls.records("data=videos"), sound=listed_rightly,
           named=("data=videos",)),
    Reader("demo's list in the cache", f"demo/{MAT}", calls.write_demo, calls.read_demo, sound=scored_rightly,
           edit=inputs.aqa7_list("train")),
    Reader("demo's judges in the cache", "demo/Split_4/judges.csv", calls.write_demo, calls.read_demo,
           sound=scored_rightly),
)  # fmt: skip

AN_IMAGE = ("boxes=darklabel", "boxes.gt_merged=false")
YML = {"darklabel.yml": inputs.DARKLABEL_YML, "001.txt": "0,0,0,1,1,9,9\n5,0,0,2,2,9,9\n"}
BOXES = (
    of_boxes("DarkLabel txt", "001.txt", inputs.DARKLABEL, "boxes=darklabel"),
    of_boxes("DarkLabel csv", "001.csv", inputs.DARKLABEL, "boxes=darklabel", "boxes.gt_file_ext=csv"),
    of_boxes("DarkLabel xml", "001/00004.xml", inputs.VOC, *AN_IMAGE, "boxes.gt_file_ext=xml",
             "boxes.data_fmt=[cname,x1,y1,x2,y2]", named=("001",)),
    of_boxes("DarkLabel txt an image", "001/00004.txt", inputs.PER_IMAGE, *AN_IMAGE, "boxes.delimiter=' '",
             "boxes.data_fmt=[cname,x1,y1,w,h]", named=("001",)),
    Reader("darklabel.yml", "darklabel.yml", inputs.writes(YML),
           calls.boxes("boxes=darklabel", "boxes.settings_file=darklabel.yml", "boxes.format=1"), TYPED, boxed_rightly,
           Edit(lambda content: inputs.yaml_edit.load(content.partition(b"\n")[2]), inputs.yaml_edit.dump),
           named=("001.txt", "001.csv", "001.xml", "settings_file", "data_fmt")),
    of_boxes("CVAT xml", "001.xml", inputs.CVAT, "boxes=cvat"),
    of_boxes("MOT", "001.txt", inputs.MOT, "boxes=mot"),
    of_boxes("tracker's results", "001.txt", inputs.RESULTS, "boxes=results"),
    of_boxes("tracker's polygons", "001.txt", inputs.POLYGONS, "boxes=results"),
    Reader("mask png", "001/00004.png", lambda folder: inputs.write_masks(folder / "001"), calls.boxes("boxes=masks"),
           PICTURES, boxed_rightly, named=("001",)),
    of_masks("COCO", "001.json", inputs.coco),
    of_masks("YouTube-VIS", "001.json", inputs.youtube_vis),
    of_boxes("masks of CVAT", "001.xml", inputs.CVAT_MASKS, "boxes=masks", named=("001",)),
    Reader("tracks in the cache", "cache/boxes/track.txt", calls.write_tracked, calls.read_tracked, EDITED,
           boxed_rightly, named=("001", "cache/boxes"), ours=True),
    of_zip("CVAT zip", archives.cvat_video, "boxes=cvat"),
    of_zip("CVAT zip with images", archives.cvat_images, "boxes=cvat"),
    of_zip("CVAT zip of a project", archives.cvat_project, "boxes=cvat"),
    of_zip("MOT zip", archives.mot, "boxes=mot"),
    Reader("box file of ours", "boxes/001.txt", calls.write_our_boxes, calls.read_our_boxes, "", boxed_rightly),
    of_import("DarkLabel", "source.txt", inputs.DARKLABEL),
    of_import("MOT", "source.txt", inputs.MOT),
    of_import("polygons", "source.txt", inputs.POLYGONS),
    of_import("CVAT xml", "source.xml", inputs.CVAT),
    Reader("import: CVAT zip", "source.zip", archives.writes("source.zip", archives.cvat_video),
           partial(calls.imported, "source.zip"), TYPED, imported_rightly, archives.zip_edit),
    Reader("import: MOT zip", "source.zip", archives.writes("source.zip", archives.mot),
           partial(calls.imported, "source.zip"), TYPED, imported_rightly, archives.zip_edit),
    Reader("boxes_ledger.csv", "boxes/boxes_ledger.csv", calls.write_ledger, calls.ledger_states, TYPED,
           calls.stated_rightly, may_miss=True),
    simple("table of boxes check", "suspicions.csv", inputs.SEVERITIES,
           lambda folder: read_severities(folder / "suspicions.csv"), may_miss=True),
)  # fmt: skip


def of_video(suffix: str) -> Reader:
    file = f"001.{suffix}"
    write = lambda folder: inputs.write_video(folder / file)  # noqa: E731
    sound = calls.animated_rightly if suffix == "gif" else framed_rightly
    return Reader(f"video {suffix}", file, write, calls.frames(file), PICTURES, sound)


def of_images(suffix: str) -> Reader:
    write = lambda folder: inputs.write_images(folder / "001", f".{suffix}")  # noqa: E731
    name, file = f"image folder, {suffix}", f"001/00004.{suffix}"
    return Reader(name, file, write, calls.frames("001"), PICTURES, framed_rightly, named=("001",))


def of_store(kind: str, unknowable: str) -> Reader:
    write, read, file = calls.store(kind)
    named = ("frames", "001.avi")
    return Reader(f"frame store, {kind}", file, write, read, unknowable, calls.stored_rightly, named=named, ours=True)


MEDIA = (
    *map(of_video, inputs.CODECS),
    *map(of_images, ("jpg", "png")),
    Reader("video's index in the cache", "cache/index/index.kept", calls.write_indexed, calls.read_indexed,
           may_miss=True, ours=True),
    of_store("packed", ""),
    of_store("bytes", PICTURES),
)  # fmt: skip
RUNS = (
    Reader("resume.ckpt", checkpoints.RESUME, checkpoints.write_resumable, checkpoints.resumed, edit=inputs.torch_edit,
           may_miss=True),
    Reader("published checkpoint", checkpoints.PUBLISHED, checkpoints.write_published, checkpoints.read_published,
           NO_DIGEST, checkpoints.weighed_rightly, checkpoints.published_edit),
    Reader("checkpoint", "last.ckpt", calls.write_checkpoint, calls.scored, edit=inputs.torch_edit),
    Reader("pretrained weights", "i3d.pth", inputs.write_weights, lambda folder: read_weights(folder / "i3d.pth"),
           NO_DIGEST, edit=inputs.torch_edit),
    *map(of_report, ("1/result.json", "1/config.yaml", "1/.hydra/hydra.yaml", "1/.hydra/overrides.yaml", "jobs.json",
                     "2/failed.txt")),
    *(Reader(f"report's page: {what}", calls.FILM[what], calls.write_film, calls.read_film, PICTURES,
             calls.filmed_rightly, may_miss=True) for what in ("film", "strip")),
    simple("wandb_id.txt", "wandb_id.txt", "k2j4h6l8\n", lambda folder: stored_id(folder / "wandb_id.txt"),
           may_miss=True),
    of_run("compare: result.json", "a/result.json", calls.write_two_runs, calls.compared, named=("/a",)),
    of_run("compare: predictions", "a/predictions_test.csv", calls.write_two_runs, calls.compared, named=("/a",)),
    of_run("probe.json", "run/probe.json", inputs.write_json("run/probe.json", inputs.probe), calls.probed,
           may_miss=True),
    of_run("gradcam.json", "gradcam.json", inputs.write_json("gradcam.json", inputs.gradcam),
           lambda folder: rows(read_gradcam(folder / "gradcam.json"))),
    of_run("sweep's jobs.json", "sweep/jobs.json", inputs.write_sweep,
           lambda folder: refuse_another_list(folder / "sweep", [["model=core", f"seed={n}"] for n in range(3)]),
           named=("sweep",), may_miss=True),
    of_run("config.yaml to continue", "sweep/1/config.yaml", inputs.write_sweep,
           lambda folder: stored_identity(folder / "sweep" / "1"), named=("sweep/1",), may_miss=True),
    simple("overrides", "overrides.txt", OVERRIDES, calls.overridden, named=("=", ":", "overrid"), weight=0.6,
           a_file=False),
)  # fmt: skip
READERS = (*LISTS, *BOXES, *MEDIA, *RUNS)
