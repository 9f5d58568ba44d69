"""Scores of a checkpoint: of the test splits, of one video, without a pixel, under a probe. See `src.evaluate`."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from swapaqa.configuration.checking import TOP_LEVEL, check, require_text
from swapaqa.configuration.data_sets import make_data, make_source
from swapaqa.console import quieten
from swapaqa.data.datamodule import VideoData
from swapaqa.errors import InputError
from swapaqa.measures.record import Measure
from swapaqa.models.scorer import CONFIG_KEY, Predicted, Scorer, predictions
from swapaqa.probing import baselines
from swapaqa.probing.design import LEAST_BACKGROUNDS, lay_out, sort_answers
from swapaqa.probing.outcome import PICTURE, PROBE_FILE, sentences, split_outcome
from swapaqa.probing.picture import show_what_was_seen
from swapaqa.recording.checkout import git_commit
from swapaqa.recording.recorder import Recorder, device_name
from swapaqa.recording.result_file import write_json, write_result
from swapaqa.running import out_of_memory
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
from swapaqa.running.ending import refuse_partial_evaluation
from swapaqa.running.measures import configured_measures
from swapaqa.running.needs import refuse_missing_boxes, refuse_missing_sides
from swapaqa.running.precision import refuse_half_on_cpu
from swapaqa.running.published_checkpoint import with_configuration
from swapaqa.running.score_tables import show, show_floors, show_probe
from swapaqa.running.training import more_memory
from swapaqa.running.video_score import refuse_sides_of_a_file, score_video

log = logging.getLogger(__name__)

PROBES = ("background",)


def start(cfg: DictConfig) -> None:
    """Score what the configuration of `src.evaluate` names; `cfg` is changed.

    Raises:
        InputError: naming the key or the file that is wrong.
    """
    quieten()
    if cfg.baseline is not None:
        show_baseline(cfg)
        return
    require_text(cfg, "checkpoint", "video")
    given = HydraConfig.get().overrides.task
    checkpoint = with_configuration(cfg.checkpoint, read_checkpoint(cfg.checkpoint, cfg.trust), cfg, given)
    protocol = protocol_of(cfg.checkpoint, checkpoint)
    if cfg.probe is not None:
        complete_probe(cfg, checkpoint[CONFIG_KEY], given)
    cfg = evaluation_config(cfg, checkpoint[CONFIG_KEY], given)
    check_evaluation_config(cfg)
    refuse_half_on_cpu(cfg.trainer)
    measures = configured_measures(cfg.get("measures"))
    seed_everything(cfg.seed, verbose=False)
    model = build(cfg, checkpoint)
    data: VideoData = make(cfg.data, cfg.checkpoint, make_data)
    refuse_missing_sides(model, data.source)
    refuse_missing_boxes(model, data.source)
    if cfg.video is not None:
        refuse_sides_of_a_file(model, data.source)
        show_score(cfg.video, score_video(cfg, model, data))
        return
    folder = Path(HydraConfig.get().runtime.output_dir)
    if cfg.probe is not None:
        probe(cfg, model, data, folder, protocol, checkpoint[CONFIG_KEY]["name"])
        return
    evaluate(cfg, model, data, folder, protocol, int(checkpoint["epoch"]), measures)


def show_baseline(cfg: DictConfig) -> None:
    """Print the floors `cfg.baseline` of every test split of the data set. Lists are read, videos need not be there."""
    names = (*baselines.BASELINES, "all")
    if cfg.baseline not in names:
        raise InputError(f"baseline={cfg.baseline}: choose one of {', '.join(names)}")
    check(OmegaConf.masked_copy(cfg, [key for key in cfg if key in TOP_LEVEL]))
    source = make_source(cfg.data)
    records = source.read_splits()
    chosen = baselines.BASELINES if cfg.baseline == "all" else [cfg.baseline]
    show_floors(
        baselines.floors(records, source.event, chosen), {split: len(found) for split, found in records.items()}
    )


def complete_probe(cfg: DictConfig, trained: dict[str, Any], given: list[str]) -> None:
    """Check the keys of a probe and complete `cfg.boxes` and `cfg.probe_ratio`.

    Raises:
        InputError: naming the key.
    """
    if cfg.probe not in PROBES:
        raise InputError(f"probe={cfg.probe}: there is {', '.join(PROBES)}")
    if cfg.video is not None:
        raise InputError("probe: exchanges backgrounds within a data set; leave video= out")
    if not isinstance(cfg.probe_backgrounds, int) or cfg.probe_backgrounds < LEAST_BACKGROUNDS:
        raise InputError(f"probe_backgrounds={cfg.probe_backgrounds}: at least {LEAST_BACKGROUNDS} are needed")
    before = OmegaConf.create(trained["data"]["boxes"])
    cfg.boxes = boxes_of(cfg, [trained], given)
    if cfg.boxes._target_ == NO_BOXES["_target_"]:
        raise InputError(
            "boxes: a probe needs to know where the athlete is, and none are named or were trained with; say "
            "boxes=darklabel, boxes=fixed or another of conf/boxes"
        )
    if cfg.probe_ratio is None:
        own = cfg.boxes.ratio
        cfg.probe_ratio = trained["aug"].get("ratio", own) if cfg.boxes == before else own
    if isinstance(cfg.probe_ratio, str | bool) or not 0 < cfg.probe_ratio < math.inf:
        raise InputError(f"probe_ratio={cfg.probe_ratio}: a number above 0 is needed")


def evaluate(
    cfg: DictConfig,
    model: Scorer,
    data: VideoData,
    folder: Path,
    protocol: str,
    epoch: int,
    measures: Sequence[Measure],
) -> None:
    """Score the test splits of `data` and write `result.json` and the predictions into `folder`.

    `protocol`, `epoch` (from 0): of the checkpoint. `measures`: what is asked.
    """
    prepare(data, model.exemplars)
    recorder = Recorder(data.records(), protocol, measures)
    trainer = make_trainer(cfg, folder, [recorder])
    with out_of_memory.explained(more_memory(cfg, model)):
        trainer.validate(model, datamodule=data, verbose=False)
    if not trainer.is_global_zero:
        return
    assert recorder.last is not None
    recorder.last = replace(recorder.last, epoch=epoch)
    facts = {
        "name": cfg.name,
        "config": OmegaConf.to_container(cfg, resolve=True),
        "seed": cfg.seed,
        "data_fingerprint": data.fingerprint(),
        "skipped": data.skipped,
        "device": device_name(model),
        "world_size": trainer.world_size,
    }
    show(write_result(folder, recorder, facts), folder)


def make_trainer(cfg: DictConfig, folder: Path, callbacks: list[Callback]) -> Trainer:
    """A trainer that only evaluates."""
    make: Callable[..., Trainer] = hydra.utils.instantiate(cfg.trainer, _partial_=True)
    trainer = make(
        logger=False,
        enable_checkpointing=False,
        default_root_dir=str(folder),
        callbacks=[*callbacks, RichProgressBar()],
        use_distributed_sampler=False,
    )
    refuse_partial_evaluation(trainer)
    return trainer


def probe(cfg: DictConfig, model: Scorer, data: VideoData, folder: Path, protocol: str, trained: str) -> None:
    """Score the test splits under the conditions of a probe and write `probe.json` and `probe.png` into `folder`.

    `protocol`: of the checkpoint; `trained`: the name of the run that it is of.
    """
    prepare(data, model.exemplars)
    layouts = lay_out(data, make(cfg.boxes, cfg.checkpoint), float(cfg.probe_ratio), cfg.probe_backgrounds)
    trainer = make_trainer(cfg, folder, [])
    with out_of_memory.explained(more_memory(cfg, model)):
        trainer.validate(model, datamodule=data, verbose=False)
    tables = predictions(model)
    if not trainer.is_global_zero:
        return
    outcomes = {
        split: split_outcome(sort_answers(tables[split][1].cpu().numpy(), layout), layout)
        for split, layout in layouts.items()
    }
    show_what_was_seen(data, layouts, folder / PICTURE)
    facts = {
        "checkpoint": protocol,
        "trained": trained,
        "probe": cfg.probe,
        "ratio": float(cfg.probe_ratio),
        "boxes": OmegaConf.to_container(cfg.boxes, resolve=True),
        "data": OmegaConf.to_container(cfg.data, resolve=True),
        "model": OmegaConf.to_container(cfg.model, resolve=True),
        "seed": cfg.seed,
        "data_fingerprint": data.fingerprint(),
        "device": device_name(model),
        "git_commit": git_commit(),
        "splits": outcomes,
    }
    write_json(folder / PROBE_FILE, facts)
    show_probe(outcomes, [line for split, found in outcomes.items() for line in sentences(split, found)], folder)


@rank_zero_only
def show_score(video: str, predicted: Predicted) -> None:
    """Print the score and, where the method has one, its standard deviation and the interval of 90 %."""
    score, std = float(predicted.label), float(predicted.std)
    line = f"{video}: {score:.2f} points"
    if std == std:  # not NaN
        half = 1.645 * std
        line += f", standard deviation {std:.2f}, 90 % between {score - half:.2f} and {score + half:.2f}"
    Console(soft_wrap=True, highlight=False).print(line, markup=False)
