"""TSA of FineDiving's authors against what its published code computes, and against its formulas written out."""

from collections.abc import Callable
from typing import Any

import hydra
import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

from swapaqa.batch import TrainingLabels
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.feature_encoder import FeatureEncoder
from swapaqa.models.procedure import Parsed, ProcedureHead, found_transitions, resampled_parts
from swapaqa.models.published import SYSTEMS, our_name
from swapaqa.models.tiny import TinyBackbone
from swapaqa.models.tsa import TSA, PlaceEncoder, true_transitions
from tests.golden import Arrays, doubles, equal, equal_gradients, golden, load, state_of
from tests.made_videos import encoder, made_encoded, made_sample, noise, plan

Config = Callable[..., DictConfig]
SYSTEM = next(system for system in SYSTEMS if system.name == "TSA")
FORMS = [(False, ""), (True, "_published")]  # axes moved, or mixed


def ours(key: str) -> str:
    return our_name(key, SYSTEM).removeprefix("head.")


@pytest.fixture(scope="module")
def found() -> Arrays:
    return golden("finediving_tsa.npz")


def head_of(found: Arrays, mixed: bool) -> ProcedureHead:
    head = ProcedureHead(1024, mixed)
    load(head, {ours(key): value for key, value in state_of(found).items()})
    return head


@pytest.fixture
def recorded(found: Arrays, config: Config) -> Callable[..., tuple[TSA, Any, Any]]:
    """`recorded(mixed)`: the method with the recorded weights, the queries and the exemplars."""

    def make(mixed: bool, **changes: Any) -> tuple[TSA, Any, Any]:
        model = method(config, encoder(Wide()), label_range=None, mix_axes=mixed, **changes)
        model.head = head_of(found, mixed)
        (maps,) = doubles(found, "in/map")
        clips = maps.mean(dim=3).flatten(3).mT.flatten(1, 2)  # (4, 9 P, 1024)
        videos = []
        for number, part in enumerate(clips.chunk(2), start=1):
            frames = doubles(found, f"in/transits_{number}_plus1")[0][..., 0]
            borders = (frames / 95)[:, [0, 0, 1, 1]]
            label = doubles(found, f"in/score_{number}")[0][:, 0]
            videos.append(made_encoded(part, {"stages": borders}, label=label))
        return model, *videos

    return make


class Wide(TinyBackbone):
    def __init__(self) -> None:
        super().__init__(2)
        self.feature_size = 1024


def method(config: Config, of: VideoEncoder, **changes: Any) -> TSA:
    torch.manual_seed(0)
    model: TSA = hydra.utils.instantiate(config("model=tsa").model, _partial_=True)(
        **{"encoder": of, "voters": 2} | changes
    ).double()
    zero = torch.zeros(2, dtype=torch.int64)
    model.learn_scale(TrainingLabels(torch.tensor([0.0, 90.0]).double(), zero, zero, max_label=100.0))
    model._epoch_of_weights = 0
    return model


@pytest.mark.parametrize(("mixed", "suffix"), FORMS)
def test_outputs_and_the_score_are_those_of_the_published_code(
    mixed: bool, suffix: str, found: Arrays, recorded: Any
) -> None:
    model, videos, exemplars = recorded(mixed)
    head = model.head.eval()
    parsed = parse(head, found, torch.cat([videos.feature, exemplars.feature]))
    equal(parsed.feature, found["out/parts"])
    equal(parsed.transit.sigmoid(), found["out/transit_prob"])
    assert found_transitions(parsed.transit).tolist() == found["out/transits_pred"].tolist()
    one, other = head.parts(parsed, found_transitions(parsed.transit)).chunk(2)
    equal(head.difference(one, other)[:, None], found[f"out{suffix}/delta_12"])
    equal(head.difference(other, one)[:, None], found[f"out{suffix}/delta_21"])
    label, own = model.vote(one, other, exemplars.labels.label, torch.zeros(len(one), dtype=torch.int64))
    assert own is None
    equal(label, found[f"out{suffix}/score"])
    if not mixed:
        equal(label, found["score"])


def parse(head: ProcedureHead, found: Arrays, clips: Tensor) -> Any:
    """As `ProcedureHead.parse`, with the recorded features in the place of the maps' means."""
    (feature,) = doubles(found, "in/feature")
    parser, kept = head.parser, head.parser.frames
    calls = iter([feature, None])

    def frames(given: Tensor) -> Tensor:
        instead = next(calls)
        return kept(given if instead is None else instead)

    parser.frames = frames  # type: ignore[method-assign]
    try:
        return type(head).parse(head, clips)
    finally:
        del parser.frames


@pytest.mark.parametrize("parts", ["gt", "pred"])
@pytest.mark.parametrize(("mixed", "suffix"), FORMS)
def test_losses_and_gradients_are_those_of_the_published_code(
    mixed: bool, suffix: str, parts: str, found: Arrays, recorded: Any
) -> None:
    model, videos, exemplars = recorded(mixed, true_epochs=1 if parts == "gt" else 0)
    head = model.head.train()
    head.parse = lambda clips: parse(head, found, clips)
    terms = model.losses(videos, exemplars)
    names = {"transitions": "tas_bce", "difference": "aqa_12", "reverse": "aqa_21"}
    assert terms.keys() == names.keys()
    for name, theirs in names.items():
        equal(terms[name], found[f"loss{suffix}/{parts}_{theirs}"])
    total = torch.stack(list(terms.values())).sum()
    equal(total, found[f"loss{suffix}/{parts}_total"])
    total.backward()
    prefix = f"grad{suffix}_{parts}"
    before_norm = {key for key in found if key.startswith(f"{prefix}/psnet") and key.endswith((".0.bias", ".3.bias"))}
    rest = {key: value for key, value in found.items() if key not in before_norm}
    equal_gradients(head, rest, ours, prefix)
    gradients = dict(head.named_parameters())
    for key in before_norm:  # BatchNorm takes them away: what is left is rounding
        gradient = gradients[ours(key.removeprefix(f"{prefix}/"))].grad
        assert max(gradient.abs().max().item(), np.abs(found[key]).max()) < 1e-10 * found[f"{prefix}_norm/all"]


@pytest.mark.parametrize(("mixed", "suffix"), FORMS)
@pytest.mark.parametrize("parts", ["gt", "pred"])
def test_outputs_in_training_are_those_of_the_published_code(
    mixed: bool, suffix: str, parts: str, found: Arrays, recorded: Any
) -> None:
    model, videos, exemplars = recorded(mixed)
    head = model.head.train()
    parsed = parse(head, found, torch.cat([videos.feature, exemplars.feature]))
    equal(parsed.transit.sigmoid(), found[f"out_train{suffix}/{parts}_transit_prob"])
    true = true_transitions(torch.cat([videos.side["stages"], exemplars.side["stages"]]))
    one, other = head.parts(parsed, true if parts == "gt" else found_transitions(parsed.transit)).chunk(2)
    equal(head.difference(one, other)[:, None], found[f"out_train{suffix}/{parts}_delta_12"])
    equal(head.difference(other, one)[:, None], found[f"out_train{suffix}/{parts}_delta_21"])


def test_it_has_the_published_number_of_parameters() -> None:
    head = ProcedureHead(1024, mixed=False)
    parts = (head.parser, head.decoder, head.regress)
    assert [sum(weight.numel() for weight in part.parameters()) for part in parts] == [128_846, 149_760, 33_153]
    assert not list(head.widen.parameters())
    assert len(list(ProcedureHead(64, mixed=False).widen.parameters())) == 2


# its formulas


@pytest.mark.parametrize("borders", [(30, 60), (1, 95), (1, 2), (94, 95), (47, 48)])
def test_each_part_is_resampled_as_pytorch_does(borders: tuple[int, int]) -> None:
    values = torch.randn(2, 3, 96, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = resampled_parts(values, torch.tensor([borders, (20, 80)]))
    for video, (one, other) in zip(range(2), (borders, (20, 80)), strict=True):
        for part, (begin, end) in enumerate(((0, one), (one, other), (other, 96))):
            given = values[video, :, begin:end].mT
            expected = F.interpolate(given, size=5, mode="linear", align_corners=True).mT
            torch.testing.assert_close(found[video, :, part], expected, rtol=1e-9, atol=1e-12)


def test_parts_have_their_steps_and_then_the_places_of_every_step() -> None:
    head = ProcedureHead(1024, mixed=False)
    step = torch.arange(96.0)[:, None].expand(96, 64)
    place = torch.stack([1000.0 * (number + 1) + step for number in range(4)])
    parsed = Parsed(step[None], place[None], torch.zeros(1, 96, 2))
    parts = head.parts(parsed, torch.tensor([[5, 10]]))[..., 0]
    assert parts[0, 1, :5].tolist() == [5, 6, 7, 8, 9]
    assert parts[0, 1, 5:].tolist() == [1000 * number + step for step in range(5, 10) for number in range(1, 5)]


def test_no_part_is_empty() -> None:
    stages = torch.tensor([[0, 0.25, 0.75, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0.5, 0.5, 0.5], [0, 0.9, 0.1, 1]])
    true = true_transitions(stages)
    assert true[0].tolist() == [24, 72]
    assert (true[:, 0] > 0).all()
    assert (true[:, 1] > true[:, 0]).all()
    assert (true[:, 1] < 96).all()


def test_borders_are_the_frames_of_the_published_sampling() -> None:
    """First of 96 frames, spread over a dive and rounded down, that is labelled with the step."""
    for length in (61, 88, 96, 97, 110, 137, 190):
        places = np.floor(np.linspace(0, length - 1, 96)).astype(int)
        for begin in range(5, length - 5):
            exact = int((places >= begin).argmax())
            stages = torch.tensor([[0, begin / (length - 1), 1, 1]])
            assert true_transitions(stages)[0, 0].item() == min(exact, 94)


def test_places_are_means_over_time_and_their_mean_is_the_clips_feature() -> None:
    torch.manual_seed(0)
    whole = encoder(TinyBackbone(2), plan(8, 2))
    sample = made_sample(noise(2, 18, 32))
    found = PlaceEncoder(whole)(sample)
    clips = len(whole.plans[0].starts(18))
    assert found.shape == (2, clips * 4, 8)
    torch.testing.assert_close(found.unflatten(1, (clips, 4)).mean(dim=2), whole(sample))


def test_a_score_is_the_mean_of_its_votes_and_does_not_depend_on_the_batch(config: Config) -> None:
    generator = torch.Generator().manual_seed(0)
    voters = torch.tensor([[0, 2], [3, -1], [1, 2]])
    some = made_encoded(torch.rand(3, 18, 8, dtype=torch.float64, generator=generator), voters=voters)
    exemplars = made_encoded(torch.rand(4, 18, 8, dtype=torch.float64, generator=generator))
    for label_range, factor in ((30.0, 0.3), (None, 1.0)):
        model = method(config, encoder(TinyBackbone(2)), label_range=label_range).eval()
        found = model.score(some, exemplars)
        for row, chosen in enumerate(voters.tolist()):
            votes = []
            for voter in (one for one in chosen if one >= 0):
                one, other = (
                    model.head.parts(parsed, found_transitions(parsed.transit))
                    for parsed in (model.head.parse(some.feature[[row]]), model.head.parse(exemplars.feature[[voter]]))
                )
                votes.append(exemplars.labels.label[voter] + model.head.difference(one, other).item() / factor)
            assert found.label[row].item() == pytest.approx(torch.stack(votes).mean().item(), rel=1e-9)


def test_annotated_parts_are_for_the_first_epochs_only(config: Config) -> None:
    model = method(config, encoder(TinyBackbone(2)), true_epochs=1)
    generator = torch.Generator().manual_seed(0)
    feature = torch.rand(4, 9, 8, dtype=torch.float64, generator=generator)
    one, other = (made_encoded(half, {"stages": torch.tensor([[0, 0.2, 0.4, 1]] * 2)}) for half in feature.chunk(2))
    first = model.losses(one, other)["difference"]
    moved = one._replace(side={"stages": torch.tensor([[0, 0.6, 0.8, 1]] * 2)})
    assert model.losses(moved, other)["difference"] != first
    model._epoch_of_weights = 1
    assert model.losses(moved, other)["difference"] == model.losses(one, other)["difference"]
    with pytest.raises(InputError, match=r"model\.true_epochs=-1"):
        method(config, encoder(TinyBackbone(2)), true_epochs=-1)


def test_stored_features_have_one_place(config: Config) -> None:
    model = method(config, FeatureEncoder(8))
    clips = torch.randint(0, 5, (2, 8, 9, 1, 1)).double()
    assert isinstance(model.encoder, FeatureEncoder)
    assert model.represent(made_encoded(model.encoder(made_sample(clips)))).shape == (2, 3, 10, 64)
