"""RICA2 against what its published code computes, its rubrics, its losses by hand, and what no batch may change."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.batch import Encoded, TrainingLabels
from swapaqa.data.dive_numbers import NUMBERS, dive_attributes
from swapaqa.errors import InputError
from swapaqa.models.published import SYSTEMS, our_name
from swapaqa.models.rica2 import (
    RICA2,
    deviation_of_embedding,
    divergence,
    order_losses,
    weight_of_divergence,
)
from swapaqa.models.rubric import DIVE_NUMBER, SUB_ACTIONS, Rubric, steps_present, word_vectors
from swapaqa.models.rubric_head import RubricHead
from swapaqa.models.tiny import TinyBackbone
from tests.golden import GOLDEN, Arrays, doubles, equal, equal_gradients, golden, load, state_of
from tests.made_videos import encoder, made_encoded

SYSTEM = next(system for system in SYSTEMS if system.name == "RICA2")
FILES = sorted(path.name for path in GOLDEN.glob("rica2_*.npz")) or ["rica2_small_stoch.npz"]
DIVERGENCE = 1e-3  # its weight in the recordings


def ours(key: str) -> str:
    return our_name(key, SYSTEM).removeprefix("head.")


def head_of(found: Arrays) -> RubricHead:
    """Our head with the weights of a golden."""
    in_features, width, heads, texts, steps = map(int, found["config"])
    stochastic = "out/phase_mean" in found
    head = RubricHead(in_features, width, heads, 0.0, torch.zeros(steps, texts), DIVE_NUMBER.groups, stochastic, False)
    weights = state_of(found)
    if "neck.text_queries" in weights:
        weights["neck.text_queries.weight"] = weights.pop("neck.text_queries")
    load(head, {ours(key): value for key, value in weights.items()})
    return head


@pytest.mark.parametrize("name", FILES)
def test_outputs_losses_and_gradients_are_those_of_the_published_code(name: str) -> None:
    found = golden(name)
    head = head_of(found).eval()
    features, actions, label, difficulty = doubles(found, "in/features", "in/actions", "in/label", "in/difficulty")
    present = actions.bool()
    clips = head.encoder(features)
    equal(clips.mT, found["out/encoder"])
    equal(head.decoder(clips, present)[0], found["out/phases"])
    steps = head(features, present)
    equal(steps.attention.transpose(0, 1), found["out/cross_attention"])
    raw = head.score(steps.mean, present)
    equal(raw, found["out/raw_score"])
    equal(raw * difficulty, found["score"])

    ranking, sparsity = order_losses(steps.attention, present)
    terms = {
        "quality_score": F.mse_loss(raw * difficulty, label * difficulty), "ranking": 0.05 * ranking,
        "sparsity": 0.05 * sparsity,
    }  # fmt: skip
    if steps.log_variance is not None:
        equal(steps.mean, found["out/phase_mean"])
        equal(steps.log_variance.exp(), found["out/phase_var"])
        equal(deviation_of_embedding(steps.log_variance, present), found["out/global_sigma"])
        terms["phase_vib"] = DIVERGENCE * divergence(steps, present)
    for key, value in terms.items():
        equal(value, found[f"loss/{key}_loss"])
    total = torch.stack(list(terms.values())).sum()
    equal(total, found["loss/final_loss"])
    total.backward()
    equal_gradients(head, found, ours, "grad")


@pytest.mark.parametrize("name", FILES)
def test_it_has_the_published_number_of_parameters(name: str) -> None:
    found = golden(name)
    head = head_of(found)
    whole, without_texts = map(int, found["count"])
    assert sum(parameter.numel() for parameter in head.parameters()) == whole
    assert whole - head.decoder.texts.numel() == without_texts


def steps_of(number: str, rubric: Rubric = DIVE_NUMBER, order: Any = "named") -> list[str]:
    parts = torch.tensor([dive_attributes(number)])
    return [
        text for text, there in zip(rubric.texts, steps_present(rubric, parts, order)[0].tolist(), strict=True) if there
    ]


@pytest.mark.parametrize(
    ("number", "named"),
    [
        ("107B", ["forward take-off", "pike position", "three and a half somersault"]),
        ("409C", ["inward take-off", "tuck position", "four and a half somersault"]),
        ("5253B", ["back take-off", "pike position", "two and a half somersault", "one and a half twist"]),
        ("626B", ["armstand on the platform", "back take-off", "pike position", "three somersault"]),
        ("301A", ["reverse take-off", "half a somersault"]),  # a straight dive: no text is of it
        ("108C", ["forward take-off", "tuck position"]),  # nor of four somersaults
    ],
)
def test_a_dive_has_the_steps_that_its_number_names(number: str, named: list[str]) -> None:
    assert steps_of(number) == [*named, "entry into the water"]


def test_the_published_steps_of_a_dive() -> None:
    """As its code numbers them: 1 + rotation type, 5 + position, 7 + half somersaults, 15 + half twists."""
    rotation = {1: 1, 2: 0, 3: 3, 4: 2}  # MTL-AQA's number of forward, back, reverse, inward
    for number in NUMBERS:
        armstand, direction, somersaults, twists, position = dive_attributes(number)
        expected = {1 + rotation[direction], 5 + position, 23} | ({0} if armstand else set())
        expected |= ({7 + somersaults} if somersaults else set()) | ({15 + twists} if twists else set())
        found = steps_present(DIVE_NUMBER, torch.tensor([dive_attributes(number)]), "published")[0]
        assert set(found.nonzero()[:, 0].tolist()) == expected
    assert "half a twist" in steps_of("109C", order="published")  # four and a half somersaults


def test_sub_actions_are_finedivings_in_the_order_of_the_published_texts() -> None:
    label_to_step = {
        **{number: number - 1 for number in range(1, 8)}, 37: 7, 12: 8, 13: 9, 14: 10, 15: 11, 16: 12, 17: 13, 19: 14,
        21: 15, 22: 16, 23: 17, 24: 18, 25: 19, 27: 20, 29: 21, 30: 22, 31: 23, 32: 24, 33: 25, 34: 26, 35: 27, 36: 28,
    }  # fmt: skip
    for number, step in label_to_step.items():
        found = steps_present(SUB_ACTIONS, torch.tensor([[number, 0, 0, 0, 0]]))[0]
        assert set(found.nonzero()[:, 0].tolist()) == {step, 28}
    assert [SUB_ACTIONS.texts[step] for step in (3, 4, 11, 17, 27)] == [
        "inward take-off", "armstand forward take-off", "two and a half somersault in pike position",
        "two and a half somersault in tuck position", "three and a half twist",
    ]  # fmt: skip
    many = steps_present(SUB_ACTIONS, torch.tensor([[4, 25, 36, 0, 0], [1, 9, 33, 0, 0]]))
    assert many.sum(dim=1).tolist() == [3, 3]  # the second has straight somersaults, of which no text is, and no entry


@pytest.mark.parametrize("rubric", [DIVE_NUMBER, SUB_ACTIONS])
def test_texts_with_common_words_are_alike(rubric: Rubric) -> None:
    assert sum(rubric.groups) == len(rubric.texts) == len(set(rubric.texts))
    vectors = F.normalize(word_vectors(rubric.texts, 4096), dim=1)
    alike = vectors @ vectors.T
    assert alike.fill_diagonal_(0).max() < 0.95
    place = {text: number for number, text in enumerate(rubric.texts)}
    assert alike[place["one twist"], place["two twist"]] > alike[place["one twist"], place["forward take-off"]] + 0.3
    assert torch.equal(word_vectors(rubric.texts, 4096), word_vectors(rubric.texts, 4096))


def test_the_order_losses_by_hand() -> None:
    """Two videos, one layer with one head, four steps of which three and two are there, five clips."""
    generator = torch.Generator().manual_seed(0)
    attention = torch.rand(2, 1, 1, 4, 5, generator=generator, dtype=torch.float64).softmax(-1)
    present = torch.tensor([[True, False, True, True], [False, True, False, True]])
    attention = attention * present[:, None, None, :, None]
    place = np.arange(1, 6)
    centres = (attention[:, 0, 0].numpy() * place).sum(-1)
    pairs, ends, spreads = [], [], []
    for row, there in zip(centres, present.numpy(), strict=True):
        some = row[there]
        pairs += [max(0, 1 - later + sooner) for sooner, later in pairwise(some)]
        ends.append(max(0, 1 - some[0] + 1) + max(0, 1 - 5 + some[-1]))
    for row, centre in zip(attention[:, 0, 0].numpy(), centres, strict=True):
        spreads += [(np.abs(place - of_step) * shares).sum() for of_step, shares in zip(centre, row, strict=True)]
    ranking, sparsity = order_losses(attention, present)
    assert ranking.item() == pytest.approx(np.mean(pairs) + np.mean(ends), abs=1e-12)
    assert sparsity.item() == pytest.approx(np.mean(spreads), abs=1e-12)


def test_a_dive_of_its_entry_alone_has_no_order() -> None:
    attention = torch.full((2, 1, 1, 3, 4), 0.25).double() * torch.tensor([0.0, 0.0, 1.0])[:, None]
    ranking, _ = order_losses(attention, torch.tensor([[False, False, True]] * 2))
    assert ranking.item() == pytest.approx(0)  # its centre, 2.5, is more than a clip from both ends


@pytest.mark.parametrize(("epoch", "times"), [(0, 0), (40, 0), (41, 1), (50, 1), (51, 2), (91, 6), (92, 6)])
def test_the_weight_of_the_divergence_grows_as_published(epoch: int, times: int) -> None:
    weight = 1e-5
    for done in range(epoch):  # after each epoch, as its program does
        if done > 30 and done % 10 == 0:
            weight = min(weight * 3, 5e-3)
    assert weight_of_divergence(epoch, 1e-5, 3.0, 5e-3) == pytest.approx(weight)
    assert times == 6 or weight == pytest.approx(1e-5 * 3**times)


def model_of(**changes: Any) -> RICA2:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "target": "completeness", "rubric": "dive_number", "step_order": "named", "texts": None, "texts_width": 12,
        "width": 16, "heads": 2, "dropout": 0.1, "stochastic": True, "dropout_at_test": False, "label_range": 30.0,
        "centred": True, "divergence_weight": 1e-3, "divergence_growth": 3.0, "divergence_limit": 5e-3,
        "ranking_weight": 0.05, "sparsity_weight": 0.05, "predict": "mean", "uncertainty": "samples", "samples": 20,
    }  # fmt: skip
    model = RICA2(encoder(TinyBackbone(2)), **given | changes).double()
    zero = torch.zeros(2, dtype=torch.int64)
    model.learn_scale(TrainingLabels(torch.tensor([40.0, 60.0]).double(), zero, zero, max_label=100.0))
    return model


def dives(count: int = 3, clips: int = 4, **given: Tensor) -> Encoded:
    generator = torch.Generator().manual_seed(1)
    feature = torch.rand(count, clips, 8, generator=generator, dtype=torch.float64)
    numbers = torch.tensor([dive_attributes(number) for number in ("107B", "5253B", "612B")])[:count]
    return made_encoded(feature, {"announced": numbers}, **given)


def test_losses_are_of_labels_on_its_scale_weighted_by_the_difficulty() -> None:
    factor = torch.tensor([2.0, 3.0, 4.0], dtype=torch.float64)
    videos = dives(factor=factor, difficulty=factor)
    model = model_of(stochastic=False, dropout=0.0)
    raw = model.head.score(model.head(videos.feature, model.steps(videos)).mean, model.steps(videos))
    expected = ((raw - (videos.labels.label - 50) * 0.3) * factor).square().mean()
    terms = model.losses(videos, None)
    assert set(terms) == {"squared_error", "ranking", "sparsity"}
    torch.testing.assert_close(terms["squared_error"], expected)
    torch.testing.assert_close(model.eval().score(videos, None).label, raw / 0.3 + 50)
    assert model.score(videos, None).std.isnan().all()
    assert set(model_of().losses(videos, None)) == {"squared_error", "ranking", "sparsity", "divergence"}


@pytest.mark.parametrize("published", [False, True])
def test_a_score_and_its_deviation_do_not_depend_on_the_batch(published: bool) -> None:
    changes = {"predict": "samples", "uncertainty": "embedding", "dropout_at_test": True} if published else {}
    model, videos = model_of(**changes).eval(), dives()
    whole = model.score(videos, None)
    for row in range(3):
        alone = videos._replace(
            feature=videos.feature[row : row + 1], side={"announced": videos.side["announced"][row : row + 1]},
            labels=type(videos.labels)(*(column[row : row + 1] for column in videos.labels)), video_id=[str(row)],
        )  # fmt: skip
        found = model.score(alone, None)
        torch.testing.assert_close(found.label, whole.label[row : row + 1], rtol=0, atol=1e-9)
        torch.testing.assert_close(found.std, whole.std[row : row + 1], rtol=0, atol=1e-9)


def test_the_deviation_is_of_the_scores_of_samples_or_the_published_harmonic_mean() -> None:
    factor = torch.tensor([2.0, 3.0, 4.0], dtype=torch.float64)
    videos, model = dives(factor=factor, difficulty=factor), model_of(samples=2000).eval()
    model.head.of_group, model.head.read = torch.nn.Identity(), torch.nn.Linear(8, 1).double()  # a linear readout
    steps = model.head(videos.feature, model.steps(videos))
    variance, expected = steps.log_variance.exp(), []
    for row, present in enumerate(model.steps(videos)):
        shares = torch.zeros(24, dtype=torch.float64)
        for group in torch.arange(24).split([5, 18, 1]):
            shares[group] = present[group].double() / present[group].sum() / 3
        squares = model.head.read.weight[0].square()
        expected.append((variance[row] * shares[:, None].square() * squares).sum().sqrt() / 0.3)
    torch.testing.assert_close(model.score(videos, None).std, torch.stack(expected), rtol=0.06, atol=0)
    published = model_of(uncertainty="embedding").eval()
    steps = published.head(videos.feature, published.steps(videos))
    deviation = deviation_of_embedding(steps.log_variance, published.steps(videos))
    points = published.score(videos, None).std * factor
    torch.testing.assert_close(points, 8 / (1 / deviation).sum(1))


def test_samples_are_the_published_prediction() -> None:
    model, videos = model_of(predict="samples", samples=4000).eval(), dives()
    steps, present = model.head(videos.feature, model.steps(videos)), model.steps(videos)
    drawn = [
        model.as_label(model.head.score(steps.mean + (steps.log_variance / 2).exp() * torch.randn(3, 24, 8), present))
        for _ in range(4000)
    ]
    torch.testing.assert_close(model.score(videos, None).label, torch.stack(drawn).mean(0), rtol=0, atol=0.2)
    assert not torch.allclose(model.score(videos, None).label, model_of().eval().score(videos, None).label)


def test_dropout_at_test_is_drawn_by_video_and_off_without_it() -> None:
    videos = dives()
    on, off = (model_of(dropout=0.5, dropout_at_test=on).eval() for on in (True, False))
    on.load_state_dict(off.state_dict())
    first = on.score(videos, None).label
    assert torch.equal(first, on.score(videos, None).label)
    assert not torch.allclose(first, off.score(videos, None).label)


def test_texts_of_a_file_stand_for_the_steps(tmp_path: Path) -> None:
    rows = np.random.RandomState(0).randn(24, 1, 12).astype(np.float32)
    np.save(tmp_path / "texts.npy", rows)
    model = model_of(texts=str(tmp_path / "texts.npy"))
    np.testing.assert_allclose(model.head.decoder.texts.detach().numpy(), rows[:, 0])
    assert not model.head.decoder.texts.requires_grad
    for rows_, width in ((29, 12), (24, 11)):
        np.save(tmp_path / "other.npy", np.zeros((rows_, width), dtype=np.float32))
        with pytest.raises(InputError, match=r"other\.npy: an array of \(24, 12\) numbers is needed"):
            model_of(texts=str(tmp_path / "other.npy"))


def test_what_cannot_be_is_one_line() -> None:
    for width, heads in ((18, 4), (15, 5)):
        with pytest.raises(InputError, match=rf"model\.width={width}: must be even and a multiple of"):
            model_of(width=width, heads=heads)
    model_of(width=24, heads=8)
    with pytest.raises(InputError, match=r"model\.samples=1: at least 2"):
        model_of(samples=1)
    assert model_of().needs == ("announced",)
    assert model_of(rubric="sub_actions").needs == ("sub_actions",)
