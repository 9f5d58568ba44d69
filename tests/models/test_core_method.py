"""CoRe as a method: votes on stored features, losses, what a checkpoint carries, statistics that stay frozen."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from omegaconf import DictConfig
from pytorch_lightning import Trainer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from swapaqa.batch import Encoded, Pair, Sample, TrainingLabels, take_rows
from swapaqa.errors import InputError
from swapaqa.models import core
from swapaqa.models.core import Arithmetic, CoRe
from swapaqa.models.i3d import I3D
from swapaqa.models.score_groups import build_groups, decode_relative_score
from swapaqa.models.scorer import CONFIG_KEY, predictions
from swapaqa.models.stored_exemplars import EXEMPLARS_KEY, from_plain
from swapaqa.models.tiny import TinyBackbone
from swapaqa.models.tree_loss import contrastive_tree_loss
from tests.made_videos import Videos, encoder, made_encoded, made_labels, made_sample, noise

Build = Callable[..., CoRe]

FRAMES, SIZE = 18, 32


@pytest.fixture
def build(config: Callable[..., DictConfig]) -> Build:
    """`build(network)`: CoRe as its yaml has it, small."""

    def make(network: nn.Module | None = None, name: str = "core", **changes: Any) -> CoRe:
        torch.manual_seed(0)
        composed = config(f"model={name}")
        small = {"encoder": encoder(network or TinyBackbone(4)), "hidden_features": 8, "depth": 3, "voters": 3}
        model = hydra.utils.instantiate(composed.model, _partial_=True)(**small | changes)
        model.optimisation = hydra.utils.instantiate(composed.optim, _convert_="all")
        return model

    return make


def labels(count: int = 12, actions: int = 1) -> TrainingLabels:
    """Labels that differ more in one action than in the next."""
    action = torch.arange(count * actions) % actions
    spread = torch.linspace(10, 90, count).double().repeat_interleave(actions)
    return TrainingLabels(label=50 + (spread - 50) / (action + 1), action=action, group=action, max_label=100.0)


def sample(seed: int, count: int, split: str, voters: list[list[int]], action: int = 0, frames: int = FRAMES) -> Sample:
    """`count` videos of noise."""
    label = torch.linspace(20, 80, count, dtype=torch.float64)
    known = made_labels(
        count, score=21.6 + 0.81 * label, offset=torch.full_like(label, 21.6), factor=torch.full_like(label, 0.81),
        action=torch.full((count,), action), voters=torch.tensor(voters).long().view(count, -1),
    )  # fmt: skip
    return made_sample(noise(count, frames, SIZE, seed), known, split)


def relabelled(videos: Sample, label: Tensor) -> Sample:
    return videos._replace(labels=videos.labels._replace(label=label))


def losses(model: CoRe, query: Sample, exemplar: Sample) -> dict[str, Tensor]:
    return model.losses(*model.encode_batch(Pair(query, exemplar)))


def predicted(model: CoRe, videos: Sample, exemplars: Sample) -> Tensor:
    return model.score(model.encode(videos), model.encode(exemplars)).label


@torch.no_grad()
def test_votes_on_stored_features_are_the_votes_of_encoded_pairs(build: Build) -> None:
    model = build().eval()
    model.learn_scale(labels())
    train = sample(0, 4, "train", [])
    test = sample(1, 3, "test", [[0, 1, 2], [3, 1, -1], [2, -1, -1]])
    expected = []
    for row, chosen in enumerate(([0, 1, 2], [3, 1], [2])):
        votes = []
        for voter in chosen:  # the naive form: both videos through the network, once for every vote
            both = ((train, voter), (test, row))
            features = [model.encoder(take_rows(videos, [i])).mean(dim=1) for videos, i in both]
            label = train.labels.label[voter]
            log_prob, offset = model.tree(torch.cat([*features, label.float().view(1, 1) / 100], dim=1))
            votes.append(label + decode_relative_score(log_prob, offset, model.groups[0])[0])
        expected.append(torch.stack(votes).mean())
    assert torch.allclose(predicted(model, test, train), torch.stack(expected), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_missing_voter_is_not_the_last_training_video(build: Build) -> None:
    model = build().eval()
    model.learn_scale(labels())
    train = sample(0, 4, "train", [])
    padded = predicted(model, sample(1, 2, "test", [[0, -1, -1], [0, 1, -1]]), train)
    bare = predicted(model, sample(1, 2, "test", [[0, 0, 0], [0, 1, 0]]), train)
    assert padded[0] == pytest.approx(float(bare[0]))
    assert padded[1] != pytest.approx(float(bare[1]))


def votes_one_by_one(model: CoRe, videos: Encoded, row: int, exemplars: Encoded) -> tuple[Tensor, Tensor | None]:
    """As CoRe scored before it did so in batches: (V,) votes of one video's voters, and their variances."""
    chosen = videos.labels.voters[row]
    chosen = chosen[chosen >= 0]
    if not len(chosen):
        return exemplars.labels.label[:0], None
    own, by = videos.mean_feature[row].expand(len(chosen), -1), exemplars.mean_feature[chosen]
    label = exemplars.labels.label[chosen]
    inputs = torch.cat([by, own, (label / model.max_label)[:, None]], dim=1)
    delta, variance = model.decode(model.tree(inputs), model.groups[videos.labels.action[row]])
    return label + delta, variance


def variance_of_votes(votes: Tensor, own: Tensor | None) -> Tensor:
    if own is not None:
        return own.mean() + votes.var(correction=0)
    return votes.var() if len(votes) > 1 else votes.new_tensor(torch.nan)


@pytest.mark.parametrize("votes_per_pass", [CoRe.votes_per_pass, 2, 1])
@pytest.mark.parametrize("name", ["core", "dae_core"])
def test_a_batch_of_votes_is_what_a_loop_over_videos_and_voters_gives(
    name: str, votes_per_pass: int, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fewer voters than places, one, none; of several clips, in two actions; and the same gradient."""
    monkeypatch.setattr(CoRe, "votes_per_pass", votes_per_pass)
    model = build(name=name).double()
    model.learn_scale(labels(actions=2))
    voters = [[0, 1, 2], [3, 1, -1], [-1, 2, -1], [-1, -1, -1], [4, 0, 3], [2, -1, 4]]
    drawn = torch.randn(11, 2, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    exemplars = made_encoded(drawn[:5])
    action = torch.tensor([0, 1, 0, 1, 1, 0])
    videos = made_encoded(drawn[5:], action=action, voters=torch.tensor(voters))
    loop = [votes_one_by_one(model, videos, row, exemplars) for row in range(6)]
    label = torch.stack([votes.mean() for votes, _ in loop])
    std = torch.stack([variance_of_votes(*votes) for votes in loop]).sqrt()
    assert label.isnan().tolist() == [False, False, False, True, False, False]
    assert std.isnan().tolist() == [False, False, name == "core", True, False, False]
    found = model.score(videos, exemplars)
    close = {"rtol": 0, "atol": 1e-12, "equal_nan": True}
    torch.testing.assert_close(found.label, label, **close)
    torch.testing.assert_close(found.std, std, **close)
    (slope,) = torch.autograd.grad(model.differentiable_label(videos, exemplars)[[0, 1, 2, 4, 5]].sum(), drawn)
    (expected,) = torch.autograd.grad(label[[0, 1, 2, 4, 5]].sum(), drawn)
    assert expected[5:].abs().sum() > 0
    torch.testing.assert_close(slope, expected, **close)


def test_videos_without_any_voter_have_no_score(build: Build) -> None:
    model = build()
    model.learn_scale(labels())
    features = torch.randn(3, 2, 16, generator=torch.Generator().manual_seed(0))
    for voters in (torch.full((3, 2), -1), torch.zeros(3, 0, dtype=torch.int64)):
        found = model.score(made_encoded(features, voters=voters), made_encoded(features))
        assert found.label.isnan().all()
        assert found.std.isnan().all()


def test_scoring_without_exemplars_is_refused(build: Build) -> None:
    model = build().eval()
    with pytest.raises(InputError, match="training videos"):
        model.score(model.encode(sample(1, 1, "test", [[0]])), None)


def test_losses_are_those_of_both_directions(build: Build) -> None:
    model = build()
    model.learn_scale(labels())
    query, exemplar = sample(1, 3, "train", []), sample(2, 3, "train", [])
    exemplar = relabelled(exemplar, exemplar.labels.label.flip(0) + 1.5)
    of_query, of_exemplar = (model.encoder(videos).mean(dim=1) for videos in (query, exemplar))
    labels_of = [videos.labels.label for videos in (query, exemplar)]
    query_share, exemplar_share = ((label / 100).float()[:, None] for label in labels_of)
    towards_query = torch.cat([of_exemplar, of_query, exemplar_share], dim=1)
    towards_exemplar = torch.cat([of_query, of_exemplar, query_share], dim=1)
    outputs = [model.tree(inputs) for inputs in (towards_query, towards_exemplar)]
    delta = labels_of[0] - labels_of[1]
    expected = contrastive_tree_loss(
        *(torch.cat(both) for both in zip(*outputs, strict=True)), torch.cat([delta, -delta]), model.groups[0]
    )
    found = losses(model, query, exemplar)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.item() == pytest.approx(expected[name].item(), abs=1e-4)


def test_losses_follow_the_edge_and_the_rounding(build: Build) -> None:
    """Of differences just below a border, and beyond the scale's extent."""
    found = []
    for changes in ({}, {"edge": "official"}, {"decimals": None}):
        model = build(**changes)
        model.learn_scale(labels())
        query = sample(1, 3, "train", [])
        border = model.groups[0, -1, 0]
        delta = torch.stack([border - 3e-6, torch.tensor(150.0).double(), torch.tensor(1.5).double()])
        exemplar = relabelled(sample(2, 3, "train", []), query.labels.label - delta)
        encoded = model.encode_batch(Pair(query, exemplar))
        (log_prob, offset), both, groups = model.compare(*encoded)
        expected = contrastive_tree_loss(log_prob, offset, both, groups, model.edge, model.decimals)
        torch.testing.assert_close(model.losses(*encoded), expected)
        found.append(float(sum(expected.values()).detach()))
    assert len({round(value, 4) for value in found}) == 3


def test_losses_are_means_over_the_pairs_of_all_processes(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_another(value: Tensor) -> Tensor:
        return value + 1

    model = build()
    model.learn_scale(labels())
    encoded = model.encode_batch(Pair(sample(1, 3, "train", []), sample(2, 3, "train", [])))
    (log_prob, offset), delta, groups = model.compare(*encoded)
    monkeypatch.setattr(core, "sum_over_processes", with_another)
    expected = contrastive_tree_loss(log_prob, offset, delta, groups, model.edge, model.decimals, with_another)
    alone = contrastive_tree_loss(log_prob, offset, delta, groups, model.edge, model.decimals)
    torch.testing.assert_close(model.losses(*encoded), expected)
    assert any(not torch.equal(alone[name], value) for name, value in expected.items())


@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
def test_labels_are_subtracted_in_the_arithmetic_of_the_method(arithmetic: Arithmetic, build: Build) -> None:
    model, dtype = build(arithmetic=arithmetic), getattr(torch, arithmetic)
    exact = torch.tensor([86.7, 35.1], dtype=torch.float64), torch.tensor([86.4, 35.05], dtype=torch.float64)
    for label, other in (exact, (exact[0].float(), exact[1]), (exact[0], exact[1].float())):
        difference = model.difference(label, other)
        assert difference.dtype == dtype
        assert torch.equal(difference, label.to(dtype) - other.to(dtype))


def test_exchanging_query_and_exemplar_keeps_the_loss(build: Build) -> None:
    model = build()
    model.learn_scale(labels())
    query, exemplar = sample(1, 3, "train", []), sample(2, 3, "train", [])
    exemplar = relabelled(exemplar, exemplar.labels.label + 11)
    one, other = losses(model, query, exemplar), losses(model, exemplar, query)
    assert {name: value.item() for name, value in one.items()} == pytest.approx(
        {name: value.item() for name, value in other.items()}, abs=1e-4
    )


def test_every_parameter_is_trained_by_the_loss(build: Build) -> None:
    model = build()
    model.learn_scale(labels())
    sum(losses(model, sample(1, 4, "train", []), sample(2, 4, "train", [])).values()).backward()
    idle = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert idle == []
    groups = model.configure_optimizers().param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert {group["name"]: group["lr"] for group in groups} == {"head": 1e-3, "backbone": 1e-4}


def test_borders_are_learned_per_action_and_within_exemplar_groups(build: Build) -> None:
    model = build()
    known = labels(actions=2)
    model.learn_scale(known)
    assert model.groups.shape == (2, 4, 2)
    for action in range(2):
        own = known.label[known.action == action]
        deltas = torch.pdist(own[:, None], p=1)
        assert torch.equal(model.groups[action], build_groups(deltas, 3, 100.0))
    assert not torch.equal(model.groups[0], model.groups[1])
    within = known._replace(action=torch.zeros_like(known.action))  # one action in two exemplar groups
    model.learn_scale(within)
    deltas = torch.cat([torch.pdist(known.label[known.group == g][:, None], p=1) for g in range(2)])
    assert torch.equal(model.groups[0], build_groups(deltas, 3, 100.0))
    unrounded = build(decimals=None)
    unrounded.learn_scale(within)
    assert torch.equal(unrounded.groups[0], build_groups(deltas, 3, 100.0, None))
    assert not torch.equal(unrounded.groups, model.groups)


def test_borders_of_the_samples_own_action_are_used(build: Build) -> None:
    model = build().eval()
    model.learn_scale(labels(actions=2))
    train = sample(0, 4, "train", [])
    voters = [[0, 1, 2]] * 2
    by_action = [predicted(model, sample(1, 2, "test", voters, action), train) for action in range(2)]
    assert not torch.allclose(*by_action)


def test_borders_live_in_the_checkpoint(build: Build, tmp_path: Path) -> None:
    model = build()
    model.learn_scale(labels(actions=2))
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    fresh = build()
    assert fresh.groups.numel() == 0
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(fresh.groups, model.groups)
    assert fresh.groups.dtype == torch.float64
    assert fresh.max_label == 100
    assert (fresh.max_label.dtype, model.max_label.dtype) == (torch.float64, torch.float64)


@pytest.mark.parametrize("stored", [True, False])
def test_a_checkpoint_carries_the_exemplars_that_it_should(stored: bool, build: Build) -> None:
    model, checkpoint = build(store_exemplars=stored), {}
    model.on_save_checkpoint(checkpoint)  # before they were encoded
    assert EXEMPLARS_KEY not in checkpoint
    model.exemplars = made_encoded(torch.randn(3, 2, 16, generator=torch.Generator().manual_seed(0)))
    model.on_save_checkpoint(checkpoint)
    assert CONFIG_KEY in checkpoint
    assert (EXEMPLARS_KEY in checkpoint) == stored
    if stored:
        found = from_plain(checkpoint[EXEMPLARS_KEY])
        assert torch.equal(found.mean_feature, model.exemplars.mean_feature)
        assert torch.equal(found.labels.label, model.exemplars.labels.label)


def test_voting_needs_a_voter(build: Build) -> None:
    with pytest.raises(InputError, match=r"model\.voters=0"):
        build(voters=0)


def loader(whole: Sample, pairs: bool = False) -> DataLoader[Any]:
    return DataLoader(Videos(whole, pairs), batch_size=2)


def fit(model: CoRe, folder: Path, videos: int = 4, frames: int = FRAMES) -> None:
    """Two epochs of a real Trainer, with a validation after each."""
    train = sample(0, videos, "train", [[]] * videos, frames=frames)
    test = sample(1, videos - 1, "test", [list(range(videos - 1))] * (videos - 1), frames=frames)
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    trainer.fit(model, loader(train, pairs=True), [loader(train), loader(test)])


@pytest.mark.slow
def test_statistics_stay_frozen_through_training_and_validation(build: Build, tmp_path: Path) -> None:
    model = build(I3D())
    model.learn_scale(labels())
    before = {name: buffer.clone() for name, buffer in model.encoder.named_buffers()}
    weights = [parameter.detach().clone() for parameter in model.encoder.parameters()]
    in_training = []
    original = model.training_step

    def watching(batch: Pair) -> Tensor:
        in_training.extend(layer.training for layer in model.modules() if isinstance(layer, _BatchNorm))
        assert model.training
        return original(batch)

    model.training_step = watching  # type: ignore[method-assign, assignment]
    fit(model, tmp_path, videos=2, frames=16)
    assert len(in_training) > 100
    assert not any(in_training)
    assert before
    for name, buffer in model.encoder.named_buffers():
        assert torch.equal(buffer, before[name]), name
    assert any(not torch.equal(a, b) for a, b in zip(weights, model.encoder.parameters(), strict=True))


def test_predictions_are_in_points_and_by_position(build: Build, tmp_path: Path) -> None:
    model = build()
    model.learn_scale(labels())
    fit(model, tmp_path)
    position, found, true = predictions(model)["test"]
    train, test = sample(0, 4, "train", []), sample(1, 3, "test", [[0, 1, 2]] * 3)
    with torch.no_grad():
        expected = 21.6 + 0.81 * predicted(model.eval(), test, train)
    assert position.tolist() == [0, 1, 2]
    assert torch.allclose(true, test.labels.score)
    assert torch.allclose(found, expected, atol=1e-4)
    assert set(predictions(model)) == {"test"}  # train is encoded for its exemplars and not measured


@pytest.mark.slow
def test_averaged_gradients_under_a_part_of_epsilon_step_as_summed_ones(
    build: Build, config: Callable[..., DictConfig], tmp_path: Path
) -> None:
    """As `core_as_published`: its code adds the gradients of two batches up, Lightning takes their mean."""
    steps, summed_epsilon = 2, 1e-8
    model = build().double()
    words = ("model=core", f"optim.optimizer.eps={summed_epsilon / steps}")
    model.optimisation = hydra.utils.instantiate(config(*words).optim, _convert_="all")
    model.learn_scale(labels())
    summed = copy.deepcopy(model)
    start = copy.deepcopy(model.state_dict())
    batches = [Pair(sample(2 * i, 2, "train", []), sample(2 * i + 1, 2, "train", [])) for i in range(6)]
    trainer = Trainer(
        max_epochs=1, accumulate_grad_batches=steps, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(model, DataLoader(batches, batch_size=None, shuffle=False))  # type: ignore[arg-type]
    groups = [
        {"params": [p for name, p in summed.named_parameters() if name.startswith("encoder") is backbone], "lr": rate}
        for backbone, rate in ((False, 1e-3), (True, 1e-4))
    ]
    optimizer = torch.optim.Adam(groups, eps=summed_epsilon)
    for number, batch in enumerate(batches, 1):
        sum(summed.losses(*summed.encode_batch(batch)).values()).backward()
        if number % steps == 0:
            optimizer.step()
            optimizer.zero_grad()
    assert trainer.global_step == 3
    for name, weight in summed.named_parameters():
        assert not torch.equal(weight, start[name]), name
        torch.testing.assert_close(model.get_parameter(name), weight, rtol=0, atol=1e-12)
