"""Metrics against SciPy, at the edges, and over two processes."""

import math
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import scipy.stats
import torch
from torch import Tensor
from torchmetrics import SpearmanCorrCoef
from torchmetrics.functional import spearman_corrcoef
from torchmetrics.utilities import dim_zero_cat

from swapaqa.metrics import (
    SpearmanById,
    fisher_mean,
    interval_coverage,
    pairwise_accuracy,
    relative_l2,
    relative_l2_x100,
    spearman,
)
from tests.forked import Forked


def draw(size: int, levels: int | None = None, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(size, generator=generator, dtype=torch.float64)
    pred = target + torch.randn(size, generator=generator, dtype=torch.float64)
    if levels:
        pred, target = ((x.clamp(-1.9, 1.9) + 2).mul(levels / 4).floor() for x in (pred, target))
    return pred, target


@pytest.mark.parametrize(("size", "levels"), [(2, None), (3, None), (353, None), (353, 7), (353, 2), (10**5, None)])
def test_spearman_equals_scipy(size: int, levels: int | None) -> None:
    pred, target = draw(size, levels)
    expected = scipy.stats.spearmanr(pred, target).statistic
    assert spearman(pred, target).item() == pytest.approx(expected, abs=1e-12)


def test_three_levels_of_1e5_samples_are_right_here_and_wrong_in_torchmetrics() -> None:
    """Rank sums overflow int32 in the parent; torchmetrics 1.9 is off by 0.2 here."""
    pred, target = draw(10**5, levels=3)
    expected = scipy.stats.spearmanr(pred, target).statistic
    assert spearman(pred, target).item() == pytest.approx(expected, abs=1e-12)
    metric = SpearmanById()
    metric.update(pred, target, torch.arange(10**5))
    assert metric.compute().item() == pytest.approx(expected, abs=1e-12)
    assert abs(spearman_corrcoef(pred.float(), target.float()).item() - expected) > 1e-3


def test_float32_predictions_are_ranked_as_they_are() -> None:
    pred, target = draw(353)
    expected = scipy.stats.spearmanr(pred.float(), target.float()).statistic
    assert spearman(pred.float(), target.float()).item() == pytest.approx(expected, abs=1e-12)


def test_perfect_ranking_is_exactly_one() -> None:
    assert spearman(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])).item() == 1.0
    assert spearman(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 2.0, 1.0])).item() == -1.0


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_nan_predictions_are_refused_where_the_parent_answers_a_number(broken: float) -> None:
    pred, target = torch.tensor([1.0, broken, 2.0]), torch.tensor([1.0, 2.0, 3.0])
    assert spearman_corrcoef(pred, target).isfinite()
    for metric in (spearman, relative_l2, pairwise_accuracy):
        with pytest.raises(ValueError, match="prediction 1 of 3"):
            metric(pred, target)


def test_constant_predictions_are_nan_with_a_warning() -> None:
    pred, target = torch.ones(4), torch.arange(4.0)
    with pytest.warns(UserWarning, match="predictions are constant"):
        assert spearman(pred, target).isnan()
    with pytest.warns(UserWarning, match="truths are constant"):
        assert spearman(target, pred).isnan()
    with pytest.warns(UserWarning, match="constant"):
        assert spearman(torch.ones(1), torch.ones(1)).isnan()
    assert spearman_corrcoef(pred, target) == 0


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e9, -1.0])
def test_predictions_that_differ_by_rounding_only_are_constant(unit: float) -> None:
    """As an untrained I3D with frozen statistics predicts: a tenth of a float32 step apart, or a few steps."""
    target = torch.tensor([60.0, 70.0, 80.0, 90.0], dtype=torch.float64)
    step = 2.0**-17  # of a float32 at 93.5
    for pred in ([93.519283, 93.519284, 93.519283, 93.519284], [93.5, 93.5 + step, 93.5 - step, 93.5 + 2 * step]):
        found = unit * torch.tensor(pred, dtype=torch.float64)
        with pytest.warns(UserWarning, match=r"the 4 predictions are constant but for rounding \("):
            assert spearman(found, target).isnan()
        assert pairwise_accuracy(found, target) == 0.5
        assert relative_l2(found, unit * target).isfinite()


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e9, -1.0])
def test_small_differences_that_are_real_have_an_order(unit: float) -> None:
    pred = unit * torch.tensor([93.5191, 93.5192, 93.5193, 93.5194], dtype=torch.float64)
    assert spearman(pred, torch.arange(4.0)) == (1 if unit > 0 else -1)
    truths = torch.tensor([93.519283, 93.519284, 93.519285, 93.519286], dtype=torch.float64)  # read, not computed
    assert spearman(torch.arange(4.0), truths) == 1


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="one length"):
        spearman(torch.ones(3), torch.ones(4))
    with pytest.raises(ValueError, match="one length"):
        relative_l2(torch.ones(3, 1), torch.ones(3, 1))


def test_relative_l2_uses_the_range_of_the_evaluated_truths() -> None:
    pred, target = torch.tensor([12.0, 18.0, 31.0]), torch.tensor([10.0, 20.0, 30.0])
    expected = (0.1**2 + 0.1**2 + 0.05**2) / 3
    assert relative_l2(pred, target).item() == pytest.approx(expected, rel=1e-12)
    assert relative_l2_x100(pred, target).item() == pytest.approx(100 * expected, rel=1e-12)
    assert relative_l2(3 * pred + 7, 3 * target + 7).item() == pytest.approx(expected, rel=1e-12)


def test_relative_l2_without_a_range() -> None:
    with pytest.warns(UserWarning, match="truths are constant"):
        assert relative_l2(torch.tensor([1.0, 2.0]), torch.ones(2)).isnan()
    with pytest.raises(ValueError, match="no sample"):
        relative_l2(torch.ones(0), torch.ones(0))


def test_fisher_mean_of_published_tables() -> None:
    """CoRe's six AQA-7 values average to 0.8433 (its paper prints 0.8401), those of the swap to 0.8870."""
    core = torch.tensor([0.7746, 0.8824, 0.6624, 0.7115, 0.9078, 0.9442])
    swap = torch.tensor([0.8096, 0.8996, 0.7361, 0.7802, 0.9523, 0.9645])
    assert fisher_mean(core).item() == pytest.approx(0.8433, abs=5e-5)
    assert fisher_mean(swap).item() == pytest.approx(0.8870, abs=5e-5)
    assert fisher_mean(torch.tensor([0.5, 1.0])).item() == 1.0
    assert fisher_mean(torch.tensor([0.5, math.nan])).isnan()


def test_pairwise_accuracy() -> None:
    target = torch.tensor([1.0, 2.0, 3.0, 3.0])
    assert pairwise_accuracy(target, target).item() == 1.0
    assert pairwise_accuracy(-target, target).item() == 0.0
    assert pairwise_accuracy(torch.ones(4), target).item() == 0.5
    assert pairwise_accuracy(torch.tensor([1.0, 3.0, 2.0, 4.0]), target).item() == pytest.approx(4 / 5)
    with pytest.warns(UserWarning, match="constant"):
        undefined = pairwise_accuracy(target, torch.ones(4))
    assert undefined.isnan()
    assert undefined.dtype == torch.float64


def test_a_sample_seen_twice_counts_once_and_order_does_not_matter() -> None:
    pred, target = draw(40)
    shown = torch.cat([torch.randperm(40), torch.tensor([3, 3, 17])])
    metric = SpearmanById()
    for part in shown.split(7):
        metric.update(pred[part], target[part], part)
    index, kept_pred, kept_target = metric.predictions()
    torch.testing.assert_close(index, torch.arange(40), rtol=0, atol=0)
    torch.testing.assert_close(kept_pred, pred, rtol=0, atol=0)
    torch.testing.assert_close(kept_target, target, rtol=0, atol=0)
    assert metric.compute().item() == spearman(pred, target).item()
    metric.update(-pred[:1], target[:1], torch.arange(1))
    assert metric.predictions()[1][0] == pred[0]  # the first of repeated samples counts
    metric.reset()
    metric.update(pred[:5], target[:5], torch.arange(5))
    assert len(metric.predictions()[0]) == 5


def test_the_sample_of_a_nan_prediction_is_named() -> None:
    metric = SpearmanById()
    metric.update(torch.tensor([1.0, math.nan]), torch.tensor([1.0, 2.0]), torch.tensor([12, 7]))
    with pytest.raises(ValueError, match="sample 7 is nan"):
        metric.compute()
    with pytest.raises(ValueError, match="sample 7 is nan"):
        metric.predictions()


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        SpearmanById().update(torch.ones(2, 1), torch.ones(2, 1), torch.zeros(2, 1))
    for sizes in ((2, 3, 3), (3, 2, 3), (3, 3, 2)):
        pred, target, index = map(torch.ones, sizes)
        with pytest.raises(ValueError, match="one length"):
            SpearmanById().update(pred, target, index.long())


@pytest.mark.parametrize("cast", [lambda m: m.half(), lambda m: m.to(torch.bfloat16), lambda m: m.float()])
def test_predictions_stay_float64_when_the_model_changes_its_type(
    cast: Callable[[torch.nn.Module], torch.nn.Module],
) -> None:
    pred, target = draw(50)
    metric = SpearmanById()
    metric.update(pred[:25], target[:25], torch.arange(25))
    before = metric.compute()
    module = cast(torch.nn.ModuleList([metric]))
    assert module[0].compute().item() == before.item()
    metric.update(pred[25:], target[25:], torch.arange(25, 50))
    torch.testing.assert_close(metric.predictions()[1], pred, rtol=0, atol=0)


def test_it_is_a_quiet_torchmetrics_spearman() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric = SpearmanById()
    assert isinstance(metric, SpearmanCorrCoef)
    assert metric.higher_is_better


def test_all_states_follow_the_model_to_its_device() -> None:
    pred, target = draw(5)
    metric = SpearmanById()
    metric.update(pred, target, torch.arange(5))
    metric.compute()
    metric.to("meta")  # has no values: nothing can be computed again
    assert metric.compute().device.type == "meta"
    assert {values.device.type for name in ("preds", "target", "std", "index") for values in getattr(metric, name)} == {
        "meta"
    }


def test_an_idle_process_sends_states_of_the_types_that_the_others_send() -> None:
    """A gathering of tensors of two types hangs or mixes up their bytes, one of several tensors a state hangs too."""
    sent, group_of_processes = [], object()

    def gather(value: Tensor, group: object = None) -> list[Tensor]:
        assert group is group_of_processes
        sent.append((value.dtype, tuple(value.shape)))
        return [value, value]

    types = []
    for count in (0, 3):
        metric = SpearmanById()
        for batch in torch.arange(count).split(2) if count else ():
            metric.update(torch.ones(len(batch)), torch.ones(len(batch)), batch)
        metric.sync(gather, group_of_processes, distributed_available=lambda: True)
        assert [shape for _, shape in sent] == [(count,)] * 4
        assert {len(dim_zero_cat(getattr(metric, name))) for name in ("preds", "target", "std", "index")} == {2 * count}
        types.append([dtype for dtype, _ in sent])
        sent.clear()
    assert types[0] == types[1]
    assert set(types[0]) == {torch.float64, torch.int64}


PADDED = [torch.arange(0, 21, 2), torch.cat([torch.arange(1, 21, 2), torch.tensor([0])])]
ONE_IDLE = [torch.arange(21), torch.arange(0)]


def evaluate_share(rank: int, folder: str) -> None:
    """One of two processes: what it sees of both ways to split 21 samples, written to `folder`."""
    store = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    pred, target = draw(21, seed=5)
    seen = []
    for part in (PADDED[rank], ONE_IDLE[rank]):
        metric = SpearmanById()
        if len(part):
            metric.update(pred[part], target[part], part)
        index, kept, _ = metric.predictions()
        seen.append((metric.compute(), index, kept, metric.index))
    torch.save(seen, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_change_nothing_with_a_padded_split_or_an_idle_process(tmp_path: Path) -> None:
    processes = [Forked("tests.test_metrics", [str(rank), str(tmp_path)], os.environ) for rank in range(2)]
    assert [process.wait() for process in processes] == [0, 0], [process.err.read_text() for process in processes]
    pred, target = draw(21, seed=5)
    for rank in range(2):
        for split, (rho, index, kept, local) in zip(
            (PADDED, ONE_IDLE), torch.load(tmp_path / f"{rank}.pt"), strict=True
        ):
            assert rho == spearman(pred, target)
            torch.testing.assert_close(index, torch.arange(21), rtol=0, atol=0)
            torch.testing.assert_close(kept, pred, rtol=0, atol=0)
            torch.testing.assert_close(torch.cat(local), split[rank], rtol=0, atol=0)  # local again afterwards


if __name__ == "__main__":  # a process of the test above
    evaluate_share(int(sys.argv[1]), sys.argv[2])


def test_interval_coverage_is_the_nominal_one_for_gaussian_errors() -> None:
    generator = torch.Generator().manual_seed(0)
    std = torch.rand(20_000, generator=generator, dtype=torch.float64) + 0.5
    target = 70 + std * torch.randn(20_000, generator=generator, dtype=torch.float64)
    pred = torch.full_like(target, 70)
    for nominal in (0.5, 0.9):
        assert interval_coverage(pred, target, std, nominal).item() == pytest.approx(nominal, abs=0.01)
    assert interval_coverage(pred[:2], target[:2], torch.tensor([1e9, torch.nan]), 0.5) == 1  # NaN is left out
    assert interval_coverage(pred[:1], target[:1], torch.tensor([torch.nan]), 0.5).isnan()


def test_an_interval_ends_where_scipys_does_and_holds_its_ends() -> None:
    half = scipy.stats.norm.ppf(0.95)
    target = torch.tensor([1 - 1e-9, 1 + 1e-9, -1 + 1e-9, -1 - 1e-9], dtype=torch.float64) * half
    zero, one = torch.zeros(4).double(), torch.ones(4).double()
    assert interval_coverage(zero, target, one, 0.9) == 0.5
    assert interval_coverage(zero, zero, zero, 0.9) == 1


def test_predicted_deviations_follow_their_samples() -> None:
    metric = SpearmanById()
    pred, target = torch.tensor([3.0, 1.0, 2.0]), torch.tensor([30.0, 10.0, 20.0])
    metric.update(pred, target, torch.tensor([7, 2, 7]), torch.tensor([0.3, 0.1, 0.2]))
    metric.update(pred[:1], target[:1], torch.tensor([4]))
    assert metric.predictions()[0].tolist() == [2, 4, 7]
    torch.testing.assert_close(
        metric.predicted_std(), torch.tensor([0.1, torch.nan, 0.3]).double(), equal_nan=True, rtol=1e-6, atol=0
    )
