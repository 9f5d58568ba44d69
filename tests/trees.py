"""Small data sets in the true layouts of AQA-7, MTL-AQA and FineDiving."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from scipy.io import savemat

COPIES = ("final_annotations_dict_with_dive_number.pkl", "augmented_final_annotations_dict.pkl")
STEP = 5  # grey levels between two frames of the test videos
Dives = Mapping[tuple[int, int], tuple[int, float, str]]
DIVES = {  # competition, dive: end frame, difficulty, dive number
    (1, 1): (20, 3.0, "107B"),
    (1, 2): (24, 3.0, "207B"),
    (1, 3): (28, 3.0, "107B"),
    (1, 4): (32, 1.5, "100B"),
    (26, 5): (20, 3.0, "305B"),
    (26, 16): (24, 3.0, "107B"),
}
NO_DIVES: Dives = MappingProxyType({})
TRAIN, TEST = [(1, 1), (1, 2), (1, 3), (1, 4)], [(26, 5), (26, 16)]

FINAL = "FINADivingWorldCup2021_Men10m_final_r"
FINE_DIVES = {  # session, dive: score, difficulty, dive number, first and last frame in the session
    **{
        (f"{FINAL}{dive % 2 + 1}", dive): (40.0 + 7 * dive, 3.0, "107b", 100 + 20 * dive, 111 + 20 * dive)
        for dive in range(4)
    },
    ("01", 1): (51.0, 3.0, "207c", 20, 29),
    ("01", 2): (66.0, 3.0, "107b", 40, 52),
    ("FINAWorldChampionships2019_Women3m_final_r1", 0): (60.0, 3.2, "5253b", 5, 19),
    ("Budapest2021Diving10mPlatformWomenFinal_1", 3): (30.0, 3.2, "5253b", 5, 19),
}
FINE_TEST = [("01", 2), ("Budapest2021Diving10mPlatformWomenFinal_1", 3)]


def write_aqa7(root: Path, train: int = 6, test: int = 4, frames: int = 16, size: tuple[int, int] = (40, 64)) -> Path:
    """A list of dives and their videos and boxes; returns `root`."""
    lists = root / "Split_4"
    lists.mkdir(parents=True)
    for split, first, count in (("train", 1, train), ("test", train + 1, test)):
        rows = [[1, index, 30 + 67 * ((index * 0.618) % 1)] for index in range(first, first + count)]
        savemat(lists / f"split_4_{split}_list.mat", {f"consolidated_{split}_list": np.array(rows)})
    for index in range(1, train + test + 1):
        write_dive(root, index, frames, size)
    return root


def write_dive(root: Path, index: int, frames: int, size: tuple[int, int]) -> None:
    """A bright square that moves over a coloured wall: a video file for odd indices, an image folder for even ones."""
    videos, boxes = root / "diving-out", root / "boxes" / "diving"
    videos.mkdir(exist_ok=True)
    boxes.mkdir(parents=True, exist_ok=True)
    height, width = size
    side, wall = height // 4, np.random.default_rng(index).integers(20, 160, 3)
    lefts = np.linspace(2, width - side - 2, frames).round().astype(int)
    top = height // 3
    pictures = np.full((frames, height, width, 3), wall, np.uint8)
    for picture, left in zip(pictures, lefts, strict=True):
        picture[top : top + side, left : left + side] = 230
    if index % 2:
        codec = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(videos / f"{index:03d}.avi"), codec, 25, (width, height))
        for picture in pictures:
            writer.write(picture[..., ::-1].copy())
        writer.release()
    else:
        folder = videos / f"{index:03d}"
        folder.mkdir()
        for number, picture in enumerate(pictures, 1):
            cv2.imwrite(str(folder / f"img_{number:05d}.jpg"), picture[..., ::-1])
    lines = [f"{t},0,{lefts[t]},{top},{side},{side},diver" for t in (0, frames // 2, frames - 1)]
    (boxes / f"{index:03d}.txt").write_text("\n".join(lines) + "\n")


def write_mtl_aqa(root: Path, layout: str = "whole", cut_frames: int = 14, more: Dives = NO_DIVES) -> Path:
    """DIVES in the layout `whole`, `files` or `cut`, and of `cut` `more` to train with; returns `root`."""
    (root / "info").mkdir(parents=True)
    dives = DIVES | dict(more)
    annotations = {key: annotation(*values) for key, values in dives.items()}
    lists = {"train_split_0.pkl": [*TRAIN, *more], "test_split_0.pkl": TEST}
    for name, content in {COPIES[0]: annotations, **lists}.items():
        (root / "info" / name).write_bytes(pickle.dumps(content))
    if layout == "cut":
        for competition, dive in dives:
            for index in range(cut_frames):
                write_frame(root / "frames" / f"{competition:02d}_{dive:02d}" / f"{index + 1:06d}.jpg", index + 1)
        return root
    for competition in (1, 26):
        if layout == "whole":
            for number in range(1, 40):
                folder = root / "new" / "new_total_frames_256s" / f"{competition:02d}"
                write_frame(folder / f"{number:08d}.jpg", number)
        else:
            write_competition(root / "videos" / f"{competition:02d}.mp4")
    return root


def annotation(end: int, difficulty: float, number: str) -> dict[str, Any]:
    judges = np.array([8.0, 8.5, 7.5, 8.0, 8.0, 9.0, 8.0]) - end / 10
    return {
        "final_score": float(difficulty * np.sort(judges)[2:5].sum()),
        "difficulty": difficulty,
        "start_frame": end - 10,
        "end_frame": end,
        "judge_scores": judges,
        "dive_number": number,
    }


def write_frame(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((40, 64, 3), STEP * number % 256, np.uint8))


def write_competition(path: Path, frames: int = 39) -> None:
    path.parent.mkdir(exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (64, 40))
    for number in range(1, frames + 1):
        writer.write(np.full((40, 64, 3), STEP * (number % 50), np.uint8))
    writer.release()


def write_finediving(root: Path, layout: str = "cut") -> Path:
    """FINE_DIVES in the layout `cut`, `whole` (sessions as images from number 3) or `files`; returns `root`."""
    notes, videos = root / "Annotations", root / "FineDiving"
    notes.mkdir(parents=True)
    fine, coarse = {}, {}
    for key, (score, difficulty, number, first, last) in FINE_DIVES.items():
        labels = np.array([2, 2, 2, 25, 25, 25, *[36] * (last - first - 5)])
        fine[key] = [number, score, difficulty, np.array([2, 5]), labels]
        coarse[key] = {"start_frame": first, "end_frame": last, "dive_score": score, "difficulty": difficulty}
    lists = {"train_split.pkl": [key for key in FINE_DIVES if key not in FINE_TEST], "test_split.pkl": FINE_TEST}
    contents = {"fine-grained_annotation_aqa.pkl": fine, "FineDiving_coarse_annotation.pkl": coarse, **lists}
    for name, content in contents.items():
        (notes / name).write_bytes(pickle.dumps(content))
    for (session, dive), (*_, first, last) in FINE_DIVES.items():
        if layout == "cut":
            for number in range(first, last + 1):
                write_frame(videos / session / str(dive) / f"{number:05d}.jpg", number % 50)
        elif layout == "whole":
            for number in range(3, last + 3):
                write_frame(videos / session / f"{number:05d}.jpg", number % 50)
        else:
            videos.mkdir(exist_ok=True)
            write_competition(videos / f"{session}.mp4", last + 1)
    return root
