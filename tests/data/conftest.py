"""A small data set behind its DataModule, built from the yaml files without running Hydra."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import DictConfig

from swapaqa.augment.none import NoAugmentation
from swapaqa.data.aqa7 import AQA7
from swapaqa.data.boxes import BoxSource
from swapaqa.data.geometry import Geometry

Config = Callable[..., DictConfig]


@pytest.fixture
def box_source(config: Config) -> Callable[..., BoxSource]:
    """`box_source("darklabel", root=...)`: the source as its yaml has it, but for the given keys."""
    return lambda name, **changes: hydra.utils.instantiate(config(f"boxes={name}").boxes, **changes)


@pytest.fixture
def open_data(config: Config) -> Callable[..., AQA7]:
    """`open_data(root, **changes)`: a tree of `aqa7_tree` as AQA-7, its settings changed by `changes`."""

    def build(root: Path | None, **changes: Any) -> AQA7:
        settings: dict[str, Any] = {
            "root": None if root is None else str(root),
            "frames": 8,
            "geometry": Geometry(height=40, width=64, crop=32, random_crop=True, flip=0.5),
            "augment": NoAugmentation(),
            "voters": 0,
            "batch_size": 4,
            "workers": 0,
            "target": "score",
        }
        make = hydra.utils.instantiate(config("data=aqa7").data, _partial_=True)
        return make(**settings | changes)

    return build
