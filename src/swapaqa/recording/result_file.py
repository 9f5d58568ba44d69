"""`result.json`, which a run writes as its last thing and a report reads."""

import json
import math
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swapaqa import __version__
from swapaqa.files.whole_file import write_whole
from swapaqa.recording.checkout import git_commit

if TYPE_CHECKING:  # it imports Lightning, and a report or a folder's state has no need of that
    from swapaqa.recording.recorder import Recorder

RESULT_FILE = "result.json"
FORMAT = 2  # of result.json and gradcam.json; the first, which had no number, counted epochs from 0
PACKAGES = (
    "torch",
    "pytorch-lightning",
    "torchmetrics",
    "hydra-core",
    "omegaconf",
    "wandb",
    "av",
    "decord",
    "numpy",
)


def write_result(folder: Path, recorder: "Recorder", facts: Mapping[str, Any]) -> dict[str, Any]:
    """`compose_result` and `save_result` in one."""
    result = compose_result(folder, recorder, facts)
    save_result(folder, result)
    return result


def compose_result(folder: Path, recorder: "Recorder", facts: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics by protocol, predictions by id, timing, versions and the given `facts`; writes the tables of predictions.

    The columns of `predictions` are the true score and the protocols, in the order of `prediction_columns`. `began` is
    when the run first started, in UTC.
    """
    return {
        "format": FORMAT,
        **facts,
        "measures": {measure.name: measure.described() for measure in recorder.measures},
        "metrics": recorder.metrics(),
        "prediction_columns": ["true", *recorder.protocols()],
        "predictions": recorder.write_predictions(folder),
        "timing": recorder.timing(),
        "began": datetime.fromtimestamp(recorder.began, UTC).isoformat(timespec="seconds"),
        "git_commit": git_commit(),
        "versions": {name: installed_version(name) for name in PACKAGES}
        | {"python": platform.python_version(), "swapaqa": __version__},
    }


def epoch_in(file: Mapping[str, Any], epoch: int) -> int:
    """An epoch that a `result.json` or `gradcam.json` names, counted from 1 whatever its format."""
    return epoch if file.get("format", 1) >= FORMAT else epoch + 1


def installed_version(package: str) -> str | None:
    """None where it is not installed: decord is on some platforms only."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def save_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write `result.json`, as the last thing of a run: one that exists is a whole one, and its run is done."""
    write_json(folder / RESULT_FILE, result)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """What is undefined (the correlation of constant predictions) is null."""
    write_whole(path, json.dumps(_without_nan(content), indent=1, allow_nan=False))


def _without_nan(value: Any) -> Any:
    """The same with None where a number is NaN or infinite: JSON has neither."""
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
