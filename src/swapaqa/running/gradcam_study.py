"""Grad-CAM of one or two checkpoints over the test videos, measured by boxes and drawn. See `src.gradcam`."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import seed_everything
from rich.markup import escape
from rich.table import Table

from swapaqa.augment.none import NoAugmentation
from swapaqa.augment.region import scale_region
from swapaqa.augment.swap import ScaledBackgroundSwap
from swapaqa.boxes.source import BoxSource
from swapaqa.configuration.checking import check_objects, require_text
from swapaqa.configuration.data_sets import make_data
from swapaqa.console import open_console, quieten
from swapaqa.data.datamodule import VideoData
from swapaqa.errors import InputError
from swapaqa.files.whole_file import write_whole
from swapaqa.gradcam.maps import MapStatistics, VideoMap, encode_exemplars, video_maps
from swapaqa.gradcam.pictures import Scene, SceneMap, gradcam_film, gradcam_strip
from swapaqa.gradcam.summary import (
    COLUMNS,
    EXPLANATION,
    GRADCAM_FILE,
    TEXT_COLUMNS,
    as_json,
    difference,
    rows,
    summary,
)
from swapaqa.models.scorer import CONFIG_KEY, Scorer
from swapaqa.recording.checkout import git_commit
from swapaqa.recording.recorder import device_name
from swapaqa.recording.result_file import FORMAT
from swapaqa.running.checkpoint import (
    NO_BOXES,
    boxes_of,
    build,
    check_evaluation_config,
    evaluation_config,
    make,
    prepare,
    protocol_of,
    read_checkpoint,
)
from swapaqa.running.needs import refuse_missing_boxes, refuse_missing_sides
from swapaqa.running.out_of_memory import explained
from swapaqa.running.published_checkpoint import with_configuration
from swapaqa.running.seen import seen_by_checkpoint

SEEN = ("frames", "geometry")  # what two checkpoints must have in common to be shown the same pixels


class OpenCheckpoint(NamedTuple):
    """A checkpoint, opened."""

    title: str
    path: str
    epoch: int
    seed: int
    model: Scorer
    data: VideoData


Key = tuple[str, str]  # split, video id


def start(cfg: DictConfig) -> None:
    """Look with the checkpoints that the configuration of `src.gradcam` names; `cfg` is changed.

    Raises:
        InputError: naming the key or the file that is wrong.
    """
    quieten()
    given, folder = HydraConfig.get().overrides.task, Path(HydraConfig.get().runtime.output_dir)
    require_text(cfg, "checkpoint", "also")
    paths = [cfg.checkpoint, *([cfg.also] if cfg.also else [])]
    contents = [with_configuration(path, read_checkpoint(path, cfg.trust), cfg, given) for path in paths]
    for path, content in zip(paths, contents, strict=True):
        protocol_of(path, content)  # warns of what is under a wrong name
    trained = [content[CONFIG_KEY] for content in contents]
    for one in trained:
        check_objects({"aug": one["aug"], "boxes": one["data"]["boxes"]})
        if one["data"].get("features") is not None:
            raise InputError(f"checkpoint={cfg.checkpoint}: was trained on features, and Grad-CAM looks at pixels")
    cfg.boxes = choose_boxes(cfg, trained, given)
    swaps = [make(one["aug"], path) for one, path in zip(trained, paths, strict=True)]
    ratio = choose_ratio(cfg, swaps)
    titles = checkpoint_titles(swaps)
    opened = [open_checkpoint(cfg, *one, given) for one in zip(paths, titles, contents, strict=True)]
    check_same_videos(opened)
    chosen = choose_videos(opened[0].data, cfg.videos)
    boxes: BoxSource = make(cfg.boxes, cfg.checkpoint)
    with explained("a video at a time is computed already: use a device with more memory, or CUDA_VISIBLE_DEVICES= "):
        found = [compute_maps(one, boxes, ratio, chosen) for one in opened]
    pictures = [draw(key, titles, [kept[key] for _, kept in found], ratio, folder) for key in chosen]
    result = {
        "format": FORMAT,
        "checkpoints": [{"title": one.title, "file": one.path, "epoch": one.epoch + 1} for one in opened],
        "boxes": OmegaConf.to_container(cfg.boxes, resolve=True),
        "ratio": ratio,
        "splits": {
            split: compare([statistics[split] for statistics, _ in found])
            for split in opened[0].data.source.test_splits
        },
        "pictures": pictures,
        "device": device_name(opened[0].model),
        "git_commit": git_commit(),
    }
    write_whole(folder / GRADCAM_FILE, json.dumps(result, indent=1, allow_nan=False))
    show(result, folder)


def choose_boxes(cfg: DictConfig, trained: Sequence[Mapping[str, Any]], given: Sequence[str]) -> DictConfig:
    """The boxes to measure by, see `boxes_of`. InputError where there are none."""
    chosen = boxes_of(cfg, trained, given)
    if chosen._target_ == NO_BOXES["_target_"]:
        raise InputError(
            "boxes: with the whole frame as the athlete all mass is inside; name some boxes, like boxes=darklabel"
        )
    return chosen


def choose_ratio(cfg: DictConfig, swaps: Sequence[Any]) -> float:
    """`cfg.ratio`, or that of the first swap among the augmentations of training, or that of the boxes."""
    if cfg.ratio is None:
        return float(next((s.ratio for s in swaps if isinstance(s, ScaledBackgroundSwap)), cfg.boxes.ratio))
    if isinstance(cfg.ratio, bool) or not isinstance(cfg.ratio, int | float) or not 0 < cfg.ratio < math.inf:
        raise InputError(f"ratio={cfg.ratio}: a number above 0 is needed, such as 2.0")
    return float(cfg.ratio)


def checkpoint_titles(augments: Sequence[Any]) -> list[str]:
    """What tells the checkpoints apart: the augmentation they were trained with."""
    titles = []
    for augment in augments:
        if isinstance(augment, ScaledBackgroundSwap):
            titles.append(f"with the swap, ratio {augment.ratio:g}")
        else:
            titles.append(
                "without the swap" if isinstance(augment, NoAugmentation) else f"with {type(augment).__name__}"
            )
    if len(set(titles)) == len(titles):
        return titles
    return [f"{letter}: {title}" for letter, title in zip("AB", titles, strict=False)]


def open_checkpoint(
    cfg: DictConfig, path: str, title: str, content: dict[str, Any], given: list[str]
) -> OpenCheckpoint:
    """The model of a checkpoint and the videos to look at, with their boxes."""
    own = cfg.copy()
    own.checkpoint = path
    own = evaluation_config(own, content[CONFIG_KEY], given)
    check_evaluation_config(own)
    model = build(own, content).requires_grad_(False)  # no graph is kept of the layers before the one looked at
    data: VideoData = make(own.data, path, make_data)
    refuse_missing_sides(model, data.source)
    refuse_missing_boxes(model, data.source)
    data.seen = seen_by_checkpoint(own, content, data.source)
    prepare(data, model.exemplars)
    return OpenCheckpoint(title, path, content["epoch"], own.seed, model, data)


def check_same_videos(opened: Sequence[OpenCheckpoint]) -> None:
    """InputError where two checkpoints would not be shown the same pixels."""
    first, *others = opened
    for other in others:
        for key in SEEN:
            ours, theirs = getattr(first.data.source, key), getattr(other.data.source, key)
            if ours != theirs:
                raise InputError(f"also={other.path}: data.{key} was {theirs} in training, and {ours} of checkpoint=")
        for split in first.data.source.test_splits:
            if [r.video_id for r in first.data.records()[split]] != [r.video_id for r in other.data.records()[split]]:
                raise InputError(f"also={other.path}: has other videos in {split} than checkpoint=: name one data set")


def choose_videos(data: VideoData, wanted: Any) -> list[Key]:
    """The videos that get pictures: those named, or so many of each test split, at evenly spaced ranks of the score."""
    records = {split: data.records()[split] for split in data.source.test_splits}
    if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted >= 0:
        chosen = []
        for split, of_split in records.items():
            ranked = sorted(of_split, key=lambda record: record.score)
            ranks = np.unique(np.linspace(0, len(ranked) - 1, wanted + 2).round().astype(int)[1:-1])
            chosen += [(split, ranked[rank].video_id) for rank in ranks]
        return chosen
    by_id = {record.video_id: (split, record.video_id) for split, found in records.items() for record in found}
    names = [str(name) for name in ([wanted] if isinstance(wanted, str) else wanted or [])]
    for name in names:
        if name not in by_id:
            raise InputError(f"videos={name}: no such test video; one is {next(iter(by_id))}")
    return [by_id[name] for name in names]


def compute_maps(
    checkpoint: OpenCheckpoint, boxes: BoxSource, ratio: float, chosen: Sequence[Key]
) -> tuple[dict[str, dict[str, MapStatistics]], dict[Key, VideoMap]]:
    """The statistics of every test video's map, by split and id, and the maps of the chosen videos."""
    seed_everything(checkpoint.seed, verbose=False)
    data, model = checkpoint.data, checkpoint.model.to("cuda" if torch.cuda.is_available() else "cpu")
    exemplars = encode_exemplars(model, data)  # before the boxes, which training videos need not have
    data.take_boxes(boxes)
    statistics: dict[str, dict[str, MapStatistics]] = {}
    kept: dict[Key, VideoMap] = {}
    for split in data.source.test_splits:
        records = data.records()[split]
        statistics[split] = {}
        for record, view in zip(records, video_maps(model, data, split, exemplars, ratio), strict=True):
            statistics[split][record.video_id] = view.statistics
            if (split, record.video_id) in chosen:
                kept[split, record.video_id] = view
    return statistics, kept


def compare(statistics: Sequence[Mapping[str, MapStatistics]]) -> dict[str, Any]:
    """What is kept of a split: of every checkpoint the means and the videos, and of two their difference."""
    return {
        "checkpoints": [summary(found) | {"by_video": as_json(found)} for found in statistics],
        "difference": difference(*statistics) if len(statistics) == 2 else None,
    }


def draw(key: Key, titles: Sequence[str], seen: Sequence[VideoMap], ratio: float, folder: Path) -> dict[str, str]:
    """Write the strip and the film of one video under every checkpoint; returns their names and what they show."""
    split, video_id = key
    first = seen[0]
    scaled = scale_region(first.boxes, ratio, (first.video.shape[2], first.video.shape[3]))
    scene = Scene(f"{video_id} ({split}), true score {first.statistics.true:.1f}", first.video, first.boxes, scaled)
    maps = [SceneMap((title, *describe(view.statistics)), view.map) for title, view in zip(titles, seen, strict=True)]
    name = f"{split}_{video_id}".replace("/", "_")
    gradcam_strip(scene, maps, folder / f"{name}.png")
    gradcam_film(scene, maps, folder / f"{name}.mp4")
    return {"split": split, "video_id": video_id, "title": scene.title, "strip": f"{name}.png", "film": f"{name}.mp4"}


def describe(statistics: MapStatistics) -> tuple[str, str]:
    """Two short lines for a picture."""
    score = f"predicted {statistics.predicted:.1f}"
    if math.isnan(statistics.box.share):
        return score, "nothing raises the score"
    return score, f"in the box {statistics.box.share:.0%}, chance {statistics.box.chance:.0%}"


def show(result: Mapping[str, Any], folder: Path) -> None:
    """Print the table and where the pictures are."""
    table = Table(title="Where the score comes from")
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if number < TEXT_COLUMNS else "right")
    for row in rows(result):
        table.add_row(*(escape(cell) for cell in row))
    console = open_console()
    console.print(table)
    console.print(EXPLANATION, soft_wrap=True)
    console.print(f"{len(result['pictures'])} strips and films, and {GRADCAM_FILE}: {folder}", soft_wrap=True)
