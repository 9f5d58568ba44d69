"""What published logs and predictions tell, as tables: `python -m src.report published`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from swapaqa.data.records import Record
from swapaqa.data.source import VideoSource
from swapaqa.measures.ours import OURS, RELATIVE_L2, SPEARMAN
from swapaqa.measures.record import Scores
from swapaqa.probing.baselines import known_baselines, predict
from swapaqa.report.table import Cell, Table, Value
from swapaqa.scrutiny.epoch_choice import choose_epoch
from swapaqa.scrutiny.given_files import Log, Predictions, read_given, records_of
from swapaqa.scrutiny.groups import FEWEST, interval_over_groups, partial_correlation, within_groups
from swapaqa.statistics import interval, value

OF_A_TEST_SET = '"[low, high]": 95 % interval; over the test videos by BCa bootstrap, over whole events by percentiles'


def findings(files: Sequence[Path], truths: Path | None, source: VideoSource | None) -> list[Table]:
    """A table of all logs, and one for each set of predictions.

    Args:
        files: logs and predictions, see `given_files`.
        truths: an array of the truths of the predictions.
        source: the data set of the predictions, for what its lists know of the videos; None: it is not told.

    Raises:
        InputError: a file is none of both, or of other videos.
    """
    given = [one for path in files for one in read_given(path, truths)]
    logs = [one for one in given if isinstance(one, Log)]
    tables = [log_table(logs)] if logs else []
    predictions = [one for one in given if isinstance(one, Predictions)]
    return tables + [predictions_table(one, number, source) for number, one in enumerate(predictions, 1)]


def log_table(logs: Sequence[Log]) -> Table:
    """A row a run and metric."""
    rows: list[tuple[Cell, ...]] = []
    for log in logs:
        for column, values in log.values.items():
            metric = OURS[column.rpartition("/")[2]]
            found = choose_epoch(metric, log.epochs, values)
            numbers = (found.best, found.last, found.over_last, found.over_tail, found.deviation)
            cells = [Value(number, None, metric.decimals) for number in numbers]
            rows.append((log.name, metric.title, str(found.epochs), str(found.best_epoch), *cells))
    return Table(
        "epoch_choice",
        "The best epoch on test",
        "What choosing the epoch by the test videos adds, run by run.",
        ("run", "metric", "epochs", "best at", "best", "last", "best over last", "best over last third", "deviation"),
        tuple(rows),
        (
            '"best over ...": how much better the best epoch is, than the last and than the median of the last third',
            '"deviation": of the last third of the epochs',
        ),
    )


def predictions_table(given: Predictions, number: int, source: VideoSource | None) -> Table:
    """A row a question."""
    scores = Scores(given.predicted, given.true)
    rows: list[tuple[Cell, ...]] = [
        (measure.title, Value(value(measure, [scores]), None, measure.decimals, interval=interval(measure, [scores])),
         f"{len(given.true)} test videos")
        for measure in (SPEARMAN, RELATIVE_L2)
    ]  # fmt: skip
    if source is not None:
        test = records_of(given, source.read_split("test"))
        rows += [*_by_event(scores, test, source.event), *_beside_floors(scores, test, source)]
    columns = ("question", "number", "of")
    return Table(
        f"published_{number}", given.name, "What the predictions tell.", columns, tuple(rows), (OF_A_TEST_SET,)
    )


def _by_event(
    scores: Scores, test: Sequence[Record], event_of: Callable[[Record], str | None]
) -> list[tuple[Cell, ...]]:
    events = [event_of(record) for record in test]
    if None in events:
        return []
    found, decimals = within_groups(scores, events), SPEARMAN.decimals
    rho, over = value(SPEARMAN, [scores]), interval_over_groups(SPEARMAN, scores, events)
    counted = f"{found.videos} videos of the {found.counted} events with {FEWEST} or more"
    return [
        ("rho, other events drawn", Value(rho, None, decimals, interval=over), f"{found.groups} events"),
        ("rho within events, by videos", Value(found.weighted, None, decimals), counted),
        ("rho within events, each once", Value(found.mean, None, decimals), counted),
        ("rho without the events' means", Value(found.centred, None, decimals), f"{len(test)} test videos"),
    ]


def _beside_floors(scores: Scores, test: Sequence[Record], source: VideoSource) -> list[tuple[Cell, ...]]:
    train, decimals = source.read_split("train"), SPEARMAN.decimals
    rows: list[tuple[Cell, ...]] = []
    for baseline in known_baselines((*train, *test), source.event):
        floor = np.array(predict(baseline, train, test, source.event))
        of_floor = Scores(floor, scores.true)
        shown = Value(value(SPEARMAN, [of_floor]), None, decimals, interval=interval(SPEARMAN, [of_floor]))
        rows += [
            (f"rho of the floor {baseline}", shown, "no pixel"),
            (f"rho given the floor {baseline}", Value(partial_correlation(scores, floor), None, decimals), "partial"),
        ]
    return rows
