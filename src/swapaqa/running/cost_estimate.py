"""What a run would cost: `python -m swapaqa.running.cost_estimate FOLDER` trains its configuration for a few steps.

It writes `cost.json` there and nothing else that stays; `swapaqa.running.plan` starts it and multiplies. A launcher
calls `estimate_job` where the jobs themselves would run.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import hydra
import torch
from omegaconf import DictConfig
from pytorch_lightning import Trainer

from swapaqa.batch import channels_first
from swapaqa.console import quieten
from swapaqa.data.datamodule import VideoData
from swapaqa.errors import one_line
from swapaqa.files.whole_file import write_whole
from swapaqa.models.scorer import Scorer
from swapaqa.recording.recorder import Recorder
from swapaqa.running import out_of_memory
from swapaqa.running.failures import failure_recorded
from swapaqa.running.jobs import trusted_config
from swapaqa.running.program import run_program
from swapaqa.running.training import build, more_memory

COST_FILE = "cost.json"
STEPS, WARM_UP, EVALUATION_BATCHES = 20, 5, 2
MOST_S = 30  # of steps, after which there are fewer: every kind of job of a sweep is estimated


@dataclass(frozen=True)
class Cost:
    """What a run of one configuration costs.

    `start_s`: seconds of setting a job up, where indexes and caches are made and all is imported.
    `step_s`: seconds of a training step with its wait for data, median. `evaluation_s`: seconds of encoding every
    video of an evaluation. `checkpoint_bytes`: size of one checkpoint; `cache_bytes`: of what `data.cache` keeps, which
    jobs share.
    """

    start_s: float
    step_s: float
    steps_per_epoch: int
    evaluation_s: float
    checkpoint_bytes: int
    cache_bytes: int


def estimate(cfg: DictConfig, folder: Path) -> Cost:
    """Train for STEPS steps on this device, encode a few batches of every evaluation loader, save one checkpoint."""
    build(cfg)  # makes indexes and caches, once for all jobs
    began = time.monotonic()
    data, model = build(cfg)
    start = time.monotonic() - began
    recorder = Recorder(data.records())
    make_trainer = hydra.utils.instantiate(cfg.trainer, _partial_=True)
    trainer: Trainer = make_trainer(
        default_root_dir=str(folder),
        callbacks=[recorder],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        devices=1,
        max_epochs=-1,
        max_steps=STEPS * cfg.trainer.accumulate_grad_batches,
        max_time={"seconds": MOST_S},
        limit_val_batches=0,
    )
    with out_of_memory.explained(more_memory(cfg, model)):
        trainer.fit(model, datamodule=data)
    steps = [sum(pair) for pair in zip(recorder.step_seconds, recorder.wait_seconds, strict=False)]
    checkpoint = folder / "estimate.ckpt"
    trainer.save_checkpoint(checkpoint, weights_only=False)
    size = checkpoint.stat().st_size
    checkpoint.unlink()
    per_epoch = len(data.train_dataloader())
    evaluation = evaluation_seconds(data, model, trainer)
    return Cost(start, median(steps[WARM_UP:] or steps), per_epoch, evaluation, size, data.cached_bytes())


def estimate_job(cfg: DictConfig) -> Cost | str:
    """`estimate` of a job's composed configuration, in the process of a launcher; why there is none."""
    quieten()
    with TemporaryDirectory() as folder:
        try:
            return estimate(cfg, Path(folder))
        except Exception as error:  # the launcher would end the plan with all of its other jobs
            return one_line(str(error) or type(error).__name__)


def evaluation_seconds(data: VideoData, model: Scorer, trainer: Trainer) -> float:
    """Seconds to load and encode every video that one evaluation needs, from a few batches of each split."""
    device = trainer.strategy.root_device
    model = model.to(device).eval()
    total = 0.0
    for loader in data.val_dataloader():
        seconds, batches = [], iter(loader)
        for _ in range(min(EVALUATION_BATCHES, len(loader))):
            began = time.monotonic()
            batch = data.transfer_batch_to_device(next(batches), device, 0)
            with torch.no_grad():
                model.encode(channels_first(batch)).feature.sum().item()  # type: ignore[arg-type]
            seconds.append(time.monotonic() - began)
        total += median(seconds) * len(loader)
    return total


def main() -> None:
    folder = Path(sys.argv[1])
    quieten()
    cfg = trusted_config(folder)
    with failure_recorded(folder):
        write_whole(folder / COST_FILE, json.dumps(asdict(estimate(cfg, folder))))


if __name__ == "__main__":
    run_program(main)
