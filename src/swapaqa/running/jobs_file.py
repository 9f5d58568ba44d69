"""`jobs.json` in the folder of a sweep: its jobs, in the order of their numbers, with overrides and facts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_json, reason
from swapaqa.files.whole_file import write_whole
from swapaqa.running.jobs import JOBS_FILE, NOT_IDENTITY, State, state


def write_jobs(
    sweep: Path, name: str, command: str, jobs: list[list[str]], facts: Sequence[Mapping[str, Any] | None]
) -> None:
    """Write the list of a sweep's jobs: number, overrides, those of them that differ between jobs, and their facts.

    `facts`: of each job, see `swapaqa.running.facts`; None of one whose configuration cannot be composed.
    """
    common = set(jobs[0]).intersection(*jobs[1:])
    listed = [
        {
            "job": str(number),
            "overrides": job,
            "swept": dict(item.lstrip("+~").partition("=")[::2] for item in job if item not in common),
            "facts": known,
        }
        for number, (job, known) in enumerate(zip(jobs, facts, strict=True))
    ]
    text = json.dumps({"sweep": name, "command": command, "jobs": listed}, indent=1)
    write_whole(sweep / JOBS_FILE, text)


def refuse_another_list(sweep: Path, jobs: list[list[str]]) -> None:
    """Raises InputError where a finished job in `sweep` would get another number, and the report another list."""
    path = sweep / JOBS_FILE
    if not path.is_file():
        return
    remedy = "remove it, and it is written anew"
    plan = read_json(path, remedy)
    try:
        before = [[str(word) for word in job["overrides"]] for job in plan["jobs"]]
    except (LookupError, TypeError) as error:
        raise InputError(f"{path}: not the plan of a sweep ({reason(error)}); {remedy}") from error
    for number, old in enumerate(before):
        was, now = (_deciding(overrides) for overrides in (old, jobs[number] if number < len(jobs) else []))
        if was != now and state(sweep / str(number)) is State.DONE:
            differs = " ".join(sorted(was - now)) or "another"
            raise InputError(
                f"{sweep}: job {number} is done and was {differs}; give another list of jobs a folder of its own with "
                "hydra.sweep.dir="
            )


def _deciding(overrides: list[str]) -> set[str]:
    groups = {override: override.lstrip("+~").partition("=")[0].partition(".")[0] for override in overrides}
    return {override for override, group in groups.items() if group not in NOT_IDENTITY}
