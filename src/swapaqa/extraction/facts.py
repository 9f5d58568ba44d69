"""What makes features, as the manifest beside them says it: two extractions that say the same give the same."""

import hashlib
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from swapaqa import __version__
from swapaqa.data.datamodule import VideoData
from swapaqa.data.feature_manifest import CONTENT, COUNT, FORMAT, TRAINED, WEIGHTS_TRAINED_ON, list_digest
from swapaqa.models.encoder import VideoEncoder
from swapaqa.recording.checkout import git_commit

# of `backbone` and `data`, what changes no feature or stands elsewhere in a manifest
SPEED = ("clips_per_pass", "compact_pools", "fold_bn")
ELSEWHERE = ("clips", "pretrained", "learning_rate", "frozen", "freeze_bn")
NOT_SEEN = (
    "root", "boxes", "features", "target", "split", "fold", "events", "exemplars", "exemplars_from", "cache",
    "captions", "frames", "geometry", "shift", "augment", "voters", "batch_size", "workers", "seed", "val_fraction",
    "skip_unreadable", "without",
)  # fmt: skip
PLACES = ("root", "settings_file")  # of boxes: where their files lie


def facts(
    tree: Mapping[str, Any], data: VideoData, encoder: VideoEncoder, trained_on: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The manifest of what a resolved configuration asks for, of JSON's types alone.

    `trained_on`: the footage that the weights of the encoder are known to be trained on.
    """
    source, geometry = data.source, tree["data"]["geometry"]
    records = source.read_splits()
    found: dict[str, Any] = {
        "format": FORMAT,
        "backbone": without(tree["backbone"], (*SPEED, *ELSEWHERE)),
        "weights": weights_digest(encoder.network),
        "weights_from": tree["backbone"].get("pretrained"),
        "clips": tree["clips"],
        "features": {"clips": clip_count(encoder, source.frames), "size": encoder.feature_size, "type": "float32"},
        "frames": source.frames,
        "geometry": without(geometry, ("random_crop", "flip")),
        "data": without(tree["data"], NOT_SEEN),
        "videos": list_digest(record for of_split in records.values() for record in of_split),
        "precision": str(tree["trainer"]["precision"]),
        CONTENT: None,
        "versions": {"swapaqa": __version__, "torch": torch.__version__, "numpy": np.__version__,
                     "python": platform.python_version()},
        "commit": git_commit(),
    }  # fmt: skip
    if trained_on:
        found[WEIGHTS_TRAINED_ON] = sorted(trained_on)
    if tree["copies"]:
        found[CONTENT] = {
            COUNT: tree["copies"],
            "augmentation": tree["aug"],
            "boxes": without(tree["boxes"], PLACES),
            "random_crop": geometry["random_crop"],
            "flip": geometry["flip"],
            "shift": list(source.shift_range),
            "batch_size": data.batch_size,
            "seed": data.seed,
            TRAINED: list_digest(records["train"]),
        }
    return found


def clip_count(encoder: VideoEncoder, frames: int) -> int:
    """Clips of a video of so many frames, of all plans of the encoder."""
    return sum(len(plan.starts(frames)) for plan in encoder.plans)


def without(node: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """A node less some of its keys."""
    return {key: value for key, value in node.items() if key not in keys}


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of a network's parameters and buffers, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
