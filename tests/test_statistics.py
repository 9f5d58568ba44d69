"""Intervals and tests: SciPy's own answers, coverage by simulation, enumeration for small samples, the stated rules."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from scipy import stats

from swapaqa import metrics, statistics
from swapaqa.measures.ours import RELATIVE_L2, SPEARMAN, STANDARD
from swapaqa.measures.record import Measure, Scores
from swapaqa.measures.spearman import rank_correlation
from swapaqa.recording.evaluation import Evaluation, split_confidence
from swapaqa.recording.recorder import Recorder


def sample(videos: int, noise: float = 0.6, seed: int = 0) -> Scores:
    """Predictions with Gaussian noise of Gaussian truths."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=videos)
    return Scores(true + noise * rng.normal(size=videos), true)


@pytest.mark.parametrize("levels", [0, 3, 30])
def test_the_vectorised_metrics_are_those_of_the_results(levels: int) -> None:
    """`levels`: rounded, so that values tie; 0: all distinct."""
    rng = np.random.default_rng(levels)
    pred, true = rng.normal(size=(2, 5, 40))
    if levels:
        pred, true = (np.round(side * levels / 4) for side in (pred, true))
    found = rank_correlation(pred, true)
    expected = [float(metrics.spearman(torch.tensor(p), torch.tensor(t))) for p, t in zip(pred, true, strict=True)]
    assert found == pytest.approx(expected, abs=1e-12)
    for p, t in zip(pred, true, strict=True):
        for metric, of_result in ((SPEARMAN, metrics.spearman), (RELATIVE_L2, metrics.relative_l2_x100)):
            one = statistics.value(metric, [Scores(p, t)])
            assert one == pytest.approx(float(of_result(torch.tensor(p), torch.tensor(t))), abs=1e-12)


def test_actions_are_averaged_as_in_the_results() -> None:
    actions = [sample(20, seed=1), sample(30, noise=0.2, seed=2)]
    rhos = [statistics.value(SPEARMAN, [scores]) for scores in actions]
    assert statistics.value(SPEARMAN, actions) == pytest.approx(float(metrics.fisher_mean(torch.tensor(rhos))))
    errors = [statistics.value(RELATIVE_L2, [scores]) for scores in actions]
    assert statistics.value(RELATIVE_L2, actions) == pytest.approx(np.mean(errors))


def test_the_interval_is_scipys() -> None:
    """The same draws through SciPy's own Spearman, one resample at a time."""
    scores = sample(25)
    low, high = statistics.interval(SPEARMAN, [scores])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = stats.bootstrap(
            (scores.predicted, scores.true), lambda p, t: stats.spearmanr(p, t).statistic, paired=True,
            vectorized=False, n_resamples=statistics.RESAMPLES, method="BCa", rng=statistics._generator("bootstrap"),
        ).confidence_interval  # fmt: skip
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_of_an_average_is_scipys() -> None:
    actions = [sample(12, seed=1), sample(15, noise=0.2, seed=2)]
    found = statistics.interval(RELATIVE_L2, actions)
    errors = [100 * np.square((s.predicted - s.true) / np.ptp(s.true)) for s in actions]
    expected = stats.bootstrap(
        errors, lambda a, b, axis: (a.mean(axis) + b.mean(axis)) / 2, n_resamples=statistics.RESAMPLES, method="BCa",
        rng=statistics._generator("bootstrap"),
    ).confidence_interval  # fmt: skip
    assert found == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("metric", "videos"), [(SPEARMAN, 28), pytest.param(SPEARMAN, 100, marks=pytest.mark.slow), (RELATIVE_L2, 60)]
)
def test_the_interval_covers_the_truth_as_often_as_it_says(
    metric: Measure, videos: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bivariate normal scores: Spearman of the population is 6/pi asin(r/2); 300 test sets, binomial error 1.3 %."""
    monkeypatch.setattr(statistics, "RESAMPLES", 400)
    r, noise, inside, trials = 0.8, 0.5, 0, 300
    rng = np.random.default_rng(7)
    for _ in range(trials):
        true = rng.normal(size=videos)
        if metric == SPEARMAN:
            scores = Scores(r * true + math.sqrt(1 - r**2) * rng.normal(size=videos), true)
            truth = 6 / math.pi * math.asin(r / 2)
        else:
            scores = Scores(true + noise * rng.normal(size=videos), true)
            truth = 100 * noise**2 / np.ptp(true) ** 2  # relative to the range of this test set
        low, high = statistics.interval(metric, [scores])
        inside += low <= truth <= high
    assert 0.90 <= inside / trials <= 0.985


def test_small_test_sets_are_far_less_certain() -> None:
    widths = {}
    for videos in (28, 353):
        low, high = statistics.interval(SPEARMAN, [sample(videos)])
        widths[videos] = high - low
    assert widths[28] > 2.5 * widths[353]  # sqrt(353 / 28) = 3.6


def test_intervals_are_the_same_every_time_and_in_every_order_of_calls() -> None:
    scores = sample(40)
    first = statistics.interval(SPEARMAN, [scores])
    statistics.interval(SPEARMAN, [sample(30)])
    assert statistics.interval(SPEARMAN, [scores]) == first


def test_rounding_does_not_decide_an_interval() -> None:
    """Resamples of every video once are the test set itself: ties with it, in whatever order they are summed."""
    generator = np.random.default_rng(0)
    for _ in range(10):
        true, predicted = generator.random(6), generator.random(6)
        one, other = (
            statistics.interval(RELATIVE_L2, [Scores(predicted * factor, true * factor)]) for factor in (1, 1 / 3)
        )
        assert one == pytest.approx(other, rel=1e-9)


def test_of_very_many_videos_the_interval_is_of_percentiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few draws at a time and all at once are the same draws; the other method is near."""
    scores = sample(300)
    corrected = statistics.interval(SPEARMAN, [scores])
    monkeypatch.setattr(statistics, "MOST_JACKKNIFED", 299)
    plain = statistics.interval(SPEARMAN, [scores])
    assert plain != corrected
    assert plain == pytest.approx(corrected, abs=0.1 * (corrected[1] - corrected[0]))
    monkeypatch.setattr(statistics, "AT_A_TIME", 3000)
    assert statistics.interval(SPEARMAN, [scores]) == pytest.approx(plain, abs=1e-15)


def test_what_is_constant_has_no_correlation_and_no_interval() -> None:
    true = np.arange(5.0)
    constant = Scores(np.full(5, 3.0), true)
    assert math.isnan(statistics.value(SPEARMAN, [constant]))
    assert statistics.interval(SPEARMAN, [constant]) is None
    assert statistics.interval(SPEARMAN, [sample(9), constant]) is None
    assert math.isnan(statistics.paired_test(SPEARMAN, [constant], [Scores(true, true)]))
    assert statistics.interval(RELATIVE_L2, [constant]) is not None  # of the predictions alone
    assert statistics.interval(RELATIVE_L2, [Scores(true, np.full(5, 3.0))]) is None
    assert statistics.interval(SPEARMAN, [Scores(true, true)]) is None  # every resample has rho 1
    assert statistics.interval(SPEARMAN, [Scores(true[:1], true[:1])]) is None


def test_what_differs_by_rounding_only_is_constant() -> None:
    true = np.arange(6.0)
    rounded = Scores(np.resize([93.519283, 93.519284], 6), true)
    assert math.isnan(statistics.value(SPEARMAN, [rounded]))
    assert statistics.interval(SPEARMAN, [rounded]) is None
    assert math.isnan(statistics.paired_test(SPEARMAN, [rounded], [Scores(true, true)]))
    assert statistics.interval(RELATIVE_L2, [rounded]) is not None
    assert statistics.interval(SPEARMAN, [Scores(np.array([93.51, 93.52, 93.51, 93.53, 93.5, 93.5]), true)])
    noisy = np.array([[93.519283, 93.519284, 93.519285], [93.51, 93.52, 93.53]])
    assert rank_correlation(noisy, np.arange(3.0)).tolist() == [0, 1]


def test_constant_resamples_count_as_0() -> None:
    assert rank_correlation(np.array([[1.0, 1, 1], [1, 2, 3]]), np.array([1.0, 2, 3])).tolist() == [0, 1]
    collapsed = Scores(np.array([0.0] * 9 + [1]), np.arange(10.0))  # a third of the resamples lacks the one
    low, high = statistics.interval(SPEARMAN, [collapsed])
    assert -1 <= low <= high <= 1


def test_the_range_of_r_l2_is_that_of_all_truths_in_every_resample() -> None:
    """With a range of its own a resample without the extremes would be far off."""
    true = np.array([0.0, 100] + [50.0] * 20)
    low, high = statistics.interval(RELATIVE_L2, [Scores(true + np.resize([1.0, 2], 22), true)])
    assert 100 * (1 / 100) ** 2 <= low < high <= 100 * (2 / 100) ** 2


def enumerated(metric: Measure, one: Scores, other: Scores) -> float:
    """The p-value over all 2^N exchanges, counted by hand."""
    if metric.exchanged == "ranks":
        one, other = (Scores(stats.rankdata(s.predicted), s.true) for s in (one, other))
    differences = []
    for exchanged in itertools.product([False, True], repeat=len(one.true)):
        first = Scores(np.where(exchanged, other.predicted, one.predicted), one.true)
        second = Scores(np.where(exchanged, one.predicted, other.predicted), one.true)
        differences.append(statistics.value(metric, [first]) - statistics.value(metric, [second]))
    return float(np.mean(np.abs(differences) >= abs(differences[0]) - 1e-9))


@pytest.mark.parametrize("metric", STANDARD)
@pytest.mark.parametrize("videos", [6, 9])
def test_the_paired_test_is_the_enumeration(metric: Measure, videos: int) -> None:
    one, rng = sample(videos, 0.2), np.random.default_rng(5)
    other = Scores(one.true + 1.5 * rng.normal(size=videos), one.true)
    assert statistics.paired_test(metric, [one], [other]) == pytest.approx(enumerated(metric, one, other))


def test_random_exchanges_come_close_to_the_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    one = sample(10, 0.2)
    other = Scores(one.true + np.random.default_rng(5).normal(size=10), one.true)
    exact = statistics.paired_test(SPEARMAN, [one], [other])
    monkeypatch.setattr(statistics, "PERMUTATIONS", 900)  # below 2^10
    assert statistics.paired_test(SPEARMAN, [one], [other]) == pytest.approx(exact, abs=0.06)


def test_the_paired_test_tells_better_from_equal() -> None:
    true = sample(100).true
    rng = np.random.default_rng(1)
    good, alike, bad = (Scores(true + noise * rng.normal(size=100), true) for noise in (0.3, 0.3, 1.0))
    assert statistics.paired_test(SPEARMAN, [good], [bad]) < 0.01
    assert statistics.paired_test(SPEARMAN, [good], [alike]) > 0.05
    assert statistics.paired_test(SPEARMAN, [good], [good]) == 1
    assert statistics.paired_test(SPEARMAN, [good, good], [good, bad]) < 0.01  # two actions


def test_the_paired_test_of_rho_does_not_see_scales() -> None:
    one, other = sample(60, 0.3), sample(60, 0.3)._replace(predicted=sample(60, 0.7).predicted)
    p = statistics.paired_test(SPEARMAN, [one], [other])
    scaled = other._replace(predicted=np.exp(other.predicted) / 1000)
    assert statistics.paired_test(SPEARMAN, [one], [scaled]) == p


def test_the_paired_test_is_right_in_one_of_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of the same quality: p below 0.05 in about 5 % of 300 test sets."""
    monkeypatch.setattr(statistics, "PERMUTATIONS", 199)
    rng, found = np.random.default_rng(3), []
    for _ in range(300):
        true = rng.normal(size=30)
        one, other = (Scores(true + 0.6 * rng.normal(size=30), true) for _ in range(2))
        found.append(statistics.paired_test(SPEARMAN, [one], [other]))
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.085


def test_the_difference_has_an_interval_of_its_own() -> None:
    """Runs with the same errors differ by little, whatever their own intervals are."""
    scores, rng = sample(60), np.random.default_rng(2)
    close = scores._replace(predicted=scores.predicted + 0.05 * rng.normal(size=60))
    low, high = statistics.difference_interval(SPEARMAN, [[scores]], [[close]])
    own_low, own_high = statistics.interval(SPEARMAN, [scores])
    assert high - low < (own_high - own_low) / 3
    seeds = statistics.difference_interval(SPEARMAN, [[scores], [close]], [[close], [scores]])
    assert seeds is None or seeds == pytest.approx((0, 0), abs=1e-12)


def test_seeds_are_compared_by_welchs_test() -> None:
    ours, others = [0.91, 0.92, 0.93, 0.92, 0.91], [0.90, 0.89, 0.90]
    found = statistics.seeds_test(ours, others)
    a, b = np.var(ours, ddof=1) / 5, np.var(others, ddof=1) / 3
    t = (np.mean(ours) - np.mean(others)) / math.sqrt(a + b)
    freedom = (a + b) ** 2 / (a**2 / 4 + b**2 / 2)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), freedom))
    half = stats.t.ppf(0.975, freedom) * math.sqrt(a + b)
    difference = np.mean(ours) - np.mean(others)
    assert found.interval == pytest.approx((difference - half, difference + half))
    assert math.isnan(statistics.seeds_test([0.9, 0.9], [0.9, 0.9]).p)


def test_results_have_intervals_by_action_and_of_the_average() -> None:
    one, other = sample(20, seed=1), sample(30, seed=2)
    rows = [type("Row", (), {"video_id": str(i), "action": "a" if i < 20 else "b"}) for i in range(50)]
    table = (torch.arange(50), *(torch.tensor(np.concatenate(pair)) for pair in zip(one[:2], other[:2], strict=True)))
    found = split_confidence(table, rows)
    assert found["level"] == 0.95
    for metric in STANDARD:
        assert found["per_action"]["a"][metric.name] == list(statistics.interval(metric, [one]))
        assert found["average"][metric.name] == list(statistics.interval(metric, [one, other]))
    recorder = Recorder({"test": rows}, last=Evaluation(0, {"test": table}))
    assert recorder.metrics()["last"]["splits"]["test"]["confidence"] == found


def test_holms_correction_rejects_what_the_steps_of_its_definition_reject() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 7):
        found = rng.uniform(0, 0.2, count)
        corrected = statistics.holm([*found])
        for alpha in (0.01, 0.05, 0.1, 0.3):
            rejected: set[int] = set()
            for done, position in enumerate(np.argsort(found)):
                if found[position] * (count - done) > alpha:
                    break
                rejected.add(int(position))
            assert {position for position, p in enumerate(corrected) if p <= alpha} == rejected
    assert statistics.holm([]) == []


@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 394), (0.5, 64), (0.8, 26), (1.0, 17), (2.0, 6), (1e6, 2)])
def test_the_seeds_that_a_difference_needs_are_those_of_cohens_tables(effect: float, seeds: int) -> None:
    """Two-sided at 5 % with 80 % power (Cohen, Statistical power analysis, 1988, tables 2.4)."""
    assert statistics.seeds_needed(effect, 1.0, 0.05, 0.8) == seeds
    assert statistics.seeds_needed(-effect / 3, 1 / 3, 0.05, 0.8) == seeds


def test_so_many_seeds_find_it_as_often_as_promised() -> None:
    rng, seeds = np.random.default_rng(0), statistics.seeds_needed(0.01, 0.008, 0.01, 0.9)
    ours, others = rng.normal(0.01, 0.008, (4000, seeds)), rng.normal(0, 0.008, (4000, seeds))
    assert (stats.ttest_ind(ours, others, axis=1).pvalue < 0.01).mean() == pytest.approx(0.9, abs=0.02)


def test_no_number_of_seeds_finds_nothing() -> None:
    assert statistics.seeds_needed(0.0, 1.0, 0.05, 0.8) is None
    assert statistics.seeds_needed(0.001, 1.0, 0.05, 0.8) is None
    assert statistics.seeds_needed(math.nan, 1.0, 0.05, 0.8) is None
    assert statistics.seeds_needed(0.1, 0.0, 0.05, 0.8) == 2
