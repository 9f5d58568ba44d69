"""The records of this project: one place, each as its yaml says, and values that agree with their draws."""

import math
from pathlib import Path

import hydra
import numpy as np
import pytest
import yaml

from swapaqa import statistics
from swapaqa.measures.ours import OURS, STANDARD, WRITTEN, stored_measures
from swapaqa.measures.record import Description, Measure, Scores
from swapaqa.running.measures import checked_measure

CONF = Path(__file__).parents[2] / "conf" / "measures"

each_measure = pytest.mark.parametrize("measure", OURS.values(), ids=OURS)


def sample(videos: int, levels: int = 0, seed: int = 0, noise: float = 5.0) -> Scores:
    """Noisy predictions with deviations. `levels`: rounded, so that values tie; 0: all distinct."""
    rng = np.random.default_rng(seed)
    true = rng.normal(70, 10, videos)
    predicted = true + noise * rng.normal(size=videos)
    if levels:
        predicted, true = (np.round(side / 10 * levels) * 10 / levels for side in (predicted, true))
    return Scores(predicted, true, rng.uniform(1, 9, videos))


def test_every_yaml_makes_the_record_of_its_name() -> None:
    found = {}
    for path in CONF.glob("*.yaml"):
        [(name, node)] = yaml.safe_load(path.read_text()).items()
        assert name == path.stem
        found[name] = hydra.utils.instantiate(node).described()
    assert found == {name: measure.described() for name, measure in OURS.items()}


def test_what_every_run_has() -> None:
    assert [measure.name for measure in STANDARD] == ["spearman", "relative_l2_x100"]
    assert [measure.name for measure in WRITTEN] == ["spearman", "relative_l2_x100", "pairwise_accuracy"]


@each_measure
@pytest.mark.parametrize("levels", [0, 1])
def test_draws_are_the_values_of_what_was_drawn(measure: Measure, levels: int) -> None:
    """Of permutations of the whole test set, in which nothing repeats and the range is that of the whole."""
    whole = sample(40, levels)
    rng = np.random.default_rng(1)
    orders = np.array([rng.permutation(40) for _ in range(6)]).reshape(2, 3, 40)
    shuffled = Scores(whole.predicted[orders], np.broadcast_to(whole.true, orders.shape), whole.deviation[orders])
    found = measure.of_draws(shuffled, whole)
    assert found.shape == (2, 3)
    assert len(np.unique(found)) > 1
    for place in np.ndindex(2, 3):
        one = Scores(*(column[place] for column in shuffled))
        assert found[place] == pytest.approx(measure.of(one), abs=1e-12)
    assert statistics.value(measure, [whole]) == pytest.approx(measure.of(whole), abs=1e-12)


@pytest.mark.parametrize("measure", [one for one in OURS.values() if one.counted], ids=lambda measure: measure.name)
@pytest.mark.parametrize("levels", [0, 1])
def test_draws_may_be_counted(measure: Measure, levels: int) -> None:
    """Of draws with repetition and of draws that leave one out; one of them is of a single video."""
    whole = sample(40, levels)
    others = Scores(whole.predicted[::-1].copy(), whole.true), Scores(whole.predicted, whole.true[::-1].copy())
    positions = np.random.default_rng(1).integers(40, size=(2, 30, 40))
    positions[0, 0] = 7
    for drawn in (positions, np.array([np.delete(np.arange(40), left) for left in range(40)]), np.arange(40)):
        counts = statistics.Drawn(drawn, 40).counts
        assert (counts.sum(-1) == drawn.shape[-1]).all()
        for run, found in zip((whole, *others), measure.of_counts([whole, *others], counts), strict=True):
            assert found == pytest.approx(measure.of_draws(run.at(drawn), run), abs=1e-12)
    constant = Scores(np.ones(40), np.ones(40))
    found = measure.of_counts([whole, constant], np.ones((3, 40), int))
    assert np.isnan(found).tolist() == [[False] * 3, [True] * 3]


@each_measure
def test_a_record_works_where_runs_are_asked_for_it(measure: Measure) -> None:
    assert checked_measure(measure) is measure


@each_measure
def test_what_cannot_be_measured_is_nan_with_a_reason(measure: Measure) -> None:
    empty = Scores(*(np.empty(0) for _ in range(3)))
    for scores, words in (
        (empty, "no video"),
        (Scores(np.full(12, 5.0), np.full(12, 7.0), np.full(12, np.nan)), "constant|no standard deviations"),
    ):
        with pytest.warns(UserWarning, match=f"is undefined: .*({words})"):
            assert math.isnan(measure.of(scores))
        assert statistics.interval(measure, [scores]) is None
        assert math.isnan(statistics.paired_test(measure, [scores], [scores]))


@each_measure
def test_an_interval_holds_the_value_and_the_paired_test_tells_good_from_bad(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 300)
    monkeypatch.setattr(statistics, "PERMUTATIONS", 299)
    good, bad = sample(60, noise=2.0), sample(60, noise=12.0, seed=0)
    low, high = statistics.interval(measure, [bad])
    assert low < statistics.value(measure, [bad]) < high
    p = statistics.paired_test(measure, [good], [bad])
    assert p < 0.05 or measure.name == "calibration_tau"  # of deviations that are drawn alike
    assert statistics.paired_test(measure, [good], [good]) == 1


@each_measure
def test_actions_are_averaged_as_the_record_says(measure: Measure) -> None:
    actions = [sample(30, seed=1), sample(40, seed=2, noise=9.0)]
    values = [measure.of(scores) for scores in actions]
    mean = np.tanh(np.mean(np.arctanh(values))) if measure.average == "fisher" else np.mean(values)
    assert measure.over_actions(values) == pytest.approx(mean)
    assert statistics.value(measure, actions) == pytest.approx(mean)


def test_results_from_before_the_key_have_what_every_run_has() -> None:
    assert list(stored_measures({}).values()) == list(STANDARD)


def test_a_file_does_not_change_what_ours_are() -> None:
    lie = {"title": "Spearman", "decimals": 1, "higher_is_better": False, "average": "mean"}
    found = stored_measures({"measures": {"spearman": lie, "strangers": lie | {"unknown": 1}}})
    assert found["spearman"] == OURS["spearman"]
    assert found["strangers"] == Description(
        name="strangers", title="Spearman", decimals=1, higher_is_better=False, average="mean"
    )
    assert not isinstance(found["strangers"], Measure)
