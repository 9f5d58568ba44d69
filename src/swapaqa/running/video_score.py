"""The score of one video file under a checkpoint: read as its data set reads videos, with the voters of its method."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.data import default_collate

from swapaqa.batch import Encoded, Sample, channels_first, concatenate, map_columns
from swapaqa.data.datamodule import VideoData
from swapaqa.data.dataset import Item
from swapaqa.data.dive_numbers import dive_attributes
from swapaqa.data.exemplars import ExemplarBank
from swapaqa.data.geometry import Window
from swapaqa.data.poses import SIDE as POSE
from swapaqa.data.records import Record
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.models.scorer import Predicted, Scorer, in_points
from swapaqa.running.checkpoint import stored_bank
from swapaqa.video.frames import frame_count


@torch.no_grad()
def score_video(cfg: DictConfig, model: Scorer, data: VideoData) -> Predicted:
    """Score and standard deviation of the video `cfg.video`, in points, as tensors of one element."""
    if data.source.features is not None:
        raise InputError("video: this checkpoint scores features, and a file of a video has none; extract them first")
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    item, side = new_item(cfg, model, data.source), side_of_video(cfg, model, data.source)
    exemplars, voters = voting(model, data, item.record)
    reader = replace(data.source.pixel_reader, side=lambda _: side)
    sample = reader.read(item, voters=voters)
    videos = encode(model, [sample])
    return in_points(model.score(videos, exemplars), videos)


def new_item(cfg: DictConfig, model: Scorer, source: VideoSource) -> Item:
    """The video as an item to read: as the checkpoint's data set reads it, whether it lists it or not.

    InputError where something has to be said about it.
    """
    path = Path(cfg.video)
    if not path.exists():
        raise InputError(f"video={cfg.video}: no such file or folder")
    listed = source.record_of(path)
    own = source.window(listed, path) if listed else source.window_of_unlisted(path)
    record = replace(listed or new_record(cfg, source, path), **given_facts(cfg))
    if record.difficulty is None and (model.needs_difficulty or source.target == "completeness"):
        raise InputError("difficulty: the score is a multiple of it in this checkpoint's method; say difficulty=3.2")
    window = given_window(cfg, source, path, own)
    files = box_files(source, listed, path) if model.reads_boxes else []
    return Item(record, path, window, files, source.label(record), source.actions.index(record.action))


def side_of_video(cfg: DictConfig, model: Scorer, source: VideoSource) -> dict[str, Tensor]:
    """What is known beside the video: by the data set's lists, where they name it, and by `dive` on the command line.

    Raises:
        InputError: `dive` is no number of a dive, or the method needs what neither tells.
    """
    listed = source.record_of(Path(cfg.video))
    side = source.read_side(listed) if listed else {}
    if cfg.dive is not None:
        try:
            side["announced"] = torch.tensor(dive_attributes(str(cfg.dive).upper()))
        except (ValueError, IndexError):
            raise InputError(f"dive={cfg.dive}: no number of a dive, as 107B or 5253B") from None
    told = {*side, *([POSE] if source.poses is not None else [])}  # a file of poses by the video's name
    missing = [name for name in model.needs if name not in told]
    if missing:
        remedy = "say dive=107B, its number" if missing == ["announced"] else "score it as a video of a data set"
        raise InputError(
            f"video: {type(model).__name__} needs {' and '.join(missing)} beside the video, which a file alone does "
            f"not tell; {remedy}"
        )
    return side


def box_files(source: VideoSource, listed: Record | None, path: Path) -> list[Path]:
    """Without a suffix: the data set's of a video that it lists, of any other the file beside the video."""
    return source.box_files(listed) if listed else [path.with_suffix("")]


def given_facts(cfg: DictConfig) -> dict[str, Any]:
    """What the command line says of the video."""
    return {key: cfg[key] for key in ("action", "difficulty") if cfg[key] is not None}


def given_window(cfg: DictConfig, source: VideoSource, path: Path, own: Window) -> Window:
    """The data set's `own` window, with what `first_frame` and `spread` say instead."""
    if cfg.spread not in ("trained", True, False):
        raise InputError(f"spread={cfg.spread}: trained, true or false")
    if cfg.first_frame is not None and not (isinstance(cfg.first_frame, int) and cfg.first_frame > 0):
        raise InputError(f"first_frame={cfg.first_frame}: a whole number from 1 on")
    start = own.start if cfg.first_frame is None else cfg.first_frame - 1
    spread = own.stop is not None if cfg.spread == "trained" else cfg.spread
    return own._replace(start=start, stop=(own.stop or frame_count(path, source.accept_incomplete)) if spread else None)


def new_record(cfg: DictConfig, source: VideoSource, path: Path) -> Record:
    """A record of a video that no list has."""
    if cfg.action is None and len(source.actions) > 1:
        raise InputError(f"action: say which of {', '.join(source.actions)} the video shows")
    action = source.actions[0] if cfg.action is None else cfg.action
    if action not in source.actions:
        raise InputError(f"action={action}: the checkpoint knows {', '.join(source.actions)}")
    return Record(path.stem, action, score=0.0, split="video")


def voting(model: Scorer, data: VideoData, record: Record) -> tuple[Encoded | None, list[int]]:
    """The encoded exemplars and the positions among them that vote on `record`; none for methods that do not vote."""
    if not data.voters:
        return None, []
    if model.exemplars is not None:
        device = model.device
        stored = map_columns(model.exemplars, lambda column: column.to(device))
        return stored, draw_voters(data, stored_bank(data, stored), record)
    data.setup()
    assert data.bank is not None
    chosen = draw_voters(data, data.bank, record)
    samples = [data.reader.read(data.items["train"][i], i) for i in chosen]
    return encode(model, samples), list(range(len(chosen)))


def draw_voters(data: VideoData, bank: ExemplarBank, record: Record) -> list[int]:
    """The positions of the exemplars that vote on a video."""
    return bank.voters(record, len(bank.ids) if data.voters == "all" else data.voters)


def encode(model: Scorer, samples: list[Sample]) -> Encoded:
    """Videos after the backbone, one at a time."""
    batches = (channels_first(default_collate([sample])) for sample in samples)
    return concatenate([model.encode(map_columns(one, lambda column: column.to(model.device))) for one in batches])
