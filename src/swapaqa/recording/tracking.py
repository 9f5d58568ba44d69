"""Experiment loggers: the only place that knows wandb beside its yaml.

wandb must never ask a question, need a network or fail a training: without a key it runs offline, a server that does
not answer within 30 s is given up, if it cannot start at all the run goes on with a table on disk, and if it fails
later the run goes on without it. What is logged under which name: docs/tracking.md.
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from netrc import NetrcParseError, netrc
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.utilities import rank_zero_only

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_bytes, shown
from swapaqa.files.whole_file import write_whole
from swapaqa.recording.logged import prediction_table, run_name, summary_numbers, swept_columns

if TYPE_CHECKING:  # it takes a second to import: for runs that use it
    import wandb

log = logging.getLogger(__name__)

ANSWER_TIMEOUT = 8  # seconds for a server's first answer, names and proxies included
START_TIMEOUT = 12  # seconds for wandb's own start; its retries go on for up to seven more
FINISH_TIMEOUT = 600  # seconds; without it a network that went away holds up the rest of a sweep
ID_FILE = "wandb_id.txt"  # in the run folder: a run that is continued there continues under this id
ID = re.compile(r"[\w.=@+-]{1,128}")  # of a wandb run: eight letters and digits, or what WANDB_RUN_ID says
LONGEST_ID = 1024  # bytes of that file
STEP = "trainer/global_step"  # Lightning's name of the x axis
Mode = Literal["online", "offline", "disabled", "shared"]


def epochs_from_one(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The same with Lightning's `epoch`, which counts from 0, counted from 1 as in tables and files."""
    return {name: value + 1 if name == "epoch" else value for name, value in metrics.items()}


class TableLogger(CSVLogger):
    """`metrics.csv` in the run folder."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:  # type: ignore[override]
        super().log_metrics(epochs_from_one(metrics), step)


class TolerantWandbLogger(WandbLogger):
    """A `WandbLogger` that says once when wandb fails, and is silent from then on."""

    failed = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._attempt(lambda: WandbLogger.log_metrics(self, epochs_from_one(metrics), step))

    def log_hyperparams(self, params: Any) -> None:
        self._attempt(lambda: WandbLogger.log_hyperparams(self, params))

    def add_image(self, name: str, path: Path) -> None:
        self._attempt(lambda: self.log_image(name, [str(path)]))

    def add_table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        self._attempt(lambda: self.log_table(name, columns, rows))

    def summarise(self, numbers: Mapping[str, float]) -> None:
        """Set columns of the run table, without a curve of one point for each."""
        self._attempt(lambda: self.experiment.summary.update(dict(numbers)))

    def _attempt(self, call: Callable[[], object]) -> None:
        if self.failed:
            return
        try:
            call()
        except Exception as error:  # a full disk, a service that died: the training must not end of it
            self.failed = True
            log.warning("wandb failed, the run goes on without it: %s: %s", type(error).__name__, error)


def wandb_logger(
    project: str, name: str, group: str | None, save_dir: str, swept: Mapping[str, str] | None = None
) -> Logger:
    """A started wandb run, online where a key is configured, else offline; a CSV table where wandb cannot start.

    Args:
        project: of wandb.
        name: of a run that is no job of a sweep; a job is named by what differs.
        group: the sweep's name.
        save_dir: the run folder. Where it has a `wandb_id.txt` the wandb run of that id is continued.
        swept: the values that set a job of a sweep apart, by key; they become columns of the run table.
    """
    if getattr(rank_zero_only, "rank", 0):
        return DummyLogger()  # one run of wandb for all processes, in the first
    swept = swept or {}
    chosen = os.environ.get("WANDB_MODE")
    for mode in [chosen] if chosen else _modes():
        try:
            # started here, so that a failure shows now and not in the middle of training
            run = _start(project, run_name(name, swept), group, save_dir, swept_columns(swept), cast(Mode, mode))
        except Exception as error:  # whatever wandb dies of, the training must not
            log.warning("wandb did not start in mode %s: %s", mode, error)
            _forget()
        else:
            return TolerantWandbLogger(experiment=run, save_dir=save_dir)
    log.warning("going on without wandb: metrics.csv in the run folder has the same numbers")
    return TableLogger(save_dir, name="", version="")


def _modes() -> list[str]:
    """The modes to try, the best first."""
    if not has_key():
        return ["offline"]
    why = why_unreachable()
    if why:
        log.warning("wandb runs offline: %s", why)
    return ["offline"] if why else ["online", "offline"]


def _start(
    project: str, name: str, group: str | None, save_dir: str, columns: Mapping[str, Any], mode: Mode
) -> "wandb.Run":
    import wandb

    id_file = Path(save_dir, ID_FILE)
    run = wandb.init(
        project=project,
        name=name,
        group=group,
        dir=save_dir,
        mode=mode,
        id=stored_id(id_file),
        resume="allow",
        settings=wandb.Settings(
            init_timeout=START_TIMEOUT, finish_timeout=FINISH_TIMEOUT, silent=True, console="off", disable_git=True
        ),
    )
    write_whole(id_file, f"{run.id}\n")
    run.config.update(dict(columns), allow_val_change=True)
    run.define_metric(STEP)  # as Lightning does for runs that it starts itself
    run.define_metric("*", step_metric=STEP, step_sync=True)
    return run


def stored_id(path: Path) -> str | None:
    """The id of the wandb run that a folder's run continues; None, with a warning, where the file holds none."""
    if not os.path.lexists(path):
        return None
    try:
        found = read_bytes(path, LONGEST_ID).decode(errors="replace").strip()
    except InputError as error:
        log.warning("%s; wandb starts a run of its own", error)
        return None
    if not ID.fullmatch(found):
        log.warning("%s: holds no id of a wandb run but %s; wandb starts one of its own", path, shown(found))
        return None
    return found


def has_key() -> bool:
    """Whether a wandb key is configured: WANDB_API_KEY, or what `wandb login` left in the netrc file. Never asks."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        return netrc(path).authenticators(urlsplit(server()).hostname or "") is not None
    except (OSError, NetrcParseError):
        return False


def server() -> str:
    """The address of the wandb server that is configured."""
    import wandb

    return os.environ.get("WANDB_BASE_URL") or str(wandb.Settings().base_url)


def why_unreachable() -> str | None:
    """Why the wandb server does not answer, within `ANSWER_TIMEOUT`; None if it does, with whatever."""
    answers: list[str | None] = []

    def ask() -> None:
        try:
            with urlopen(server(), timeout=ANSWER_TIMEOUT):
                answers.append(None)
        except HTTPError:
            answers.append(None)
        except (OSError, HTTPException, ValueError) as error:
            answers.append(f"{server()} does not answer ({getattr(error, 'reason', error)})")

    asking = Thread(target=ask, daemon=True)  # looking up a name has no time limit of its own
    asking.start()
    asking.join(ANSWER_TIMEOUT)
    return answers[0] if answers else f"{server()} does not answer within {ANSWER_TIMEOUT} s"


def default_entity() -> str:
    """The user or team to whom the configured key belongs; asks the server."""
    import wandb

    return str(wandb.Api().default_entity)


def log_images(loggers: Sequence[Logger], name: str, path: Path) -> None:
    """Show a picture file in every logger that takes pictures."""
    for logger in loggers:
        if isinstance(logger, TolerantWandbLogger):
            logger.add_image(name, path)


def log_result(loggers: Sequence[Logger], result: Mapping[str, Any], folder: Path, step: int) -> None:
    """Log the outcome of a run: its numbers by protocol, and the predictions of every split as a table.

    Args:
        loggers: one without a summary gets the numbers as a last row.
        result: the content of result.json.
        folder: of the run, with `predictions_<split>.csv`.
        step: the number of training steps.
    """
    numbers = summary_numbers(result)
    for logger in loggers:
        if not isinstance(logger, TolerantWandbLogger):
            logger.log_metrics(numbers, step)
            logger.save()
            continue
        logger.summarise(numbers)
        for path in sorted(folder.glob("predictions_*.csv")):
            logger.add_table(path.stem.replace("_", "/", 1), *prediction_table(path))


def log_report(project: str, sweep: str, figures: Sequence[Path], folder: Path) -> None:
    """Log the pictures of a sweep's report as a run of its own in the sweep's group, and end it.

    `folder`: of the report. Done again from the same folder, the same run is continued.
    """
    logger = wandb_logger(project, f"report of {sweep}", sweep, str(folder))
    for path in figures:
        log_images([logger], f"report/{path.stem}", path)
    close(0)


def close(status: int) -> None:
    """End the wandb run, if one is open, as finished (0) or failed; the next job of a sweep starts its own."""
    wandb: Any = sys.modules.get("wandb")
    if wandb is None or wandb.run is None:
        return
    try:
        wandb.finish(exit_code=status)
    except Exception as error:  # its service is gone: what it wrote until then can still be synced
        log.info("wandb could not end its run: %s: %s", type(error).__name__, error)
        _forget()


def _forget() -> None:
    """Let the next run start a service of its own, whatever state this one is in."""
    wandb: Any = sys.modules.get("wandb")
    if wandb is None:
        return
    try:
        wandb.teardown()
    except Exception as error:
        log.debug("wandb could not be torn down: %s", error)
    wandb.run = None
