"""Small data sets in the layouts of Rhythmic Gymnastics, Fis-V, LOGO and FineFS, with features of every video."""

import json
import pickle
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch

from tests.trees import write_competition

RG_HEAD = "Video_Name\tDifficulty_Score    Execution_Score Total_Score\tPenalty\tVideo_length"  # as published
APPARATUS = ("Ball", "Clubs", "Hoop", "Ribbon")
EVENTS = ("WorldChampionship2019_free_final", "WorldChampionship2022_tech_final")
LOGO_KEYS = [(event, number) for event in EVENTS for number in range(4)]


def write_features(folder: Path, names: Iterable[str]) -> None:
    """`folder` with a file a video, of three to five clips."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number, name in enumerate(names):
        np.save(folder / f"{name}.npy", generator.normal(size=(3 + number % 3, 8)).astype(np.float32))


def rg_line(name: str, number: int) -> str:
    difficulty, execution, penalty = 5 + 0.5 * number, 6 + 0.25 * number, 0.3 * (number % 2)
    total = difficulty + execution - penalty
    return f"{name}\t{difficulty:.2f}\t{execution:.2f}\t{total:.2f}\t{penalty:.2f}\t{88 + number}"


def write_rg(root: Path, exist_ok: bool = False) -> Path:
    """Six routines with each apparatus, two of them tests, and a video of one; returns `root`."""
    root.mkdir(exist_ok=exist_ok)
    for split, numbers in (("train", range(1, 5)), ("test", range(5, 7))):
        lines = [rg_line(f"{name}_{number:03d}", number) for name in APPARATUS for number in numbers]
        (root / f"{split}.txt").write_text("\n".join([RG_HEAD, *lines]) + "\n")
    write_features(root / "features", [f"{name}_{number:03d}" for name in APPARATUS for number in range(1, 7)])
    write_competition(root / "videos" / "Ball_001.mp4", 30)
    return root


def write_fisv(root: Path, exist_ok: bool = False) -> Path:
    """Nine programmes of three skaters, three of them tests; returns `root`."""
    root.mkdir(exist_ok=exist_ok)
    rows = [
        (n, 20 + 2 * n, 22 + (n % 3) * 4 + n / 10, n % 2, f"skater_{n % 3}", 2012 + n % 2, "NHK") for n in range(1, 10)
    ]
    for split, chosen in (("train", rows[:6]), ("test", rows[6:])):
        lines = [f"{n} {tes:.2f} {pcs:.2f} {deductions}" for n, tes, pcs, deductions, *_ in chosen]
        (root / f"{split}_dataset.txt").write_text("\n".join(lines) + "\n")
    table = ["number,skater,year,event", *(f"{n},{skater},{year},{event}" for n, *_, skater, year, event in rows)]
    (root / "scores.csv").write_text("\n".join(table) + "\n")
    write_features(root / "features", [str(n) for n, *_ in rows])
    return root


def write_logo(root: Path, exist_ok: bool = False) -> Path:
    """Eight routines at two events, two of them tests, with frames of each; returns `root`."""
    root.mkdir(exist_ok=exist_ok)
    annotations = {
        key: ["tech" if "tech" in key[0] else "free", 70.25 + 2 * place, 0.0, [3, 7], [12] * 8]
        for place, key in enumerate(LOGO_KEYS)
    }
    test = [LOGO_KEYS[3], LOGO_KEYS[7]]
    lists = {"train": [key for key in LOGO_KEYS if key not in test], "test": test}
    (root / "anno_dict.pkl").write_bytes(pickle.dumps(annotations))
    for split, keys in lists.items():
        (root / f"{split}_split3.pkl").write_bytes(pickle.dumps(keys))
    generator = np.random.default_rng(0)
    features = {key: generator.normal(size=(5, 8)).astype(np.float32) for key in LOGO_KEYS}
    (root / "video_feature_dict.pkl").write_bytes(pickle.dumps(features))
    for place, (event, number) in enumerate(LOGO_KEYS):
        write_frames(root / "LOGO" / event / str(number), place)
    return root


def write_frames(folder: Path, seed: int) -> None:
    """A folder with eight frames of noise, numbered from 0."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for number in range(8):
        noise = generator.integers(0, 255, (10, 16, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), cv2.resize(noise, (64, 40), interpolation=cv2.INTER_NEAREST))


def write_finefs(root: Path, numbers: Iterable[int] = range(729), exist_ok: bool = False) -> Path:
    """The annotations of the programmes with these numbers, and features as torch.save writes them; returns `root`."""
    root.mkdir(exist_ok=exist_ok)
    (root / "annotation").mkdir()
    (root / "video_features").mkdir()
    for number in numbers:
        found = {
            "competition": f"WC20{19 + number % 3}_Men",
            "total_element_score": 30 + (number * 7 % 100) / 4,
            "total_program_component_score(factored)": 20 + (number * 3 % 80) / 4,
        }
        (root / "annotation" / f"{number}.json").write_text(json.dumps(found))
        if number % 100 == 0:
            torch.save(torch.full((3, 8), float(number)), root / "video_features" / f"{number}.pkl")
        else:
            np.save(root / "video_features" / f"{number}.npy", np.full((3, 8), float(number)))
    return root
