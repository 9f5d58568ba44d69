"""The loader beside the published form: `python -m src.bench loader`.

A sample is 103 frames, resized to 455x256 and cropped to 224x224, on one core, as a loader process has one: decord
decodes in threads of its own, whatever it is told. The frames are those of a real video given by --video, scaled to
640x360 and written as JPEG (quality 95) and, ten times over, as an mp4 of a --codec: mpeg4 has a key frame every 12
frames, h264 at FFmpeg's defaults every 250 and wherever the picture changes. Every reader loads from it the first 103
frames, the last 103, and 103 spread over all 1,030; its index is made beforehand and timed apart.
"""

import argparse
import os
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from rich.table import Table

from swapaqa.bench.scratch import cache_of_its_own
from swapaqa.bench.timing import describe, median_ratio, time_rounds
from swapaqa.console import open_console
from swapaqa.data.frame_store import FrameStore, Kind, WantedFrames
from swapaqa.data.geometry import Geometry, Resize, resize_frame
from swapaqa.models.normalisation import IMAGENET
from swapaqa.video.film import encode_film
from swapaqa.video.frames import Reader, read_frames
from swapaqa.video.index import make_index

FRAMES, SOURCE_SIZE, LENGTH = 103, (360, 640), 1030
BIT_RATE = 1_500_000  # of mpeg4, which has none of its own that one would watch
CODECS = {"mpeg4": "mpeg4", "h264": "libx264"}  # FFmpeg's names of the encoders
READERS: tuple[Reader, ...] = ("pyav", "decord", "opencv")
WINDOWS = {
    "the first": range(FRAMES),
    "the last": range(LENGTH - FRAMES, LENGTH),
    "spread": np.linspace(0, LENGTH - 1, FRAMES).round().astype(int).tolist(),
}
INDEX = "index of the mp4, once a file (1,030 frames)"
GEOMETRY = Geometry(height=256, width=455, crop=224, random_crop=False, flip=0.0)
RESIZED = (GEOMETRY.height, GEOMETRY.width)
LINEAR = "resize=linear"
REFERENCE = "published form: PIL to normalised float32"


def add_loader(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    loader = commands.add_parser("loader", help="loading one sample: published form, images, video, both caches")
    loader.add_argument("--video", type=Path, required=True, help="a real video; its first 103 frames are used")
    loader.add_argument("--grain", type=float, default=0.0, help="sigma of added noise, as footage has it")
    loader.add_argument("--codec", choices=CODECS, default="mpeg4", help="of the mp4")
    loader.add_argument("--rounds", type=int, default=5)
    loader.set_defaults(run=bench_loader)


def bench_loader(arguments: argparse.Namespace) -> None:
    """Time every way to load the sample, and print ms, frames a second and the ratio to the published form."""
    keep_to_one_core()
    with cache_of_its_own() as room:
        images, film = write_sources(arguments.video, room, arguments.grain, arguments.codec)
        sizes, candidates = loader_candidates(images, film)
        seconds = time_rounds(candidates, arguments.rounds, torch.device("cpu"))
    table = Table("one sample, 103 frames", "ms", "frames/s", "published / this", "MB on disk")
    for name, times in seconds.items():
        median = statistics.median(times)
        ratio = median_ratio(seconds[REFERENCE], times)
        frames = LENGTH if name == INDEX else FRAMES
        table.add_row(name, f"{median * 1e3:.1f}", f"{frames / median:.0f}", f"{ratio:.1f}", f"{sizes[name] / 1e6:.2f}")
    console = open_console()
    what = f"{arguments.video.name}, grain {arguments.grain:g}, {arguments.codec}"
    console.print(f"{what}; {describe(torch.device('cpu'))}", soft_wrap=True)
    console.print(table)
    for height, width in ((GEOMETRY.height, GEOMETRY.width), (GEOMETRY.width, GEOMETRY.height)):
        mean, most = resize_difference(arguments.video, (height, width))
        said = f"resized to {width}x{height}, linear is {mean:.2f} grey levels from antialias, at most {most}"
        console.print(f"{arguments.video.name} as it is, {said}", soft_wrap=True)


def keep_to_one_core() -> None:
    """This process and its threads from now on, where the system can (Linux)."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def resize_difference(video: Path, size: tuple[int, int]) -> tuple[float, int]:
    """Mean and greatest difference of the two kinds of resize, over the first frames of `video` in its own size."""
    kinds: tuple[Resize, ...] = ("antialias", "linear")
    frames = read_frames(video, range(FRAMES))
    smooth, plain = (np.stack([resize_frame(frame, size, kind) for frame in frames]).astype(int) for kind in kinds)
    return float(np.abs(smooth - plain).mean()), int(np.abs(smooth - plain).max())


def write_sources(video: Path, room: Path, grain: float, codec: str) -> tuple[Path, Path]:
    """The first frames of `video` as a folder of JPEGs and, again and again, as an mp4."""
    rng = np.random.default_rng(0)
    height, width = SOURCE_SIZE
    images, film = room / "images", room / "film.mp4"
    images.mkdir()
    frames = read_frames(video, range(FRAMES))

    def noisy(number: int) -> np.ndarray:
        scaled = cv2.resize(frames[number % FRAMES], (width, height), interpolation=cv2.INTER_CUBIC)
        picture: np.ndarray = np.clip(scaled + rng.normal(0, grain, scaled.shape), 0, 255).astype(np.uint8)
        return picture

    pictures = [noisy(number) for number in range(FRAMES)]
    for number, picture in enumerate(pictures, 1):
        cv2.imwrite(str(images / f"img_{number:05d}.jpg"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    more = (noisy(number) for number in range(FRAMES, LENGTH))
    encode_film(film, chain(pictures, more), CODECS[codec], 25, BIT_RATE if codec == "mpeg4" else None)
    return images, film


def loader_candidates(images: Path, film: Path) -> tuple[dict[str, int], dict[str, Callable[[], object]]]:
    """Bytes on disk and the loading itself, by name."""
    candidates: dict[str, Callable[[], object]] = {REFERENCE: lambda: published_form(images)}
    sizes = {REFERENCE: _size(images)}
    kinds: tuple[Kind, ...] = ("none", "packed", "bytes")
    ways = [(f"images, data.cache={kind}", FrameStore(kind, RESIZED), images, WINDOWS["the first"]) for kind in kinds]
    ways += [
        (f"mp4, {place} 103, data.video_reader={reader}", FrameStore("none", RESIZED, reader), film, window)
        for place, window in WINDOWS.items()
        for reader in READERS
    ]
    ways += [
        (f"{kind}, the first 103, data.geometry.{LINEAR}", FrameStore("none", RESIZED), media, WINDOWS["the first"])
        for kind, media in (("images", images), ("mp4", film))
    ]
    for name, store, media, window in ways:
        want = WantedFrames(media, tuple(window))
        store.fill([want])
        sizes[name] = _size(media if store.kind == "none" else store.path(want))
        geometry = replace(GEOMETRY, resize="linear") if LINEAR in name else GEOMETRY
        candidates[name] = partial(load, store, want, geometry)
    candidates[INDEX], sizes[INDEX] = lambda: make_index(film), _size(film)
    return sizes, candidates


def load(store: FrameStore, want: WantedFrames, geometry: Geometry) -> torch.Tensor:
    """(T, 224, 224, 3) bytes, as a loader process hands them on."""
    return torch.from_numpy(geometry.crop_frames(store.read(want, want.indices).frames, geometry.centre()))


def published_form(images: Path) -> torch.Tensor:
    """What the published loaders do, written for this table: (3, T, 224, 224) normalised float32."""
    buffer = np.empty((FRAMES, GEOMETRY.crop, GEOMETRY.crop, 3))
    place = GEOMETRY.centre()
    box = (place.left, place.top, place.left + GEOMETRY.crop, place.top + GEOMETRY.crop)
    for number, path in enumerate(sorted(images.iterdir())):
        resized = Image.open(path).convert("RGB").resize((GEOMETRY.width, GEOMETRY.height), Image.Resampling.BILINEAR)
        buffer[number] = np.asarray(resized.crop(box))
    video = torch.from_numpy(buffer.transpose(3, 0, 1, 2)).float().div(255).clone()
    mean, std = torch.tensor(IMAGENET.mean), torch.tensor(IMAGENET.std)
    return video.sub_(mean[:, None, None, None]).div_(std[:, None, None, None])


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.iterdir())
