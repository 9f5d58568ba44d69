"""What `report wandb` and `report sync` do with a wandb server, and what they say where there is none."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from swapaqa.dashboards.outline import build, outline
from swapaqa.data.aqa7 import Action
from swapaqa.errors import InputError
from swapaqa.recording import tracking

PACKAGE = "wandb_workspaces"


def why_not() -> str | None:
    """Why nothing can be sent to the wandb server; None if it can."""
    if not tracking.has_key():
        return "no wandb key is configured (`wandb login`, or WANDB_API_KEY)"
    return tracking.why_unreachable()


def make_dashboard(project: str, entity: str | None = None) -> list[str]:
    """Create the workspaces and the report in a wandb project; return what to tell the user, a line each.

    Without a key, a network or the package wandb-workspaces nothing is sent, and the lines say what would be created.

    Args:
        project: of wandb, where the runs are.
        entity: the user or team that owns it; None for the one of the key.

    Raises:
        InputError: the server refuses, as for a project that does not exist.
    """
    boards = build(get_args(Action))
    why = why_not() if find_spec(PACKAGE) else "the package wandb-workspaces is missing (pip install wandb-workspaces)"
    if why:
        place = f"{entity}/{project}" if entity else project
        said = f"nothing was sent: {why}; this would be created in {place}:"
        return [said, *(line for board in boards for line in outline(board))]
    from swapaqa.dashboards import workspace  # an optional package, and three seconds

    try:
        owner = entity or tracking.default_entity()
        return [f"{board.title}: {workspace.save(board, project, owner)}" for board in boards]
    except Exception as error:  # whatever a server answers
        raise InputError(f"wandb project={project}: {' '.join(str(error).split())}") from error


def unsynced(paths: Sequence[Path]) -> list[Path]:
    """The folders of offline wandb runs below `paths`, at any depth, that were not uploaded yet, oldest first.

    Raises:
        InputError: a path that does not exist.
    """
    for path in paths:
        if not path.is_dir():
            raise InputError(f"{path}: no such folder; name a run or a sweep, like outputs/ratio")
    logs = {log.resolve() for path in paths for log in path.rglob("offline-run-*/run-*.wandb")}
    return sorted((log.parent for log in logs if not is_synced(log.parent)), key=lambda folder: folder.name)


def is_synced(folder: Path) -> bool:
    """Whether `wandb sync` has left its mark beside the run's log."""
    return any(folder.glob("*.wandb.synced"))


def sync(paths: Sequence[Path]) -> tuple[list[str], bool]:
    """Upload the offline runs below `paths`; return what to tell the user, and whether nothing is left to upload.

    `wandb sync` (0.31) ends with 0 whether or not it could upload, so its marks are what counts.

    Raises:
        InputError: nothing can be sent, with the number of runs that wait.
    """
    waiting = unsynced(paths)
    if not waiting:
        return ["no offline run waits to be uploaded"], True
    why = why_not()
    if why:
        raise InputError(f"{len(waiting)} offline runs wait, none was uploaded: {why}")
    said = _wandb_sync(waiting)
    left = [folder for folder in waiting if not is_synced(folder)]
    lines = [f"uploaded {len(waiting) - len(left)} of {len(waiting)} offline runs"]
    if left:
        lines += [f"not uploaded: {folder}" for folder in left]
        lines += [line for line in said.splitlines() if "error" in line.lower()]
    return lines, not left


def _wandb_sync(folders: Sequence[Path]) -> str:
    """Run the command; return what it said. Its own log goes to a folder that does not stay."""
    command = [sys.executable, "-m", "wandb", "sync", *map(str, folders)]
    with TemporaryDirectory() as scratch:
        done = subprocess.run(
            command,
            env=os.environ | {"WANDB_DIR": scratch},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    return done.stdout + done.stderr
