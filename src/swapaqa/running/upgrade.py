"""Configurations of older checkpoints in today's words: whatever decided a prediction then decides it now.

A checkpoint carries the version of its format (`FORMAT_KEY`; without it, the first). Each change of the house that
would move a prediction has one function here, which gives a configuration from before it the key with the old value.
What moves a prediction by rounding only is not among them, as the order in which AQA-7's labels are computed.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from swapaqa.errors import InputError
from swapaqa.models.scorer import FORMAT

Config = dict[str, Any]


def pin_linear_resize(config: Config) -> None:
    """Frames were resized by OpenCV's bilinear, which does not antialias."""
    for geometry in _geometries(config):
        geometry.setdefault("resize", "linear")


def pin_crop_rounded_down(config: Config) -> None:
    """The half pixel of a centred crop was dropped. The key has no other use."""
    for geometry in _geometries(config):
        geometry.setdefault("crop_rounding", "down")


def drop_optimiser(config: Config) -> None:
    """Every method, also a user's own, was built with the values of its optimiser; nothing trains a checkpoint."""
    for key in ("learning_rate", "backbone_learning_rate", "weight_decay", "epsilon"):
        config.get("model", {}).pop(key, None)


CHANGES: dict[int, tuple[Callable[[Config], None], ...]] = {  # by the format that they led to
    2: (pin_linear_resize, pin_crop_rounded_down),
    3: (drop_optimiser,),
}


def upgrade(config: Config, version: int = 1) -> Config:
    """The configuration of a checkpoint of format `version`, as one of today's format; `config` stays as it is.

    Raises:
        InputError: a format that this version does not know.
    """
    if version > FORMAT:
        raise InputError(
            f"the checkpoint has format {version} and this version reads up to {FORMAT}: update swapaqa to evaluate it"
        )
    config = deepcopy(config)
    for reached, changes in CHANGES.items():
        if version < reached:
            for change in changes:
                change(config)
    return config


def _geometries(config: Config) -> list[Config]:
    """The geometry of the data, if it is ours: a class of the user's own has its own keys."""
    geometry = config.get("data", {}).get("geometry")
    ours = isinstance(geometry, dict) and geometry.get("_target_") == "swapaqa.data.geometry.Geometry"
    return [geometry] if ours else []
