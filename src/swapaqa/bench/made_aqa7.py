"""An AQA-7 of true size and layout in which nothing is to be learnt, for the rehearsal of everything that reads one.

The lists are the real ones; every video is cut from a real clip, mirrored and recoloured by draws of its own, so that
no two are equal. Boxes are made up: they drift through the frame.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from swapaqa.data.aqa7 import read_records
from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.files.whole_file import write_whole
from swapaqa.seeds import keyed_generator
from swapaqa.video.film import write_film
from swapaqa.video.frames import frame_count, read_frames

FRAMES, SIZE, RATE = 103, (240, 320), 30
LEAST, MOST = 40, 400  # frames of a clip that is cut; of a longer one the first
KEYFRAMES = (0, 34, 68, 102)
SPLITS = ("train", "test")


def make_aqa7(lists: Path, clips: Path, root: Path, processes: int) -> None:
    """Write the data set into `root`; videos that are there already are left.

    Args:
        lists: folder of `split_4_train_list.mat` and `split_4_test_list.mat`.
        clips: folder of video files; those that cannot be read or are short are not used.

    Raises:
        InputError: no list, or no clip of `LEAST` frames.
    """
    found = usable(clips)
    if not found:
        raise InputError(f"{clips}: holds no video of {LEAST} frames; name a folder of clips with --clips")
    folder = root / "Split_4"
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        shutil.copyfile(lists / f"split_4_{split}_list.mat", folder / f"split_4_{split}_list.mat")
    records = [record for split in SPLITS for record in read_records(root, split)]
    for action in {record.action for record in records}:
        (root / f"{action}-out").mkdir(exist_ok=True)
        (root / "boxes" / action).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        written = pool.map(
            make_video, [root] * len(records), records, [found[n % len(found)] for n in range(len(records))]
        )
        for _ in track(written, description="making videos", total=len(records)):
            pass


def usable(clips: Path) -> list[Path]:
    """The files that are videos of `LEAST` frames or more, in the order of their names."""
    found = []
    for path in sorted(clips.iterdir()):
        try:
            if path.is_file() and frame_count(path) >= LEAST:
                found.append(path)
        except InputError:  # no video, or a damaged one
            continue
    return found


def make_video(root: Path, record: Record, clip: Path) -> None:
    """One video of `FRAMES` frames with its boxes; draws are keyed by its id."""
    action, index = record.video_id.split("/")
    path = root / f"{action}-out" / f"{index}.avi"
    generator = keyed_generator(0, "rehearsal", record.video_id)
    draw = np.random.default_rng(generator.initial_seed())
    write_whole(root / "boxes" / action / f"{index}.txt", boxes_of(draw))
    if path.exists():
        return
    frames = decoded(clip)
    start, mirrored = int(draw.integers(len(frames))), bool(draw.integers(2))
    gain, offset = draw.uniform(0.6, 1.4, 3), draw.uniform(-25, 25, 3)
    unfinished = path.with_suffix(".part.avi")
    write_film(unfinished, recoloured(frames, start, mirrored, gain, offset), ["MJPG"], RATE, quality=90)
    unfinished.rename(path)


@lru_cache
def decoded(clip: Path) -> np.ndarray:
    """The clip in the size of AQA-7's videos: (T, 240, 320, 3) uint8."""
    frames = read_frames(clip, range(min(frame_count(clip), MOST)))
    return np.stack([cv2.resize(frame, SIZE[::-1], interpolation=cv2.INTER_AREA) for frame in frames])


def recoloured(
    frames: np.ndarray, start: int, mirrored: bool, gain: np.ndarray, offset: np.ndarray
) -> Sequence[np.ndarray]:
    """`FRAMES` frames from `start` on, to the end and back, in OpenCV's BGR; `gain`, `offset`: (3,), of grey levels."""
    there_and_back = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    chosen = [frames[there_and_back[(start + t) % len(there_and_back)]] for t in range(FRAMES)]
    table = np.clip(np.arange(256)[:, None] * gain + offset, 0, 255).astype(np.uint8)[None]  # (1, 256, 3)
    pictures = [cv2.LUT(frame, table)[..., ::-1] for frame in chosen]
    return [np.ascontiguousarray(picture[:, ::-1] if mirrored else picture) for picture in pictures]


def boxes_of(draw: np.random.Generator) -> str:
    """DarkLabel keyframes of a box that drifts."""
    width, height = draw.integers(50, 100, 2)
    first, last = (draw.integers(0, (SIZE[1] - width, SIZE[0] - height)) for _ in range(2))
    lines = []
    for frame in KEYFRAMES:
        x, y = np.round(first + (last - first) * frame / (FRAMES - 1)).astype(int)
        lines.append(f"{frame},0,{x},{y},{width},{height},athlete\n")
    return "".join(lines)


if __name__ == "__main__":
    given_lists, given_clips, made = map(Path, sys.argv[1:])
    make_aqa7(given_lists, given_clips, made, processes=os.cpu_count() or 1)
