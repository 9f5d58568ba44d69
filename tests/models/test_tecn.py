"""TECN and PCLN: sizes as published, and every formula against one written out for single frames, videos and pairs."""

import math
from collections.abc import Callable
from typing import Any

import hydra
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from swapaqa.batch import TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.i3d import I3D
from swapaqa.models.sample_dropout import dropout_by_video
from swapaqa.models.tecn import PCLN, TECN, FrameDropout, PairBranch, SequenceHead, gaussian_loss
from swapaqa.models.tiny import TinyBackbone
from tests.made_videos import encoder, made_encoded, made_sample, noise, plan

Config = Callable[..., DictConfig]


@pytest.fixture
def model(config: Config) -> Callable[..., Any]:
    """`model("pcln")`: small, in float64, of frames of 8 numbers and labels from 0 to 100."""

    def make(name: str, **changes: Any) -> Any:
        torch.manual_seed(0)
        given = {"encoder": encoder(TinyBackbone(2), plan(1, 1)), "length": 12, "width": 32, "hidden": 6}
        made = hydra.utils.instantiate(config(f"model={name}").model, _partial_=True)(**given | changes).double()
        zero = torch.zeros(2, dtype=torch.int64)
        made.learn_scale(TrainingLabels(torch.tensor([0.0, 1.0]).double(), zero, zero, max_label=100.0))
        made._epoch_of_weights = 0
        return made

    return make


def features(count: int, frames: int = 10) -> Tensor:
    return torch.randn(count, frames, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def score_by_hand(head: SequenceHead, video: Tensor) -> tuple[float, Tensor]:
    """One video (n, 8), frame by frame."""
    first, second = head.encode[0], head.encode[4]
    rows = [*video, *[torch.zeros(8, dtype=torch.float64)] * (head.length - len(video))]
    for layer in (first, second):
        mapped = [(layer.weight[:, :, 0] @ row + layer.bias).clamp(min=0) for row in rows]
        rows = [torch.maximum(one, other) for one, other in zip(mapped[::2], mapped[1::2], strict=True)]
    sequence = torch.stack(rows, dim=1)  # (2 width, length / 4)
    value = sequence.flatten()
    layers = [layer for layer in head.regress if isinstance(layer, torch.nn.Linear)]
    for layer in layers[:-1]:
        value = (layer.weight @ value + layer.bias).clamp(min=0)
    last = layers[-1].weight @ value + layers[-1].bias
    return 1 / (1 + math.exp(-last.item())), sequence


def branch_by_hand(branch: PairBranch, one: Tensor, other: Tensor) -> float:
    """Two sequences (channels, t): every product written out, the convolutions of 1x1 as sums over channels."""
    weight, bias = branch.narrow.weight[:, :, 0], branch.narrow.bias[:, None]
    product = (weight @ one + bias) @ (weight @ other + bias).T  # over time
    image = product.reshape(len(one), -1, 4)
    for layer in (branch.compare[0], branch.compare[2]):
        image = torch.einsum("oc,chw->ohw", layer.weight[:, :, 0, 0], image) + layer.bias[:, None, None]
        rows, columns = image.shape[1] // 2, image.shape[2] // 2
        image = torch.stack(
            [image[:, row::2, column::2][:, :rows, :columns] for row in (0, 1) for column in (0, 1)]
        ).amax(dim=0)
    value = image.flatten()
    layers = [layer for layer in branch.regress if isinstance(layer, torch.nn.Linear)]
    for layer in layers[:-1]:
        value = (layer.weight @ value + layer.bias).clamp(min=0)
    return 1 / (1 + math.exp(-(layers[-1].weight @ value + layers[-1].bias).item()))


def test_sizes_are_the_published_ones() -> None:
    with torch.device("meta"):
        head, branch = SequenceHead(2048, 160, 256, 4096), PairBranch(512)
        assert head.encode(torch.empty(1, 2048, 160)).shape == (1, 512, 40)
    assert sum(parameter.numel() for parameter in head.parameters()) == 92_939_009
    assert sum(parameter.numel() for parameter in branch.parameters()) == 150_361


def test_scores_are_those_by_hand(model: Callable[..., Any]) -> None:
    tecn = model("tecn").eval()
    videos = made_encoded(features(3))
    expected = [100 * score_by_hand(tecn.head, video)[0] for video in videos.feature]
    predicted = tecn.score(videos, None)
    torch.testing.assert_close(predicted.label, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=0)
    assert predicted.std.isnan().all()


@pytest.mark.parametrize(("loss", "sigma"), [("gaussian", 2.0), ("gaussian", 0.3), ("squared_error", 2.0)])
def test_losses_are_those_of_all_pairs_by_hand(model: Callable[..., Any], loss: str, sigma: float) -> None:
    pcln = model("pcln", loss=loss, sigma=sigma).eval()  # eval: without dropout
    videos = made_encoded(features(4))
    truth = (videos.labels.label / 100).tolist()
    found = [score_by_hand(pcln.head, video) for video in videos.feature]

    def distance(one: float, other: float) -> float:
        square = (one - other) ** 2
        return square if loss == "squared_error" else 1 - math.exp(-square / (2 * sigma**2))

    couples = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    branch = {(i, j): branch_by_hand(pcln.pairs, found[i][1], found[j][1]) for i, j in couples}
    expected = {
        "score": [distance(found[i][0], truth[i]) for i in range(4)],
        "pairs": [distance(branch[pair], abs(truth[pair[0]] - truth[pair[1]])) for pair in couples],
        "agreement": [distance(abs(found[i][0] - found[j][0]), branch[i, j]) for i, j in couples],
    }
    terms = pcln.losses(videos, None)
    assert terms.keys() == expected.keys()
    for name, values in expected.items():
        assert float(terms[name]) == pytest.approx(sum(values) / len(values), rel=1e-9)
    alone = model("tecn", loss=loss, sigma=sigma).eval()
    alone.head.load_state_dict(pcln.head.state_dict())
    torch.testing.assert_close(alone.losses(videos, None), {"score": terms["score"]}, rtol=0, atol=0)


def test_the_gaussian_loss_is_an_eighth_of_the_squared_error_where_it_is_small() -> None:
    found = torch.tensor([0.5, 0.52], dtype=torch.float64, requires_grad=True)
    truth = torch.tensor([0.5, 0.5], dtype=torch.float64)
    loss = gaussian_loss(found, truth, sigma=2.0)
    assert float(loss) == pytest.approx(0.02**2 / 8 / 2, rel=1e-4)
    loss.backward()
    assert found.grad.tolist() == pytest.approx([0.0, 0.02 / 4 / 2], rel=1e-4)


def test_dropout_drops_whole_frames_of_a_videos_own() -> None:
    drop, values = FrameDropout(0.3).train(), torch.ones(3, 5, 400)
    with dropout_by_video(torch.arange(3), 0):
        dropped = drop(values)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert (dropped[:, 0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert not torch.equal(dropped[0], dropped[1])
    with dropout_by_video(torch.tensor([2]), 0):
        torch.testing.assert_close(drop(values[:1])[0], dropped[2], rtol=0, atol=0)


def test_the_pair_branch_is_learnt_by_its_gradients_and_not_used_to_score(model: Callable[..., Any]) -> None:
    pcln, videos = model("pcln").train(), made_encoded(features(3))
    torch.stack([*pcln.losses(videos, None).values()]).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in pcln.pairs.parameters())
    before = pcln.eval().score(videos, None).label
    for parameter in pcln.pairs.parameters():
        parameter.data.zero_()
    assert torch.equal(pcln.score(videos, None).label, before)


def test_a_batch_of_one_video_has_no_pairs(model: Callable[..., Any]) -> None:
    terms = model("pcln").train().losses(made_encoded(features(1)), None)
    assert (float(terms["pairs"]), float(terms["agreement"])) == (0.0, 0.0)
    torch.stack([*terms.values()]).sum().backward()


def test_what_does_not_fit_is_one_line(model: Callable[..., Any]) -> None:
    for changes, message in (
        ({"length": 10}, r"model\.length=10: must be a multiple of 4"),
        ({"width": 48}, r"model\.width=48: must be a multiple of 32"),
        ({"sigma": 0.0}, r"model\.sigma=0\.0"),
        ({"encoder": encoder(I3D())}, "backbone=i3d: PCLN reads single frames, .*; say backbone=resnet50_frames"),
    ):
        with pytest.raises(InputError, match=message):
            model("pcln", **changes)
    tecn = model("tecn")
    with pytest.raises(InputError, match=r"data\.frames=13: 13 clips are more than model\.length=12"):
        tecn.check_sample(made_sample(noise(1, 13)))
    tecn.check_sample(made_sample(noise(1, 12)))
    with pytest.raises(InputError, match=r"13 frames are more than model\.length=12"):
        tecn.score(made_encoded(features(1, 13)), None)


def test_they_are_of_one_kind() -> None:
    assert issubclass(PCLN, TECN)
    assert (TECN.couples_batch, PCLN.couples_batch) == (False, True)
