"""What any method may learn beside the score: the terms, who trains them, and that an evaluation has none of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from swapaqa.configuration.data_sets import make_source
from swapaqa.errors import InputError
from swapaqa.models.attributes import CLASSES, attribute_losses
from swapaqa.models.auxiliary import AuxiliaryTasks, without_auxiliary
from swapaqa.models.captions import caption_loss
from swapaqa.running.needs import refuse_missing_sides
from swapaqa.running.training import make_model
from tests.made_videos import made_encoded, made_side

Config = Callable[..., DictConfig]
SMALL = ("auxiliary.words=30", "auxiliary.hidden=8", "auxiliary.word_size=4")
NAMES = [f"auxiliary_{name}" for name in CLASSES]


def videos() -> Any:
    return made_encoded(torch.rand(3, 5, 8, generator=torch.Generator().manual_seed(0)), made_side(3))


def tasks(attributes: bool, captions: bool) -> AuxiliaryTasks:
    torch.manual_seed(0)
    return AuxiliaryTasks(8, attributes, captions, 0.5, 0.1, 30, 6, 4, 0.0)


def test_the_terms_are_the_weighted_ones_of_the_two_heads() -> None:
    both, some = tasks(True, True), videos()
    terms = both(some)
    assert list(terms) == [*NAMES, "auxiliary_caption"]
    assert both.attributes is not None
    assert both.captions is not None
    of_attributes = attribute_losses(both.attributes(some.feature.mean(dim=1)), some.side["dive"])
    for name, term in of_attributes.items():
        torch.testing.assert_close(terms[f"auxiliary_{name}"], 0.5 * term)
    told = caption_loss(both.captions, some.feature, some.side["caption"])
    torch.testing.assert_close(terms["auxiliary_caption"], 0.1 * told)
    assert list(tasks(True, False)(some)) == NAMES
    assert list(tasks(False, True)(some)) == ["auxiliary_caption"]
    assert tasks(False, True).learns_from == ("caption",)
    with pytest.raises(InputError, match="neither attributes=true nor captions=true"):
        tasks(False, False)


@pytest.mark.parametrize("name", ["usdl", "core", "tpt"])
def test_its_weights_train_with_every_method(name: str, config: Config) -> None:
    """TPT's groups are listed by itself."""
    model = make_model(
        config(f"model={name}", "auxiliary=attributes_and_captions", "name=x", "logger.save_dir=x", *SMALL)
    )
    groups = {group["name"]: group["params"] for group in model.configure_optimizers().param_groups}
    ids = [id(parameter) for own in groups.values() for parameter in own]
    assert sorted(ids) == sorted(id(parameter) for parameter in model.parameters())
    assert model.auxiliary is not None
    assert {id(parameter) for parameter in model.auxiliary.parameters()} <= {
        id(parameter) for parameter in groups["head"]
    }


def test_data_without_it_are_refused(config: Config) -> None:
    model = make_model(config("model=usdl", "auxiliary=attributes", "name=x", "logger.save_dir=x"))
    with pytest.raises(InputError, match="USDL needs dive beside the videos, and AQA7 gives nothing; take data=demo"):
        refuse_missing_sides(model, make_source(config("data=aqa7", "data.root=x").data), training=True)
    refuse_missing_sides(model, make_source(config("data=aqa7", "data.root=x").data))
    refuse_missing_sides(model, make_source(config("data=mtl_aqa", "data.root=x").data), training=True)
    assert config("data=mtl_aqa", "model=usdl", "auxiliary=captions").data.captions is True
    assert config("data=mtl_aqa", "model=usdl", "auxiliary=attributes").data.captions is False
    assert config("data=mtl_aqa", "model=usdl").data.captions is False


def test_weights_that_score_are_those_of_a_training_without_it(config: Config) -> None:
    words = ("model=usdl", "name=x", "logger.save_dir=x")
    plain, taught = make_model(config(*words)), make_model(config(*words, "auxiliary=attributes_and_captions", *SMALL))
    assert set(without_auxiliary(taught.state_dict())) == set(plain.state_dict()) < set(taught.state_dict())
    plain.load_state_dict(without_auxiliary(taught.state_dict()))


@pytest.mark.slow
def test_a_run_logs_its_terms_and_its_checkpoint_evaluates(
    tmp_path: Path, recipe_inside: Callable[..., Any], small_demo: list[str]
) -> None:
    done = recipe_inside(
        "train", tmp_path / "run", "model=usdl", "auxiliary=attributes_and_captions", *SMALL, *small_demo
    )
    assert done.returncode == 0, done.stderr
    header = (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {f"train/{name}" for name in (*NAMES, "auxiliary_caption")} <= set(header)
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert any(key.startswith("auxiliary.") for key in torch.load(checkpoint, weights_only=True)["state_dict"])
    scored = recipe_inside("evaluate", tmp_path / "again", f"checkpoint={checkpoint}")
    assert scored.returncode == 0, scored.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["config"]["auxiliary"]["attributes"] is True
