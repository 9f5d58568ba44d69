"""Run folders as a report reads them. What is missing, failed or unfinished is kept as such, never dropped.

A sweep's `jobs.json`, written when it starts, names its jobs; without it the runs are the folders that are there.
"""

import gc
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from swapaqa.errors import InputError
from swapaqa.files.file_form import first_fault
from swapaqa.files.foreign_file import is_name, read_json, read_yaml, shown
from swapaqa.gradcam.summary import find_gradcam
from swapaqa.measures.record import Description
from swapaqa.recording.result_file import RESULT_FILE
from swapaqa.running.facts import Facts, facts_of
from swapaqa.running.failures import failure
from swapaqa.running.jobs import CONFIG_FILE, FAILURE_FILE, JOBS_FILE, NOT_IDENTITY, State, state
from swapaqa.running.measures import known_measures
from swapaqa.runs.result_form import Configuration, Result
from swapaqa.runs.run import Run, Sweep

HYDRA = ".hydra"  # of every program with a configuration; it looks like a run
REMEDY = "remove it and run again"


def read_sweeps(paths: Sequence[Path], trust: Sequence[str] = ()) -> list[Sweep]:
    """Read sweeps, folders of runs and single runs; a folder named twice is read once.

    `trust`: packages whose metrics may be computed.

    Raises:
        InputError: a path that does not exist or holds no run, a file that cannot be read.
    """
    once = {Path(path).resolve(): Path(path) for path in paths}
    return [read_sweep(path, trust) for path in once.values()]


def holds_runs(path: Path) -> bool:
    """Whether `read_sweep` would find something."""
    return path.is_dir() and (
        (path / JOBS_FILE).is_file() or any(_is_run(folder) for folder in (path, *path.iterdir()))
    )


@contextmanager
def uncollected() -> Iterator[None]:
    """Results are large and hold no cycles; looking for these among a thousand takes as long as reading them."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@uncollected()
def read_sweep(path: Path, trust: Sequence[str] = ()) -> Sweep:
    """Read the folder of a sweep, of several runs or of one, or what `src.gradcam` wrote; errors as `read_sweeps`."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; name a run or a sweep, like outputs/ratio")
    if (path / JOBS_FILE).is_file():
        return _planned(path, trust)
    folders = (
        [path]
        if _is_run(path)
        else sorted((f for f in path.iterdir() if _is_run(f) and f.name != HYDRA), key=_by_number)
    )
    if not folders and not find_gradcam([path]):
        raise InputError(
            f"{path}: holds no run; name a run's folder (with {RESULT_FILE}) or a sweep's (with {JOBS_FILE})"
        )
    return Sweep(path.resolve().name, path, None, tuple(_read_run(f, f.name, None, trust) for f in folders))


def _is_run(folder: Path) -> bool:
    return any((folder / file).is_file() for file in (RESULT_FILE, FAILURE_FILE, CONFIG_FILE))


def _by_number(folder: Path) -> list[tuple[int, str]]:
    """10 comes after 9."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", folder.name)]


class Planned(NamedTuple):
    """A job as `jobs.json` has it. `facts`: None where the sweep was planned before there were any."""

    job: str
    overrides: tuple[str, ...]
    facts: Facts | None


def _planned(path: Path, trust: Sequence[str]) -> Sweep:
    plan = read_json(path / JOBS_FILE, "start the sweep again")
    try:
        jobs = [_planned_job(job) for job in plan["jobs"]]
        name, command = str(plan["sweep"]), str(plan["command"])
        if not all(is_name(job.job) for job in jobs):
            raise ValueError("a job outside of the folder")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        words = f"not the plan of a sweep ({shown(error)}); start the sweep again"
        raise InputError(f"{path / JOBS_FILE}: {words}") from error
    return Sweep(name, path, command, tuple(_read_run(path / one.job, one.job, one, trust) for one in jobs))


def _planned_job(job: Mapping[str, Any]) -> Planned:
    facts = job.get("facts")
    if facts is not None and (fault := first_fault(Facts, facts)):
        raise ValueError(f"facts: {fault}")
    known = None if facts is None else Facts(**{one.name: facts[one.name] for one in fields(Facts)})
    return Planned(str(job["job"]), tuple(str(override) for override in job["overrides"]), known)


def _read_run(folder: Path, job: str, planned: Planned | None, trust: Sequence[str]) -> Run:
    """`planned`: the job as jobs.json has it; None: the overrides are those that Hydra wrote.

    A run with a damaged file is shown as such, so that the others are reported.
    """
    overrides, facts = (planned.overrides, planned.facts) if planned else ((), None)
    try:
        run = _whole_run(folder, job, planned, trust)
    except InputError as error:
        return Run(folder, job, overrides, State.DAMAGED, {}, None, None, str(error), facts)
    return _of_this_plan(run, facts) if planned else run


def _whole_run(folder: Path, job: str, planned: Planned | None, trust: Sequence[str]) -> Run:
    """As `_read_run`; InputError where one of its files is damaged."""
    written = _read_yaml(folder / HYDRA / "overrides.yaml") or []
    hydra = _read_yaml(folder / HYDRA / "hydra.yaml") or {}
    if not isinstance(written, list):
        raise InputError(f"{folder / HYDRA / 'overrides.yaml'}: holds no list of overrides; {REMEDY}")
    choices = {str(key): str(value) for key, value in _inside(hydra, "hydra", "runtime", "choices").items()}
    found = state(folder)
    result = _read_result(folder / RESULT_FILE) if found in (State.DONE, State.DAMAGED) else None
    config = result["config"] if result else _read_yaml(folder / CONFIG_FILE)
    fault = None if config is None or result else first_fault(Configuration, config)
    if fault:
        raise InputError(f"{folder / CONFIG_FILE}: not the configuration of a run ({fault}); {REMEDY}")
    overrides = planned.overrides if planned else tuple(str(override) for override in written)
    why = failure(folder) if found is State.FAILED else None
    own = facts_of(config, choices) if config is not None else planned and planned.facts
    run = Run(folder, job, overrides, found, choices, config, result, why, own)
    return replace(run, measures=_measures(folder / RESULT_FILE, result, trust)) if result else run


def _of_this_plan(run: Run, planned: Facts | None) -> Run:
    """The run, or a job that is not started where the folder holds a run of another plan's values."""
    for key, value in run.given.items():
        there = run.configured_text(key)
        if there and key.partition(".")[0] not in NOT_IDENTITY and not _same(there, value):
            reason = f"the folder holds a run with {key}={there}"
            return Run(run.folder, run.job, run.overrides, State.NOT_STARTED, {}, None, None, reason, planned)
    return run


def _same(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return one.strip("'\"").lower() == other.strip("'\"").lower() or not other.isidentifier()


def _inside(tree: Any, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, Mapping) else {}


def _read_result(path: Path) -> Mapping[str, Any]:
    result: Mapping[str, Any] = read_json(path, REMEDY)
    fault = first_fault(Result, result) or _wrong_columns(result)
    if fault:
        raise InputError(f"{path}: not the result of a run ({fault}); {REMEDY}")
    return result


def _measures(path: Path, result: Mapping[str, Any], trust: Sequence[str]) -> Mapping[str, Description]:
    try:
        return known_measures(result, trust)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _wrong_columns(result: Mapping[str, Any]) -> str | None:
    columns = result["prediction_columns"]
    if columns[:1] != ["true"] or any(
        len(row) != len(columns) for rows in result["predictions"].values() for row in rows.values()
    ):
        return "the predictions are not a table with the columns 'true' and the protocols"
    return None


def _read_yaml(path: Path) -> Any:
    """Values as written: interpolations stay text. None without the file."""
    return read_yaml(path, REMEDY) if path.exists() else None
