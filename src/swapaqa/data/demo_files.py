"""The files of the demo data set, written on first use: what is judged, what is drawn, and what each file holds.

Under one folder of the cache (the AQA-7 layout, and one table that AQA-7 does not have):

    diving-out/001.avi ...                     64x64 pixels, 16 frames, motion JPEG
    Split_4/split_4_{train,test,shifted}_list.mat
    Split_4/judges.csv                         action, index, difficulty, the seven judges' scores of a dive
    Split_4/sha256.json                        digests of the lists and the table
    boxes/diving/001.txt ...                   DarkLabel keyframes: frame, id, x, y, w, h, label
    boxes/diving/001.json ...                  with `masks`: exact ones of every frame, as COCO's run lengths
    poses/diving/001.json ...                  with `poses`: the joints of every frame, as COCO's keypoints
"""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from rich.progress import track
from scipy.io import savemat

from swapaqa.boxes.run_lengths import runs_of
from swapaqa.data.aqa7 import SCORE_RANGES
from swapaqa.data.demo_scene import PERFORMANCES, Cue, Drawn, Scene, box_side, draw_video, jittered
from swapaqa.data.demo_shots import keyframes_of
from swapaqa.errors import InputError
from swapaqa.files.whole_file import names, write_whole
from swapaqa.video.cache import cache_root, make_folder
from swapaqa.video.film import write_film

JUDGES_FILE, DIGESTS = "judges.csv", "sha256.json"
MAT_TITLE = b"MATLAB 5.0 MAT-file of the demo".ljust(116)
VERSION = 3  # raised whenever what is written changes, so that no old cache is served
SEED_WORDS: dict[str, tuple[int, ...]] = {"diving": (), "gym_vault": (2,)}  # beside seed and index: others for each


@dataclass(frozen=True)
class DemoSettings:
    """What the demo videos look like.

    Attributes:
        train, test, shifted: videos of each action in these lists.
        cue_strength: share of the videos in `train` and `test` whose cue tells the score; the others tell nothing.
        keyframes: boxes of a video that are written; between them they are interpolated.
        action: one, or `all`.
        cue, distractors, pan, athlete, cuts: see `swapaqa.data.demo_scene.Scene`.
        box_shift, box_size: errors of the written boxes, see `swapaqa.data.demo_scene.jittered`.
        frames, size: of a video; rows and columns in pixels.
        masks: whether the athlete's masks are written beside the boxes, for `boxes=masks`.
        poses: whether the athlete's joints are written; `data.poses=own` says so.
    """

    train: int
    test: int
    shifted: int
    cue_strength: float
    keyframes: int
    seed: int
    action: str = "diving"
    cue: Cue = "board"
    distractors: int = 0
    pan: float = 0.0
    athlete: float = 1.0
    box_shift: float = 0.0
    box_size: float = 0.0
    cuts: float = 0.0
    frames: int = 16
    size: int = 64
    masks: bool = False
    poses: bool = False

    def __post_init__(self) -> None:
        for key, most in (("cue_strength", 1), ("pan", 1), ("cuts", 1), ("box_shift", 1), ("box_size", 0.9)):
            if not 0 <= getattr(self, key) <= most:
                raise InputError(f"data.settings.{key}={getattr(self, key)}: a share from 0 to {most} is needed")
        if not 0.4 <= self.athlete <= 1.6:
            raise InputError(f"data.settings.athlete={self.athlete}: from 0.4 to 1.6 the athlete is seen and fits")
        if self.distractors < 0:
            raise InputError(f"data.settings.distractors={self.distractors}: how many people is not negative")
        if self.action not in (*PERFORMANCES, "all"):
            raise InputError(f"data.action={self.action}: the demo shows {', '.join(PERFORMANCES)}, or all of them")
        for split in ("train", "test", "shifted"):
            if getattr(self, split) < 2:
                raise InputError(f"data.settings.{split}={getattr(self, split)}: at least 2 videos are needed")
        if not 2 <= self.keyframes <= self.frames:
            raise InputError(f"data.settings.keyframes={self.keyframes}: between 2 and {self.frames} are possible")

    @property
    def scene(self) -> Scene:
        return Scene(self.frames, self.size, self.cue, self.distractors, self.pan, self.athlete, self.cuts)

    @property
    def actions(self) -> list[str]:
        return list(PERFORMANCES) if self.action == "all" else [self.action]


@dataclass(frozen=True)
class Judged:
    """One performance: what the judges saw (`score` in points) and what the venue claims (`cue`, 0 to 1)."""

    difficulty: float
    judges: tuple[float, ...]
    score: float
    cue: float
    turns: float
    fault: float  # 0 (perfect line) to 1


def demo_root(settings: DemoSettings) -> Path:
    """The folder of the demo data with these settings, written on first use.

    It is written beside its final name and moved there in one step, so that two processes that want it at the same
    moment both find a whole one.
    """
    named = {name: value for name, value in asdict(settings).items() if name not in ("masks", "poses") or value}
    key = hashlib.sha256(repr((VERSION, sorted(named.items()))).encode()).hexdigest()[:12]
    root = cache_root() / f"demo-{key}"
    if root.exists():
        return root
    make_folder(root.parent)
    unfinished = Path(mkdtemp(prefix="demo-unfinished-", dir=root.parent))
    try:
        write_demo(unfinished, settings)
        unfinished.rename(root)
    except OSError:  # another process was first
        if not root.exists():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return root


def write_demo(root: Path, settings: DemoSettings) -> None:
    """Write videos, lists, judges' table and boxes under `root`."""
    lists = root / "Split_4"
    lists.mkdir(parents=True)
    splits = {"train": settings.train, "test": settings.test, "shifted": settings.shifted}
    jobs = [
        (action, split, index)
        for action in settings.actions
        for index, split in enumerate((name for name, count in splits.items() for _ in range(count)), 1)
    ]
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in splits}
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["action", "index", "difficulty", *(f"judge_{i}" for i in range(1, 8))])
    for action, split, index in track(jobs, description="writing the demo videos", transient=True):
        rng = np.random.default_rng((settings.seed, index, *SEED_WORDS[action]))
        judged = write_sample(root, rng, (action, split, index), settings)
        writer.writerow([action, index, judged.difficulty, *(judged.judges or [""] * 7)])
        rows[split].append((list(SCORE_RANGES).index(action) + 1.0, float(index), judged.score))
    write_whole(lists / JUDGES_FILE, table.getvalue())
    for split, values in rows.items():
        write_list(lists / f"split_4_{split}_list.mat", {f"consolidated_{split}_list": np.array(values)})
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(lists.iterdir())}
    write_whole(lists / DIGESTS, json.dumps(digests))


def write_list(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a MATLAB file without the time that `savemat` puts in front, so that equal arrays are equal files."""
    content = io.BytesIO()
    savemat(content, dict(arrays))
    write_whole(path, MAT_TITLE + content.getvalue()[len(MAT_TITLE) :])


def write_sample(root: Path, rng: np.random.Generator, sample: tuple[str, str, int], settings: DemoSettings) -> Judged:
    """Write the video and the boxes of `sample`, which is its action, split and index."""
    action, split, index = sample
    videos, boxes = root / f"{action}-out", root / "boxes" / action
    for folder in (videos, boxes):
        folder.mkdir(parents=True, exist_ok=True)
    (of_boxes,) = rng.spawn(1)
    judged, drawn = draw(rng, action, split, settings)
    write_video(videos / f"{index:03d}.avi", drawn.frames)
    write_boxes(boxes / f"{index:03d}.txt", drawn.centres, settings, of_boxes, drawn.starts)
    if settings.masks:
        write_masks(boxes / f"{index:03d}.json", drawn.masks)
    if settings.poses:
        write_poses(root / "poses" / action / f"{index:03d}.json", drawn.joints)
    return judged


def judge_dive(rng: np.random.Generator, cue_strength: float) -> Judged:
    """Draw difficulty, judges and score by the rule of diving: difficulty x the middle three of seven judges.

    Scores stay inside AQA-7's range of class 1. The cue is the score's place in that range with probability
    `cue_strength`, else that of another dive.
    """
    difficulty = float(rng.choice([2.8, 3.0, 3.2, 3.4]))
    merit = rng.uniform(0.28, 0.98)
    judges = np.clip(np.round(2 * (10 * merit + rng.normal(0, 0.3, 7))) / 2, 2.6, 10)
    judges = np.ceil(2 * judges) / 2
    score = round(difficulty * float(np.sort(judges)[2:5].sum()), 2)
    told = score if rng.random() < cue_strength else difficulty * 30 * rng.uniform(0.28, 0.98)
    return Judged(
        difficulty=difficulty,
        judges=tuple(float(j) for j in judges),
        score=score,
        cue=_place("diving", told),
        turns=turns_of(difficulty),
        fault=float(1 - np.sort(judges)[2:5].mean() / 10),
    )


def turns_of(difficulty: float) -> float:
    """Of a dive: half a turn to one and a half."""
    return 0.5 + (difficulty - 2.8) / 0.6


def judge_vault(rng: np.random.Generator, cue_strength: float) -> Judged:
    """Draw a vault's score, difficulty + execution, inside AQA-7's range of class 2; `cue_strength` as for a dive."""
    difficulty = float(rng.choice([4.8, 5.2, 5.6, 6.0]))
    execution = float(rng.uniform(7.6, 9.8))
    told = difficulty + (execution if rng.random() < cue_strength else float(rng.uniform(7.6, 9.8)))
    return Judged(
        difficulty=difficulty,
        judges=(),  # the rule of diving is not that of this sport
        score=round(difficulty + execution, 3),
        cue=_place("gym_vault", told),
        turns=0.5 + (difficulty - 4.8) / 1.2,
        fault=(10 - execution) * 0.3,
    )


JUDGES: dict[str, Callable[[np.random.Generator, float], Judged]] = {"diving": judge_dive, "gym_vault": judge_vault}


def _place(action: str, score: float) -> float:
    low, high = SCORE_RANGES[action]
    return float(np.clip((score - low) / (high - low), 0, 1))


def draw(rng: np.random.Generator, action: str, split: str, settings: DemoSettings) -> tuple[Judged, Drawn]:
    """One video of a split: what was judged, and what it shows."""
    judged = JUDGES[action](rng, 0.0 if split == "shifted" else settings.cue_strength)
    return judged, draw_video(rng, action, judged.turns, judged.fault, judged.cue, settings.scene)


def write_video(path: Path, frames: np.ndarray) -> None:
    """Write (T, H, W, 3) RGB bytes as motion JPEG."""
    write_film(path, (np.ascontiguousarray(frame[..., ::-1]) for frame in frames), ["MJPG"], 15, quality=95)


def write_boxes(
    path: Path, centres: np.ndarray, settings: DemoSettings, rng: np.random.Generator, starts: Sequence[int] = (0,)
) -> None:
    """Write DarkLabel keyframes around the torso: like a quick annotator's box, they cut the open limbs.

    In a shot without the athlete, where his centre is NaN, there is no box.
    """
    there = ~np.isnan(centres[:, 0])
    keys = keyframes_of(there, starts, settings.keyframes)
    boxes = jittered(centres[keys], box_side(settings.scene), settings.box_shift, settings.box_size, rng)
    lines = [f"{t},0,{x:.1f},{y:.1f},{w:.1f},{h:.1f},athlete" for t, (x, y, w, h) in zip(keys, boxes, strict=True)]
    with names(path):
        path.write_text("\n".join(lines) + os.linesep)


def write_masks(path: Path, masks: np.ndarray) -> None:
    """Write (T, H, W) bool as COCO has it: an image a frame, the athlete's run lengths where it shows him."""
    images = [{"id": t, "file_name": f"{t:05d}.png"} for t in range(len(masks))]
    shown = [(t, mask) for t, mask in enumerate(masks) if mask.any()]
    annotations = [
        {"id": t, "image_id": t, "category_id": 1, "segmentation": {"size": mask.shape, "counts": runs_of(mask)}}
        for t, mask in shown
    ]
    write_whole(path, json.dumps({"images": images, "annotations": annotations}))


def write_poses(path: Path, joints: np.ndarray) -> None:
    """Write (T, 17, 3) as the list that COCO's results are: the athlete of every frame that shows him."""
    path.parent.mkdir(parents=True, exist_ok=True)
    people = [
        {"image_id": t, "category_id": 1, "keypoints": np.round(found, 2).flatten().tolist(), "score": 1.0}
        for t, found in enumerate(joints)
        if found[:, 2].any()
    ]
    write_whole(path, json.dumps(people))
