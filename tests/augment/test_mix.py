"""Mixup, CutMix, no augmentation, and the yaml of the whole family."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from swapaqa.augment.fame import FAME
from swapaqa.augment.mix import (
    CutMixPlan,
    MixupPlan,
    VideoCutMix,
    VideoMixup,
    cut_boxes,
    draw_shares,
    kept_share,
    mix_targets,
)
from swapaqa.augment.none import NoAugmentation
from swapaqa.augment.swap import ScaledBackgroundSwap
from swapaqa.errors import InputError

CONFIGS = Path(__file__).parents[2] / "conf" / "aug"
BOXES = torch.tensor([2.0, 2, 5, 5]).repeat(3, 4, 1)


@pytest.fixture
def video() -> torch.Tensor:
    stored = torch.randint(0, 256, (3, 4, 8, 10, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return stored.permute(0, 4, 1, 2, 3)


@pytest.fixture
def targets() -> dict[str, torch.Tensor]:
    return {
        "score": torch.tensor([10.0, 20, 40], dtype=torch.float64),
        "judges": torch.tensor([[1.0, 2], [3, 4], [5, 6]]),
        "index": torch.tensor([0, 1, 2]),
    }


def test_mixup_blends_pixels_and_scores(video, targets):
    plan = MixupPlan(torch.tensor([1, 2, 0]), torch.tensor([0.25, 1.0, 0.5], dtype=torch.float64))
    mixed, labels = VideoMixup().apply(video, BOXES, targets, plan)
    exact = torch.stack(
        [
            0.25 * video[0].double() + 0.75 * video[1].double(),
            video[1].double(),
            0.5 * video[2].double() + 0.5 * video[0].double(),
        ]
    )
    assert mixed.dtype == torch.uint8
    assert mixed.stride() == video.stride()
    assert torch.equal(mixed.double(), exact.round())
    assert labels["score"].tolist() == [17.5, 20.0, 25.0]
    assert labels["score"].dtype == torch.float64
    assert labels["judges"].tolist() == [[2.5, 3.5], [3, 4], [3, 4]]
    assert labels["index"] is targets["index"]
    assert targets["score"].tolist() == [10, 20, 40]
    floats, _ = VideoMixup().apply(video.float(), BOXES, targets, plan)
    torch.testing.assert_close(floats.double(), exact)
    torch.testing.assert_close(VideoMixup().replaced_share(BOXES, (8, 10), plan), torch.tensor([0.75, 0, 0.5]))


def test_cutmix_pastes_one_box_in_all_frames(video, targets):
    share = torch.tensor([0.75, 0.0, 1.0], dtype=torch.float64)
    centre = torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.2, 0.2]], dtype=torch.float64)
    plan = CutMixPlan(torch.tensor([1, 2, 0]), share, centre)
    assert cut_boxes(plan, (8, 10)).tolist() == [[3, 2, 8, 6], [0, 0, 10, 8], [2, 1, 2, 1]]
    mixed, labels = VideoCutMix().apply(video, BOXES, targets, plan)
    expected = video.clone()
    expected[0, :, :, 2:6, 3:8] = video[1, :, :, 2:6, 3:8]
    expected[1] = video[2]
    assert torch.equal(mixed, expected)
    assert mixed.stride() == video.stride()
    assert labels["score"].tolist() == [0.75 * 10 + 0.25 * 20, 40, 40]


def test_cutmix_weighs_by_what_the_frame_leaves_of_the_box():
    share = torch.tensor([0.75], dtype=torch.float64)
    plan = CutMixPlan(torch.tensor([0]), share, torch.zeros(1, 2, dtype=torch.float64))
    bounds = cut_boxes(plan, (8, 10))
    assert bounds.tolist() == [[0, 0, 3, 2]]
    assert kept_share(bounds, (8, 10)).item() == pytest.approx(1 - 6 / 80)


@pytest.mark.parametrize("augment", [VideoCutMix(), VideoMixup(alpha=0.4)])
def test_a_draw_can_be_replayed(augment, video, targets):
    plan = augment.draw(3, torch.Generator().manual_seed(4))
    called, labels = augment(video, BOXES, targets, torch.Generator().manual_seed(4))
    again, relabelled = augment.apply(video, BOXES, targets, plan)
    assert torch.equal(called, again)
    assert torch.equal(labels["score"], relabelled["score"])
    assert augment.mixes_targets


def test_cutmix_share_is_what_counting_says():
    video = torch.arange(3 * 4 * 80, dtype=torch.float32).view(3, 1, 4, 8, 10)
    for seed in range(20):
        plan = VideoCutMix().draw(3, torch.Generator().manual_seed(seed))
        mixed, labels = VideoCutMix().apply(video, BOXES, {"own": torch.eye(3)}, plan)
        counted = (mixed != video).float().mean(dim=(1, 2, 3, 4))
        torch.testing.assert_close(VideoCutMix().replaced_share(BOXES, (8, 10), plan), counted)
        torch.testing.assert_close(labels["own"].diagonal(), 1 - counted)
        torch.testing.assert_close(labels["own"].sum(dim=1), torch.ones(3))


def test_an_own_donor_changes_nothing(video, targets):
    for augment in (VideoCutMix(), VideoMixup()):
        plan = augment.draw(3, torch.Generator().manual_seed(1))._replace(donors=torch.arange(3))
        mixed, labels = augment.apply(video, BOXES, targets, plan)
        assert torch.equal(mixed, video)
        assert torch.equal(labels["score"], targets["score"])
        assert augment.replaced_share(BOXES, (8, 10), plan).tolist() == [0, 0, 0]


@pytest.mark.parametrize("alpha", [0.4, 1.0, 3.0])
def test_shares_follow_a_beta_distribution(alpha):
    share = draw_shares(4000, alpha, torch.Generator().manual_seed(0))
    assert share.dtype == torch.float64
    assert share.mean().item() == pytest.approx(0.5, abs=0.03)
    assert share.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_mix_targets_leaves_its_input_alone(targets):
    mixed = mix_targets(targets, torch.tensor([1, 0, 2]), torch.zeros(3))
    assert mixed["score"].tolist() == [20, 10, 40]
    assert targets["score"].tolist() == [10, 20, 40]


@pytest.mark.parametrize("alpha", [0, -1.0, float("nan"), float("inf")])
def test_a_wrong_alpha_is_refused(alpha):
    for mix in (VideoCutMix, VideoMixup):
        with pytest.raises(InputError, match=r"aug\.alpha"):
            mix(alpha=alpha)


def test_no_augmentation_passes_everything_on(video, targets):
    augment = NoAugmentation()
    same, labels = augment(video, BOXES, targets, torch.Generator())
    assert same is video
    assert labels is targets
    plan = augment.draw(3, torch.Generator())
    assert augment.replaced_share(BOXES, (8, 10), plan).tolist() == [0, 0, 0]


def test_only_the_mixes_mix_targets():
    mixing = {
        kind for kind in (ScaledBackgroundSwap, FAME, NoAugmentation, VideoCutMix, VideoMixup) if kind.mixes_targets
    }
    assert mixing == {VideoCutMix, VideoMixup}


@pytest.mark.parametrize("name", ["swap", "none", "fame", "cutmix", "mixup"])
def test_every_yaml_names_every_value_and_works(name, video, targets):
    config = OmegaConf.create({"boxes": {"ratio": 1.5}, "aug": OmegaConf.load(CONFIGS / f"{name}.yaml")})
    kind = get_class(config.aug._target_)
    expected = set() if kind is NoAugmentation else {field.name for field in fields(kind)}
    assert set(config.aug) - {"_target_"} == expected
    config.aug = OmegaConf.merge(config.aug, {"crop_size": 32} if name == "fame" else {})
    augment = instantiate(config.aug)
    assert getattr(augment, "ratio", 1.5) == 1.5
    if name != "none":
        defaults = kind()
        shared = expected - {"ratio", "crop_size"}
        assert {key: getattr(augment, key) for key in shared} == {key: getattr(defaults, key) for key in shared}
    changed, _ = augment(video, BOXES, targets, torch.Generator().manual_seed(0))
    assert changed.shape == video.shape


def test_fill_from_yaml_may_be_a_list(video):
    config = OmegaConf.load(CONFIGS / "swap.yaml")
    config.update({"ratio": 2.0, "variant": "official", "fill": [123.675, 116.28, 103.53]})
    painted, _ = instantiate(config)(video, BOXES[:, :4].clone(), {}, torch.Generator().manual_seed(0))
    assert painted.shape == video.shape
