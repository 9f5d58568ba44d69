"""What every method is made of: schedule and rates, losses, scores with their deviation, BatchNorm, what it refuses."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hydra
import pytest
import torch
from omegaconf import DictConfig
from pytorch_lightning import Trainer
from torch import nn
from torch.nn.functional import kl_div
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from swapaqa.batch import Sample, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models import scorer
from swapaqa.models.backbone import Backbone
from swapaqa.models.batch_norm import batch_norm_settings, restore_batch_norm_settings
from swapaqa.models.dae import DAE, DAEMT
from swapaqa.models.dae_core import DAECoRe
from swapaqa.models.gaussian_score import calibrated_std, gaussian_likelihood_loss
from swapaqa.models.keyed_noise import keyed_noise
from swapaqa.models.score_distribution import (
    aggregate_judges,
    aggregate_std,
    decode_score,
    distribution_loss,
    score_distribution,
    score_std,
)
from swapaqa.models.scorer import Predicted, Scorer, from_points, in_points, predicted_stds, predictions
from swapaqa.models.tiny import TinyBackbone
from swapaqa.models.usdl import MUSDL, USDL
from swapaqa.models.votes import mean_of_some, vote_variance
from swapaqa.models.voting import VotingScorer
from tests.made_videos import METHODS, Videos, encoder, made_labels, made_sample, made_side, noise

Config = Callable[..., DictConfig]
Build = Callable[..., Any]

EVERY = [  # those on I3D are the same classes on another backbone
    pytest.param(name, marks=pytest.mark.slow) if name.startswith("i3d_") else name for name in METHODS
]
MULTI_TASK = {"c3d_avg_mtl", "i3d_avg_mtl", "mscadc", "i3d_mscadc"}
UNSURE = {
    "gdlt",
    "cofinal",
    "tsa_net",
    "c3d_lstm",
    "i3d_lstm",
    "tecn",
    "pcln",
    "msrn",
    "jrg_rgb",
} | MULTI_TASK  # they do not say how sure they are
PAIRED = ["core", "dae_core", "tpt", "t2cr", "tsa"]
FRAMES, SIZE = 18, 16


class NormalisedBackbone(Backbone):
    """A network with one BatchNorm."""

    feature_size = 8
    middle_stage = "layers"

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv3d(3, 8, 1, stride=8), nn.BatchNorm3d(8))


@pytest.fixture
def build(config: Config) -> Build:
    """`build("usdl")`: the method of that yaml, or of a preset, `usdl_as_published`, on a small backbone."""

    def make(name: str, network: nn.Module | None = None, **changes: Any) -> Any:
        torch.manual_seed(0)
        composed = config(f"experiment={name}" if name.endswith("_as_published") else f"model={name}")
        plan = hydra.utils.instantiate(composed.clips)
        given = {"encoder": encoder(network or TinyBackbone(2), plan, freeze_bn=composed.schedule.freeze_bn)}
        small = {"hidden_features": 8, "depth": 3} if "core" in name else {}
        small |= {"voters": 2} if name in PAIRED else {}
        small |= {"width": 16} if name in ("gdlt", "cofinal", "tpt") else {}
        small |= {"groups": 1} if name == "hgcn" else {}
        small |= {"width": 16, "heads": 2, "texts_width": 12} if name == "rica2" else {}
        small |= {"words": 30} if name in MULTI_TASK else {}
        small |= {"length": 20, "width": 32, "hidden": 16} if name in ("tecn", "pcln") else {}
        model = hydra.utils.instantiate(composed.model, _partial_=True)(**given | small | changes)
        model.learn_scale(labels())
        model.optimisation = hydra.utils.instantiate(composed.optim, _convert_="all")
        return model

    return make


def labels() -> TrainingLabels:
    zero = torch.zeros(12, dtype=torch.int64)
    return TrainingLabels(torch.linspace(10, 90, 12).double(), action=zero, group=zero, max_label=100.0)


def some(count: int, split: str = "train", judges: int = 7) -> Sample:
    """Videos of noise, with scores by the rule of diving."""
    difficulty = 2.8 + 0.2 * torch.arange(count, dtype=torch.float64)
    marks = torch.linspace(5, 8, judges).double() - 0.5 * torch.arange(count)[:, None]
    score = aggregate_judges(marks, difficulty) if judges else torch.full_like(difficulty, 60.0)
    offset, factor = torch.full_like(score, 21.6), torch.full_like(score, 0.81)
    known = made_labels(
        count, score=score, label=(score - offset) / factor, offset=offset, factor=factor, difficulty=difficulty,
        judges=marks, voters=torch.tensor([[0, 2]]).repeat(count, 1),
    )  # fmt: skip
    video = torch.cat([noise(1, FRAMES, SIZE, seed=position) for position in range(count)])
    return made_sample(video, known, split, made_side(count))


def fit(model: Scorer, epochs: int = 1, **more: Any) -> Trainer:
    paired = isinstance(model, VotingScorer)
    test = [DataLoader(Videos(some(3, "test")), batch_size=2)]
    if paired:
        test.append(DataLoader(Videos(some(4)), batch_size=2))
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, **more,
    )  # fmt: skip
    trainer.fit(model, DataLoader(Videos(some(4), paired), batch_size=2), test)
    return trainer


# from the yaml files to what trains


@pytest.mark.parametrize("name", EVERY)
def test_a_methods_schedule_is_that_of_a_training_at_full_size(name: str, config: Config) -> None:
    composed = config(f"model={name}", "data=aqa7")
    trainer, schedule, frozen = composed.trainer, composed.schedule, composed.schedule.freeze_bn
    assert (trainer.max_epochs, composed.data.batch_size) == (schedule.epochs, schedule.batch_size)
    assert trainer.accumulate_grad_batches == schedule.accumulate
    assert composed.backbone.freeze_bn is composed.model.encoder.freeze_bn is frozen
    otherwise = config(f"model={name}", "data=aqa7", f"backbone.freeze_bn={not frozen}")
    assert otherwise.model.encoder.freeze_bn is not frozen


@pytest.mark.parametrize("name", EVERY)
def test_every_parameter_has_the_rate_of_its_group(name: str, config: Config, build: Build) -> None:
    optim, model = config(f"model={name}").optim, build(name)
    optimizer = model.configure_optimizers()
    kinds = {"gdlt": torch.optim.SGD, "cofinal": torch.optim.SGD, "rica2": torch.optim.AdamW}
    assert type(optimizer) is kinds.get(name, torch.optim.Adam)
    groups = {group["name"]: group for group in optimizer.param_groups}
    assert (groups["head"]["lr"], groups["backbone"]["lr"]) == (optim.learning_rate, optim.backbone_learning_rate)
    for own, group in groups.items():
        options = optim.groups.get(own, {})
        assert group["weight_decay"] == options.get("weight_decay", optim.weight_decay)
        assert group["lr"] == options.get("lr", group["lr"])
    assert {id(p) for p in groups["backbone"]["params"]} == {id(p) for p in model.encoder.network.parameters()}
    assert sum(len(group["params"]) for group in groups.values()) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("core", 14_797_646),
        ("usdl", 12_595_589),
        ("musdl", 14_373_299),
        ("dae", 12_582_818),
        ("dae_mt", 12_582_818),
        ("gdlt", 12_287_264 + 3_163_396),
        ("hgcn", 12_287_264 + 406_682),
        ("cofinal", 12_287_264 + 3_715_692),
        ("tpt", 12_287_264 + 5_656_354),
        ("t2cr", 12_287_264 + 618_784),
        ("tsa_net", 12_287_264 + 559_680 + 295_425),
        ("rica2", 12_287_264 + 15_226_882),
        ("jrg_rgb", 12_287_264 + 790_545),
        ("tsa", 12_287_264 + 311_759),
        ("msrn", 12_287_264 + 4_983_261),
        ("i3d_lstm", 12_287_264 + 1_313_025),
        ("i3d_avg_mtl", 12_287_264 + 18_113_199),
    ],
)
def test_parameters_of_whole_models(name: str, count: int, config: Config) -> None:
    with torch.device("meta"):  # sizes only
        model = hydra.utils.instantiate(config(f"model={name}", "data=aqa7").model)
    assert sum(parameter.numel() for parameter in model.parameters()) == count


# training


@pytest.mark.parametrize("name", EVERY)
def test_statistics_are_frozen_or_live_and_stay_so_after_validation(name: str, build: Build, config: Config) -> None:
    model = build(name, NormalisedBackbone())
    norm = next(layer for layer in model.modules() if isinstance(layer, _BatchNorm))
    before, weight = norm.running_mean.clone(), norm.weight.detach().clone()
    fit(model, epochs=2)  # the second one follows a validation
    frozen = config(f"model={name}").schedule.freeze_bn
    assert torch.equal(norm.running_mean, before) == frozen
    positions = len(model.encoder.plans[0].starts(FRAMES))
    assert int(norm.num_batches_tracked) == (0 if frozen else 2 * 2 * positions)  # epochs, batches, clip positions
    assert not torch.equal(norm.weight, weight)  # scale and shift train in any case


@pytest.mark.parametrize("name", ["core", "usdl"])
def test_an_evaluation_in_parts_has_the_scores_of_one_at_once(
    name: str, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(name)
    fit(model)
    at_once = predictions(model)["test"]
    monkeypatch.setattr(scorer, "SCORED_AT_ONCE", 2)  # of three
    other, sizes = build(name), set()
    score = other.score
    monkeypatch.setattr(
        other, "score", lambda videos, exemplars: sizes.add(len(videos.feature)) or score(videos, exemplars)
    )
    fit(other)
    assert sizes == {1, 2}
    for one, part in zip(at_once, predictions(other)["test"], strict=True):
        torch.testing.assert_close(one, part)


@pytest.mark.parametrize(
    ("name", "clips_per_pass"),
    [
        *((name, None) for name in METHODS if not name.startswith("i3d_")),
        pytest.param("core", 1, id="core clip by clip"),
    ],
)
def test_every_video_is_encoded_once_in_an_evaluation(name: str, clips_per_pass: int | None, build: Build) -> None:
    model = build(name)
    model.encoder.clips_per_pass = clips_per_pass
    clips: list[int] = []
    model.encoder.network.register_forward_pre_hook(
        lambda module, given: clips.append(0 if module.training else len(given[0]))
    )
    encoded_videos = []
    model.encoder.register_forward_hook(
        lambda _, given, __: encoded_videos.append((model.training, len(given[0].video)))
    )
    fit(model)
    assert sum(count for training, count in encoded_videos if training) == (8 if name in PAIRED else 4)
    assert sum(count for training, count in encoded_videos if not training) == (3 + 4 if name in PAIRED else 3)
    count = sum(len(plan.starts(FRAMES)) for plan in model.encoder.plans)
    single = {"c3d_lstm": 1, "c3d_avg_mtl": 1, "mscadc": 1, "tecn": FRAMES, "pcln": FRAMES, "msrn": FRAMES}
    several = {"hgcn": 10, "tpt": 3, "rica2": 3, "t2cr": 18, "tsa": 9, "jrg_rgb": 12}
    assert count == (several | single).get(name, 2)
    halves = 2 if name == "tsa_net" else 1  # of the network, each of which is called once
    assert sum(clips) == halves * count * (3 + 4 if name in PAIRED else 3)
    index, predicted, true = predictions(model)["test"]
    assert index.tolist() == [0, 1, 2]
    assert predicted.isfinite().all()
    torch.testing.assert_close(true, some(3).labels.score)
    std = predicted_stds(model)["test"]
    assert (std.isnan() if name in UNSURE else std > 0).all()


def test_features_are_dropped_when_weights_change(build: Build) -> None:
    model = build("core")
    fit(model)
    assert model.exemplars is not None
    torch.testing.assert_close(model.exemplars.feature, model.encoder(some(4)))
    model.on_before_optimizer_step(model.configure_optimizers())
    assert model.exemplars is None


@pytest.mark.parametrize(("name", "warned"), [("usdl", True), ("dae", False)])
def test_live_statistics_of_several_processes_warn(
    name: str, warned: bool, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    model = build(name, NormalisedBackbone())
    model.trainer = type("Several", (), {"world_size": 2})()
    with caplog.at_level(logging.WARNING):
        model.on_train_start()
    assert ("BatchNorm" in caplog.text) == warned


# checkpoints


def test_a_checkpoint_carries_config_epsilon_and_on_request_exemplars(build: Build) -> None:
    for stored in (False, True):
        model = build("core", NormalisedBackbone(), store_exemplars=stored)
        model.config = {"seed": 3}
        next(layer for layer in model.modules() if isinstance(layer, _BatchNorm)).eps = 1e-4
        fit(model)
        content: dict[str, Any] = {"state_dict": model.state_dict()}
        model.on_save_checkpoint(content)
        assert content["swapaqa_config"] == {"seed": 3}
        assert ("swapaqa_exemplars" in content) == stored
        fresh = build("core", NormalisedBackbone())
        fresh.groups = torch.empty(0, 4, 2, dtype=torch.float64)  # as before it has seen training labels
        fresh.load_state_dict(content["state_dict"])
        fresh.on_load_checkpoint(content)
        assert torch.equal(fresh.groups, model.groups)
        assert next(layer for layer in fresh.modules() if isinstance(layer, _BatchNorm)).eps == 1e-4
        assert (fresh.exemplars is not None) == stored


def test_batch_norm_settings_are_restored() -> None:
    one_network, other = NormalisedBackbone(), NormalisedBackbone()
    one_network.layers[1].eps, one_network.layers[1].momentum = 0.5, 0.25
    restore_batch_norm_settings(other, batch_norm_settings(one_network))
    assert (other.layers[1].eps, other.layers[1].momentum) == (0.5, 0.25)


# the methods one by one


def test_usdl_learns_and_reads_the_scale_of_the_labels(build: Build) -> None:
    model: USDL = build("usdl")
    videos = model.encode(some(3))
    log_prob = model.head(videos.mean_feature)
    label = score_distribution(videos.labels.label, 101, 100.0, 5.0)
    expected = distribution_loss(log_prob, label, "batchmean")
    torch.testing.assert_close(model.losses(videos, None)["divergence"], expected)
    videos = model.eval().encode(some(3))
    found = model.score(videos, None)
    torch.testing.assert_close(found.label, decode_score(log_prob, 100.0))
    torch.testing.assert_close(found.std, score_std(log_prob.exp(), 100.0))
    model.learn_scale(labels()._replace(max_label=104.5))
    torch.testing.assert_close(model.score(videos, None).label, found.label * 1.045)


def test_musdl_combines_the_judges_by_the_rule_in_points(build: Build) -> None:
    model: MUSDL = build("musdl")
    videos = model.encode(some(3))
    log_prob = model.heads(videos.mean_feature)
    label = score_distribution(videos.labels.judges, 21, 10.0, 5.0)
    expected = distribution_loss(log_prob, label, "batchmean")
    torch.testing.assert_close(model.losses(videos, None)["divergence"], expected)
    found = in_points(model.score(videos, None), videos)
    points = aggregate_judges(decode_score(log_prob, 10.0), videos.labels.difficulty)
    torch.testing.assert_close(found.label, points)


def test_musdl_decodes_its_own_labels_to_the_final_score(build: Build) -> None:
    model: MUSDL = build("musdl")
    videos = model.encode(some(3))
    judges = (2 * videos.labels.judges).round() / 2
    score = aggregate_judges(judges, videos.labels.difficulty)
    label = score_distribution(judges, 21, 10.0, 5.0)
    model.heads = nn.Module()
    model.heads.forward = lambda _: label.log()  # type: ignore[method-assign]
    torch.testing.assert_close(in_points(model.score(videos, None), videos).label, score)


def test_deviation_of_the_middle_three_judges() -> None:
    scores = torch.tensor([[9.0, 1.0, 8.0, 7.0, 10.0]])
    stds = torch.tensor([[3.0, 50.0, 4.0, 12.0, 60.0]])
    assert aggregate_std(scores, stds, torch.tensor([2.0])).item() == pytest.approx(2 * 13)


def test_methods_refuse_data_without_what_they_need(build: Build) -> None:
    with pytest.raises(InputError, match="no judges' scores"):
        build("musdl").check_sample(some(2, judges=0))
    with pytest.raises(InputError, match=r"num_judges=7, but .* 5 judges"):
        build("musdl").check_sample(some(2, judges=5))
    with pytest.raises(InputError, match="model=dae"):
        build("dae_mt").check_sample(made_sample(noise(2)))
    with pytest.raises(InputError, match="middle three"):
        build("musdl", num_judges=4)
    with pytest.raises(InputError, match="initial_mean"):
        build("dae_mt", initial_mean=None)
    for name in METHODS:
        build(name).check_sample(some(2))


def test_dae_starts_at_the_mean_of_the_labels(build: Build) -> None:
    for changes, start in (({}, 50.0), ({"initial_mean": 0.0}, 0.0), ({"initial_mean": 7.0}, 7.0)):
        model: DAE = build("dae", **changes)
        assert model.score(model.encode(some(3)), None).label.mean().item() == pytest.approx(start, abs=1)


def test_dae_scores_by_the_mean_with_the_calibrated_deviation(build: Build) -> None:
    model: DAE = build("dae")
    videos = model.encode(some(3))
    mean, log_variance = model.head(videos.mean_feature)
    found = model.score(videos, None)
    torch.testing.assert_close(found, Predicted(mean.double(), calibrated_std(log_variance).double()))
    expected = gaussian_likelihood_loss(mean, log_variance, videos.labels.label.float(), 0.6, 0.4)
    torch.testing.assert_close(model.losses(videos, None), {"likelihood": expected})


def test_dae_as_published_samples_in_training_and_at_test(build: Build) -> None:
    model: DAE = build("dae_as_published")
    videos = model.encode(some(3))
    losses, scores = [], []
    for epoch in range(2):
        model._trainer = SimpleNamespace(current_epoch=epoch, barebones=True)
        losses.append(model.losses(videos, None)["squared_error_pair"])
        scores.append(model.score(videos, None))
    assert losses[0] != losses[1]
    mean, log_variance = model.head(videos.mean_feature)
    drawn = [(found.label - mean) / (log_variance / 2).exp() for found in scores]
    assert len({round(value, 3) for one in drawn for value in one.tolist()}) == 6
    assert torch.stack(drawn).abs().max() < 5
    assert mean.abs().max() < 1  # it starts at 0, not at the labels' mean
    torch.testing.assert_close(scores[0].std, (log_variance / 2).exp().double())


def test_usdl_as_published_divides_the_divergence_by_all_elements(build: Build) -> None:
    """`nn.KLDivLoss()` of the published codes, whose "mean" PyTorch will give another meaning."""
    model: USDL = build("usdl_as_published")
    videos = model.encode(some(3))
    label = score_distribution(videos.labels.label, model.num_bins, model.max_label, model.std).float()
    expected = kl_div(model.head(videos.mean_feature), label, reduction="none").mean()
    torch.testing.assert_close(model.losses(videos, None)["divergence"], expected)


def test_musdl_as_published_adds_up_what_the_judges_give(build: Build) -> None:
    model: MUSDL = build("musdl_as_published")
    videos = model.encode(some(3))
    label = score_distribution(videos.labels.judges, model.num_bins, model.max_judge_score, model.std).float()
    found = model.heads(videos.mean_feature)
    each = [kl_div(found[:, judge], label[:, judge], reduction="none").mean() for judge in range(7)]
    torch.testing.assert_close(model.losses(videos, None)["divergence"], torch.stack(each).sum())


@pytest.mark.parametrize("each", [(), (7,)])
def test_a_sampled_score_draws_the_same_noise_for_a_video_in_any_batch(each: tuple[int, ...]) -> None:
    like = torch.empty(0, *each)
    assert torch.equal(keyed_noise(0, ["a", "b", "c"], like)[1:], keyed_noise(0, ["b", "c"], like))
    assert not torch.equal(keyed_noise(0, ["a"], like), keyed_noise(1, ["a"], like))
    drawn = keyed_noise(0, range(20_000), like)
    assert drawn.shape[1:] == each
    assert drawn.mean().item() == pytest.approx(0, abs=0.03)
    assert drawn.std().item() == pytest.approx(1, abs=0.03)


def test_dropout_of_a_head_is_the_same_after_a_resumption_and_another_in_the_next_epoch(build: Build) -> None:
    term = {"gdlt": "squared_error", "cofinal": "coarse", "tpt": "spread"}
    for name in term:
        model, found = build(name), []
        videos = model.encode(some(4))
        for epoch, drawn_before in ((0, 3), (0, 0), (1, 0)):
            torch.rand(drawn_before)
            model._trainer = SimpleNamespace(current_epoch=epoch, barebones=True)
            found.append(model.losses(videos, videos)[term[name]].item())
        assert found[0] == found[1] != found[2]


def test_dae_mt_is_a_gaussian_of_the_completeness_whatever_the_labels_are(build: Build) -> None:
    model: DAEMT = build("dae_mt")
    videos = model.encode(some(3))
    difficulty = videos.labels.difficulty
    mean, log_variance = model.head(videos.mean_feature)
    found = in_points(model.score(videos, None), videos)
    torch.testing.assert_close(found.label, mean.double() * difficulty, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.std, calibrated_std(log_variance).double() * difficulty, rtol=1e-5, atol=0)
    completeness = (videos.labels.score / difficulty).float()
    expected = gaussian_likelihood_loss(mean, log_variance, completeness) + 0.8 * difficulty.log().mean()
    torch.testing.assert_close(model.losses(videos, None)["likelihood"], expected.float(), rtol=1e-4, atol=1e-4)


def test_core_says_how_far_its_votes_lie_apart() -> None:
    """Of three votes and of one; what has not voted does not count."""
    votes, voted = (
        torch.tensor([[60.0, 66.0, 72.0], [60.0, 1e9, 0.0]]),
        torch.tensor([[True] * 3, [True, False, False]]),
    )
    alone, with_own = vote_variance(votes, voted, None), vote_variance(votes, voted, torch.full((2, 3), 12.0))
    assert alone[0].sqrt().item() == pytest.approx(6)
    assert with_own[0].item() == pytest.approx(12 + 24)
    assert math.isnan(alone[1])
    assert with_own[1].item() == 12
    assert mean_of_some(votes, voted).tolist() == [66, 60]


def test_dae_core_adds_the_leaf_s_own_variance(build: Build) -> None:
    model: DAECoRe = build("dae_core").eval()
    videos, exemplars = model.encode(some(2, "test")), model.encode(some(4))
    found = model.score(videos, exemplars)
    label, by, own = exemplars.labels.label[[0, 2]], exemplars.mean_feature[[0, 2]], videos.mean_feature[[0, 0]]
    outputs = model.tree(torch.cat([by, own, (label[:, None] / 100).float()], dim=1))
    delta, variance = model.decode(outputs, model.groups[0])
    votes = label + delta
    assert found.label[0].item() == pytest.approx(votes.mean().item())
    assert found.std[0].item() == pytest.approx((variance.mean() + votes.var(correction=0)).sqrt().item(), rel=1e-6)


def test_points_and_labels_convert_into_each_other(build: Build) -> None:
    videos = build("usdl").encode(some(2))
    points = Predicted(torch.tensor([60.0, 70.0]).double(), torch.tensor([3.0, 4.0]).double())
    torch.testing.assert_close(in_points(from_points(*points, videos), videos), points)


# on data sets


@pytest.mark.parametrize(("name", "reason"), [("musdl", "no judges' scores"), ("dae_mt", "the difficulty, and these")])
def test_what_aqa7_does_not_have_is_refused_with_that_reason(
    name: str, reason: str, tmp_path: Path, train_inside: Callable[..., Any], aqa7_tree: Callable[..., Path]
) -> None:
    done = train_inside(
        tmp_path, f"model={name}", "data=aqa7", f"data.root={aqa7_tree()}", "backbone=tiny", "logger=csv",
        "data.frames=16", "data.geometry.height=40", "data.geometry.width=64", "data.geometry.crop=32",
    )  # fmt: skip
    assert done.returncode == 2
    assert reason in done.stderr


@pytest.mark.slow
def test_usdl_trains_i3d_with_live_statistics(
    tmp_path: Path, train_inside: Callable[..., Any], aqa7_tree: Callable[..., Path]
) -> None:
    done = train_inside(
        tmp_path, "model=usdl", "data=aqa7", f"data.root={aqa7_tree()}", "logger=csv", "trainer.max_epochs=1",
        "data.workers=0", "data.frames=16", "data.geometry.height=40", "data.geometry.width=64",
        "data.geometry.crop=32",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    counts = {int(v) for key, v in state["state_dict"].items() if key.endswith("num_batches_tracked")}
    assert counts == {2}  # 6 videos in batches of 4, one clip position each
