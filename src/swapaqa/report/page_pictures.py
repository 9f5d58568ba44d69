"""Pictures and films inside a page: figures, strips of the swap, Grad-CAM."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import check_regular, read_bytes
from swapaqa.gradcam.summary import read_gradcam, rows
from swapaqa.recording.result_file import epoch_in
from swapaqa.report.drawing import Drawing, write_drawing
from swapaqa.report.page_jobs import relative, value_words
from swapaqa.runs.run import Sweep

FIGURES = "figures"
STRIP = "swap.png"  # written by training
STRIP_WIDTH = 1200  # pixels; a strip is one of many pictures of a page
MOST_STRIPS = 20  # of a page: each has a sixth of a megabyte
FILM_BYTES = 2_000_000  # a larger film is beside the page only


class Picture(NamedTuple):
    """`source`: a data: URI. `files`: names beside the page with the same figure."""

    anchor: str
    title: str
    caption: str
    source: str
    files: tuple[str, ...] = ()


class Figure(NamedTuple):
    """A figure under the protocol of published numbers, and under the others."""

    first: Picture
    others: tuple[Picture, ...]


class Film(NamedTuple):
    """Grad-CAM of one video. `film`: a data: URI, None where it is too large. `link`: relative to the page."""

    strip: Picture
    film: str | None
    link: str | None


class GradCamView(NamedTuple):
    """What one `gradcam.json` has to show. `checkpoints`: title and file of each."""

    title: str
    checkpoints: tuple[tuple[str, str], ...]
    boxes: str
    rows: list[tuple[str, ...]]
    films: tuple[Film, ...]


def as_picture(drawing: Drawing, folder: Path) -> Picture:
    """Write a drawing's files and put the PNG into a data: URI."""
    path = write_drawing(drawing, folder / FIGURES)
    names = tuple(f"{FIGURES}/{file.name}" for file in (path, path.with_suffix(".pdf")))
    return Picture(drawing.name, drawing.title, drawing.caption, data_uri(path.read_bytes(), "png"), names)


def named_picture(given: tuple[Drawing, Path]) -> tuple[str, Picture]:
    """The name of a drawing, and `as_picture` of it and a folder: a piece of work for a process."""
    drawing, folder = given
    return drawing.name, as_picture(drawing, folder)


def data_uri(content: bytes, kind: str, media: str = "image") -> str:
    """A file's content as an address that the page holds itself."""
    return f"data:{media}/{kind};base64,{base64.b64encode(content).decode()}"


def one_strip_a_setting(sweeps: Sequence[Sweep]) -> list[tuple[str, Path]]:
    """Of all runs with a strip, the first of every sweep and setting but for seed and action: (title, file)."""
    found: dict[tuple[Path, str], tuple[str, Path]] = {}
    for sweep in sweeps:
        for run in sweep.runs:
            values = {k: v for k, v in sweep.values(run).items() if k not in ("seed", "data.action")}
            path = run.folder / STRIP
            if path.is_file() and run.config is not None:
                words = value_words(values)
                title = f"{sweep.name}, job {run.job}" + (f": {words}" if words else "")
                found.setdefault((sweep.folder, words), (title, path))
    return list(found.values())


def as_strip(title: str, path: Path) -> Picture:
    """A strip as JPEG of at most STRIP_WIDTH columns; of a file that is no picture the words that it is none."""
    try:
        check_regular(path)
        picture = cv2.imread(str(path))
    except (InputError, cv2.error):  # a pipe; more pixels than OpenCV takes
        picture = None
    if picture is None:
        return Picture("", title, f"{path.name} cannot be read.", "")
    scale = min(1.0, STRIP_WIDTH / picture.shape[1])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
    return Picture("", title, "", data_uri(content, "jpeg"))


def as_gradcam(path: Path, folder: Path) -> GradCamView:
    """The section of one `gradcam.json` on the page in `folder`. InputError where it is not one."""
    found = read_gradcam(path)
    return GradCamView(
        title=relative(path.parent, folder.parent),
        checkpoints=tuple(
            (one["title"], f"{one['file']}, epoch {epoch_in(found, one['epoch'])}") for one in found["checkpoints"]
        ),
        boxes=f"{found['boxes']['_target_'].rpartition('.')[2]}, scaled by {found['ratio']:g}",
        rows=rows(found),
        films=tuple(as_film(path.parent, picture, folder) for picture in found["pictures"]),
    )


def as_film(place: Path, picture: Mapping[str, str], folder: Path) -> Film:
    """Strip and film of one video, which lie in `place`."""
    path = place / picture["film"]
    try:
        film = data_uri(read_bytes(path, FILM_BYTES), "mp4", "video")
    except InputError:  # missing, too large for a page, or no film at all
        film = None
    return Film(
        strip=as_strip(picture["title"], place / picture["strip"]),
        film=film,
        link=relative(path, folder) if path.is_file() else None,
    )
