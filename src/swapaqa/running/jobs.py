"""The folder of a run as its state: not started, unfinished, failed or done, and of which configuration.

Nothing that a run wrote is overwritten in silence: a finished run is left alone, an unfinished one is continued.
"""

import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import DictConfig, OmegaConf

from swapaqa.command import spelled
from swapaqa.configuration.moved import in_todays_names
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import MOST_YAML, parse_yaml, read_bytes
from swapaqa.files.whole_file import remove_unfinished, write_whole
from swapaqa.recording.result_file import RESULT_FILE

CONFIG_FILE, FAILURE_FILE, JOBS_FILE = "config.yaml", "failed.txt", "jobs.json"
LOCK_FILE = ".lock"
TRUSTED = "SWAPAQA_CONFIG"  # in the environment of a run's processes: the digest of the configuration they may run
RESUME_FILE = Path("checkpoints", "resume.ckpt")
PRETRAINED_FILE = "backbone.pt"  # what a pretraining leaves in the place of a result
DAMAGED_RESULT = (
    f"/{RESULT_FILE}: damaged, so it cannot be said whether the run is done; remove it and give the command again"
)
UNFINISHED_RUN = ": holds an unfinished run; continue it with resume=true, or remove it"
NOT_IDENTITY = ("logger", "resume", "plan", "save_every", "hydra")  # a run with others of these is the same run


log = logging.getLogger(__name__)


class Start(Enum):
    """How a run begins in its folder."""

    FRESH = "fresh"
    CONTINUE = "continue"
    DONE = "done"


class State(Enum):
    """What a job's folder says about it."""

    DONE = "done"
    FAILED = "failed"
    UNFINISHED = "unfinished"
    NOT_STARTED = "not started"
    DAMAGED = "damaged"


def state(folder: Path) -> State:
    """What the files of a run's folder say about it."""
    found = _state_of_result(folder / RESULT_FILE)
    if found is not None:
        return found
    if (folder / PRETRAINED_FILE).is_file():
        return State.DONE
    if (folder / FAILURE_FILE).is_file():
        return State.FAILED
    return State.UNFINISHED if (folder / CONFIG_FILE).is_file() else State.NOT_STARTED


def _state_of_result(path: Path) -> State | None:
    """None where there is no result, or one without metrics: the first version wrote such of runs that never evaluated.

    One that cannot be read is kept, so that nothing overwrites what it may hold.
    """
    try:
        path.lstat()
        metrics = json.loads(read_bytes(path))["metrics"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, InputError, ValueError, TypeError, KeyError, RecursionError):
        return State.DAMAGED
    if metrics == {}:
        return None
    return State.DONE if isinstance(metrics, dict) else State.DAMAGED


def identity(tree: dict[str, Any]) -> dict[str, Any]:
    """A resolved configuration without what does not decide its outcome, in today's names."""
    kept: dict[str, Any] = in_todays_names({key: value for key, value in tree.items() if key not in NOT_IDENTITY})
    return kept


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The identity of a configuration that Hydra composed."""
    chosen = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in NOT_IDENTITY])
    return OmegaConf.to_container(chosen, resolve=True)  # type: ignore[return-value]


def config_content(cfg: DictConfig) -> bytes:
    """The content of a run's `config.yaml`, without interpolations."""
    return OmegaConf.to_yaml(OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))).encode()


def vouching_environment(content: bytes) -> dict[str, str]:
    """The environment of a process that is to trust this content of a `config.yaml`, which this one composed."""
    return os.environ | {TRUSTED: hashlib.sha256(content).hexdigest()}


def trusted_config(folder: Path) -> DictConfig:
    """The configuration in a folder, for a process of a run. It may name any class, so another hand's is refused.

    Raises:
        InputError: it is not what the process that started this one composed.
    """
    path = folder / CONFIG_FILE
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != os.environ.get(TRUSTED):
        raise InputError(
            f"{path}: is not the configuration that this process was started for; start a run with {spelled('train')}"
        )
    cfg = OmegaConf.create(content.decode())
    assert isinstance(cfg, DictConfig)
    return cfg


def stored_identity(folder: Path) -> dict[str, Any] | None:
    """The identity of the run in a folder; None if there is no run. InputError where its file is damaged."""
    path = folder / CONFIG_FILE
    if not path.exists():
        return None
    try:
        tree = parse_yaml(read_bytes(path, MOST_YAML).decode())
    except (ValueError, RecursionError, yaml.YAMLError):
        tree = None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: damaged, so the run cannot be continued; remove the folder or choose another")
    return identity(tree)


def first_difference(one: Any, other: Any, path: str = "") -> str | None:
    """The first key at which two trees differ, `aug.ratio (1.0, now 1.5)`; None if they are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            found = first_difference(one.get(key), other.get(key), f"{path}.{key}" if path else str(key))
            if found:
                return found
        return None
    return None if one == other else f"{path} ({one}, now {other})"


def newest_unfinished(runs: Path, cfg: DictConfig) -> Path | None:
    """The newest run folder below `runs` with this configuration and without a result; None if there is none."""
    wanted = resolved(cfg)
    folders = [path.parent for path in runs.glob(f"*/{CONFIG_FILE}") if state(path.parent) is not State.DONE]
    same = [folder for folder in folders if _is_run_of(wanted, folder)]
    return max(same, key=lambda folder: (folder / CONFIG_FILE).stat().st_mtime, default=None)


def _is_run_of(wanted: dict[str, Any], folder: Path) -> bool:
    try:
        return stored_identity(folder) == wanted
    except InputError:  # damaged: not the one that is looked for, and no reason to stop looking
        return False


def claim(folder: Path, cfg: DictConfig, in_sweep: bool, write: bool = True) -> Start:
    """Decide how the run of `cfg` begins in `folder`, and make the folder ready for it.

    A sweep's job continues what the same command left unfinished and starts over what another configuration left
    unfinished; a single run is continued with `resume=true` only. `write`: False for all processes of a run but one.

    Raises:
        InputError: the folder holds a run that this one would overwrite, or another process trains in it now.
    """
    if write:
        with locked(folder):
            return _claim(folder, cfg, in_sweep, write)
    return _claim(folder, cfg, in_sweep, write)


def _claim(folder: Path, cfg: DictConfig, in_sweep: bool, write: bool) -> Start:
    start = choose_start(inspect_folder(folder, cfg), in_sweep, cfg.resume)
    if isinstance(start, str):
        raise InputError(f"{folder}{start}")
    if write:
        _make_ready(folder, cfg, start)
    return start


class FolderContent(NamedTuple):
    """What is in the folder of a run that is to begin.

    Attributes:
        state: of the run there.
        is_run: whether it has a configuration of ours.
        difference: the first key at which that is another one than now; None where it is the same, or there is none.
        has_checkpoints: of anybody.
        can_continue: whether there is a checkpoint to go on from.
    """

    state: State
    is_run: bool
    difference: str | None
    has_checkpoints: bool
    can_continue: bool


def inspect_folder(folder: Path, cfg: DictConfig) -> FolderContent:
    """InputError where the configuration there is damaged."""
    before, now = stored_identity(folder), resolved(cfg)
    return FolderContent(
        state=state(folder),
        is_run=before is not None,
        difference=None if before is None else first_difference(before, now),
        has_checkpoints=any((folder / RESUME_FILE).parent.glob("*.ckpt")),
        can_continue=os.path.lexists(folder / RESUME_FILE),
    )


def choose_start(found: FolderContent, in_sweep: bool, resume: bool) -> Start | str:
    """How a run begins in its folder, or why it must not: the words that follow the folder's name.

    The first row that holds decides.
    """
    state, is_run, difference, has_checkpoints, can_continue = found
    elsewhere, done = _elsewhere(in_sweep), state is State.DONE
    is_single, another = is_run and not in_sweep, f"another configuration: {difference}; {elsewhere}"
    rows: tuple[tuple[object, Start | str], ...] = (
        (state is State.DAMAGED, DAMAGED_RESULT),
        (done and difference, f": holds a finished run of {another}, or remove it"),
        (done and not (in_sweep or resume), f": holds a finished run; {elsewhere}, or remove it"),
        (done, Start.DONE),
        (has_checkpoints and not is_run, f": holds checkpoints and no {CONFIG_FILE} of ours; {elsewhere}"),
        (is_single and difference and resume, f": holds a run of {another}"),
        (is_single and has_checkpoints and not resume, UNFINISHED_RUN),
        (is_run and can_continue and not difference, Start.CONTINUE),
    )
    return next((outcome for holds, outcome in rows if holds), Start.FRESH)


def _make_ready(folder: Path, cfg: DictConfig, start: Start) -> None:
    """Take away what an earlier start left, and write the configuration where the run is not done."""
    if (
        start is Start.FRESH
    ):  # before the configuration: another process must not see the old checkpoint with the new one
        shutil.rmtree(folder / RESUME_FILE.parent, ignore_errors=True)
        for stale in ("wandb_id.txt", RESULT_FILE):  # a result here has no metrics
            (folder / stale).unlink(missing_ok=True)
    if start is Start.CONTINUE:
        _keep_metrics(folder)
    (folder / FAILURE_FILE).unlink(missing_ok=True)  # of a start before this one
    if start is not Start.DONE:
        for place in (folder, (folder / RESUME_FILE).parent):
            remove_unfinished(place)
        write_whole(folder / CONFIG_FILE, config_content(cfg))


def _keep_metrics(folder: Path) -> None:
    """Lightning's CSV logger starts its table anew: the rows from before the interruption get a name of their own."""
    table = folder / "metrics.csv"
    if table.is_file():
        part = sum(1 for _ in folder.glob("metrics_before_*.csv")) + 1
        table.rename(folder / f"metrics_before_{part}.csv")


def _elsewhere(in_sweep: bool) -> str:
    return f"choose another hydra.{'sweep' if in_sweep else 'run'}.dir"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a run folder for this process while it is inside; the system lets go of it however the process ends.

    Raises:
        InputError: another process is inside.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK_FILE, "w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not flock, which loader processes would inherit
        except (BlockingIOError, PermissionError) as error:
            raise InputError(f"{folder}: another process is training in this folder; wait for it or end it") from error
        yield
