"""Training of one run, from a resolved configuration to a folder with its result."""

import logging
import os
from pathlib import Path
from typing import Any

import hydra
from lightning_fabric.plugins.environments import SLURMEnvironment
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.utilities import rank_zero_only

from swapaqa.augment.region import scale_region
from swapaqa.batch import TrainingLabels
from swapaqa.configuration.data_sets import make_data
from swapaqa.data.datamodule import VideoData
from swapaqa.data.pooling import Preview, describe_shares
from swapaqa.errors import InputError
from swapaqa.measures.ours import SPEARMAN
from swapaqa.models.scorer import Scorer
from swapaqa.pictures.figures import Augmented, scatter, swap_strip
from swapaqa.probing.baselines import known_floors
from swapaqa.recording import tracking
from swapaqa.recording.epoch_log import EpochLog
from swapaqa.recording.recorder import Recorder, device_name
from swapaqa.recording.result_file import compose_result, save_result
from swapaqa.running import out_of_memory
from swapaqa.running.ending import refuse_partial_evaluation, refuse_without_evaluation
from swapaqa.running.epoch_checkpoints import EpochCheckpoints
from swapaqa.running.features import complete_feature_size, refuse_clip_counts, refuse_pixels
from swapaqa.running.interruption import AtomicCheckpointIO, StepCheckpoints
from swapaqa.running.jobs import FAILURE_FILE, RESUME_FILE
from swapaqa.running.measures import configured_measures
from swapaqa.running.needs import refuse_missing_boxes, refuse_missing_sides, refuse_short_windows
from swapaqa.running.precision import refuse_half_on_cpu
from swapaqa.running.progress_bar import ProgressBar
from swapaqa.running.rank import on_slurm
from swapaqa.running.resuming import check_resumable
from swapaqa.running.score_tables import show
from swapaqa.running.seen import seen_before

log = logging.getLogger(__name__)


def train(cfg: DictConfig, folder: Path) -> None:
    """Train, evaluate and write everything of one run into `folder`; continue it where a step checkpoint lies there."""
    checkpoint = folder / RESUME_FILE
    resumed = checkpoint if os.path.lexists(checkpoint) else None
    measures = configured_measures(cfg.get("measures"))
    data, model = build(cfg)
    if resumed:
        check_resumable(resumed, model)
    preview = data.preview()
    model.check_sample(preview.before)
    shares = data.check_replaced_share(preview)
    log.info("pixels replaced by the augmentation: %s", describe_shares(shares))
    logger = hydra.utils.instantiate(cfg.logger)
    logger.log_hyperparams(model.config)
    if getattr(rank_zero_only, "rank", 0) == 0 and data.source.features is None:
        draw_preview(preview, cfg, folder / "swap.png")
        tracking.log_images([logger], "swap", folder / "swap.png")
    recorder = Recorder(data.records(), measures=measures)
    make_trainer = hydra.utils.instantiate(cfg.trainer, _partial_=True)  # a call: instantiate copies dataclasses
    trainer: Trainer = make_trainer(
        logger=logger,
        default_root_dir=str(folder),
        callbacks=[
            recorder,
            EpochLog(recorder),
            LearningRateMonitor("epoch"),
            ProgressBar(),
            EpochCheckpoints(folder / "checkpoints", recorder),
            StepCheckpoints(checkpoint, cfg.save_every),
        ],
        plugins=plugins(),
        num_sanity_val_steps=0,  # an evaluation needs every exemplar: half of one means nothing
        use_distributed_sampler=False,  # the DataModule shards whole batches itself
    )
    refuse_partial_evaluation(trainer)
    scale = OmegaConf.select(cfg, "schedule.rate_scale") or 1
    if scale != 1:
        log.info(
            "batch=scaled: %g times the published videos of a step, and learning rates as many times as high", scale
        )
    if resumed:
        log.info("continuing from %s", resumed)
    with out_of_memory.explained(more_memory(cfg, model)):
        trainer.fit(model, datamodule=data, ckpt_path=resumed, weights_only=True)
    if recorder.last is None:
        raise InputError(
            "nothing was trained, so there is no result: trainer.limit_train_batches, trainer.max_steps and "
            "trainer.max_time have to leave a step"
        )
    if trainer.is_global_zero:
        finish(cfg, folder, data, recorder, trainer, shares)
        for left in (checkpoint, folder / FAILURE_FILE):  # the result is there: nothing to continue, nothing failed
            left.unlink(missing_ok=True)


def more_memory(cfg: DictConfig, model: Scorer) -> str:
    """What to do where a device has no memory for `model` under `cfg`."""
    encoder, trainer = model.encoder, cfg.trainer
    return out_of_memory.advice(
        encoder.clips_per_pass, encoder.live_statistics, cfg.data.batch_size, trainer.accumulate_grad_batches
    )


def build(cfg: DictConfig) -> tuple[VideoData, Scorer]:
    """The data with their lists read, and the model with what it learns from the training labels."""
    refuse_half_on_cpu(cfg.trainer)
    refuse_without_evaluation(cfg.trainer)
    seed_everything(cfg.seed, verbose=False)
    data = make_data(cfg.data)
    refuse_pixels(cfg, data)
    complete_feature_size(cfg, data.source)
    model = make_model(cfg)
    refuse_missing_sides(model, data.source, training=True)
    refuse_missing_boxes(model, data.source)
    refuse_short_windows(model, data.source)
    data.seen = seen_before(cfg.backbone, data.source)
    data.setup()
    model.trained_on = data.trained_on()
    refuse_clip_counts(model, data)
    model.learn_scale(data.training_labels())
    return data, model


def build_model(cfg: DictConfig, labels: TrainingLabels) -> Scorer:
    """The model with what it learns from the training labels, and what trains it."""
    model = make_model(cfg)
    model.learn_scale(labels)
    return model


def make_model(cfg: DictConfig) -> Scorer:
    """The model before it knows a label, and what trains it."""
    model: Scorer = hydra.utils.instantiate(cfg.model)
    if cfg.get("auxiliary"):
        model.auxiliary = hydra.utils.instantiate(cfg.auxiliary)(in_features=model.encoder.feature_size)
    model.optimisation = hydra.utils.instantiate(cfg.optim, _convert_="all")  # lists of numbers travel in checkpoints
    model.config = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]  # travels in checkpoints
    return model


def plugins() -> list[Any]:
    """Whole checkpoints; under SLURM no requeueing by Lightning, which would compete with submitit's."""
    return [AtomicCheckpointIO(), *([SLURMEnvironment(auto_requeue=False)] if on_slurm() else [])]


def draw_preview(preview: Preview, cfg: DictConfig, path: Path) -> None:
    """The first two videos of the preview, with the boxes or masks before and after scaling."""
    before, after = preview.before, preview.after
    boxes = before.region[:2]
    ratio = OmegaConf.select(cfg, "aug.ratio")
    scaled = None if ratio is None else scale_region(boxes, ratio, (before.video.shape[3], before.video.shape[4]))
    result = Augmented(cfg.aug._target_.rsplit(".", 1)[-1], after.video[:2], scaled)
    swap_strip(before.video[:2], boxes, [result], list(before.video_id[:2]), path)


def finish(
    cfg: DictConfig,
    folder: Path,
    data: VideoData,
    recorder: Recorder,
    trainer: Trainer,
    shares: dict[str, float],
) -> None:
    """Write result, predictions and figures, and show the scores."""
    facts = {
        "name": cfg.name,
        "config": OmegaConf.to_container(cfg, resolve=True),
        "seed": cfg.seed,
        "data_fingerprint": data.fingerprint(),
        "skipped": data.skipped,
        "exemplars_from_wider_groups": data.bank.strays if data.bank else {},
        "replaced_share": shares,
        "floors": known_floors(data.records(), data.source.event),
        "device": device_name(trainer.lightning_module),
        "world_size": trainer.world_size,
        "visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
    result = compose_result(folder, recorder, facts)
    assert recorder.last is not None
    tables = {split: (table[1], table[2]) for split, table in recorder.last.tables.items()}
    scores = result["metrics"]["last"]["splits"]
    rhos = {split: scores[split]["average"][SPEARMAN.name] for split in tables}
    titles = {s: f"{s}, last epoch: {SPEARMAN.title} {rho:.{SPEARMAN.decimals}f}" for s, rho in rhos.items()}
    scatter(tables, titles, folder / "scatter.png")
    tracking.log_images(trainer.loggers, "scatter", folder / "scatter.png")
    tracking.log_result(trainer.loggers, result, folder, trainer.global_step)
    save_result(folder, result)
    show(result, folder)
