"""The videos of a data set without their boxes: what is to be annotated, and where its box file would lie."""

from pathlib import Path
from typing import NamedTuple

from swapaqa.data.datamodule import VideoData
from swapaqa.data.dataset import Item, SampleReader
from swapaqa.data.frame_store import Want
from swapaqa.data.records import Label, Record

UNUSED_LABEL = Label(0.0, offset=0.0, factor=1.0)


class Listed(NamedTuple):
    """One video of a data set. Nothing of it has been opened."""

    record: Record
    path: Path  # its DarkLabel file: the one that is there, else the one to write


def list_videos(data: VideoData) -> list[Listed]:
    """Every record of every split, in the order of the data set's lists."""
    records = [record for found in data.read_splits().values() for record in found]
    return [Listed(record, box_path(data.box_files(record))) for record in records]


def box_path(files: list[Path]) -> Path:
    """The DarkLabel file among the spellings `files` (without a suffix) that exists, else the first spelling's."""
    paths = [file.parent / f"{file.name}.txt" for file in files]
    return next((path for path in paths if path.exists()), paths[0])


def boxes_folder(data: VideoData) -> Path:
    """Where the box files of a data set lie: `boxes.root`, else `<data.root>/boxes`."""
    return Path(data.boxes.root).expanduser() if data.boxes.root else data.folder / "boxes"


def wanted_frames(data: VideoData, record: Record) -> Want:
    """The video's file, and every frame of it that a training may ask for (zero-based, ascending).

    Raises:
        InputError: naming the file that is missing or too short.
    """
    media = data.media(record)
    item = Item(record, media, data.window(record, media), [], UNUSED_LABEL, action=0)
    return SampleReader(data.frames, data.geometry, data.boxes, shift_range=data.shift_range).want(item)
