"""What an augmentation does to a few videos, as a picture strip and as a film. See `src.demo swap`."""

from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from swapaqa.augment.region import is_mask, scale_region
from swapaqa.augment.swap import ScaledBackgroundSwap, SwapPlan
from swapaqa.boxes.source import BoxRequest, BoxSource
from swapaqa.configuration.checking import check
from swapaqa.configuration.data_sets import make_source
from swapaqa.data.geometry import Geometry
from swapaqa.data.region import read_region
from swapaqa.errors import InputError
from swapaqa.pictures.figures import Augmented, swap_strip, swap_video
from swapaqa.running.program import compose_quietly
from swapaqa.seeds import keyed_generator
from swapaqa.video.frames import Decoding, frame_count, read_frames

FILM_FRAMES, FILM_SIZE = 48, 256


class Videos(NamedTuple):
    """Videos as the network sees them before any augmentation."""

    names: list[str]
    video: Tensor  # (B, 3, T, H, W) uint8
    boxes: Tensor  # (B, T, 4), or masks (B, T, H, W) bool


def configuration(overrides: list[str]) -> DictConfig:
    """The configuration of `src.train` with these overrides, checked."""
    cfg = compose_quietly(overrides, "demo")
    check(cfg)
    return cfg


def show_swap(given: Namespace, overrides: list[str]) -> list[Path]:
    """Write `swap.png` and `swap.mp4` of the given files, or of videos of the data set, into `given.out`.

    Returns:
        The two files.
    """
    cfg, out = configuration(overrides), given.out
    shown = from_files(cfg, [Path(path) for path in given.video]) if given.video else from_data_set(cfg, given.id)
    augmented = background_given if given.background else with_augmentation
    results = [augmented(cfg, overrides, shown)]
    for more in given.also:
        own = more.split()
        another = any(override.startswith("aug=") for override in own)  # whose keys are not those of the first
        kept = [override for override in overrides if not (another and override.startswith("aug"))]
        results.append(augmented(configuration([*kept, *own]), own, shown))
    strip, film = out / "swap.png", out / "swap.mp4"
    swap_strip(shown.video, shown.boxes, results, shown.names, strip)
    swap_video(shown.video, shown.boxes, results, film)
    return [strip, film]


def with_augmentation(cfg: DictConfig, title: list[str], shown: Videos) -> Augmented:
    """The videos under the configured augmentation; of two videos each is the other's donor."""
    augment = instantiate(cfg.aug)
    plan = augment.draw(len(shown.video), keyed_generator(cfg.seed, "augment", 0, 0))
    video, _ = augment.apply(shown.video, shown.boxes, {}, plan)
    ratio = OmegaConf.select(cfg, "aug.ratio")
    scaled = None if ratio is None else scale_region(shown.boxes, ratio, (video.shape[3], video.shape[4]))
    return Augmented(_settings(title), video, scaled)


def background_given(cfg: DictConfig, title: list[str], shown: Videos) -> Augmented:
    """What each video gives as a donor: the swap onto a video that keeps nothing of its own."""
    augment = instantiate(cfg.aug)
    if not isinstance(augment, ScaledBackgroundSwap):
        raise InputError(
            "--background shows what aug=swap takes from a donor: the other augmentations have no such part"
        )
    count, off_the_frame = len(shown.video), torch.full_like(shown.boxes, -2.0)
    nowhere = torch.zeros_like(shown.boxes) if is_mask(shown.boxes) else off_the_frame  # keeps nothing
    video = torch.cat([shown.video, shown.video])
    plan = SwapPlan(torch.arange(count, 2 * count).repeat(2))
    swapped, _ = augment.apply(video, torch.cat([nowhere, shown.boxes]), {}, plan)
    return Augmented(_settings(title), swapped[:count], None)


def _settings(title: list[str]) -> str:
    return "\n".join(word for word in title if word.startswith(("aug", "boxes.share"))) or "aug=swap"


def from_data_set(cfg: DictConfig, ids: list[str]) -> Videos:
    """Videos of the training list by id, the first two where none is named. InputError for an unknown id."""
    source = make_source(cfg.data)
    records = {record.video_id: record for found in source.read_splits().values() for record in found}
    chosen = ids or list(records)[:2]
    for name in chosen:
        if name not in records:
            raise InputError(f"--id {name}: no such video in data={cfg.data._target_}; one is {next(iter(records))}")
    samples = [source.pixel_reader.read(source.item(records[name])) for name in chosen]
    return Videos(
        chosen,
        torch.stack([sample.video for sample in samples]).movedim(-1, 1),
        torch.stack([sample.region for sample in samples]),
    )


def from_files(cfg: DictConfig, files: list[Path]) -> Videos:
    """Video files, sampled evenly to FILM_FRAMES frames of FILM_SIZE pixels around the centre.

    Boxes of a source with files are looked for in `boxes.root`, else beside the video, under the video's name.
    """
    boxes: BoxSource = instantiate(cfg.boxes)
    decoding = Decoding(cfg.data.video_reader, cfg.data.accept_incomplete)
    videos, placed = [], []
    for file in files:
        if not file.exists():
            raise InputError(f"--video {file}: no such file")
        last = frame_count(file, decoding.accept_incomplete) - 1
        window = np.linspace(0, last, FILM_FRAMES).round().astype(int).tolist()
        frames = read_frames(file, window, *decoding)
        height, width = frames.shape[1:3]
        scale = FILM_SIZE / min(height, width)
        geometry = Geometry(round(height * scale), round(width * scale), FILM_SIZE, random_crop=False, flip=0.0)
        videos.append(geometry.crop_frames(frames, geometry.centre()))
        named = [Path(cfg.boxes.root) / file.stem if cfg.boxes.get("root") else file.with_suffix("")]
        request = BoxRequest(named, (height, width), window, file, decoding=decoding)
        placed.append(read_region(boxes, request, geometry, geometry.centre()).kept)
    return Videos(
        [file.name for file in files],
        torch.from_numpy(np.stack(videos)).movedim(-1, 1),
        torch.from_numpy(np.stack(placed)),
    )
