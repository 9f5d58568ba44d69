"""Checkpoints of older formats in today's words, change by change; what is no checkpoint of ours is left alone."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.models.core import CoRe
from swapaqa.models.scorer import CONFIG_KEY, FORMAT, FORMAT_KEY
from swapaqa.models.stored_exemplars import EXEMPLARS_KEY, as_plain, from_plain
from swapaqa.running.checkpoint import build, read_checkpoint
from swapaqa.running.upgrade import upgrade
from tests.made_videos import made_encoded

GEOMETRY = {"_target_": "swapaqa.data.geometry.Geometry", "height": 8, "width": 9, "crop": 8}
TINY = {"_target_": "swapaqa.models.tiny.TinyBackbone", "width": 4}
OLD_CLIPS = {"clip_frames": 16, "clip_stride": 10, "last_start": 86}
OLD_TINY = {
    "_target_": "swapaqa.models.clips.VideoEncoder", "network": TINY, **OLD_CLIPS, "normalisation": "pm1",
    "freeze_bn": False, "learning_rate": 2e-3, "clips_per_pass": None,
}  # fmt: skip
PLAN = {"_target_": "swapaqa.models.clip_plan.ClipPlan", "frames": 16, "stride": 10, "last_start": 86, "size": None}
NEW_TINY = {
    "_target_": "swapaqa.models.encoder.VideoEncoder", "network": TINY | {"normalisation": "pm1"}, "clips": PLAN,
    "freeze_bn": False, "learning_rate": 2e-3, "clips_per_pass": None,
}  # fmt: skip
OLD_I3D = {
    "_target_": "swapaqa.models.i3d.i3d_encoder", "pretrained": None, "bn_eps": None, **OLD_CLIPS,
    "normalisation": "imagenet", "freeze_bn": True, "learning_rate": None,
}  # fmt: skip


def upgraded(config: Any, version: int | None = 2, **beside: Any) -> Any:
    """The configuration after the upgrade, which must leave the rest of the content as it was."""
    content = {CONFIG_KEY: copy.deepcopy(config), "epoch": 3, "state_dict": {}} | beside
    if version is not None:
        content[FORMAT_KEY] = version
    upgrade(content)
    assert {key: value for key, value in content.items() if key not in (CONFIG_KEY, FORMAT_KEY)} == {
        "epoch": 3, "state_dict": {}, **beside,
    }  # fmt: skip
    return content[CONFIG_KEY]


def test_pixels_of_the_first_format_are_pinned() -> None:
    today = {"data": {"geometry": GEOMETRY | {"resize": "antialias"}}}
    assert upgraded(today, FORMAT) == today
    first = {"data": {"geometry": GEOMETRY}}
    assert upgraded(first, None) == {"data": {"geometry": GEOMETRY | {"resize": "linear", "crop_rounding": "down"}}}
    assert upgraded(first, 2) == first
    own = {"data": {"geometry": {"_target_": "mine.Geometry", "side": 3}}}
    assert upgraded(own, None) == own


@pytest.mark.parametrize("version", [None, 1, 2])
def test_a_backbone_s_clips_become_a_plan(version: int | None) -> None:
    """In both of its places and in the group; the small one hands its normalisation to its network."""
    both = {"backbone": OLD_TINY, "model": {"_target_": "x", "encoder": copy.deepcopy(OLD_TINY)}}
    found = upgraded(both | {"seed": 1}, version)
    assert found["backbone"] == found["model"]["encoder"] == NEW_TINY
    assert found["clips"] == PLAN
    assert (found["seed"], found["model"]["_target_"]) == (1, "x")
    i3d = upgraded({"backbone": OLD_I3D}, version)["backbone"]
    kept = {key: value for key, value in OLD_I3D.items() if key not in OLD_CLIPS}
    assert i3d == kept | {"clips": PLAN}  # I3D's yaml still names its normalisation


@pytest.mark.parametrize("target", ["swapaqa.models.usdl.USDL", "mine.Method"])
def test_methods_forget_their_optimiser(target: str) -> None:
    kept = {"_target_": target, "std": 5.0}
    rates = {"learning_rate": 0.1, "backbone_learning_rate": 0.1, "weight_decay": 0.0, "epsilon": 1e-8}
    assert upgraded({"model": kept | rates}) == {"model": kept}


def test_keys_that_were_tried_for_speed_are_gone() -> None:
    first = OLD_TINY | {"channels_last": True, "compile": False}
    assert upgraded({"backbone": first}, None)["backbone"] == NEW_TINY
    assert upgraded({"backbone": first}, 2)["backbone"] == NEW_TINY | {"channels_last": True, "compile": False}


def test_an_upgraded_backbone_is_one_of_today(config: Callable[..., Any]) -> None:
    """Made from the words of an older version it has the starts and the numbers that it had."""
    before = hydra.utils.instantiate(upgraded({"backbone": OLD_TINY})["backbone"])
    today = hydra.utils.instantiate(config("backbone=tiny", "clips.last_start=86").backbone)
    assert before.plans == today.plans
    assert before.network.normalisation.mean == (0.5, 0.5, 0.5)
    assert set(upgraded({"backbone": OLD_TINY})["backbone"]) == set(config("backbone=tiny").backbone)


def test_today_s_format_stays_as_it_is(config: Callable[..., Any]) -> None:
    composed = config("model=core", "name=x", "logger.save_dir=x")
    today = OmegaConf.to_container(composed, resolve=True)
    assert upgraded(today, FORMAT) == today
    assert upgraded(today, FORMAT - 1) == today  # it already says what the last change would


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (FORMAT + 1, f"a.ckpt: has format {FORMAT + 1} and this version reads up to {FORMAT}"),
        (10**30, "a.ckpt: has format"),
        ("3", "a.ckpt: has no format that is a number"),
        (2.0, "a.ckpt: has no format that is a number"),
        (True, "a.ckpt: has no format that is a number"),
        (None, "a.ckpt: has no format that is a number"),
        ([1], "a.ckpt: has no format that is a number"),
    ],
)
def test_a_format_that_is_none_or_of_tomorrow_is_one_line(version: Any, words: str) -> None:
    content = {CONFIG_KEY: {"backbone": dict(OLD_TINY)}, FORMAT_KEY: version}
    with pytest.raises(InputError, match=words) as refused:
        upgrade(content, "a.ckpt")
    assert "\n" not in str(refused.value)
    assert content[CONFIG_KEY]["backbone"] == OLD_TINY


ODD: list[Any] = [
    None, 3, "text", [], [1, "a"], {}, {"backbone": None}, {"backbone": [OLD_TINY]}, {"backbone": "swapaqa."},
    {"model": {"encoder": "${backbone}"}}, {"model": "usdl"}, {"model": {"encoder": ["_target_"]}},
    {"backbone": {"_target_": ["swapaqa."]}}, {"backbone": {"_target_": None, **OLD_CLIPS}}, {"backbone": {1: 2}},
    {"backbone": OLD_CLIPS}, {"backbone": {"_target_": "swapaqa.models.i3d.i3d_encoder", "clip_frames": 16}},
    {"data": "demo"}, {"data": {"geometry": "linear"}}, {"data": {"geometry": [GEOMETRY]}}, {"data": [1]},
    {"backbone": {"_target_": "mine.Encoder", "network": TINY, **OLD_CLIPS, "normalisation": "pm1"}},
]  # fmt: skip


@pytest.mark.parametrize("config", ODD, ids=str)
@pytest.mark.parametrize("version", [1, 2])
def test_what_is_of_another_kind_than_ours_is_left_alone(config: Any, version: int) -> None:
    assert upgraded(config, version) == config


def test_odd_values_of_our_keys_move_as_they_are() -> None:
    """Whether they mean anything is for `config.check` to say."""
    odd = OLD_TINY | {"clip_frames": "sixteen", "last_start": [1], "network": "tiny"}
    found = upgraded({"backbone": odd, "clips": "mine"})
    assert found["backbone"]["clips"] == PLAN | {"frames": "sixteen", "last_start": [1]}
    assert found["backbone"]["network"] == "tiny"
    assert found["clips"] == "mine"


# stored exemplars


def as_format_2(exemplars: dict[str, Any]) -> dict[str, Tensor]:
    """As that version wrote them: (N, D) means of the clips, and the labels beside them but for the judges'."""
    columns = ("score", "label", "offset", "factor", "difficulty", "action", "position", "voters")
    return {"feature": exemplars["feature"].mean(dim=1)} | {name: exemplars["labels"][name] for name in columns}


def test_stored_exemplars_are_of_one_clip() -> None:
    videos = made_encoded(torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0)))
    old = as_format_2(as_plain(videos))
    content = {CONFIG_KEY: {}, FORMAT_KEY: 2, EXEMPLARS_KEY: dict(old)}
    upgrade(content)
    found = from_plain(content[EXEMPLARS_KEY])
    assert found.feature.shape == (5, 1, 4)
    assert torch.equal(found.mean_feature, old["feature"])
    assert found.labels.judges.shape == (5, 0)
    assert found.labels.judges.dtype == torch.float64
    assert found.side == {}
    assert len(found.video_id) == 5
    for name in old.keys() - {"feature"}:
        assert torch.equal(getattr(found.labels, name), old[name]), name
    again = copy.deepcopy(content[EXEMPLARS_KEY])
    upgrade(content | {FORMAT_KEY: 2})  # those of today
    assert content[EXEMPLARS_KEY].keys() == again.keys()
    assert torch.equal(content[EXEMPLARS_KEY]["feature"], again["feature"])


@pytest.mark.parametrize(
    "stored",
    [
        None, 3, "text", [], [torch.ones(2, 3)], torch.ones(2, 3), {}, {"feature": None}, {"feature": "text"},
        {"feature": [[1.0]]}, {"feature": torch.ones(())}, {"feature": torch.ones(4)}, {"feature": torch.ones(2, 2, 2)},
        {"labels": 3}, {1: 2}, {"feature": torch.ones(2, 3), "labels": None},
    ],
    ids=str,
)  # fmt: skip
def test_stored_exemplars_of_another_kind_are_left_alone(stored: Any) -> None:
    content = {CONFIG_KEY: {}, FORMAT_KEY: 2, EXEMPLARS_KEY: stored}
    upgrade(content)
    assert content[EXEMPLARS_KEY] is stored


def test_a_checkpoint_of_format_2_with_stored_exemplars_scores_as_it_did(
    config: Callable[..., Any], tmp_path: Path
) -> None:
    """Written by hand from a model of today: the exemplars as means, the configuration in that version's words."""
    words = ("model=core", "model.hidden_features=8", "model.depth=3", "model.store_exemplars=true",
             "backbone.network.width=4", "name=x", "logger.save_dir=x")  # fmt: skip
    cfg = config(*words)
    torch.manual_seed(0)
    model: CoRe = hydra.utils.instantiate(cfg.model).eval()
    border = torch.tensor([[-90, -5], [-5, 0], [0, 5], [5, 90]], dtype=torch.float64)
    model.groups, model.max_label = border[None], torch.tensor(100.0, dtype=torch.float64)
    drawn = torch.randn(9, 10, 16, generator=torch.Generator().manual_seed(0))
    exemplars = made_encoded(drawn[:6])
    videos = made_encoded(drawn[6:], voters=torch.tensor([[0, 1, 5], [2, 3, -1], [4, -1, -1]]))
    expected = model.score(videos, exemplars)
    old = OmegaConf.to_container(cfg, resolve=True)
    del old["clips"]
    for encoder in (old["backbone"], old["model"]["encoder"]):
        plan = encoder.pop("clips")
        encoder |= {"clip_frames": plan["frames"], "clip_stride": plan["stride"], "last_start": plan["last_start"]}
        encoder["_target_"] = "swapaqa.models.clips.VideoEncoder"
        encoder["normalisation"] = encoder["network"].pop("normalisation")
    content = {
        "epoch": 0, "state_dict": model.state_dict(), CONFIG_KEY: old, FORMAT_KEY: 2, "swapaqa_batch_norm": {},
        EXEMPLARS_KEY: as_format_2(as_plain(exemplars)),
    }  # fmt: skip
    torch.save(content, tmp_path / "old.ckpt")
    read = read_checkpoint(str(tmp_path / "old.ckpt"))
    found = build(OmegaConf.create(read[CONFIG_KEY] | {"checkpoint": "old.ckpt"}), read)
    assert found.exemplars is not None
    again = found.score(videos, found.exemplars)
    torch.testing.assert_close(again, expected, rtol=0, atol=1e-5, equal_nan=True)  # a mean of float32, kept
    assert found.encoder.plans == model.encoder.plans
    assert found.encoder.network.normalisation == model.encoder.network.normalisation
