"""HGCN against what its published code computes, and against its formulas written out."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.batch import Encoded
from swapaqa.errors import InputError
from swapaqa.models.gaussian_score import sample_score
from swapaqa.models.hgcn import HGCN, SceneHead, band, weight_of_label
from swapaqa.models.published import SYSTEMS, our_name
from swapaqa.models.tiny import TinyBackbone
from tests.golden import GOLDEN, Arrays, doubles, equal, equal_gradients, golden, load, state_of
from tests.made_videos import encoder, made_encoded, made_labels

SYSTEM = next(system for system in SYSTEMS if system.name == "HGCN")
FILES = sorted(path.name for path in GOLDEN.glob("hgcn_*.npz")) or ["hgcn_plain_g8.npz"]


def ours(key: str) -> str:
    return our_name(key, SYSTEM).removeprefix("head.")


def head_of(found: Arrays) -> SceneHead:
    """Our head with the weights of a golden."""
    sequence = "graph" if found["config_graph_variant"] else "plain"
    head = SceneHead(1024, int(found["config_groups"]), sequence)
    load(head, {ours(key): value for key, value in state_of(found).items()})
    return head


@pytest.mark.parametrize("name", FILES)
def test_outputs_losses_and_gradients_are_those_of_the_published_code(name: str) -> None:
    found = golden(name)
    head = head_of(found)
    features, label, difficulty, noise = doubles(found, "in/features", "in/label", "in/difficulty", "in/eps")
    equal(head.refine.neighbours, found["const/band2"])
    equal(head.scene.shots.near, found["const/band3"])

    shots = head.refine(features.mT)
    equal(shots, found["out/shot"])
    equal(head.scene(shots), found["out/scene"])
    equal(head.read(head.sequence(head.scene(shots))).relu(), found["out/video"])
    mean, log_variance = head(features)
    equal(mean[:, None], found["out/mu"])
    equal((log_variance / 2).exp()[:, None], found["out/sigma"])
    equal(log_variance.exp().sum(dim=1, keepdim=True).sqrt(), found["out/spread"])
    score = mean.sum(dim=1, keepdim=True)
    equal(score, found["score"])
    equal(score * difficulty, found["out/score_mean_times_dd"])
    sample = sample_score(mean, log_variance, noise[:, 0])
    equal(sample[:, None], found["out_published/scene_samples"])
    equal(sample.sum(dim=1, keepdim=True), found["out_published/sample"])

    for prefix, name_, predicted in (
        ("", "mse_sum_mean", score),
        ("_published", "mse_sum_sample", sample.sum(dim=1, keepdim=True)),
    ):
        equal((predicted - label).square().sum(), found[f"loss{prefix}/{name_}"])
        loss = F.mse_loss(predicted * difficulty, label, reduction="sum")
        equal(loss, found[f"loss{prefix}/{name_}_dd"])
        head.zero_grad()
        loss.backward(retain_graph=True)
        equal_gradients(head, found, ours, f"grad{prefix}")


@pytest.mark.parametrize("name", FILES)
def test_its_loss_is_the_published_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As training computes it, of labels that are completeness: score over difficulty."""
    found = golden(name)
    features, label, difficulty, noise = doubles(found, "in/features", "in/label", "in/difficulty", "in/eps")
    monkeypatch.setattr("swapaqa.models.hgcn.keyed_noise", lambda *_: noise[:, 0])
    score, difficulty = label[:, 0], difficulty[:, 0]
    given = {"score": score, "label": score / difficulty, "factor": difficulty, "difficulty": difficulty}
    videos = made_encoded(features, **given)
    model = model_of(1024, int(found["config_groups"]), "graph" if found["config_graph_variant"] else "plain")
    model.head = head_of(found)
    equal(model.losses(videos, None)["squared_error"], found["loss_published/mse_sum_sample_dd"])
    equal(model.score(videos, None).label[:, None], found["score"])
    equal(model.score(videos, None).std[:, None], found["out/spread"])
    model.predict = "sample"
    equal(model.score(videos, None).label[:, None], found["out_published/sample"])


@pytest.mark.parametrize(
    ("groups", "plain", "graph"),
    [(1, 1_217_690, 1_250_508), (2, 677_018, 693_452), (4, 406_682, 414_924), (8, 271_514, 275_660)],
)
def test_it_has_the_published_number_of_parameters(groups: int, plain: int, graph: int) -> None:
    for sequence, count in (("plain", plain), ("graph", graph)):
        head = SceneHead(1024, groups, sequence)
        assert sum(parameter.numel() for parameter in head.parameters()) == count


def model_of(size: int, groups: int = 1, sequence: Any = "plain", **changes: Any) -> HGCN:
    torch.manual_seed(0)
    network = TinyBackbone(size // 4)
    given = {"target": "completeness", "predict": "mean", "initial_mean": 0.0} | changes
    return HGCN(encoder(network), groups=groups, sequence=sequence, **given)


def some(**given: Tensor) -> Encoded:
    return made_encoded(torch.rand(4, 10, 32, dtype=torch.float64), **given)


@pytest.mark.parametrize("sequence", ["plain", "graph"])
def test_the_equations_by_hand(sequence: Any) -> None:
    """Of one video, clip by clip, with one group."""
    model = model_of(32, 1, sequence).double()
    head = model.head
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    clips = some().feature[0]

    def dense(layer: torch.nn.Conv1d, tokens: np.ndarray) -> np.ndarray:
        weight = layer.weight.detach()[:, :, 0].numpy()
        return tokens @ weight.T + (0 if layer.bias is None else layer.bias.detach().numpy())

    def looks(relation: Any, tokens: np.ndarray) -> np.ndarray:
        query, key = dense(relation.query, tokens), dense(relation.key, tokens)
        share = relation.gain.item() / query.shape[1] ** 0.5
        return share * query @ key.T + relation.learnt.detach().numpy()

    def softmax(rows: np.ndarray) -> np.ndarray:
        return np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)

    x, relu = clips.numpy(), lambda values: np.maximum(values, 0)  # (10, D): a row a clip
    state = relu(dense(head.refine.state, x))
    told = np.zeros((10, 10))
    for one in range(10):
        for other in range(10):
            if abs(one - other) < 2:
                told[one, other] = np.tanh(state[one] - state[other]).mean() + (one == other)
    shots = relu(dense(head.refine.mix, told.T @ x))
    near = np.array([[float(abs(one - other) < 3) for other in range(10)] for one in range(10)])
    mixed = {
        part: relu(dense(layer.mix, softmax(near + looks(layer.relate, shots)).T @ shots))
        for part, layer in (("shots", head.scene.shots), ("assign", head.scene.assign))
    }
    share = head.scene.share.detach().numpy() + head.scene.gain.item() * mixed["assign"].T
    scenes = share @ mixed["shots"]
    if sequence == "graph":
        scenes = softmax(np.tril(np.ones((7, 7))) * looks(head.sequence.relate, scenes)).T @ scenes
    video = relu(dense(head.read, scenes))
    mean, log_variance = dense(head.mean, video)[:, 0], dense(head.log_variance, video)[:, 0]
    found = [values[0].detach().numpy() for values in head(clips[None])]
    np.testing.assert_allclose(found[0], mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[1], log_variance.clip(-10, 10), rtol=1e-9, atol=1e-12)


def test_the_bands() -> None:
    assert band(4, 2).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    assert band(10, 3).sum().item() == 44


def test_a_score_does_not_depend_on_the_batch() -> None:
    model = model_of(32).double().eval()
    videos = some()
    whole = model.score(videos, None)
    alone = model.score(videos._replace(feature=videos.feature[1:2]), None)
    torch.testing.assert_close(alone.label, whole.label[1:2], rtol=0, atol=1e-12)


def test_it_starts_at_the_mean_of_the_labels() -> None:
    model = model_of(32, initial_mean=45.0)
    assert model.score(some()._replace(feature=torch.zeros(4, 10, 32)), None).label.mean().item() == pytest.approx(
        45, abs=5
    )


def test_an_error_counts_by_the_difficulty_where_the_label_is_the_completeness() -> None:
    difficulty = torch.tensor([2.0, 3.0], dtype=torch.float64)
    labels = made_labels(2, difficulty=difficulty, factor=difficulty)
    assert weight_of_label(labels).tolist() == [2, 3]
    assert weight_of_label(made_labels(2, difficulty=difficulty)).tolist() == [1, 1]  # the score itself
    offset = torch.tensor([1.0, 1.0], dtype=torch.float64)
    assert weight_of_label(labels._replace(offset=offset)).tolist() == [1, 1]


def test_another_number_of_clips_names_the_plan() -> None:
    with pytest.raises(InputError, match=r"the graph has 10, and 9 came; say clips=ten_of_any"):
        model_of(32).head(torch.rand(1, 9, 32))


@pytest.mark.parametrize("groups", [0, 3, 16])
def test_groups_that_do_not_divide_are_one_line(groups: int) -> None:
    with pytest.raises(InputError, match=rf"model\.groups={groups}: the 4 channels"):
        model_of(32, groups)
