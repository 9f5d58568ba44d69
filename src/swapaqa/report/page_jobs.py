"""The runs of a page, a row each, and what they say of themselves."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from swapaqa.measures.record import Description
from swapaqa.recording.result_file import RESULT_FILE
from swapaqa.report.table import Value, cell_text
from swapaqa.running.jobs import State
from swapaqa.runs.run import Run, Sweep

UNKNOWN = "not known"


class Job(NamedTuple):
    """A row of the table of runs. `link`: relative to the page; None where there is no folder.

    `scores`: under each protocol, one of each split and metric.
    """

    sweep: str
    run: Run
    values: str
    link: str | None
    scores: tuple[tuple[str, ...], ...]
    minutes: str
    replaced: str


class Columns(NamedTuple):
    """Of the table of runs: a number for every combination."""

    protocols: Sequence[str]
    splits: Sequence[str]
    measures: Sequence[Description]


def relative(path: Path, folder: Path) -> str:
    """A path as a link from a page in `folder`."""
    return Path(os.path.relpath(path, folder)).as_posix()


def value_words(values: Mapping[str, str]) -> str:
    """The swept values of a run; in a list of settings a run has not all of them."""
    return ", ".join(f"{key}={value}" for key, value in values.items() if value)


def as_job(sweep: Sweep, run: Run, columns: Columns, folder: Path) -> Job:
    """The row of a run; numbers that it has not are dashes."""
    result: Mapping[str, Any] = run.result or {}
    scores = tuple(
        tuple(
            number(run.metric(measure.name, name, split), measure.decimals)
            for split in columns.splits
            for measure in columns.measures
        )
        for name in columns.protocols
    )
    seconds = result.get("timing", {}).get("wall_s")
    share = result.get("replaced_share", {}).get("mean")
    return Job(
        sweep=sweep.name,
        run=run,
        values=value_words(sweep.values(run)),
        link=relative(run.folder, folder) if run.folder.is_dir() else None,
        scores=scores,
        minutes=number(None if seconds is None else seconds / 60, 1),
        replaced=number(None if share is None else 100 * share, 1),
    )


def number(value: float | None, decimals: int) -> str:
    """A number as the tables write it."""
    return cell_text(None if value is None else Value(value, None, decimals))


def count_states(sweep: Sweep) -> str:
    """`4 done, 1 failed`."""
    counts = {state: len(sweep.in_state(state)) for state in State}
    return ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)


def facts(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """What the finished runs say of themselves: commit, device, versions, dates, time."""
    results: list[Mapping[str, Any]] = [run.result for run in runs if run.result]
    finished = [run.folder / RESULT_FILE for run in runs if run.result]
    times = sorted(datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in finished)
    dates = dict.fromkeys(time.strftime("%Y-%m-%d %H:%M UTC") for time in times[:1] + times[-1:])
    hours = sum(result.get("timing", {}).get("wall_s", 0.0) for result in results) / 3600
    skipped = sum(len(result.get("skipped", ())) for result in results)
    return [
        ("commit", several(result.get("git_commit") for result in results)),
        ("device", several(f"{r.get('device', UNKNOWN)} x {r.get('world_size', 1)}" for r in results)),
        ("versions", several(version_words(result.get("versions", {})) for result in results)),
        ("data, by fingerprint", several(result.get("data_fingerprint") for result in results)),
        ("results written", " to ".join(dates) or "none"),
        ("time of all runs", f"{hours:.2f} hours"),
        *([("videos left out as unreadable", f"{skipped} over all runs")] if skipped else []),
    ]


def version_words(versions: Mapping[str, str | None]) -> str | None:
    """The versions that are known, such as `torch 2.13.0`; None without any."""
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version) or None


def several(values: Iterable[str | None]) -> str:
    """The distinct values; more than one is said as such."""
    distinct = list(dict.fromkeys(UNKNOWN if value is None else str(value) for value in values))
    return "; ".join(distinct) if distinct else UNKNOWN
