"""MSRN: sizes as published, and every formula against one written out for single stages, dives and clips."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import hydra
import pytest
import torch
from omegaconf import DictConfig
from scipy.stats import gaussian_kde
from torch import Tensor
from torch.nn import functional as F

from swapaqa.batch import TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.density_weights import density_weights, kernel_density, mean_power
from swapaqa.models.ms_tcn import MSTCN, segmentation_loss
from swapaqa.models.msrn import FeatureLink, StageNumber
from swapaqa.models.stages import clip_borders, clip_classes, ordered_borders, stage_clips
from swapaqa.models.tiny import TinyBackbone
from tests.made_videos import encoder, made_encoded, made_sample, noise, plan

Config = Callable[..., DictConfig]
Make = Callable[..., Any]
LABELS = torch.tensor([0.0, 40.0, 45.0, 50.0, 80.0], dtype=torch.float64)
SHARES = torch.tensor([[0.1, 0.35, 0.6, 0.95], [0.0, 0.2, 0.8, 1.0], [0.3, 0.3, 0.3, 0.3]])


@pytest.fixture
def model(config: Config) -> Make:
    """`model(jump=2)`: small, in float64, of clips of 8 numbers and labels from 0 to 100."""

    def make(**changes: Any) -> Any:
        torch.manual_seed(0)
        given = {"encoder": encoder(TinyBackbone(2), plan(1, 1))}
        made = hydra.utils.instantiate(config("model=msrn").model, _partial_=True)(**given | changes).double().eval()
        zero = torch.zeros(len(LABELS), dtype=torch.int64)
        made.learn_scale(TrainingLabels(LABELS, zero, zero, max_label=100.0))
        made._epoch_of_weights = 0
        return made

    return make


def videos(count: int = 3, clips: int = 10) -> Any:
    generator = torch.Generator().manual_seed(3)
    feature = torch.randn(count, clips, 8, dtype=torch.float64, generator=generator)
    return made_encoded(feature, {"stages": SHARES[:count]})


def link_by_hand(link: FeatureLink, clips: Tensor) -> Tensor:
    """The clips of one stage (n, D), alone."""
    values = clips.T[None]
    for layer in link.layers:
        values = F.conv1d(values, layer.weight, layer.bias, padding=1)
    return values[0].clamp(min=0).amax(dim=1)


def number_by_hand(number: StageNumber, feature: Tensor) -> Tensor:
    for layer in (part for part in number if isinstance(part, torch.nn.Linear)):
        feature = (layer.weight @ feature + layer.bias).clamp(min=0)
    return feature


@torch.no_grad()
def deduction_by_hand(head: Any, clips: Tensor, slices: list[slice]) -> float:
    parts = zip(head.links, head.numbers, slices, strict=True)
    numbers = torch.cat([number_by_hand(number, link_by_hand(link, clips[one])) for link, number, one in parts])
    return float(head.sum.weight[0] @ numbers + head.sum.bias[0])


SLICES = [  # of ten clips by SHARES and a jump of two; stages of the third dive have lent theirs
    [slice(2, 4), slice(4, 6), slice(6, 9), slice(9, 10)],
    [slice(0, 2), slice(2, 8), slice(8, 9), slice(9, 10)],
    [slice(1, 3), slice(3, 4), slice(3, 4), slice(3, 10)],
]


def test_sizes_are_the_published_ones() -> None:
    with torch.device("meta"):
        link = FeatureLink(2048)
    assert sum(parameter.numel() for parameter in link.parameters()) == 997_536


def test_stages_are_the_clips_that_they_hold() -> None:
    borders = clip_borders(SHARES, 10)
    assert borders.tolist() == [[1, 4, 6, 9], [0, 2, 8, 9], [3, 3, 3, 3]]
    for shares, found in zip(SHARES.tolist(), borders.tolist(), strict=True):
        assert found == [sum(place / 9 < share - 1e-6 for place in range(10)) for share in shares]
    assert clip_classes(borders, 10)[0].tolist() == [0, 1, 1, 1, 2, 2, 3, 3, 3, 4]
    chosen = stage_clips(borders, 10, jump=2)
    for row, slices in zip(chosen, SLICES, strict=True):
        for stage, one in zip(row, slices, strict=True):
            assert stage.nonzero()[:, 0].tolist() == list(range(10))[one]
    never = stage_clips(torch.full((1, 4), 10), 10, jump=2)  # a dive whose stages all begin behind the window
    assert never.any(dim=2).all()


@pytest.mark.parametrize("clips", [5, 6, 9])
def test_the_order_of_classes_is_the_best_of_all(clips: int) -> None:
    log_prob = torch.randn(4, clips, 5, generator=torch.Generator().manual_seed(clips)).log_softmax(dim=2)
    found = ordered_borders(log_prob)
    for row, borders in zip(log_prob, found.tolist(), strict=True):
        total = {
            some: sum(
                row[begin:end, place].sum().item()
                for place, (begin, end) in enumerate(itertools.pairwise((0, *some, clips)))
            )
            for some in itertools.combinations(range(1, clips), 4)
        }
        assert total[tuple(borders)] == pytest.approx(max(total.values()), abs=1e-5)


def test_a_clear_answer_is_read_as_it_is() -> None:
    classes = torch.tensor([[0, 0, 1, 2, 2, 2, 3, 4], [0, 1, 2, 3, 3, 3, 3, 4]])
    log_prob = (20 * F.one_hot(classes, 5).float()).log_softmax(dim=2)
    assert ordered_borders(log_prob).tolist() == [[2, 3, 6, 7], [1, 2, 3, 7]]
    assert torch.equal(clip_classes(ordered_borders(log_prob), 8), classes)


def test_deductions_and_scores_are_those_by_hand(model: Make) -> None:
    some = videos()
    msrn = model(stages_at_test="annotated")
    by_hand = [deduction_by_hand(msrn.head, *one) for one in zip(some.feature, SLICES, strict=True)]
    label = torch.tensor([100 - value / 0.3 for value in by_hand], dtype=torch.float64)
    predicted = msrn.score(some, None)
    torch.testing.assert_close(predicted.label, label, rtol=1e-9, atol=0)
    assert predicted.std.isnan().all()
    truth = (100 - some.labels.label) * 0.3
    expected = (torch.tensor(by_hand, dtype=torch.float64) - truth).square().mean()
    torch.testing.assert_close(msrn.losses(some, None)["deduction"], expected, rtol=1e-9, atol=0)
    plain = model(stages_at_test="annotated", label_range=None)
    expected = (torch.tensor(by_hand, dtype=torch.float64) - (100 - some.labels.label)).square().mean()
    torch.testing.assert_close(plain.losses(some, None)["deduction"], expected, rtol=1e-9, atol=0)


def test_stages_are_found_where_nobody_says_them(model: Make) -> None:
    msrn, some = model(), videos()
    assert msrn.needs == ()
    assert msrn.learns_from == ("stages",)
    found = ordered_borders(msrn.segment(some.feature)[:, -1].log_softmax(dim=2))
    shares = (found - 0.25) / 9  # between two clips
    said = model(stages_at_test="annotated").score(some._replace(side={"stages": shares}), None)
    torch.testing.assert_close(msrn.score(some._replace(side={}), None).label, said.label, rtol=0, atol=0)
    assert model(stages_at_test="annotated").needs == ("stages",)


def test_finding_the_stages_moves_no_feature(model: Make) -> None:
    msrn, some = model().train(), videos()
    some.feature.requires_grad_()
    terms = msrn.losses(some, None)
    terms["stages"].backward()
    assert some.feature.grad is None
    assert all(parameter.grad is not None for parameter in msrn.segment.parameters())
    terms["deduction"].backward()
    assert some.feature.grad.abs().amax(dim=2)[0, 2:].min() > 0  # of all clips but those before the jump
    assert some.feature.grad[0, :2].abs().max() == 0


def test_segmentation_loss_by_hand() -> None:
    logits = torch.randn(2, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits[0, 0, 2] *= 30  # beyond where the step is cut
    classes = torch.tensor([[0, 1, 1, 2, 3, 4], [0, 0, 1, 2, 3, 4]])
    expected = 0.0
    for stage in range(3):
        log_prob = [[row - math.log(row.exp().sum()) for row in video[stage]] for video in logits]
        entropy = [-log_prob[v][t][classes[v, t]] for v in range(2) for t in range(6)]
        steps = [
            min(abs(float(log_prob[v][t][k] - log_prob[v][t - 1][k])), 4.0) ** 2
            for v in range(2) for t in range(1, 6) for k in range(5)
        ]  # fmt: skip
        expected += float(sum(entropy)) / 12 + 0.15 * sum(steps) / len(steps)
    assert segmentation_loss(logits, classes).item() == pytest.approx(expected, rel=1e-9)


def test_each_refinement_reads_what_the_one_before_says() -> None:
    torch.manual_seed(0)
    network = MSTCN(6, 5).double().eval()
    clips = torch.randn(2, 12, 6, dtype=torch.float64)
    found = network(clips)
    assert found.shape == (2, 4, 12, 5)
    values = clips.mT
    for stage, answer in zip(network.stages, found.unbind(dim=1), strict=True):
        first, *dilated, last = stage
        values = F.conv1d(values, first.weight, first.bias)
        for power, layer in enumerate(dilated):
            wide = F.conv1d(values, layer.dilated.weight, layer.dilated.bias, padding=2**power, dilation=2**power)
            values = values + F.conv1d(wide.clamp(min=0), layer.single.weight, layer.single.bias)
        values = F.conv1d(values, last.weight, last.bias)
        torch.testing.assert_close(answer, values.mT, rtol=1e-9, atol=1e-12)
        values = values.softmax(dim=1)


def test_the_density_is_scipys() -> None:
    known = torch.randn(40, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 7 + 20
    at = torch.linspace(0, 40, 9, dtype=torch.float64)
    expected = torch.from_numpy(gaussian_kde(known.numpy())(at.numpy()))
    torch.testing.assert_close(kernel_density(at, known), expected, rtol=1e-9, atol=0)
    for power in (1.0, -0.5):
        weight = density_weights(known, known, power, mean_power(known, power))
        assert weight.mean().item() == pytest.approx(1)
        more, less = known.sub(20).abs().argmin(), known.sub(20).abs().argmax()
        assert (weight[more] > weight[less]) == (power > 0)


@pytest.mark.parametrize("known", [[], [5.0], [5.0, 5.0, 5.0]])
def test_labels_that_are_all_alike_have_no_density(known: list[float]) -> None:
    given = torch.tensor(known, dtype=torch.float64)
    label = torch.tensor([5.0, 7.0], dtype=torch.float64)
    assert density_weights(label, given, 1.0, mean_power(given, 1.0)).tolist() == [1.0, 1.0]


def test_the_density_weighs_the_squared_error(model: Make) -> None:
    some = videos()
    plain, weighted = model(), model(density_power=1.0)
    density = torch.from_numpy(gaussian_kde(LABELS.numpy())(some.labels.label.numpy()))
    weight = density / gaussian_kde(LABELS.numpy())(LABELS.numpy()).mean()
    found = plain.head(some.feature, stage_clips(clip_borders(SHARES, 10), 10, 2))
    expected = (weight * (found - (100 - some.labels.label) * 0.3).square()).mean()
    torch.testing.assert_close(weighted.losses(some, None)["deduction"], expected, rtol=1e-9, atol=0)
    assert weighted.losses(some, None)["deduction"] != plain.losses(some, None)["deduction"]
    assert torch.equal(plain.score(some, None).label, weighted.score(some, None).label)


def test_weights_begin_as_asked(model: Make) -> None:
    for start, highest in (("scaled", 2 / 8), ("published", 0.05)):
        first = model(start=start).head.numbers[0][0].weight
        assert first.min() >= 0
        assert 0.95 * highest < first.max() <= highest


def test_what_does_not_fit_is_one_line(model: Make) -> None:
    with pytest.raises(InputError, match=r"model\.jump=0: at least one clip"):
        model(jump=0)
    with pytest.raises(InputError, match=r"clips: 4 a video, .* say clips=around_frames"):
        model().check_sample(made_sample(noise(1, 4)))
    model().check_sample(made_sample(noise(1, 5)))
