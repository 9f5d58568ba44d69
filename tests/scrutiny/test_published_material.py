"""`report published`: logs by epoch and predictions of anybody's program, beside what the lists know of the videos."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from swapaqa.data.finediving import FineDiving
from swapaqa.errors import InputError
from swapaqa.measures.ours import RELATIVE_L2, SPEARMAN
from swapaqa.measures.record import Scores
from swapaqa.programs.report import main
from swapaqa.report.table import Table, Value
from swapaqa.scrutiny.epoch_choice import choose_epoch
from swapaqa.scrutiny.findings import findings
from swapaqa.scrutiny.given_files import read_array, read_given
from swapaqa.scrutiny.groups import interval_over_groups, partial_correlation, within_groups
from swapaqa.statistics import interval
from tests.trees import FINE_DIVES, FINE_TEST, write_finediving


def numbers(table: Table) -> dict[str, float]:
    """Of a table of predictions, by question."""
    return {str(row[0]): row[1].mean for row in table.rows if isinstance(row[1], Value)}


def drawn(count: int, seed: int = 0) -> Scores:
    draw = np.random.default_rng(seed)
    true = draw.normal(size=count)
    return Scores(true + draw.normal(size=count), true)


# the choice of the epoch


def test_the_best_epoch_is_compared_with_the_last_and_with_the_last_third() -> None:
    found = choose_epoch(SPEARMAN, [5, 1, 2, 3, 4, 6], [0.8, 0.1, 0.9, 0.7, 0.9, 0.6])
    assert (found.epochs, found.best, found.best_epoch, found.last) == (6, 0.9, 2, 0.6)
    assert found.over_last == pytest.approx(0.3)
    assert found.over_tail == pytest.approx(0.9 - 0.7)  # of epochs 5 and 6
    assert found.deviation == pytest.approx(np.std([0.8, 0.6], ddof=1))


def test_the_best_of_a_deviation_is_the_lowest() -> None:
    found = choose_epoch(RELATIVE_L2, [0, 1, 2], [3.0, 1.0, 2.5])
    assert (found.best, found.best_epoch, found.over_last, found.over_tail) == (1.0, 1, 1.5, 1.5)
    alone = choose_epoch(RELATIVE_L2, [7], [3.0])
    assert (alone.best_epoch, alone.over_last) == (7, 0.0)
    assert np.isnan(alone.deviation)


def test_the_six_public_logs(real_data: Path) -> None:
    (table,) = findings([real_data / "published_results" / "test_metrics_by_epoch.csv"], None, None)
    rows = {row[0]: [cell.mean for cell in row if isinstance(cell, Value)] for row in table.rows[::2]}
    best_and_last = {name: [round(number, 4) for number in row[:2]] for name, row in rows.items()}
    assert best_and_last == {
        "rica2_mtl_deter": [0.9622, 0.9542], "rica2_mtl_deter_2": [0.9624, 0.9615], "rica2_mtl_stoch": [0.9617, 0.9547],
        "rica2_fine_deter": [0.9429, 0.9375], "rica2_fine_stoch": [0.945, 0.9363], "mcore_finediving": [0.927, 0.9216],
    }  # fmt: skip
    assert all(row[2] == pytest.approx(row[0] - row[1]) for row in rows.values())


# groups


def test_correlations_within_groups() -> None:
    sizes = (7, 5, 4, 6)
    groups = [name for name, size in zip("abcd", sizes, strict=True) for _ in range(size)]
    scores = drawn(sum(sizes))
    found = within_groups(scores, groups)
    rhos = {}
    for name in "abd":  # c has four
        inside = [position for position, group in enumerate(groups) if group == name]
        rhos[name] = stats.spearmanr(scores.predicted[inside], scores.true[inside])[0]
    assert (found.groups, found.counted, found.videos) == (4, 3, 18)
    assert found.mean == pytest.approx(sum(rhos.values()) / 3)
    assert found.weighted == pytest.approx((7 * rhos["a"] + 5 * rhos["b"] + 6 * rhos["d"]) / 18)


def test_what_only_tells_the_groups_apart_is_nothing_within_them() -> None:
    groups = np.repeat(np.arange(20), 10)
    draw = np.random.default_rng(0)
    scores = Scores(10.0 * groups + draw.normal(size=200), 10.0 * groups + draw.normal(size=200))
    found = within_groups(scores, groups.tolist())
    assert stats.spearmanr(scores.predicted, scores.true)[0] > 0.99
    assert max(abs(found.weighted), abs(found.centred)) < 0.2
    assert abs(partial_correlation(scores, groups.astype(float))) < 0.2


def test_groups_of_alike_videos_make_the_interval_wider() -> None:
    draw = np.random.default_rng(1)
    groups = np.repeat(np.arange(15), 20)
    errors = draw.normal(size=15)[groups]
    true = draw.normal(size=15)[groups] + 0.2 * draw.normal(size=300)
    scores = Scores(true + errors, true)
    over_videos, over_groups = interval(SPEARMAN, [scores]), interval_over_groups(SPEARMAN, scores, groups.tolist())
    assert over_videos is not None
    assert over_groups is not None
    assert over_groups[1] - over_groups[0] > 2 * (over_videos[1] - over_videos[0])
    assert over_groups == interval_over_groups(SPEARMAN, scores, groups.tolist())  # the same every time
    assert interval_over_groups(SPEARMAN, scores, [0] * 300) is None


def test_the_partial_correlation_is_that_of_what_a_regression_of_ranks_leaves() -> None:
    scores, known = drawn(60), drawn(60).true + drawn(60, 1).true
    ranks = [stats.rankdata(side) for side in (scores.predicted, scores.true, known)]
    left = [side - np.polyval(np.polyfit(ranks[2], side, 1), ranks[2]) for side in ranks[:2]]
    assert partial_correlation(scores, known) == pytest.approx(np.corrcoef(*left)[0, 1])


@pytest.mark.slow
def test_the_published_predictions_of_mcore(real_data: Path, tmp_path: Path) -> None:
    files = [real_data / "published_results" / f"mcore_finediving_{kind}.npy" for kind in ("pred", "true")]
    source = fine(real_data / "finediving", events="session")
    (table,) = findings(files[:1], files[1], source)
    found = {question: round(number, 3) for question, number in numbers(table).items()}
    assert found["Spearman's rho"] == 0.927
    assert [found[f"rho within events, {how}"] for how in ("by videos", "each once")] == [0.836, 0.803]
    assert found["rho without the events' means"] == 0.866
    assert found["rho of the floor both"] == 0.647
    assert found["rho given the floor both"] == 0.871
    swapped = np.load(files[1])
    swapped[[0, 1]] = swapped[[1, 0]]
    np.save(tmp_path / "swapped.npy", swapped)
    with pytest.raises(InputError, match=r"true score 1 is 67\.5, and .* has 64\.5; the numbers are of other videos"):
        findings(files[:1], tmp_path / "swapped.npy", source)


# files


def fine(root: Path, **changes: Any) -> FineDiving:
    return FineDiving(
        root=str(root), frames=4, geometry=None, boxes=None, target="score", **changes  # type: ignore[arg-type]
    )  # fmt: skip


def test_predictions_of_one_of_our_runs(tmp_path: Path) -> None:
    path = tmp_path / "predictions_test.csv"
    (first, second) = (FINE_DIVES[key][0] for key in FINE_TEST)
    path.write_text(
        "video_id,action,true,last,best_on_test\n"
        f"Budapest2021Diving10mPlatformWomenFinal_1_003,diving,{second},20,21\n01_002,diving,{first},50,40\n"
    )
    tables = findings([path], None, fine(write_finediving(tmp_path / "fine")))
    assert [table.title for table in tables] == ["predictions_test.csv, last", "predictions_test.csv, best_on_test"]
    assert numbers(tables[0])["Spearman's rho"] == 1
    path.write_text("video_id,true,last\n01_009,66,50\n")
    with pytest.raises(InputError, match=r"01_009 is no test video of the data set that --videos names"):
        findings([path], None, fine(tmp_path / "fine"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,loss\n0,1\n", "a log by epoch without a column of a metric; known are spearman"),
        ("video,loss\nx,1\n", r"neither a log \(a column epoch\) nor predictions .* it has video, loss"),
        ("video,pred\nx,1\n", r"no column of true scores \(true"),
        ("pred,true\n1,2\nx,3\n", r"line 3, column 'pred': 'x' is no number"),
        ("pred,true\n1,nan\n", r"column 'true': 'nan' is no number"),
        ("epoch,spearman\n", "a line of column names and nothing below it"),
        ("epoch,spearman\n1,2,3\n", "3 cells for 2 columns"),
    ],
)
def test_a_table_that_is_neither_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "given.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as refused:
        read_given(path, None)
    assert str(path) in str(refused.value)


def test_a_log_of_lightning_and_one_of_a_spreadsheet_are_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch;run;test/spearman\n0;a;0,5\n1;a;0,25\n0;b;0,75\n")
    first, second = read_given(path, None)
    assert first == ("a", [0, 1], {"test/spearman": [0.5, 0.25]})
    assert second == ("b", [0], {"test/spearman": [0.75]})


def array(content: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, content)
    return file.getvalue()


def announced(shape: str) -> bytes:
    return array(np.zeros((9, 9))).replace(b"(9, 9)", shape.encode())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array(np.array([1.0, np.inf])), "number 2 is not finite"),
        (array(np.array(["a"])), "an array of <U1, not of numbers"),
        (array(np.array([None])), "an array of object, not of numbers"),
        (announced("(9, 8)"), "announces an array of shape"),
        (announced("(10**9, 10**9)"), "not a readable NumPy array"),
        (array(np.zeros(9))[:-1], "announces an array of shape"),
        (array(np.zeros(9))[:20], "not a readable NumPy array"),
        (announced("((((9"), "not a readable NumPy array"),
        (b"1 2 3", "not a readable NumPy array"),
        (b"", "not a readable NumPy array"),
    ],
)
def test_an_array_that_is_none_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pred.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        read_array(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("kind", [">f4", "<i8", "float64"])
def test_arrays_of_numbers_are_read(kind: str, tmp_path: Path) -> None:
    np.save(tmp_path / "pred.npy", np.array([[1], [2]], kind))
    assert read_array(tmp_path / "pred.npy").tolist() == [1.0, 2.0]


def test_arrays_go_with_their_truths(tmp_path: Path) -> None:
    for name, content in (("pred", [1.0, 2.0]), ("true", [1.0])):
        np.save(tmp_path / f"{name}.npy", content)
    with pytest.raises(InputError, match=r"predictions alone; name the array of the true scores too, --true FILE\.npy"):
        read_given(tmp_path / "pred.npy", None)
    with pytest.raises(InputError, match=r"pred\.npy: 2 predictions, and .*true\.npy has 1 true scores"):
        read_given(tmp_path / "pred.npy", tmp_path / "true.npy")


def test_the_program_prints_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_text("epoch,spearman\n0,0.5\n1,0.75\n2,0.7\n")
    root = write_finediving(tmp_path / "fine")
    for name, content in (("pred", [60.0, 20.0]), ("true", [FINE_DIVES[key][0] for key in FINE_TEST])):
        np.save(tmp_path / f"{name}.npy", content)
    given = ["log.csv", "pred.npy", "--true", "true.npy", "--videos", "data=finediving", f"data.root={root}"]
    monkeypatch.setattr("sys.argv", ["report", "published", *given, "--format", "csv"])
    monkeypatch.chdir(tmp_path)
    main()
    printed = capsys.readouterr().out
    assert "log,Spearman's rho,3,1,0.7500" in printed
    assert "Spearman's rho,1.0000" in printed
    assert "rho of the floor difficulty" in printed
