"""The presets: what each has otherwise than the defaults does what its publication did."""

import inspect
from collections.abc import Callable
from typing import Any

import hydra
import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from swapaqa.augment.none import NoAugmentation
from swapaqa.configuration.checking import check
from swapaqa.data.geometry import Geometry
from swapaqa.models.normalisation import IMAGENET
from tests.forked import REPOSITORY

Config = Callable[..., DictConfig]

PUBLISHED = sorted(path.stem for path in (REPOSITORY / "conf" / "experiment").glob("*_as_published.yaml"))
ON_MTL_AQA = ["usdl_as_published", "musdl_as_published", "dae_as_published"]


def geometry_of(composed: DictConfig) -> Geometry:
    geometry: Geometry = hydra.utils.instantiate(composed.data.geometry)
    return geometry


def settings(node: Any, place: str = "") -> dict[str, Any]:
    """The values of a configuration by their keys, `data.geometry.crop`."""
    if not isinstance(node, dict):
        return {place: node}
    parts = [settings(value, f"{place}.{name}" if place else name) for name, value in node.items()]
    return {key: value for part in parts for key, value in part.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_frames_are_decoded_and_resized_anew_as_pillow_does(name: str, config: Config) -> None:
    """Whatever the defaults become: published loaders keep no frames and run on Pillow."""
    composed = config(f"experiment={name}")
    geometry = geometry_of(composed)
    frame = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    resized = np.asarray(Image.fromarray(frame).resize((geometry.width, geometry.height), Image.Resampling.BILINEAR))
    top, left, _ = geometry.centre()
    placed = geometry.crop_frames(frame[None], geometry.centre())
    assert np.array_equal(placed[0], resized[top : top + geometry.crop, left : left + geometry.crop])
    assert composed.data.cache == "none"


def test_core_sees_portrait_frames(config: Config) -> None:
    """Its resize exchanges width and height."""
    published, ours = (geometry_of(config(word)) for word in ("experiment=core_as_published", "data=aqa7"))
    assert (published.height, published.width) == (ours.width, ours.height)
    assert published.height > published.width


def test_core_steps_under_the_epsilon_of_a_mean_of_gradients(config: Config) -> None:
    """`test_averaged_gradients_under_a_part_of_epsilon_step_as_summed_ones` says why."""
    composed = config("experiment=core_as_published")
    of_adam = inspect.signature(torch.optim.Adam).parameters["eps"].default
    assert composed.optim.optimizer.eps * composed.trainer.accumulate_grad_batches == pytest.approx(of_adam)


def test_the_published_swap_is_core_with_the_swap_and_the_other_rates(config: Config) -> None:
    """The paper lists CoRe's two rates the other way round."""
    core, swap = (config(f"experiment={name}_as_published", "name=a_run") for name in ("core", "sbs"))
    values = [settings(OmegaConf.to_container(composed, resolve=False)) for composed in (core, swap)]
    changed = {key for key in values[0] | values[1] if values[0].get(key) != values[1].get(key)}
    rates = {"optim.learning_rate", "optim.backbone_learning_rate"}
    assert {key for key in changed if not key.startswith("aug.")} == rates
    assert swap.optim.learning_rate == core.optim.backbone_learning_rate
    assert swap.optim.backbone_learning_rate == core.optim.learning_rate


def test_the_published_swap_paints_what_is_0_for_the_network(config: Config) -> None:
    augment = hydra.utils.instantiate(config("experiment=sbs_as_published").aug)
    assert (augment.variant, augment.donors) == ("official", "randperm")
    assert augment.fill == pytest.approx([255 * mean for mean in IMAGENET.mean])


@pytest.mark.parametrize("name", [name for name in PUBLISHED if not name.startswith("sbs")])
def test_a_published_method_sees_its_videos_as_they_are(name: str, config: Config) -> None:
    assert isinstance(hydra.utils.instantiate(config(f"experiment={name}").aug), NoAugmentation)


@pytest.mark.parametrize("name", ON_MTL_AQA)
def test_published_folders_begin_where_a_dive_is_annotated(name: str, config: Config) -> None:
    """So no window begins before it, crops are their centre, and a flip is all that is drawn."""
    composed = config(f"experiment={name}")
    geometry, generator = geometry_of(composed), torch.Generator().manual_seed(0)
    drawn = {geometry.draw(generator) for _ in range(50)}
    assert drawn == {geometry.centre(), geometry.centre()._replace(flip=True)}
    lowest, highest = composed.data.shift
    assert lowest == 0 < highest


def test_the_command_line_wins_over_a_preset(config: Config) -> None:
    composed = config("experiment=sbs_as_published", "data=mtl_aqa", "aug.variant=paper", "model=dae_core")
    assert composed.data._target_ == "swapaqa.data.mtl_aqa.MTLAQA"
    assert composed.data.geometry == config("experiment=sbs_as_published").data.geometry
    assert (composed.aug.variant, composed.aug.ratio) == ("paper", 1.0)  # fixed boxes
    assert composed.model._target_ == "swapaqa.models.dae_core.DAECoRe"
    assert composed.model.edge == "official"
    composed.name, composed.logger.save_dir, composed.logger.name = "a_run", "somewhere", "a_run"
    check(composed)
