"""A pretraining, from a resolved configuration to a file that `backbone.pretrained=` takes."""

import io
import logging
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import LearningRateMonitor
from torch import Tensor

from swapaqa import __version__
from swapaqa.batch import PaceClip
from swapaqa.configuration.data_sets import make_data
from swapaqa.console import open_console
from swapaqa.data.pace_datamodule import PaceData
from swapaqa.errors import InputError
from swapaqa.files.whole_file import write_whole
from swapaqa.models.scorer import TRAINED_ON_KEY
from swapaqa.models.segment_pace import MEASURES, SegmentPace
from swapaqa.recording.checkout import git_commit
from swapaqa.recording.recorder import device_name
from swapaqa.recording.result_file import PACKAGES, installed_version, write_json
from swapaqa.running import out_of_memory
from swapaqa.running.interruption import StepCheckpoints
from swapaqa.running.jobs import FAILURE_FILE, PRETRAINED_FILE, RESUME_FILE
from swapaqa.running.precision import refuse_half_on_cpu
from swapaqa.running.progress_bar import ProgressBar
from swapaqa.running.resuming import check_resumable
from swapaqa.running.seen import seen_before
from swapaqa.running.training import plugins

log = logging.getLogger(__name__)

FACTS_FILE = "pretraining.json"


@dataclass
class EpochMeans(Callback):
    """The means of every epoch, over all its clips; kept in step checkpoints, so that a resumed run has the same.

    Attributes:
        epochs: those that are done, by the names of `MEASURES`.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    _sums: Tensor | None = None  # of the measures times the clips, and of the clips; on the device

    def on_train_batch_end(
        self,
        trainer: Trainer,  # noqa: ARG002  the signature is Lightning's
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: PaceClip,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        clips = len(batch.video)
        measures = outputs["measures"].detach().double()
        found = torch.cat([measures, torch.ones_like(measures[:1])]) * clips
        self._sums = found if self._sums is None else self._sums.to(found.device) + found

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self._sums is None:
            return
        *sums, clips = self._sums.tolist()
        self.epochs.append({name: value / clips for name, value in zip(MEASURES, sums, strict=True)})
        self._sums = None
        words = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in self.epochs[-1].items())
        log.info("epoch %d of %s: %s", len(self.epochs), trainer.max_epochs, words)

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "sums": None if self._sums is None else self._sums.cpu()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs, self._sums = list(state_dict["epochs"]), state_dict["sums"]


def pretrain(cfg: DictConfig, folder: Path) -> None:
    """Pretrain and write the backbone into `folder`; continue where a step checkpoint lies there."""
    checkpoint, begun = folder / RESUME_FILE, monotonic()
    resumed = checkpoint if os.path.lexists(checkpoint) else None
    data, module = build(cfg)
    if resumed:
        check_resumable(resumed, module)
        log.info("continuing from %s", resumed)
    logger = hydra.utils.instantiate(cfg.logger)
    logger.log_hyperparams(module.config)
    means = EpochMeans()
    trainer: Trainer = hydra.utils.instantiate(cfg.trainer, _partial_=True)(
        logger=logger,
        default_root_dir=str(folder),
        callbacks=[means, LearningRateMonitor("epoch"), ProgressBar(), StepCheckpoints(checkpoint, cfg.save_every)],
        plugins=plugins(),
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # the DataModule shards whole batches itself
    )
    encoder = module.encoder
    advice = out_of_memory.advice(
        encoder.clips_per_pass, encoder.live_statistics, cfg.data.batch_size, trainer.accumulate_grad_batches
    )
    with out_of_memory.explained(advice):
        trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True)
    if not means.epochs:
        raise InputError(
            "nothing was pretrained, so there is no file: trainer.limit_train_batches, trainer.max_steps and "
            "trainer.max_time have to leave a step"
        )
    if trainer.is_global_zero:
        facts = {
            "data_fingerprint": data.videos.fingerprint(),
            "skipped": data.videos.skipped,
            "device": device_name(module),
            "world_size": trainer.world_size,
            "wall_s": monotonic() - begun,
        }
        finish(cfg, folder, module, {"epochs": means.epochs} | facts, data.videos.trained_on())
        for left in (checkpoint, folder / FAILURE_FILE):
            left.unlink(missing_ok=True)


def build(cfg: DictConfig) -> tuple[PaceData, SegmentPace]:
    """The clips with their lists read, and what learns from them."""
    refuse_half_on_cpu(cfg.trainer)
    if not isinstance(cfg.trainer.max_epochs, int) or cfg.trainer.max_epochs < 1:
        raise InputError(f"trainer.max_epochs={cfg.trainer.max_epochs}: at least 1 is needed")
    seed_everything(cfg.seed, verbose=False)
    data = PaceData(make_data(cfg.data), hydra.utils.instantiate(cfg.pretext.plan), cfg.pretext.repeats)
    module: SegmentPace = hydra.utils.instantiate(cfg.pretext.model)
    module.optimisation = hydra.utils.instantiate(cfg.optim, _convert_="all")
    module.config = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]  # travels in checkpoints
    data.setup()
    data.videos.seen = seen_before(cfg.backbone, data.videos.source)  # nothing is tested here
    return data, module


def finish(
    cfg: DictConfig, folder: Path, module: SegmentPace, facts: dict[str, Any], trained_on: frozenset[str]
) -> None:
    """Write what is known of the run, then, as the last thing, the backbone: one that exists is whole.

    `trained_on`: the footage that the file says it was trained on.
    """
    known = {
        "name": cfg.name,
        "config": module.config,
        "seed": cfg.seed,
        **facts,
        "git_commit": git_commit(),
        "versions": {name: installed_version(name) for name in PACKAGES}
        | {"python": platform.python_version(), "swapaqa": __version__},
    }
    write_json(folder / FACTS_FILE, known)
    content = io.BytesIO()
    torch.save(module.backbone_file() | {TRAINED_ON_KEY: sorted(trained_on)}, content)
    write_whole(folder / PRETRAINED_FILE, content.getbuffer())
    open_console().print(f"written to {folder / PRETRAINED_FILE}: backbone.pretrained= takes it", soft_wrap=True)
