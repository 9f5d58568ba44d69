"""Logs and predictions of anybody's program, as CSV or NumPy arrays, and the videos that they are of."""

import io
import math
import tokenize
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from swapaqa.data.records import Record
from swapaqa.data.table import Table, has_decimal_commas, read_cells
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import MIB, read_bytes, reason
from swapaqa.measures.ours import OURS

EPOCH, RUN = "epoch", "run"
TRUTHS = ("true", "truth", "score", "label", "gt")
PREDICTIONS = ("last", "best_on_test", "predicted", "prediction", "pred")
IDS = ("video_id", "video", "id")
LARGEST = 64 * MIB


class Log(NamedTuple):
    """Test metrics by epoch of one run: `values` by the name of the metric, one an epoch."""

    name: str
    epochs: list[int]
    values: dict[str, list[float]]


class Predictions(NamedTuple):
    """Predictions and truths, (N,) float64. `ids`: of the videos; None where the file names none."""

    name: str
    predicted: np.ndarray
    true: np.ndarray
    ids: list[str] | None


def read_given(path: Path, truths: Path | None) -> list[Log] | list[Predictions]:
    """What is in a file: logs where it has a column `epoch`, else predictions.

    Args:
        path: a table, or a NumPy array of predictions.
        truths: a NumPy array of the truths, in the order of the predictions; needed where the file has none.

    Raises:
        InputError: neither of the two, or numbers that are none.
    """
    if path.suffix.lower() == ".npy":
        if truths is None:
            raise InputError(f"{path}: predictions alone; name the array of the true scores too, --true FILE.npy")
        return [_paired(path.name, read_array(path), read_array(truths), None, truths)]
    table = read_cells(path)
    for fault in table.faults:
        raise InputError(fault)
    if not table.rows:
        raise InputError(f"{path}: a line of column names and nothing below it")
    return _logs(path, table) if EPOCH in table.columns else _predictions(path, table, truths)


def read_array(path: Path) -> np.ndarray:
    """The numbers of a `.npy` file, (N,) float64. InputError where it is none, of objects, cut off or not finite."""
    content = io.BytesIO(read_bytes(path, LARGEST))
    try:
        version = np.lib.format.read_magic(content)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version}")
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = header(content)
        if kind.kind not in "fiu":
            raise ValueError(f"an array of {kind}, not of numbers")
        rest = content.read()
        if math.prod(shape) * kind.itemsize != len(rest):
            raise ValueError(f"announces an array of shape {shape} and has {len(rest)} bytes")
        found = np.frombuffer(rest, kind).astype(np.float64)
    except (ValueError, TypeError, ArithmeticError, SyntaxError, RecursionError, tokenize.TokenError) as error:
        raise InputError(f"{path}: not a readable NumPy array ({reason(error)}); save it with numpy.save") from error
    if not np.isfinite(found).all():
        raise InputError(f"{path}: number {int(np.flatnonzero(~np.isfinite(found))[0]) + 1} is not finite")
    return found


def _logs(path: Path, table: Table) -> list[Log]:
    metrics = {column: name for column in table.columns if (name := column.rpartition("/")[2]) in OURS}
    if not metrics:
        raise InputError(f"{path}: a log by epoch without a column of a metric; known are {', '.join(OURS)}")
    numbers = _columns(table, [EPOCH, *metrics])
    logs: dict[str, Log] = {}
    for position, row in enumerate(table.rows):
        run = row.cells.get(RUN) or path.stem
        log = logs.setdefault(run, Log(run, [], {column: [] for column in metrics}))
        log.epochs.append(int(numbers[EPOCH][position]))
        for column in metrics:
            log.values[column].append(numbers[column][position])
    return list(logs.values())


def _predictions(path: Path, table: Table, truths: Path | None) -> list[Predictions]:
    columns = [name for name in PREDICTIONS if name in table.columns]
    if not columns:
        raise InputError(
            f"{path}: neither a log (a column {EPOCH}) nor predictions (a column of {', '.join(PREDICTIONS)}); it has "
            f"{', '.join(table.columns)}"
        )
    true = next((name for name in TRUTHS if name in table.columns), None)
    if true is None and truths is None:
        raise InputError(f"{path}: no column of true scores ({', '.join(TRUTHS)}); add one, or name --true FILE.npy")
    numbers = _columns(table, [*columns, *([true] if true else [])])
    own = read_array(truths) if true is None and truths is not None else np.array(numbers[str(true)])
    named = next((name for name in IDS if name in table.columns), None)
    ids = [row.cells[named] for row in table.rows] if named else None
    return [_paired(f"{path.name}, {column}", np.array(numbers[column]), own, ids, truths) for column in columns]


def _paired(
    name: str, predicted: np.ndarray, true: np.ndarray, ids: list[str] | None, truths: Path | None
) -> Predictions:
    if len(predicted) != len(true):
        raise InputError(f"{name}: {len(predicted)} predictions, and {truths} has {len(true)} true scores")
    return Predictions(name, predicted, true, ids)


def _columns(table: Table, columns: Sequence[str]) -> dict[str, list[float]]:
    comma = has_decimal_commas(table, columns)
    return {column: [_number(row.place, column, row.cells[column], comma) for row in table.rows] for column in columns}


def _number(place: str, column: str, text: str, comma: bool) -> float:
    try:
        value = float(text.replace(",", ".") if comma else text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{place}, column '{column}': '{text}' is no number")
    return value


def records_of(given: Predictions, records: Sequence[Record]) -> list[Record]:
    """The test records that the predictions are of: by their ids, or in the order of the data set's list.

    Raises:
        InputError: other videos, or other scores than the list has.
    """
    by_id: Mapping[str, Record] = {record.video_id: record for record in records}
    if given.ids is None and len(records) != len(given.true):
        raise InputError(f"{given.name}: {len(given.true)} predictions, and the list has {len(records)} test videos")
    unknown = next((name for name in given.ids or () if name not in by_id), None)
    if unknown is not None:
        raise InputError(f"{given.name}: {unknown} is no test video of the data set that --videos names")
    found = list(records) if given.ids is None else [by_id[name] for name in given.ids]
    for position, (record, true) in enumerate(zip(found, given.true, strict=True), 1):
        if abs(record.score - true) > 0.01:
            raise InputError(
                f"{given.name}: true score {position} is {true:g}, and {record.video_id} has {record.score:g}; the "
                "numbers are of other videos, or in another order than the data set's test list"
            )
    return found
