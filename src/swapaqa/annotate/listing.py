"""The videos of a data set without their boxes: what is to be annotated, and where its box file would lie."""

from pathlib import Path
from typing import NamedTuple

from swapaqa.data.frame_store import WantedFrames
from swapaqa.data.records import Record
from swapaqa.data.source import VideoSource


class Listed(NamedTuple):
    """One video of a data set. Nothing of it has been opened."""

    record: Record
    path: Path  # its DarkLabel file: the one that is there, else the one to write


def list_videos(source: VideoSource) -> list[Listed]:
    """Every record of every split, in the order of the data set's lists."""
    records = [record for found in source.read_splits().values() for record in found]
    return [Listed(record, box_path(source.box_files(record))) for record in records]


def box_path(files: list[Path]) -> Path:
    """The DarkLabel file among the spellings `files` (without a suffix) that exists, else the first spelling's."""
    paths = [file.parent / f"{file.name}.txt" for file in files]
    return next((path for path in paths if path.exists()), paths[0])


def wanted_frames(source: VideoSource, record: Record) -> WantedFrames:
    """The video's file, and every frame of it that a training may ask for (zero-based, ascending).

    Raises:
        InputError: naming the file that is missing or too short.
    """
    return source.pixel_reader.want(source.locate(record))
