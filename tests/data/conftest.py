"""A small data set behind its DataModule, built from the yaml files without running Hydra."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import DictConfig

from swapaqa.augment.none import NoAugmentation
from swapaqa.data.boxes import BoxSource
from swapaqa.data.datamodule import VideoData
from swapaqa.data.geometry import Geometry
from tests.opened import open_node

Config = Callable[..., DictConfig]


@pytest.fixture
def box_source(config: Config) -> Callable[..., BoxSource]:
    """`box_source("darklabel", root=...)`: the source as its yaml has it, but for the given keys."""
    return lambda name, **changes: hydra.utils.instantiate(config(f"boxes={name}").boxes, **changes)


@pytest.fixture
def open_data(config: Config) -> Callable[..., VideoData]:
    """`open_data(root, **changes)`: a tree of `aqa7_tree` as AQA-7, its settings changed by `changes`."""

    def build(root: Path | None, **changes: Any) -> VideoData:
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
        return open_node(config("data=aqa7").data, **settings | changes)

    return build
