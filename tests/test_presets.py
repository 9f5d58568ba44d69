"""The presets: each sets what its publication has otherwise than the defaults, and nothing is left open."""

from collections.abc import Callable
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from swapaqa.configuration.checking import check

Config = Callable[..., DictConfig]

LOSSLESS = {"data.cache": "none", "data.geometry.resize": "antialias"}
PORTRAIT = {"data.geometry.height": 455, "data.geometry.width": 256, "clips.last_start": 86}
CORE = (
    PORTRAIT
    | LOSSLESS
    | {
        "model._target_": "swapaqa.models.core.CoRe",
        "data._target_": "swapaqa.data.aqa7.AQA7",
        "model.edge": "official",
        "model.decimals": None,
        "model.arithmetic": "float32",
        "optim.optimizer.eps": 1e-8 / 2,  # over the batches of a step
        "model.voters": 10,
        "data.batch_size": 2,
        "trainer.max_epochs": 200,
        "trainer.accumulate_grad_batches": 2,
        "model.encoder.freeze_bn": True,
        "optim.weight_decay": 0.0,
    }
)
MTL = LOSSLESS | {
    "data._target_": "swapaqa.data.mtl_aqa.MTLAQA",
    "data.shift": [0, 6],
    "data.geometry.height": 256,
    "data.geometry.width": 455,
    "data.geometry.random_crop": False,
    "clips.last_start": None,
    "trainer.max_epochs": 100,
    "trainer.accumulate_grad_batches": 1,
    "optim.learning_rate": 1e-4,
    "optim.backbone_learning_rate": 1e-4,
    "aug._target_": "swapaqa.augment.none.NoAugmentation",
}
PRESETS: dict[str, dict[str, Any]] = {
    "core_as_published": CORE
    | {"optim.learning_rate": 1e-3, "optim.backbone_learning_rate": 1e-4}
    | {"aug._target_": "swapaqa.augment.none.NoAugmentation"},
    "sbs_as_published": CORE
    | {"optim.learning_rate": 1e-4, "optim.backbone_learning_rate": 1e-3}
    | {"aug.variant": "official", "aug.donors": "randperm", "aug.ratio": 2.0}
    | {"aug.fill": [123.675, 116.28, 103.53]},
    "usdl_as_published": MTL
    | {"model._target_": "swapaqa.models.usdl.USDL", "model.reduction": "elements", "optim.weight_decay": 0.0}
    | {"data.batch_size": 4, "data.target": "score", "model.encoder.freeze_bn": False},
    "musdl_as_published": MTL
    | {"model._target_": "swapaqa.models.usdl.MUSDL", "model.reduction": "elements", "optim.weight_decay": 1e-5}
    | {"data.batch_size": 4, "model.encoder.freeze_bn": False},
    "hgcn_as_published": PORTRAIT
    | LOSSLESS
    | {"model._target_": "swapaqa.models.hgcn.HGCN", "data._target_": "swapaqa.data.aqa7.AQA7"}
    | {"model.predict": "sample", "model.initial_mean": 0.0, "model.groups": 4, "model.sequence": "plain"}
    | {"clips.last_start": None, "optim.learning_rate": 1e-4, "optim.backbone_learning_rate": 1e-4}
    | {"optim.weight_decay": 1e-5, "data.batch_size": 4, "trainer.max_epochs": 200, "model.encoder.freeze_bn": True}
    | {"data.geometry.random_crop": True, "aug._target_": "swapaqa.augment.none.NoAugmentation"},
    "hgcn_mtl_aqa": {"data._target_": "swapaqa.data.mtl_aqa.MTLAQA", "data.target": "completeness"}
    | {"model.predict": "sample", "data.shift": [-3, 3], "data.geometry.height": 455},
    "cofinal_as_published": {"model._target_": "swapaqa.models.cofinal.CoFInAl", "model.fine_attention": "videos"}
    | {"data._target_": "swapaqa.data.aqa7.AQA7", "aug._target_": "swapaqa.augment.none.NoAugmentation"}
    | {"optim.learning_rate": 1e-2, "optim.lr_schedule.end": 0.01, "data.batch_size": 32, "trainer.max_epochs": 250},
    "cofinal_mtl_aqa": {"data._target_": "swapaqa.data.mtl_aqa.MTLAQA", "model.fine_attention": "videos"},
    "tpt_as_published": PORTRAIT
    | LOSSLESS
    | {"model._target_": "swapaqa.models.tpt.TPT", "data._target_": "swapaqa.data.aqa7.AQA7", "clips.last_start": None}
    | {"model.edge": "official", "model.decimals": None, "model.arithmetic": "float32", "model.margin": 3.2}
    | {"clips.frames": 8, "clips.stride": 5, "optim.learning_rate": 1e-3, "optim.groups.parts.lr": 1e-4}
    | {"optim.backbone_learning_rate": 1e-4, "optim.weight_decay": 0.0, "data.batch_size": 24, "model.voters": 10}
    | {"trainer.max_epochs": 250, "aug._target_": "swapaqa.augment.none.NoAugmentation"},
    "tpt_mtl_aqa": {"data._target_": "swapaqa.data.mtl_aqa.MTLAQA", "data.target": "completeness"}
    | {"model.edge": "official", "data.shift": [-3, 3]},
    "gdlt_aqa7": {"model._target_": "swapaqa.models.gdlt.GDLT", "data._target_": "swapaqa.data.aqa7.AQA7"}
    | {"aug._target_": "swapaqa.augment.none.NoAugmentation", "data.batch_size": 32},
    "gdlt_mtl_aqa": {"model._target_": "swapaqa.models.gdlt.GDLT", "data._target_": "swapaqa.data.mtl_aqa.MTLAQA"}
    | {"data.target": "completeness"},
    "dae_as_published": MTL
    | {"model._target_": "swapaqa.models.dae.DAE", "model.loss": "squared_error_pair", "model.predict": "sample"}
    | {"model.initial_mean": 0.0, "optim.weight_decay": 1e-5, "data.batch_size": 8, "data.target": "score"}
    | {"model.encoder.freeze_bn": True},
}


@pytest.mark.parametrize("name", PRESETS)
def test_values_of_a_preset(name: str, config: Config) -> None:
    composed = config(f"experiment={name}")
    found = {key: OmegaConf.select(composed, key) for key in PRESETS[name]}
    assert found == PRESETS[name]
    composed.name, composed.logger.save_dir, composed.logger.name = "a_run", "somewhere", "a_run"
    check(composed)


def test_the_command_line_wins_over_a_preset(config: Config) -> None:
    composed = config("experiment=sbs_as_published", "data=mtl_aqa", "aug.variant=paper", "model=dae_core")
    assert composed.data._target_ == "swapaqa.data.mtl_aqa.MTLAQA"
    assert composed.data.geometry.height == 455
    assert (composed.aug.variant, composed.aug.ratio) == ("paper", 1.0)  # fixed boxes
    assert composed.model._target_ == "swapaqa.models.dae_core.DAECoRe"
    assert composed.model.edge == "official"
    composed.name, composed.logger.save_dir, composed.logger.name = "a_run", "somewhere", "a_run"
    check(composed)
