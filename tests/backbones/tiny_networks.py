"""Small networks of libraries with random weights, and what a test needs of them."""

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor

from swapaqa.backbones.resnet import resnet_encoder
from swapaqa.backbones.video_transformers import video_transformer_encoder
from swapaqa.models.encoder import VideoEncoder
from tests.made_videos import plan

FRAMES, SIZE = 4, 16
VIT = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 8}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "videomae": VIT | {"intermediate_size": 48},
    "timesformer": VIT | {"intermediate_size": 48},
    "vjepa2": VIT | {"mlp_ratio": 2.0, "num_pooler_layers": 1},
}
KINDS = list(ARCHITECTURES)
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}


def loaded(name: str) -> Any:
    """A library's module; where it does not load, the test is skipped and says why."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"{name} does not load here: {error}")


def transformer(kind: str, **more: Any) -> VideoEncoder:
    """A tiny one over clips of 4 frames of 16 pixels, every second frame one."""
    given: dict[str, Any] = {
        "pretrained": None, "frames": FRAMES, "size": SIZE, "feature": "mean", "attention": "sdpa",
        "clips": plan(FRAMES, 2, None, SIZE), "normalisation": "imagenet", "frozen": False, "learning_rate": None,
    }  # fmt: skip
    architecture = ARCHITECTURES[kind] | more.pop("architecture", {})
    torch.manual_seed(0)
    return video_transformer_encoder(kind, architecture=architecture, **given | more)  # type: ignore[arg-type]


def resnet(**more: Any) -> VideoEncoder:
    """A tiny one."""
    given: dict[str, Any] = {
        "pretrained": None, "clips": plan(FRAMES, 2), "normalisation": "imagenet", "frozen": False, "freeze_bn": True,
        "learning_rate": None,
    }  # fmt: skip
    torch.manual_seed(0)
    return resnet_encoder(architecture=RESNET | more.pop("architecture", {}), **given | more)


def clips(count: int = 2, frames: int = FRAMES, size: int = SIZE, dtype: torch.dtype = torch.float32) -> Tensor:
    """(count, 3, frames, size, size), channels last in memory as the encoder's."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, frames, size, size, 3, generator=generator, dtype=dtype).movedim(-1, 1)
