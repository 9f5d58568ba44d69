"""Numbers of `src.gradcam`: means over the test videos, their table, and the file they are kept in."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swapaqa.command import spelled
from swapaqa.errors import InputError
from swapaqa.files.file_form import first_fault
from swapaqa.files.foreign_file import is_name, read_json, shown
from swapaqa.gradcam.form import GradCam
from swapaqa.gradcam.maps import Inside, MapStatistics
from swapaqa.statistics import interval_of_mean

GRADCAM_FILE = "gradcam.json"
OLD_FILE = "attention.json"  # its name in the first version
BOXES = {"box": "box", "scaled_box": "scaled box"}  # of a `MapStatistics`, and in words
COLUMNS = ("split", "inside the", "checkpoint", "mass, %", "chance, %", "box on the grid, %", "videos with mass")
TEXT_COLUMNS = 3  # the first ones
EXPLANATION = (
    "Share of a map's mass that lies in the athlete's box, mean over the test videos whose map is not zero "
    "everywhere; in brackets the 95 % interval over these videos. Chance: a map that is the same everywhere. Box on "
    "the grid: a map that knows the box as well as the cells of the network's maps allow."
)


def summary(videos: Mapping[str, MapStatistics]) -> dict[str, Any]:
    """The means over the videos (by id) whose map is not zero everywhere, and how many were.

    For `box` and `scaled_box`: share, its interval of 95 % over the videos (None where there is none), chance,
    on_grid.
    """
    seen = [one for one in videos.values() if not math.isnan(one.box.share)]
    found: dict[str, Any] = {"videos": len(videos), "without_mass": len(videos) - len(seen)}
    for name in BOXES:
        rows = np.array([getattr(one, name) for one in seen]).reshape(-1, len(Inside._fields))
        means = rows.mean(axis=0).tolist() if len(rows) else [None] * rows.shape[1]
        found[name] = dict(zip(Inside._fields, means, strict=True)) | {"interval": interval_of_mean(rows[:, 0])}
    return found


def difference(first: Mapping[str, MapStatistics], second: Mapping[str, MapStatistics]) -> dict[str, Any]:
    """Mean of (second - first) over the videos in which both have a map with mass, with its interval of 95 %."""
    both = [name for name in first if not math.isnan(first[name].box.share + second[name].box.share)]
    found: dict[str, Any] = {"videos": len(both)}
    for box in BOXES:
        gains = np.array([getattr(second[name], box).share - getattr(first[name], box).share for name in both])
        found[box] = {"share": float(gains.mean()) if len(gains) else None, "interval": interval_of_mean(gains)}
    return found


def as_json(videos: Mapping[str, MapStatistics]) -> dict[str, Any]:
    """By video id, the numbers of each; a share that is not there is null."""
    return {
        name: {"true": one.true, "predicted": one.predicted}
        | {
            box: {key: None if math.isnan(value) else value for key, value in getattr(one, box)._asdict().items()}
            for box in BOXES
        }
        for name, one in videos.items()
    }


def rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The content of a `gradcam.json` as rows of text under `COLUMNS`; of two checkpoints with their difference."""
    table: list[tuple[str, ...]] = []
    for split, measured in found["splits"].items():
        for box, words in BOXES.items():
            for checkpoint, one in zip(found["checkpoints"], measured["checkpoints"], strict=True):
                count = f"{one['videos'] - one['without_mass']} of {one['videos']}"
                numbers = (_with_interval(one[box]), percent(one[box]["chance"]), percent(one[box]["on_grid"]))
                table.append((split, words, checkpoint["title"], *numbers, count))
            if measured["difference"]:
                gain = measured["difference"]
                table.append(
                    (split, words, "second minus first", _with_interval(gain[box], "+.1f"), "", "", str(gain["videos"]))
                )
    return table


def _with_interval(one: Mapping[str, Any], form: str = ".1f") -> str:
    ends = one["interval"]
    return percent(one["share"], form) + (f" [{100 * ends[0]:{form}}, {100 * ends[1]:{form}}]" if ends else "")


def percent(value: float | None, form: str = ".1f") -> str:
    """`41.2`; a dash for None and NaN."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:{form}}"


def read_gradcam(path: Path) -> Mapping[str, Any]:
    """The content of a `gradcam.json`. InputError where it is not one."""
    remedy = f"remove it, or run {spelled('gradcam')} again"
    found: Mapping[str, Any] = read_json(path, remedy)
    fault = first_fault(GradCam, found) or _wrong_names(found)
    if fault:
        raise InputError(f"{path}: not what {spelled('gradcam')} wrote ({fault}); {remedy}")
    return found


def _wrong_names(found: Mapping[str, Any]) -> str | None:
    names = [picture[key] for picture in found["pictures"] for key in ("strip", "film")]
    outside = [name for name in names if not is_name(name)]
    if outside:
        return f"the picture {shown(outside[0])} is not in its folder"
    if any(len(measured["checkpoints"]) != len(found["checkpoints"]) for measured in found["splits"].values()):
        return "a split has not as many checkpoints as there are"
    return None


def find_gradcam(folders: Sequence[Path]) -> list[Path]:
    """The files of that name in and below the folders."""
    names = (GRADCAM_FILE, OLD_FILE)
    return sorted({path for folder in folders if folder.is_dir() for name in names for path in folder.rglob(name)})
