"""The cost of a read beside its decoding in a large folder of images: `python -m src.bench folder`.

A competition of MTL-AQA is one folder of some 30,000 images, of which a dive needs 103. The folder is made of copies of
one picture of 455x256 pixels, JPEG with quality 95.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from swapaqa.bench.scratch import cache_of_its_own
from swapaqa.bench.timing import describe, median_ratio, time_rounds
from swapaqa.data.frame_store import FrameStore, Kind, WantedFrames
from swapaqa.video.frames import read_frames

FRAMES, SIZE = 103, (256, 455)
REFERENCE = "103 images decoded"


def add_folder(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    folder = commands.add_parser("folder", help="a read in a large folder of images, with and without a cache")
    folder.add_argument("--images", type=int, default=30_000, help="how many the folder holds")
    folder.add_argument("--rounds", type=int, default=5)
    folder.set_defaults(run=bench_folder)


def bench_folder(arguments: argparse.Namespace) -> None:
    """Time every row of the table, and print ms and the share of decoding."""
    torch.set_num_threads(1)
    with cache_of_its_own() as room:
        made = make_folder(room / "18", max(arguments.images, FRAMES))
        seconds = time_rounds(folder_candidates(made), arguments.rounds, torch.device("cpu"))
    table = Table(f"one dive in a folder of {arguments.images} images", "ms", "share of decoding")
    for name, times in seconds.items():
        share = median_ratio(times, seconds[REFERENCE])
        table.add_row(name, f"{statistics.median(times) * 1e3:.2f}", f"{share:.1%}")
    console = Console()
    console.print(describe(torch.device("cpu")), soft_wrap=True)
    console.print(table)


def make_folder(folder: Path, count: int) -> Path:
    """`count` copies of one picture, `00000001.jpg` and on."""
    folder.mkdir()
    coarse = np.random.default_rng(0).integers(0, 255, (16, 28, 3)).astype(np.uint8)
    written, picture = cv2.imencode(".jpg", cv2.resize(coarse, SIZE[::-1]), [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert written
    for number in range(1, count + 1):
        (folder / f"{number:08d}.jpg").write_bytes(picture.tobytes())
    return folder


def folder_candidates(folder: Path) -> dict[str, Callable[[], object]]:
    """The calls by name: decoding, both caches, and the look-up of a cached file alone."""
    last = sum(1 for _ in folder.iterdir())
    want = WantedFrames(folder, tuple(range(last - FRAMES, last)))
    candidates: dict[str, Callable[[], object]] = {REFERENCE: lambda: read_frames(folder, want.indices)}
    kinds: tuple[Kind, ...] = ("packed", "bytes")
    for kind in kinds:
        store = FrameStore(kind, SIZE)
        store.fill([want])
        candidates[f"data.cache={kind}, its file looked up"] = lambda store=store: store.path(want)  # type: ignore[misc]
        candidates[f"data.cache={kind}, read"] = lambda store=store: list(store.read(want, want.indices).frames)  # type: ignore[misc]
    candidates["data.cache=bytes, looked up for the first time"] = lambda: FrameStore("bytes", SIZE).path(want)
    return candidates
