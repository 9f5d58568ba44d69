"""The demo data set: small synthetic dives written in the AQA-7 layout, with a background that cheats.

Each video shows an articulated diver in front of a venue. What the diver does makes the score: the limbs open with
every fault the judges see, and the difficulty is the amount of rotation. The venue carries a scoreboard whose colour
agrees with the score in `train` and in `test`, and says nothing about it in `shifted`. A model that reads the
background is therefore good on `test` and bad on `shifted`; one that reads the athlete is good on both.

Files, under one folder of the cache (the AQA-7 layout, and one table that AQA-7 does not have):

    diving-out/001.avi ...                     64x64 pixels, 16 frames, motion JPEG
    Split_4/split_4_{train,test,shifted}_list.mat
    Split_4/judges.csv                         index, difficulty, the seven judges' scores
    boxes/diving/001.txt ...                   DarkLabel keyframes: frame, id, x, y, w, h, label
"""

import csv
import hashlib
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

import cv2
import numpy as np
from rich.progress import track
from scipy.io import savemat

from swapaqa.data.aqa7 import AQA7
from swapaqa.data.cache import cache_root
from swapaqa.data.records import Record
from swapaqa.errors import InputError

ACTION = "diving"
SCALE = 4  # drawn at four times the size and averaged down: anti-aliased limbs
VERSION = 1  # raised whenever the pictures change, so that no old cache is served


@dataclass(frozen=True)
class DemoSettings:
    """What the demo videos look like. `cue_strength` 1: the scoreboard tells the score exactly; 0: nothing."""

    train: int
    test: int
    shifted: int
    cue_strength: float
    keyframes: int
    seed: int
    frames: int = 16
    size: int = 64

    def __post_init__(self) -> None:
        if not 0 <= self.cue_strength <= 1:
            raise InputError(f"data.settings.cue_strength={self.cue_strength}: a share between 0 and 1 is needed")
        for split in ("train", "test", "shifted"):
            if getattr(self, split) < 2:
                raise InputError(f"data.settings.{split}={getattr(self, split)}: at least 2 videos are needed")
        if not 2 <= self.keyframes <= self.frames:
            raise InputError(f"data.settings.keyframes={self.keyframes}: between 2 and {self.frames} are possible")


@dataclass(frozen=True)
class Dive:
    """One dive: what the judges saw (`score` in points) and what the scoreboard claims (`cue`, 0 to 1)."""

    difficulty: float
    judges: tuple[float, ...]
    score: float
    cue: float
    fault: float  # 0 (perfect line) to 1


def demo_root(settings: DemoSettings) -> Path:
    """The folder of the demo data with these settings, written on first use.

    It is written beside its final name and moved there in one step, so that two processes that want it at the same
    moment both find a whole one.
    """
    key = hashlib.sha256(repr((VERSION, sorted(asdict(settings).items()))).encode()).hexdigest()[:12]
    root = cache_root() / f"demo-{key}"
    if root.exists():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
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
    videos, boxes, lists = root / f"{ACTION}-out", root / "boxes" / ACTION, root / "Split_4"
    for folder in (videos, boxes, lists):
        folder.mkdir(parents=True)
    splits = {"train": settings.train, "test": settings.test, "shifted": settings.shifted}
    names = [name for name, count in splits.items() for _ in range(count)]
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in splits}
    with open(lists / "judges.csv", "w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["index", "difficulty", *(f"judge_{i}" for i in range(1, 8))])
        for index, split in enumerate(track(names, description="writing the demo videos", transient=True), 1):
            rng = np.random.default_rng((settings.seed, index))
            dive = draw_dive(rng, 0.0 if split == "shifted" else settings.cue_strength)
            frames, centres = draw_video(rng, dive, settings)
            write_video(videos / f"{index:03d}.avi", frames)
            write_boxes(boxes / f"{index:03d}.txt", centres, settings)
            writer.writerow([index, dive.difficulty, *dive.judges])
            rows[split].append((1.0, float(index), dive.score))
    for split, values in rows.items():
        savemat(lists / f"split_4_{split}_list.mat", {f"consolidated_{split}_list": np.array(values)})


def draw_dive(rng: np.random.Generator, cue_strength: float) -> Dive:
    """Draw difficulty, judges and score by the rule of diving: difficulty x the middle three of seven judges.

    Scores stay inside AQA-7's range of class 1 (21.6 to 102.6). The cue is the score's place in that range with
    probability `cue_strength`, else that of another dive.
    """
    difficulty = float(rng.choice([2.8, 3.0, 3.2, 3.4]))
    merit = rng.uniform(0.28, 0.98)
    judges = np.clip(np.round(2 * (10 * merit + rng.normal(0, 0.3, 7))) / 2, 2.6, 10)
    judges = np.ceil(2 * judges) / 2
    score = round(difficulty * float(np.sort(judges)[2:5].sum()), 2)
    told = score if rng.random() < cue_strength else difficulty * 30 * rng.uniform(0.28, 0.98)
    return Dive(
        difficulty=difficulty,
        judges=tuple(float(j) for j in judges),
        score=score,
        cue=float(np.clip((told - 21.6) / 81.0, 0, 1)),
        fault=float(1 - np.sort(judges)[2:5].mean() / 10),
    )


def draw_video(rng: np.random.Generator, dive: Dive, settings: DemoSettings) -> tuple[np.ndarray, np.ndarray]:
    """Draw the frames (T, H, W, 3) uint8 RGB and the diver's centre per frame (T, 2) in pixels."""
    size, frames = settings.size, settings.frames
    venue = draw_venue(rng, dive.cue, size)
    time = np.linspace(0, 1, frames)
    start = np.array([rng.uniform(0.30, 0.40), rng.uniform(0.37, 0.42)])
    end = np.array([rng.uniform(0.58, 0.70), rng.uniform(0.48, 0.56)])
    hop = rng.uniform(0.01, 0.03)
    centres = start + time[:, None] * (end - start)
    centres[:, 1] += 4 * hop * time * (time - 1)  # up first, then down
    turns = 0.5 + (dive.difficulty - 2.8) / 0.6  # half a turn to one and a half
    angles = rng.uniform(-0.3, 0.3) + 2 * np.pi * turns * time
    suit = rng.uniform(0, 60, 3) + np.array([120, 0, 0])
    pictures = []
    for centre, angle in zip(centres * size, angles, strict=True):
        looseness = float(np.clip(dive.fault / 0.75 + rng.normal(0, 0.04), 0, 1))
        canvas = venue.copy()
        draw_diver(canvas, centre, angle, looseness, suit, size)
        picture = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
        pictures.append(np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8))
    return np.stack(pictures), centres * size


def draw_venue(rng: np.random.Generator, cue: float, size: int) -> np.ndarray:
    """Draw the still background at SCALE times the size: wall, water, a platform, and the scoreboard with the cue."""
    s = size * SCALE
    wall, water = rng.uniform(50, 120, 3), rng.uniform(30, 90, 3) + np.array([0, 30, 60])
    canvas = np.empty((s, s, 3), np.float32)
    canvas[:] = wall
    level = int(s * rng.uniform(0.84, 0.9))
    canvas[level:] = water
    for _ in range(6):  # spectators, lamps: clutter without meaning
        x, y = rng.uniform(0, s, 2) * (1, 0.8)
        cv2.circle(canvas, (int(x), int(y)), int(s * rng.uniform(0.01, 0.03)), rng.uniform(30, 150, 3).tolist(), -1)
    left, right = int(s * rng.uniform(0.04, 0.10)), int(s * rng.uniform(0.90, 0.96))
    top, bottom = int(s * 0.02), int(s * rng.uniform(0.14, 0.155))
    colour = (1 - cue) * np.array([30, 60, 230]) + cue * np.array([240, 190, 20])
    cv2.rectangle(canvas, (left, top), (right, bottom), colour.tolist(), -1)
    return canvas


def draw_diver(
    canvas: np.ndarray, centre: np.ndarray, angle: float, looseness: float, suit: np.ndarray, size: int
) -> None:
    """Draw torso, head, arms and legs onto `canvas`: tucked at `looseness` 0, wide open and stretched at 1."""
    unit, middle = size * SCALE, centre * SCALE
    skin = (255, 235, 215)

    def line(start: np.ndarray, end: np.ndarray, colour: tuple | list, width: float) -> None:
        cv2.line(canvas, start.astype(int).tolist(), end.astype(int).tolist(), colour, max(1, int(width * unit)))

    axis = np.array([np.sin(angle), -np.cos(angle)])
    shoulder, hip = middle + 0.055 * unit * axis, middle - 0.055 * unit * axis
    for sign in (-1, 1):
        for joint, heading in ((shoulder, angle), (hip, angle + np.pi)):
            direction = heading + sign * np.deg2rad(15 + 60 * looseness)
            reach = (0.03 + 0.12 * looseness) * unit
            line(joint, joint + reach * np.array([np.sin(direction), -np.cos(direction)]), skin, 0.03)
    line(shoulder, hip, suit.tolist(), 0.055)
    cv2.circle(canvas, (shoulder + 0.02 * unit * axis).astype(int).tolist(), int(0.032 * unit), skin, -1)


def write_video(path: Path, frames: np.ndarray) -> None:
    """Write (T, H, W, 3) RGB bytes as motion JPEG."""
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15, (width, height))
    if not writer.isOpened():
        raise OSError(f"{path}: this build of OpenCV cannot write motion JPEG")
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 95)
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()


def write_boxes(path: Path, centres: np.ndarray, settings: DemoSettings) -> None:
    """Write DarkLabel keyframes around the torso: like a quick annotator's box, they cut the open limbs."""
    side = 0.205 * settings.size
    keys = np.unique(np.linspace(0, len(centres) - 1, settings.keyframes).round().astype(int))
    lines = [
        f"{t},0,{centres[t, 0] - side / 2:.1f},{centres[t, 1] - side / 2:.1f},{side:.1f},{side:.1f},diver" for t in keys
    ]
    path.write_text("\n".join(lines) + os.linesep)


@dataclass(kw_only=True, eq=False)
class Demo(AQA7):
    """The demo data as a data set: AQA-7's code on AQA-7's layout, two test lists, and the judges' table.

    Without `root` the videos are written into the cache on first use.
    """

    settings: DemoSettings

    test_splits: ClassVar[tuple[str, ...]] = ("test", "shifted")

    @property
    def folder(self) -> Path:
        return demo_root(self.settings) if self.root is None else super().folder

    def read_split(self, split: str) -> list[Record]:
        judges = read_judges(self.folder / "Split_4" / "judges.csv")
        return [replace(record, **judges[record.video_id]) for record in super().read_split(split)]


def read_judges(path: Path) -> dict[str, dict]:
    """Difficulty and judges' scores by video id. InputError where the table is missing."""
    if not path.is_file():
        raise InputError(f"{path}: no such table, so data.root is not the demo's folder; leave data.root out")
    with open(path, newline="") as table:
        return {
            f"{ACTION}/{int(row['index']):03d}": {
                "difficulty": float(row["difficulty"]),
                "judge_scores": tuple(float(row[f"judge_{i}"]) for i in range(1, 8)),
            }
            for row in csv.DictReader(table)
        }
