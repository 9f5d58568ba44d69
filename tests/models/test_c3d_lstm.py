"""C3D-LSTM against what its authors' port computes, and its units by hand."""

from collections.abc import Callable
from typing import Any

import hydra
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

from swapaqa.batch import TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.c3d_lstm import C3DLSTM, ClipLSTM, LSTMHead, std_by_action
from swapaqa.models.i3d import I3D
from swapaqa.models.published import SYSTEMS, our_name
from swapaqa.models.scorer import in_points
from swapaqa.models.tiny import TinyBackbone
from tests.golden import doubles, equal, equal_gradients, golden, load, state_of
from tests.made_videos import encoder, made_encoded

SYSTEM = next(system for system in SYSTEMS if system.name == "C3D-LSTM")
STD = {"diving": 14.4912, "gym_vault": 0.8608, "ski_big_air": 11.3202}


def ours(key: str) -> str:
    return our_name(key, SYSTEM).removeprefix("head.")


def test_outputs_loss_and_gradients_are_those_of_the_port(config: Callable[..., DictConfig]) -> None:
    found = golden("c3d_lstm_published.npz")
    head = LSTMHead(4096, 256)
    load(head, {ours(key): value for key, value in state_of(found).items()})
    clips, label, points = doubles(found, "in/fc6", "in/label", "in/raw_score")
    equal(head.rnn(clips)[0], found["out/lstm_states"])
    output = head(clips)
    equal(output[:, None], found["out/score"])
    equal(head(clips[:, :5])[:, None], found["out/score_first5"])
    loss = F.mse_loss(output, label[:, 0])
    equal(loss, found["loss/mse"])
    loss.backward()
    equal_gradients(head, found, ours)

    published = config("experiment=c3d_lstm_as_published").model.score_std
    recorded = [divisor / 100 for _, divisor in found["const/label_divisor"].tolist()]
    assert list(published.values()) == pytest.approx(recorded, rel=1e-12)
    model = model_of(score_std=dict(published), action="all")
    model.head = head
    action = torch.from_numpy(found["in/action"]) - 1
    videos = made_encoded(
        clips, label=points, score=points, action=action
    )  # the file's score is a hundredth of a point
    target = points / model.points_a_unit(videos.labels) / 100
    equal(target[:, None], found["in/label"])
    equal(in_points(model.score(videos, None), videos).label, found["score_in_points"] / 100)


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in LSTMHead(4096, 256).parameters()) == 4_458_753


def model_of(kind: type[ClipLSTM] = C3DLSTM, **changes: Any) -> ClipLSTM:
    torch.manual_seed(0)
    model = kind(encoder(TinyBackbone(2)), **{"target": "score", "hidden": 4, "score_std": None} | changes).double()
    model.learn_scale(training(torch.tensor([10.0, 20, 30, 7, 7]), torch.tensor([0, 0, 0, 2, 2])))
    return model


def training(label: Tensor, action: Tensor) -> TrainingLabels:
    return TrainingLabels(label.double(), action, torch.zeros_like(action), max_label=100.0)


def videos(**given: Tensor) -> Any:
    generator = torch.Generator().manual_seed(0)
    return made_encoded(torch.rand(3, 5, 8, generator=generator, dtype=torch.float64), **given)


def test_deviations_by_hand() -> None:
    labels = training(torch.tensor([1.0, 3, 5, 5, 8]), torch.tensor([0, 0, 2, 2, 1]))
    assert std_by_action(labels).tolist() == [1, 1, 1]  # of 1 and 3; nothing varies in the others
    assert std_by_action(training(torch.tensor([0.0, 6]), torch.tensor([0, 0]))).tolist() == [3]


def test_a_unit_is_the_deviation_of_the_training_scores_of_the_action() -> None:
    """Labels of 10, 20, 30 have the deviation 8.16; a label is worth half a point here, and points begin at 21.6."""
    model = model_of()
    given = {"offset": torch.full((3,), 21.6).double(), "factor": torch.full((3,), 0.5).double()}
    some = videos(**given)
    unit = 0.5 * (200 / 3) ** 0.5
    output = model.head(some.feature)
    target = (21.6 + 0.5 * some.labels.label) / unit
    torch.testing.assert_close(model.losses(some, None)["squared_error"], (output - target).square().mean())
    torch.testing.assert_close(in_points(model.score(some, None), some).label, output * unit)
    assert model.score(some, None).std.isnan().all()
    other = videos(action=torch.tensor([2, 2, 2]), **given)
    torch.testing.assert_close(in_points(model.score(other, None), other).label, output * 0.5)  # its scores are equal


def test_published_deviations_are_points_whatever_a_label_is() -> None:
    model = model_of(score_std=STD, action="gym_vault")
    some = videos(factor=torch.full((3,), 0.5).double())
    torch.testing.assert_close(in_points(model.score(some, None), some).label, model.head(some.feature) * 0.8608)
    assert (
        model_of(score_std=STD).unit.tolist() == model_of(score_std=STD, action="all").unit.tolist() == [*STD.values()]
    )
    with pytest.raises(InputError, match=r"model\.score_std: of no action"):
        model_of(score_std=STD, action="jumps")


def test_the_order_of_clips_counts_and_the_batch_does_not() -> None:
    model, some = model_of().eval(), videos()
    whole = model.score(some, None).label
    for row in range(3):
        one = made_encoded(some.feature[row : row + 1])
        torch.testing.assert_close(model.score(one, None).label, whole[row : row + 1], rtol=0, atol=1e-12)
    turned = some._replace(feature=some.feature.flip(1))
    assert not torch.allclose(model.score(turned, None).label, whole)


def test_i3d_has_a_name_of_its_own(config: Callable[..., DictConfig]) -> None:
    with torch.device("meta"):
        network = I3D()
        with pytest.raises(InputError, match=r"backbone=i3d: model=c3d_lstm stands on C3D; say .* model=i3d_lstm"):
            C3DLSTM(encoder(network), "score", 4, None)
        reduced = hydra.utils.instantiate(config("model=i3d_lstm", "data=aqa7").model)
    assert type(reduced) is ClipLSTM
    assert sum(parameter.numel() for parameter in reduced.head.parameters()) == 1_313_025
