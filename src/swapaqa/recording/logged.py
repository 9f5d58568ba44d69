"""The names under which a run's numbers are logged, as pure functions; docs/tracking.md has the table.

A name says split, metric and action, and at the end of a run the protocol in front: `test/spearman/diving` is of one
epoch, `best_on_test/test/spearman/diving` is the number that a table may print.
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from swapaqa.files.spreadsheet import unguarded

AVERAGE = "average"  # over the actions, as each metric is averaged
SWEPT = "swept"
SETTING = f"{SWEPT}/setting"
WITHIN_A_SETTING = ("seed", "data.action")  # runs that differ in these alone repeat one another


def run_name(base: str, swept: Mapping[str, str]) -> str:
    """`ratio=1.5 action=diving`: the values that set a job of a sweep apart; `base` for a run of no sweep.

    A key is shortened to its last part where that is unambiguous.
    """
    last = [key.rpartition(".")[2] for key in swept]
    short = {key: name if last.count(name) == 1 else key for key, name in zip(swept, last, strict=True)}
    return " ".join(f"{short[key]}={value}" for key, value in swept.items()) or base


def swept_columns(swept: Mapping[str, str]) -> dict[str, int | float | str]:
    """The swept values as columns of the run table, `aug.ratio` as `swept/aug/ratio`; numbers as numbers.

    Without dots: wandb cannot filter or group by a configuration key that has one (wandb issues 2819, 3087).
    `swept/setting` has all values but seed and action in one, as a chart of wandb groups by one column.
    """
    columns = {swept_column(key): _number_or_text(value) for key, value in swept.items()}
    setting = " ".join(value for key, value in swept.items() if key not in WITHIN_A_SETTING)
    return columns | ({SETTING: setting} if setting else {})


def swept_column(key: str) -> str:
    """The column of a swept key, such as `swept/aug/ratio`."""
    return f"{SWEPT}/{key.replace('.', '/')}"


def _number_or_text(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def epoch_numbers(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """What an evaluation logs beyond the scorer's own: `test/spearman/diving`, `test/spearman/average`.

    `metrics`: by split, as `swapaqa.recording.evaluation.split_metrics` makes them. Undefined numbers are left out.
    """
    found: dict[str, float] = {}
    for split, numbers in metrics.items():
        for row, values in [*numbers["per_action"].items(), (AVERAGE, numbers["average"])]:
            found |= {f"{split}/{metric}/{row}": values[metric] for metric in numbers["average"]}
    return _defined(found)


def time_numbers(step_seconds: Sequence[float], wait_seconds: Sequence[float]) -> dict[str, float]:
    """Of an epoch's training steps: the share of their time that went by before they began, and their mean length."""
    step, wait = math.fsum(step_seconds), math.fsum(wait_seconds)
    if not step_seconds or step + wait == 0:
        return {}
    return {
        "time/data_wait_share": wait / (wait + step),
        "time/step_share": step / (wait + step),
        "time/step_mean_s": step / len(step_seconds),
    }


def summary_numbers(result: Mapping[str, Any]) -> dict[str, float]:
    """The outcome of a run from the content of its `result.json`, each number under one flat name.

    `last/test/spearman` is averaged over the actions, `last/test/spearman/diving` one of them; then
    `last/test/calibration/coverage_90`, `last/epoch`, `replaced_share/mean`, `timing/wall_s`. Undefined numbers are
    left out: a column without a value says so, a NaN breaks the sorting of a table.
    """
    found = dict(_protocol_numbers(result["metrics"]))
    found |= {f"replaced_share/{name}": share for name, share in result.get("replaced_share", {}).items()}
    found |= {f"timing/{name}": seconds for name, seconds in result.get("timing", {}).items()}
    return _defined(found)


def _protocol_numbers(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for protocol, found in metrics.items():
        yield f"{protocol}/epoch", found["epoch"]
        for split, numbers in found["splits"].items():
            for metric, value in numbers["average"].items():
                yield f"{protocol}/{split}/{metric}", value
            for action, values in numbers["per_action"].items():
                for metric, value in values.items():
                    yield f"{protocol}/{split}/{metric}/{action}", value
            for name, value in numbers.get("calibration", {}).items():
                yield f"{protocol}/{split}/calibration/{name}", value


def _defined(numbers: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if isinstance(value, int | float) and math.isfinite(value)}


def prediction_table(path: Path) -> tuple[list[str], list[list[str | float]]]:
    """Columns and rows of a run's `predictions_<split>.csv`: video_id and action as text, the rest as numbers."""
    with open(path, newline="", encoding="utf-8") as file:
        columns, *rows = csv.reader(file)
    return columns, [[*map(unguarded, row[:2]), *map(float, row[2:])] for row in rows]
