"""Small valid files of every kind that a user or colleague hands over."""

import io
import json
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
import yaml
from scipy.io import loadmat, savemat

from tests.attack.damage import Edit

FRAMES, HEIGHT, WIDTH = 12, 48, 64  # of every video
CODECS = {"avi": "mjpeg", "mp4": "h264", "mkv": "mpeg4", "webm": "vp8", "mpg": "mpeg1video", "gif": "gif"}
PIXELS = {"mjpeg": "yuvj420p", "gif": "rgb8"}
DIVES = {(1, 1): 20, (1, 2): 24, (2, 3): 28, (3, 4): 32, (26, 5): 40}  # end frame by competition and dive

json_edit = Edit(json.loads, lambda tree: json.dumps(tree).encode())
yaml_edit = Edit(yaml.safe_load, lambda tree: yaml.safe_dump(tree, allow_unicode=True).encode())
pickle_edit = Edit(pickle.loads, pickle.dumps)


def _torch_load(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), weights_only=True)


def _torch_dump(tree: Any) -> bytes:
    file = io.BytesIO()
    torch.save(tree, file)
    return file.getvalue()


torch_edit = Edit(_torch_load, _torch_dump)


def pictures() -> np.ndarray:
    """A bright square that moves over a wall: (T, H, W, 3) uint8."""
    frames = np.full((FRAMES, HEIGHT, WIDTH, 3), (40, 90, 120), np.uint8)
    for number, frame in enumerate(frames):
        frame[16:32, 3 * number : 3 * number + 16] = (230, 220, 200)
    return frames


def write_video(path: Path) -> None:
    """A video file in the codec that its suffix stands for."""
    codec = CODECS[path.suffix.removeprefix(".")]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, PIXELS.get(codec, "yuv420p")
        for frame in pictures():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_images(folder: Path, suffix: str) -> None:
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures(), 1):
        cv2.imwrite(str(folder / f"{number:05d}{suffix}"), picture[..., ::-1])


def write_masks(folder: Path) -> None:
    """The mask of the square of `pictures`, a PNG a frame."""
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures()):
        cv2.imwrite(str(folder / f"{number:05d}.png"), np.where(picture[..., 0] > 200, np.uint8(1), np.uint8(0)))


def square_runs(number: int) -> list[int]:
    """The square of picture `number` as COCO's run lengths, by columns: 16 of them, with the wall between."""
    between = [HEIGHT - 16, 16] * 15
    return [3 * number * HEIGHT + 16, 16, *between, HEIGHT * (WIDTH - 3 * number - 15) - 32]


def coco() -> dict[str, Any]:
    """The masks of the square in COCO's format, an image a frame; every third one packed as COCO's own code does."""
    images = [{"id": 20 + number, "file_name": f"{number:05d}.jpg"} for number in range(FRAMES)]
    runs = [{"size": [HEIGHT, WIDTH], "counts": square_runs(number)} for number in range(FRAMES)]
    runs[6]["counts"] = PACKED
    left = 27.0
    masks = [*runs[:9], [[left, 16.0, left + 16, 16.0, left + 16, 32.0, left, 32.0]], *runs[10:]]
    annotations = [
        {"id": number, "image_id": 20 + number, "category_id": 1, "segmentation": mask}
        for number, mask in enumerate(masks)
    ]
    return {"images": images, "annotations": annotations}


def youtube_vis() -> dict[str, Any]:
    """The same in YouTube-VIS' format."""
    masks = [{"size": [HEIGHT, WIDTH], "counts": square_runs(number)} for number in range(FRAMES)]
    names = [f"001/{number:05d}.jpg" for number in range(FRAMES)]
    annotations = [{"id": 1, "video_id": 1, "category_id": 1, "segmentations": masks}]
    return {"videos": [{"id": 1, "file_names": names}], "annotations": annotations}


def aqa7_rows(scale: float, split: str) -> list[list[float]]:
    first = 0 if split == "train" else 100
    rows = [(1, 1, 54.0), (1, 2, 60.5), (1, 3, 81.6), (2, 1, 14.5), (6, 7, 77.4)]
    return [[action, first + index, score * scale] for action, index, score in rows]


def aqa7_list(split: str) -> Edit:
    """The list of a split as rows of numbers."""
    name = f"consolidated_{split}_list"

    def dump(rows: Any) -> bytes:
        file = io.BytesIO()
        savemat(file, {name: np.array(rows)})
        return file.getvalue()

    return Edit(lambda content: loadmat(io.BytesIO(content))[name].tolist(), dump)


def write_aqa7(folder: Path, scale: float, compress: bool = False, kind: str = "f8") -> None:
    (folder / "Split_4").mkdir()
    for split in ("train", "test"):
        rows = {f"consolidated_{split}_list": np.array(aqa7_rows(scale, split)).round(9).astype(kind)}
        savemat(folder / "Split_4" / f"split_4_{split}_list.mat", rows, do_compression=compress)


def annotation(end: int, arrays: bool) -> dict[str, Any]:
    judges = [8.0, 8.5, 7.5, 8.0, 8.0, 9.0, 8.0]
    return {
        "final_score": 72.0,
        "difficulty": 3.0,
        "start_frame": end - 10,
        "end_frame": end,
        "judge_scores": np.array(judges) if arrays else judges,
        "dive_number": "107B",
    }


def write_mtl_aqa(folder: Path, arrays: bool = False) -> None:
    """Annotations and the split; `arrays`: judges' scores as NumPy arrays, as in circulation."""
    (folder / "info").mkdir()
    content = {key: annotation(end, arrays) for key, end in DIVES.items()}
    (folder / "info" / "final_annotations_dict_with_dive_number.pkl").write_bytes(pickle.dumps(content))
    *train, test = DIVES
    for split, dives in (("train", train), ("test", [test])):
        (folder / "info" / f"{split}_split_0.pkl").write_bytes(pickle.dumps(dives))


def write_finediving(folder: Path) -> None:
    """All annotations and the split."""
    (folder / "Annotations").mkdir()
    keys = [("01", 1), ("01", 2), ("FINADivingWorldCup2021_Men10m_final_r1", 0), ("Budapest2021_Women_1", 5)]
    labels = np.array([2] * 20 + [25] * 30 + [36] * 40)
    contents = {
        "fine-grained_annotation_aqa": {key: ["107b", 72.0, 3.0, np.array([19, 49]), labels] for key in keys},
        "FineDiving_coarse_annotation": {key: {"start_frame": 100, "end_frame": 189} for key in keys},
        "train_split": keys[:3],
        "test_split": keys[3:],
    }
    for name, content in contents.items():
        (folder / "Annotations" / f"{name}.pkl").write_bytes(pickle.dumps(content))


def write_log(folder: Path) -> None:
    """A log by epoch."""
    (folder / "log.csv").write_text("run,epoch,spearman,relative_l2_x100\na,0,0.5,3.5\na,1,0.75,2\nb,0,0.7,2.5\n")


def write_predictions(folder: Path) -> None:
    """Predictions of three videos as an array."""
    np.save(folder / "pred.npy", np.array([60.0, 20.5, 33.25]))


TABLE = """video,score,split,group,action,difficulty,judges,first_frame,last_frame,boxes
one.avi,54.5,train,anna,diving,3.0,8.0 8.5 7.5,1,12,
two.mp4,61.0,train,bea,diving,2.8,7.0 7.5 7.5,,,two.txt
three.mkv,70.25,test,carla,diving,3.2,9.0 9.5 8.5,2,11,sub/three
four.webm,33,test,dora,diving,3.2,4.0 4.5 4.5,,,
"""
DARKLABEL = "0,0,1.5,10,20,30,diver\n4,0,5,12,20,30,diver\n9,0,11,14,21,31,diver\n"
MOT = "1,1,2,10,20,30,1,1,1\n5,1,6,12,20,30,1,1,0.9\n12,1,15,14,21,31,1,1,1\n"
RESULTS = "".join(f"{2 + t},{10 + t},20,30\n" for t in range(FRAMES))
POLYGONS = "".join(f"{t},5,{t + 20},5,{t + 20},35,{t},35\n" for t in range(FRAMES))
PER_IMAGE = "diver 10 12 20 30\n"
VOC = """<annotation>
  <filename>00004.jpg</filename>
  <size><width>64</width><height>48</height></size>
  <object><name>diver</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>25</xmax><ymax>40</ymax></bndbox></object>
</annotation>
"""
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><original_size><width>64</width><height>48</height></original_size></task></meta>
  <track id="0" label="diver">
    <box frame="0" keyframe="1" outside="0" occluded="0" xtl="2.0" ytl="10.5" xbr="22.0" ybr="40.5"></box>
    <box frame="6" keyframe="1" outside="0" occluded="0" xtl="9.0" ytl="11.5" xbr="29.0" ybr="41.5"></box>
    <box frame="9" keyframe="1" outside="1" occluded="0" xtl="9.0" ytl="11.5" xbr="29.0" ybr="41.5"></box>
    <box frame="11" keyframe="1" outside="0" occluded="0" xtl="15.0" ytl="12.5" xbr="35.0" ybr="42.5"></box>
  </track>
</annotations>
"""
CVAT_MASKS = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><original_size><width>64</width><height>48</height></original_size></task></meta>
  <track id="0" label="diver">
    <mask frame="0" outside="0" rle="2,4,2,8,2,4,2" left="2" top="10" width="8" height="3"></mask>
    <polygon frame="6" outside="0" points="9.0,11.5;29.0,11.5;29.0,41.5"></polygon>
    <mask frame="9" outside="1" rle="2,4,2,8,2,4,2" left="2" top="10" width="8" height="3"></mask>
    <mask frame="11" outside="0" rle="0,24" left="15" top="12" width="8" height="3"></mask>
  </track>
</annotations>
"""
PACKED = r"`k0`0P100000000000000000000000000000`\1"  # square_runs(6) as COCO's own code packs it
DARKLABEL_YML = """%YAML:1.0
classes_set: diving_classes
diving_classes: ["diver", "judge"]
format1:
  fixed_filetype: 1
  data_fmt: [fn, id, classid, x1, y1, w, h]
  gt_file_ext: "txt"
  gt_merged: 1
  delimiter: ","
  classes_set: "diving_classes"
"""
LEDGER = "diving/001.txt,{digest},csrt\ndiving/002.txt,0000,accepted\n"
SEVERITIES = "severity,video,split,why\n1.25,diving/001,train,jump\n0.10,diving/002,test,\n"
PREDICTIONS = """video_id,action,true,last
a,diving,50.0000,51.000000
b,diving,60.0000,58.000000
c,vault,14.0000,13.500000
d,vault,15.0000,14.500000
"""


SPREADSHEET = "sep=;\n" + re.sub(r"(\d)\.(\d)", r"\1,\2", TABLE.replace("anna", "änne").replace(",", ";"))


def writes(texts: Mapping[str, str], encoding: str = "utf-8") -> Callable[[Path], None]:
    """A writer of text files by their names."""

    def write(folder: Path) -> None:
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding=encoding)

    return write


SCORES = {"spearman": 0.8, "relative_l2_x100": 2.0, "pairwise_accuracy": 0.75}


def result(seed: int, actions: Sequence[str] = ("diving",)) -> dict[str, Any]:
    """What training writes, with two test videos of every action."""
    per_action = {action: SCORES | {"videos": 2} for action in actions}
    split = {"average": SCORES, "per_action": per_action}
    ids = {"a": [50.0, 51.0], "b": [60.0, 58.0], "c": [14.0, 13.5], "d": [15.0, 14.5]}
    return {
        "name": "core_aqa7_swap",
        "config": run_config(seed),
        "seed": seed,
        "metrics": {"last": {"epoch": 5, "splits": {"test": split}}},
        "prediction_columns": ["true", "last"],
        "predictions": {"test": dict(list(ids.items())[: 2 * len(actions)])},
        "replaced_share": {"mean": 0.4},
        "timing": {"wall_s": 60.0, "step_median_s": 0.5, "data_wait_share": 0.05},
        "device": "cpu",
        "world_size": 1,
        "git_commit": None,
        "versions": {"torch": "2.13.0"},
    }


def run_config(seed: int) -> dict[str, Any]:
    return {
        "name": "core_aqa7_swap",
        "seed": seed,
        "model": {"_target_": "swapaqa.models.core.CoRe"},
        "boxes": {"_target_": "swapaqa.data.boxes.DarkLabelBoxes", "ratio": 2.0},
        "aug": {"_target_": "swapaqa.augment.swap.ScaledBackgroundSwap", "ratio": 2.0},
        "data": {"_target_": "swapaqa.data.aqa7.AQA7", "action": "diving"},
    }


def write_run(folder: Path, seed: int, actions: Sequence[str] = ("diving",)) -> None:
    """A finished run."""
    (folder / ".hydra").mkdir(parents=True)
    choices = {"data": "aqa7", "model": "core", "aug": "swap", "boxes": "darklabel"}
    (folder / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": {"runtime": {"choices": choices}}}))
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(["model=core", f"seed={seed}"]))
    (folder / "config.yaml").write_text(yaml.safe_dump(run_config(seed)))
    (folder / "result.json").write_text(json.dumps(result(seed, actions)))
    (folder / "predictions_test.csv").write_text(PREDICTIONS)


def write_sweep(folder: Path) -> None:
    """Two finished jobs and a failed one, with a probe and a `gradcam.json` beside them."""
    for seed in (0, 1):
        write_run(folder / "sweep" / str(seed), seed)
    failed = folder / "sweep" / "2"
    failed.mkdir()
    (failed / "config.yaml").write_text(yaml.safe_dump(run_config(2)))
    (failed / "failed.txt").write_text("it went wrong\n\nTraceback\n")
    jobs = [{"job": str(n), "overrides": ["model=core", f"seed={n}"], "swept": {"seed": str(n)}} for n in range(3)]
    listed = {"sweep": "sweep", "command": "python -m src.train --multirun seed=0,1,2", "jobs": jobs}
    (folder / "sweep" / "jobs.json").write_text(json.dumps(listed))


def inside(share: float) -> dict[str, Any]:
    return {"share": share, "chance": 0.2, "on_grid": 0.7, "interval": [share - 0.1, share + 0.1]}


def gradcam() -> dict[str, Any]:
    means = {"videos": 3, "without_mass": 1, "box": inside(0.4), "scaled_box": inside(0.6)}
    return {
        "checkpoints": [{"title": "with the swap, ratio 2", "file": "last.ckpt", "epoch": 3}],
        "boxes": {"_target_": "swapaqa.data.boxes.DarkLabelBoxes", "ratio": 2.0},
        "ratio": 2.0,
        "splits": {"test": {"checkpoints": [means], "difference": None}},
        "pictures": [],
        "device": "cpu",
        "git_commit": None,
    }


def probe() -> dict[str, Any]:
    scored = SCORES | {"confidence": {"spearman": [0.5, 0.9], "relative_l2_x100": [1.0, 3.0]}}
    outcome = {
        "videos": 12,
        "backgrounds": 4,
        "covered_share": 0.2,
        "covers_nothing": ["a"],
        "covers_everything": [],
        "conditions": dict.fromkeys(("as_is", "exchanged", "removed", "alone"), scored),
        "shares": {part: {"value": 0.3, "interval": [0.2, 0.4]} for part in ("background", "athlete", "rest")},
        "components": {"diving": {"background": 1.0, "athlete": 1.0, "rest": 1.0}},
        "follows": {"athlete_prediction": 0.5},
        "predictions": {},
    }
    facts = {"trained": "mine", "checkpoint": "last", "ratio": 1.0, "boxes": run_config(0)["boxes"]}
    return facts | {"splits": {"test": outcome}}


def write_json(name: str, content: Callable[[], Any]) -> Callable[[Path], None]:
    return writes({name: json.dumps(content())})


def weights() -> dict[str, Any]:
    """A state dict like that of published weights, but small."""
    rng = np.random.default_rng(0)
    shapes = {"conv3d_1a_7x7.conv3d.weight": (4, 3, 3, 3, 3), "conv3d_1a_7x7.batch3d.running_mean": (4,)}
    return {key: torch.from_numpy(rng.normal(size=shape).astype(np.float32)) for key, shape in shapes.items()}


def write_weights(folder: Path) -> None:
    torch.save(weights(), folder / "i3d.pth")
