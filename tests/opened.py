"""A data set from the node `data` of a configuration, with objects in the place of what the yamls describe."""

from typing import Any

import hydra
from omegaconf import DictConfig

from swapaqa.configuration.data_sets import LOADING
from swapaqa.data.datamodule import VideoData
from swapaqa.data.source import VideoSource


def open_node(node: DictConfig, kind: type[VideoSource] | None = None, **changes: Any) -> VideoData:
    """The data set of `node` under `changes`, which may be objects; `kind`: another class of source."""
    make = hydra.utils.instantiate(node, _partial_=True)
    values = make.keywords | changes
    loading = {key: values.pop(key) for key in LOADING}
    return VideoData(source=(kind or make.func)(**values), **loading)
