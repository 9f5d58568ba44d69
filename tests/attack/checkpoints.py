"""Checkpoints that no program has to be run for: to go on from, and of the systems' own programs."""

import io
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pytorch_lightning import Trainer

from swapaqa.errors import InputError
from swapaqa.files.tensor_file import load_tensors
from swapaqa.models import published
from swapaqa.models.scorer import Scorer
from swapaqa.running.checkpoint import read_checkpoint
from swapaqa.running.interruption import AtomicCheckpointIO, random_states
from swapaqa.running.resuming import check_resumable
from tests.attack.calls import configuration
from tests.attack.damage import Edit

RESUME = "resume.ckpt"
PUBLISHED = "theirs.pth"


@cache
def small_model() -> Scorer:
    cfg = configuration("train", "logger=csv", "name=attack", "logger.save_dir=x", "model=usdl", "backbone=tiny",
                        "backbone.network.width=2")  # fmt: skip
    model: Scorer = instantiate(cfg.model)
    model.config = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    return model


def write_resumable(folder: Path) -> None:
    """What a step checkpoint holds, of a model after no step."""
    model = small_model()
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", enable_model_summary=False)
    optimiser = torch.optim.Adam(model.parameters())
    content = {
        "epoch": 0,
        "global_step": 3,
        "state_dict": model.state_dict(),
        "loops": {"fit_loop": trainer.fit_loop.state_dict(), "validate_loop": trainer.validate_loop.state_dict()},
        "callbacks": {"StepCheckpoints": {"random": random_states()}},
        "optimizer_states": [optimiser.state_dict()],
        "lr_schedulers": [],
    }
    model.on_save_checkpoint(content)
    AtomicCheckpointIO().save_checkpoint(content, folder / RESUME)


def resumed(folder: Path) -> Any:
    """What a run goes on from; None where it starts over."""
    path = folder / RESUME
    if not os.path.lexists(path):
        return None
    check_resumable(path, small_model())
    return load_tensors(path)


def write_published(folder: Path) -> None:
    """A file of CoRe's program, with a few of its weights."""
    rng = np.random.default_rng(0)

    def weights(names: tuple[str, ...]) -> dict[str, torch.Tensor]:
        return {f"module.{name}": torch.from_numpy(rng.normal(size=(4, 4)).astype(np.float32)) for name in names}

    content = {
        "base_model": weights(("backbone.conv3d_1a_7x7.conv3d.weight", "backbone.mixed_3b.branch_0.conv3d.weight")),
        "regressor": weights(("first_layer.0.weight", "feature_layers.0.0.weight", "clf_layers.1.bias")),
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3}]},
        "epoch": 41,
        "rho_best": np.float64(0.9),
        "RL2_min": np.float32(0.003),
    }
    torch.save(content, folder / PUBLISHED)


def read_published(folder: Path) -> Any:
    """The weights under our names, and the epoch."""
    content = read_checkpoint(str(folder / PUBLISHED))
    system = published.system_of(content)
    if system is None:  # one of ours in its place
        raise InputError(f"{PUBLISHED}: no author's file")
    return published.i3d_weights(content, system), published.head_weights(content, system), int(content.get("epoch", 0))


def weighed_rightly(found: Any) -> str:
    i3d, head, epoch = found
    tensors = all(isinstance(value, torch.Tensor) for value in (*i3d.values(), *head.values()))
    return "a weight that is no tensor" if not tensors else "an epoch below 0" if epoch < 0 else ""


def _load(content: bytes) -> Any:
    with published.numpy_scalars():
        return torch.load(io.BytesIO(content), weights_only=True)


def _dump(tree: Any) -> bytes:
    file = io.BytesIO()
    torch.save(tree, file)
    return file.getvalue()


published_edit = Edit(_load, _dump)
