"""GDLT against what its published code computes, and against its formulas written out."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from swapaqa.errors import InputError
from swapaqa.models.gdlt import GradeHead, grade_mean, hardest_triplet_loss
from swapaqa.models.published import SYSTEMS, our_name
from swapaqa.models.transformer import Transformer
from tests.golden import Arrays, doubles, equal, equal_gradients, golden, load, state_of

GDLT = next(system for system in SYSTEMS if system.name == "GDLT")


def ours(key: str) -> str:
    return our_name(key, GDLT).removeprefix("head.")


def head_of(found: Arrays) -> GradeHead:
    """Our head with the weights of a golden."""
    head = GradeHead(*found["config"].tolist(), dropout=0.0)
    load(head, {ours(key): value for key, value in state_of(found).items()})
    return head


@pytest.mark.parametrize("size", ["small", "published"])
def test_outputs_losses_and_gradients_are_those_of_the_published_code(size: str) -> None:
    found = golden(f"gdlt_{size}.npz")
    head = head_of(found)
    features, label = doubles(found, "in/features", "in/label")

    logits, embedding = head.eval()(features)
    equal(embedding, found["out/embed"])
    equal(logits.sigmoid(), found["out/response"])
    equal(grade_mean(logits), found["out/output"])
    equal(25 * grade_mean(logits), found["score_times25"])
    equal(F.mse_loss(grade_mean(logits), label), found["loss_eval/mse"])
    equal(hardest_triplet_loss(embedding, 1.0), found["loss_eval/triplet"])
    equal(hardest_triplet_loss(embedding[:1], 1.0), found["loss_eval_b1/triplet"])

    logits, embedding = head.train()(features)
    equal(grade_mean(logits), found["out_train/output"])
    equal(embedding, found["out_train/embed"])
    squared_error, triplet = F.mse_loss(grade_mean(logits), label), hardest_triplet_loss(embedding, 1.0)
    equal(squared_error, found["loss/mse"])
    equal(triplet, found["loss/triplet"])
    loss = squared_error + triplet
    equal(loss, found["loss/total"])
    loss.backward()
    equal_gradients(head, found, ours)
    equal(head.project[4].running_mean, found["bn_after/in_proj_4_running_mean"])


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in GradeHead(1024, 256, 1, 1, 2, 4, 0.3).parameters()) == 3_163_396


def small(**changes: Any) -> GradeHead:
    torch.manual_seed(0)
    given = {"width": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 2, "grades": 3, "dropout": 0.0}
    return GradeHead(8, **given | changes)


@pytest.mark.parametrize("heads", [1, 4])
def test_the_layers_are_those_of_pytorch(heads: int) -> None:
    torch.manual_seed(0)
    mine = Transformer(16, heads, 1, 2, 0.0).double()
    layer = nn.TransformerEncoderLayer(16, heads, 48, 0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 1, nn.LayerNorm(16), enable_nested_tensor=False)
    theirs = nn.Transformer(16, heads, 1, 2, 48, 0.0, custom_encoder=encoder, batch_first=True).double()
    theirs.load_state_dict(mine.state_dict())
    tokens, queries = torch.rand(3, 5, 16).double(), torch.rand(3, 4, 16).double()
    torch.testing.assert_close(mine(tokens, queries), theirs(tokens, queries), rtol=0, atol=1e-12)


def test_the_score_does_not_depend_on_the_order_of_clips_nor_on_the_batch() -> None:
    head, clips = small().double().eval(), torch.rand(4, 10, 8).double()
    score = grade_mean(head(clips)[0])
    torch.testing.assert_close(grade_mean(head(clips.flip(1))[0]), score, rtol=0, atol=1e-12)
    torch.testing.assert_close(grade_mean(head(clips[2:3])[0]), score[2:3], rtol=0, atol=1e-12)


@pytest.mark.parametrize("logit", [-1e4, -200.0, 0.0, 200.0])
def test_the_mean_grade_where_all_responses_round_to_0_is_its_limit(logit: float) -> None:
    assert grade_mean(torch.full((1, 5), logit)).item() == pytest.approx(0.5)
    assert grade_mean(torch.tensor([[logit, logit + math.log(3)]]), [0.0, 8.0]).item() == pytest.approx(
        6.0 if logit < 0 else 4 * (1 + (logit == 0) / 5), rel=1e-4
    )


def test_the_triplet_loss_by_hand() -> None:
    """Two videos, two grades, at angles of 0, 90, 60 and 180 degrees."""
    angle = torch.tensor([[0.0, 90.0], [60.0, 180.0]]).deg2rad()
    embedding = torch.stack([angle.cos(), angle.sin()], dim=-1) * torch.tensor([1.0, 7.0])[:, None, None]
    cosine = lambda degrees: 1 - math.cos(math.radians(degrees))  # noqa: E731
    rows = [cosine(60) - cosine(90), cosine(90) - cosine(30), cosine(60) - cosine(30), cosine(90) - cosine(120)]
    expected = sum(max(row + 0.3, 0) for row in rows) / 4
    assert hardest_triplet_loss(embedding, 0.3).item() == pytest.approx(expected, abs=1e-6)
    apart = [-cosine(60), -cosine(30), -cosine(30), -cosine(90)]
    expected = sum(max(row + 0.3, 0) for row in apart) / 4
    assert hardest_triplet_loss(embedding, 0.3, same_grade=False).item() == pytest.approx(expected, abs=1e-6)


def test_one_video_with_one_clip_trains() -> None:
    head = small()
    before = head.project[1].running_mean.clone()
    head.train()(torch.rand(1, 1, 8))[0].sum().backward()
    assert torch.equal(head.project[1].running_mean, before)
    head(torch.rand(2, 1, 8))
    assert not torch.equal(head.project[1].running_mean, before)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"grades": 1}, "model.grades=1: at least 2"),
        ({"heads": 3}, "model.width=16: must be a multiple"),
    ],
)
def test_what_cannot_be_built_is_one_line(changes: dict[str, int], line: str) -> None:
    with pytest.raises(InputError, match=line):
        small(**changes)
