"""The manifest of a folder of features: what made them, so that nobody mixes or mistakes them.

`manifest.json` beside the features that `python -m src.extract` writes. Features of others have none, and are read as
they are.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_json, shown

MANIFEST, FORMAT = "manifest.json", 1
REMEDY = "extract into another folder"
WEIGHTS_TRAINED_ON = "weights_trained_on"  # names of footage, see `swapaqa.data.footage`; absent where nothing is known
COUNT, TRAINED, CONTENT = "count", "train_list", "copies"  # of the copies
# what two manifests of the same features may differ in
FREE = ("versions", "commit", "weights_from", WEIGHTS_TRAINED_ON)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder; None where there is none. InputError for what no program of ours wrote."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    found = read_json(path, REMEDY)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{path}: is no manifest of format {FORMAT}; {REMEDY}")
    copies = found.get(CONTENT)
    if copies is not None and not (isinstance(copies, dict) and isinstance(copies.get(COUNT), int)):
        raise InputError(f"{path}: {CONTENT}.{COUNT} is no number; {REMEDY}")
    return found


def list_digest(records: Iterable[Record]) -> str:
    """A digest of which videos a list has, in whatever order."""
    return hashlib.sha256("\n".join(sorted(record.video_id for record in records)).encode()).hexdigest()[:16]


def difference(there: Mapping[str, Any], asked: Mapping[str, Any], path: str = "") -> str | None:
    """The first key in which two manifests differ, as `geometry.crop is 224 there and 112 is asked for`, else None.

    Copies are compared where both have any; of how many there are, both may say what they like.
    """
    for key in sorted({*there, *asked}):
        if (not path and key in FREE) or (path == f"{CONTENT}." and key == COUNT):
            continue
        one, other = there.get(key), asked.get(key)
        if key == CONTENT and not path and (one is None or other is None):
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            found = difference(one, other, f"{path}{key}.")
            if found is not None:
                return found
        elif one != other:
            return f"{path}{key} is {shown(one)} there and {shown(other)} is asked for"
    return None


def copies_there(folder: Path, wanted: int | None, train: Iterable[Record]) -> int:
    """How many copies of the training videos `train` are drawn from.

    Raises:
        InputError: more than there are, or backgrounds of videos that are no training videos of this split.
    """
    manifest = read_manifest(folder) if folder.is_dir() and wanted != 0 else None
    copies = (manifest or {}).get(CONTENT)
    if copies is None:
        if wanted:
            raise InputError(
                f"data.features.copies={wanted}: {folder / MANIFEST} names none; extract them: aug=swap copies={wanted}"
            )
        return 0
    if wanted is not None and wanted > copies[COUNT]:
        raise InputError(f"data.features.copies={wanted}: {folder / MANIFEST} names {copies[COUNT]}; extract more")
    if copies.get(TRAINED) != list_digest(train):
        raise InputError(
            f"{folder / MANIFEST}: {CONTENT}.{TRAINED} is of other training videos than this split has, whose "
            "backgrounds the copies hold; extract under this split into another folder, or say data.features.copies=0"
        )
    count: int = copies[COUNT] if wanted is None else wanted
    return count
