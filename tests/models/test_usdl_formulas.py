"""USDL and MUSDL: labels, decoding, the divergence's reductions, heads, the judges' rule."""

import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.errors import InputError
from swapaqa.metrics import relative_l2_x100, spearman
from swapaqa.models.score_distribution import (
    JudgeDistributionHeads,
    ScoreDistributionHead,
    aggregate_judges,
    decode_score,
    distribution_loss,
    score_distribution,
    score_std,
)

MTL = Path(__file__).parents[2] / "../shared/data/mtl_aqa"
needs_mtl = pytest.mark.skipif(not MTL.is_dir(), reason="no MTL-AQA files at ../shared/data")

BINS = torch.arange(101, dtype=torch.float64)


def final_label(score: float) -> Tensor:
    return score_distribution(torch.tensor(score), num_bins=101, max_score=104.5, std=5)


def judge_label(score: float) -> Tensor:
    return score_distribution(torch.tensor(score), num_bins=21, max_score=10, std=5)


def mtl_test_records() -> list[dict]:
    records = pickle.loads((MTL / "final_annotations_dict_with_dive_number.pkl").read_bytes(), encoding="latin1")
    return [records[key] for key in pickle.loads((MTL / "test_split_0.pkl").read_bytes(), encoding="latin1")]


@pytest.mark.parametrize(("score", "best", "decoded"), [(52.25, 50, 52.25), (88.0, 84, 87.78), (102.6, 98, 102.41)])
def test_labels_decode_to_the_nearest_bin(score: float, best: int, decoded: float) -> None:
    label = final_label(score)
    assert label.sum().item() == pytest.approx(1, abs=1e-12)
    assert label.argmax() == best
    assert decode_score(label, 104.5).item() == pytest.approx(decoded, abs=1e-9)
    assert decode_score(label.log(), 104.5) == decode_score(label, 104.5)


def test_labels_at_the_centre_and_at_the_ends() -> None:
    assert final_label(52.25).max().item() == pytest.approx(0.079788, abs=5e-7)
    assert final_label(0.0).max().item() == pytest.approx(0.147785, abs=5e-7)
    assert (final_label(0.0) * BINS).sum().item() == pytest.approx(3.68, abs=5e-3)
    assert (final_label(104.5) * BINS).sum().item() == pytest.approx(96.32, abs=5e-3)
    slope = final_label(88.0)[85].log() - final_label(88.0)[84].log()
    assert (84.5 + 25 * slope).item() == pytest.approx(84.2105, abs=5e-5)  # the centre of the Gaussian


def test_labels_equal_the_published_float32_form() -> None:
    scores = torch.tensor([0.0, 12.3, 52.25, 88.0, 104.5])
    centre = scores.double()[:, None] * 100 / 104.5
    density = (torch.exp(-((BINS - centre) ** 2) / 50) / (5 * (2 * torch.pi) ** 0.5)).float()
    published = density / density.sum(dim=1, keepdim=True)
    ours = score_distribution(scores, 101, 104.5, 5)
    torch.testing.assert_close(ours.float(), published, rtol=0, atol=1e-7)


def test_labels_of_judges() -> None:
    assert judge_label(8.5).max().item() == pytest.approx(0.105, abs=5e-4)
    assert (judge_label(8.5) - judge_label(9.0)).abs().sum().item() / 2 == pytest.approx(0.058, abs=5e-4)
    assert judge_label(45.0)[20].item() == pytest.approx(0.94, abs=5e-3)  # the corrupted annotation (4, 49)
    judges = torch.tensor([[9.5, 9, 9.5, 9, 8.5, 9.5, 8.5]])
    labels = score_distribution(judges, 21, 10, 5)
    assert labels.shape == (1, 7, 21)
    torch.testing.assert_close(decode_score(labels, 10), judges.double())


def test_spread_of_a_distribution_is_in_points() -> None:
    assert score_std(final_label(52.25), 104.5).item() == pytest.approx(5 * 1.045, abs=1e-3)
    assert score_std(F.one_hot(torch.tensor([3, 90]), 101).double(), 104.5).tolist() == [0, 0]


@needs_mtl
def test_oracle_quantisation_on_mtl_aqa() -> None:
    scores = torch.tensor([float(record["final_score"]) for record in mtl_test_records()], dtype=torch.float64)
    decoded = decode_score(score_distribution(scores, 101, 104.5, 5), 104.5)
    assert spearman(decoded, scores).item() == pytest.approx(0.99976, abs=5e-6)
    assert (decoded - scores).abs().max().item() == pytest.approx(0.52, abs=5e-3)
    assert relative_l2_x100(decoded, scores).item() == pytest.approx(0.0008, abs=5e-5)


def test_judges_rule() -> None:
    judges = torch.tensor([[9.5, 9, 9.5, 9, 8.5, 9.5, 8.5]], dtype=torch.float64)
    assert aggregate_judges(judges, torch.tensor([1.0])).item() == 27.5
    assert aggregate_judges(judges, torch.tensor([3.2], dtype=torch.float64)).item() == pytest.approx(88.0)
    assert aggregate_judges(judges[:, :5], torch.ones(1)).item() == 27.5  # 9, 9, 9.5 of five
    assert aggregate_judges(judges[:, :3], torch.ones(1)).item() == 28.0


@pytest.mark.parametrize("judges", [0, 2, 6])
def test_judges_without_a_middle_three_are_refused(judges: int) -> None:
    with pytest.raises(InputError, match=f"{judges} judges"):
        aggregate_judges(torch.zeros(1, judges), torch.ones(1))


@needs_mtl
def test_judges_rule_on_mtl_aqa_is_a_ceiling() -> None:
    records = mtl_test_records()
    judges = torch.stack([torch.as_tensor(record["judge_scores"]) for record in records])
    difficulty = torch.tensor([record["difficulty"] for record in records], dtype=torch.float64)
    scores = torch.tensor([float(record["final_score"]) for record in records], dtype=torch.float64)
    predicted = aggregate_judges(judges, difficulty)
    assert ((predicted - scores).abs() > 0.01).sum() == 9
    assert spearman(predicted, scores).item() == pytest.approx(0.99985, abs=5e-6)
    assert relative_l2_x100(predicted, scores).item() == pytest.approx(0.0005, abs=5e-5)


def test_parameters_of_the_heads() -> None:
    final, judges = ScoreDistributionHead(1024, 101), JudgeDistributionHeads(1024, 7, 21)
    assert sum(parameter.numel() for parameter in final.parameters()) == 308_325
    assert sum(parameter.numel() for parameter in judges.parameters()) == 2_086_035 == 7 * 298_005
    features = torch.randn(3, 1024)
    torch.testing.assert_close(final(features).exp().sum(dim=-1), torch.ones(3))
    assert judges(features).shape == (3, 7, 21)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert final(features).dtype == torch.float32


def test_divergence_equals_its_sum() -> None:
    log_prob, label = torch.randn(4, 101, dtype=torch.float64).log_softmax(1), torch.rand(4, 101).double()
    label = label / label.sum(dim=1, keepdim=True)
    rows = [sum(q * (q.log() - p) for q, p in zip(*row, strict=True)) for row in zip(label, log_prob, strict=True)]
    total = torch.stack(rows).sum().item()
    assert distribution_loss(log_prob, label, "batchmean").item() == pytest.approx(total / 4)
    assert distribution_loss(log_prob, label, "elements").item() == pytest.approx(total / 404)


def test_reductions_differ_by_known_factors() -> None:
    """USDL: batchmean is 101 times the mean over elements. MUSDL: official, batchmean over rows: 1 to 3."""
    log_prob, label = torch.randn(4, 101, dtype=torch.float64).log_softmax(1), final_label(60.0).expand(4, -1)
    batchmean, elements = (distribution_loss(log_prob, label, kind) for kind in ("batchmean", "elements"))
    assert (batchmean / elements).item() == pytest.approx(101)
    assert batchmean.item() == pytest.approx(F.kl_div(log_prob, label, reduction="batchmean").item())
    log_prob, label = (
        torch.randn(4, 7, 21, dtype=torch.float64).log_softmax(2),
        judge_label(8.0).expand(4, 7, -1),
    )
    batchmean, elements = (distribution_loss(log_prob, label, kind) for kind in ("batchmean", "elements"))
    assert (batchmean / elements).item() == pytest.approx(3)
    per_judge = [distribution_loss(log_prob[:, judge], label[:, judge], "elements") for judge in range(7)]
    assert elements.item() == pytest.approx(torch.stack(per_judge).sum().item())


def test_divergence_is_finite_where_a_softmax_underflows() -> None:
    logits = torch.zeros(1, 101)
    logits[0, 3] = 500.0
    logits.requires_grad_()
    loss = distribution_loss(logits.log_softmax(1), F.one_hot(torch.tensor([90]), 101), "batchmean")
    loss.backward()
    assert loss.item() == pytest.approx(500)
    assert logits.grad.isfinite().all()
