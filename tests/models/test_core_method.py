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
from torch.utils.data import DataLoader, Dataset

from swapaqa.batch import Pair, Sample, TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.clips import VideoEncoder
from swapaqa.models.core import CoRe, build_groups, contrastive_tree_loss, decode_relative_score
from swapaqa.models.i3d import I3D
from swapaqa.models.scorer import Encoded, predictions
from swapaqa.models.tiny import TinyBackbone

Build = Callable[..., CoRe]

FRAMES, SIZE = 18, 32


@pytest.fixture
def build(config: Callable[..., DictConfig]) -> Build:
    """`build(network)`: CoRe as its yaml has it, small."""

    def make(network: nn.Module | None = None, **changes: Any) -> CoRe:
        torch.manual_seed(0)
        encoder = VideoEncoder(network or TinyBackbone(4), 16, 10, None, "imagenet", True, None)
        model = hydra.utils.instantiate(config("model=core").model, _partial_=True)
        return model(**{"encoder": encoder, "hidden_features": 8, "depth": 3, "voters": 3} | changes)

    return make


def labels(count: int = 12, actions: int = 1) -> TrainingLabels:
    """Labels that differ more in one action than in the next."""
    action = torch.arange(count * actions) % actions
    spread = torch.linspace(10, 90, count).double().repeat_interleave(actions)
    return TrainingLabels(label=50 + (spread - 50) / (action + 1), action=action, group=action, max_label=100.0)


def sample(seed: int, count: int, split: str, voters: list[list[int]], action: int = 0, frames: int = FRAMES) -> Sample:
    """`count` videos of noise."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.linspace(20, 80, count, dtype=torch.float64)
    video = torch.randint(0, 256, (count, frames, SIZE, SIZE, 3), dtype=torch.uint8, generator=generator)
    return Sample(
        video=video.movedim(-1, 1),
        boxes=torch.zeros(count, frames, 4),
        mask=torch.zeros(count, 0, SIZE, SIZE, dtype=torch.bool),
        score=21.6 + 0.81 * label,
        label=label,
        offset=torch.full((count,), 21.6, dtype=torch.float64),
        factor=torch.full((count,), 0.81, dtype=torch.float64),
        difficulty=torch.ones(count, dtype=torch.float64),
        judges=torch.zeros(count, 0, dtype=torch.float64),
        action=torch.full((count,), action),
        position=torch.arange(count),
        voters=torch.tensor(voters) if voters else torch.zeros(count, 0, dtype=torch.int64),
        replaced=torch.zeros(count),
        split=[split] * count,
        video_id=[f"{split}/{i}" for i in range(count)],
    )


def encoded(model: CoRe, videos: Sample) -> Encoded:
    fields = {name: getattr(videos, name) for name in Encoded._fields if name != "feature"}
    return Encoded(feature=model.encoder(videos.video), **fields)


def predicted(model: CoRe, videos: Sample, exemplars: Sample) -> Tensor:
    found = model.score(encoded(model, videos), encoded(model, exemplars))
    return found if isinstance(found, Tensor) else found.label


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
            features = [model.encoder(videos.video[i : i + 1]) for videos, i in ((train, voter), (test, row))]
            share = train.label[voter].float().view(1, 1) / 100
            log_prob, offset = model.tree(torch.cat([*features, share], dim=1))
            votes.append(train.label[voter] + decode_relative_score(log_prob, offset, model.groups[0])[0])
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


def test_scoring_without_exemplars_is_refused(build: Build) -> None:
    model = build().eval()
    with pytest.raises(InputError, match="training videos"):
        model.score(encoded(model, sample(1, 1, "test", [[0]])), None)


def test_losses_are_those_of_both_directions(build: Build) -> None:
    model = build()
    model.learn_scale(labels())
    query, exemplar = sample(1, 3, "train", []), sample(2, 3, "train", [])
    exemplar = exemplar._replace(label=exemplar.label.flip(0) + 1.5)
    of_query, of_exemplar = model.encoder(query.video), model.encoder(exemplar.video)
    towards_query = torch.cat([of_exemplar, of_query, (exemplar.label / 100).float()[:, None]], dim=1)
    towards_exemplar = torch.cat([of_query, of_exemplar, (query.label / 100).float()[:, None]], dim=1)
    outputs = [model.tree(inputs) for inputs in (towards_query, towards_exemplar)]
    delta = query.label - exemplar.label
    expected = contrastive_tree_loss(
        *(torch.cat(both) for both in zip(*outputs, strict=True)), torch.cat([delta, -delta]), model.groups[0]
    )
    found = model.losses(Pair(query, exemplar))
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.item() == pytest.approx(expected[name].item(), abs=1e-4)


def test_exchanging_query_and_exemplar_keeps_the_loss(build: Build) -> None:
    model = build()
    model.learn_scale(labels())
    query, exemplar = sample(1, 3, "train", []), sample(2, 3, "train", [])
    exemplar = exemplar._replace(label=exemplar.label + 11)
    one, other = model.losses(Pair(query, exemplar)), model.losses(Pair(exemplar, query))
    assert {name: value.item() for name, value in one.items()} == pytest.approx(
        {name: value.item() for name, value in other.items()}, abs=1e-4
    )


def test_every_parameter_is_trained_by_the_loss(build: Build) -> None:
    model = build()
    model.learn_scale(labels())
    sum(model.losses(Pair(sample(1, 4, "train", []), sample(2, 4, "train", []))).values()).backward()
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


def test_voting_needs_a_voter(build: Build) -> None:
    with pytest.raises(InputError, match=r"model\.voters=0"):
        build(voters=0)


class Videos(Dataset[Any]):
    """Samples one by one, as the loaders of this project give them: numbers, not tensors of one element."""

    def __init__(self, whole: Sample, pairs: bool = False) -> None:
        self.whole = whole
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.whole.video)

    def __getitem__(self, position: int) -> Sample | Pair:
        one = Sample(*(field[position] for field in self.whole))
        return Pair(one, Sample(*(field[(position + 1) % len(self)] for field in self.whole))) if self.pairs else one


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
    assert torch.allclose(true, test.score)
    assert torch.allclose(found, expected, atol=1e-4)
    assert set(predictions(model)) == {"test"}  # train is encoded for its exemplars and not measured


def test_averaged_gradients_under_a_part_of_epsilon_step_as_summed_ones(build: Build, tmp_path: Path) -> None:
    """As `core_as_published`: its code adds the gradients of two batches up, Lightning takes their mean."""
    steps, summed_epsilon = 2, 1e-8
    model = build(epsilon=summed_epsilon / steps).double()
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
        sum(summed.losses(batch).values()).backward()
        if number % steps == 0:
            optimizer.step()
            optimizer.zero_grad()
    assert trainer.global_step == 3
    for name, weight in summed.named_parameters():
        assert not torch.equal(weight, start[name]), name
        torch.testing.assert_close(model.get_parameter(name), weight, rtol=0, atol=1e-12)
