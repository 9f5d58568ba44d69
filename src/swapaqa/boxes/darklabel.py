"""Files of DarkLabel, the annotation tool of the paper (github.com/darkpgmr/DarkLabel), in any of its formats.

A merged file holds a video; else a folder of the video's name holds a file an image, whose frame number is the last
number of its name.

DarkLabel is Windows only and we had none of its own XML files: XML is read in the PASCAL VOC form, one `<annotation>`
an image, several below one root in a merged file, by whatever of DarkLabel's specifiers it has as tags.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from swapaqa.boxes.archive import read_content
from swapaqa.boxes.darklabel_format import (
    COORDINATES,
    FRAMES,
    KEYFRAMES,
    NAMES,
    DarkLabelFormat,
    Extension,
    check_format,
    read_formats,
    row_of,
    unlike,
)
from swapaqa.boxes.objects import boxes_of
from swapaqa.boxes.source import BoxRow
from swapaqa.boxes.text import whole_number
from swapaqa.boxes.tracks import BoxFile, BoxFiles, choose_rows, parse_xml
from swapaqa.errors import InputError

XML_TAGS = {  # what PASCAL VOC and ImageNet VID call the specifiers
    "name": "cname", "label": "cname", "trackid": "id", "object_id": "id", "frame": "fn", "filename": "iname",
    "xmin": "x1", "ymin": "y1", "xmax": "x2", "ymax": "y2", "width": "w", "height": "h",
}  # fmt: skip


def read_darklabel(path: Path, frames: Sequence[int], form: DarkLabelFormat = KEYFRAMES) -> np.ndarray:
    """Read the one object of a DarkLabel file, keyframes or every frame, and interpolate: (T, 4) for `frames`.

    Args:
        path: the file, or the folder of a format with a file an image.
        frames: counted from 0, as in the file.
        form: without normalised coordinates, which need a frame's size (`DarkLabelBoxes` knows it).

    Raises:
        InputError: naming the file and line: not that format, a number that is none, a box without extent.
    """
    found = parse_darklabel(path, form, None)
    return boxes_of(choose_rows(found.rows, [], [], path), frames, "error", 0, found.gone)


def parse_darklabel(path: Path, form: DarkLabelFormat, size: tuple[int, int] | None) -> BoxFile:
    """All boxes of a video in a DarkLabel file, or in the files of a folder.

    Rows labelled `outside` say that their object is not there from their frame on, until its next row.

    `size` (H, W) of the annotated frames; None if `form` has no normalised coordinates.
    """
    check_format(form)
    files = [path] if form.gt_merged else _image_files(path, form)
    rows: list[BoxRow] = []
    own_size = None
    for file in files:
        if form.gt_file_ext == "xml":
            found = _parse_xml_file(file, form, size)
            if own_size and found.size and own_size != found.size:
                raise _two_sizes(file)
            rows, own_size = rows + found.rows, own_size or found.size
        else:
            rows += _parse_text_file(file, form, size)
    return BoxFile(rows, own_size).parted()


def _image_files(folder: Path, form: DarkLabelFormat) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.suffix == f".{form.gt_file_ext}")
    return [path for path in files if path.stem != "classes"]  # darknet's list of labels lies beside its boxes


def _parse_text_file(path: Path, form: DarkLabelFormat, size: tuple[int, int] | None) -> list[BoxRow]:
    own_frame = None if form.gt_merged else path.stem
    rows = []
    text = read_content(path, ()).decode("utf-8-sig", errors="replace")
    try:
        for number, row in enumerate(_split(io.StringIO(text, newline=""), form), 1):
            if any(value.strip() for value in row):
                place = f"{path}, line {number}"
                rows.append(row_of(_columns(row, form, place), form, size, own_frame, place))
    except csv.Error as error:
        raise InputError(f"{path}: is not text in columns ({error}); export it from DarkLabel again") from error
    return rows


def _split(lines: Iterator[str], form: DarkLabelFormat) -> Iterator[list[str]]:
    delimiter = "," if form.gt_file_ext == "csv" else form.delimiter
    if delimiter == " ":  # one or several
        return (line.split() for line in lines)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True)


def _columns(row: list[str], form: DarkLabelFormat, place: str) -> dict[str, str]:
    """The columns by specifier. Columns at the end that make neither box nor frame may be missing."""
    missing = form.data_fmt[len(row) :]
    if len(row) > len(form.data_fmt) or any(name in (*COORDINATES, *FRAMES, "id") for name in missing):
        raise unlike(row, form.data_fmt, place)
    return {name: value.strip() for name, value in zip(form.data_fmt, row, strict=False)}


def _parse_xml_file(path: Path, form: DarkLabelFormat, size: tuple[int, int] | None) -> BoxFile:
    rows, own_size, own_frame = [], None, None if form.gt_merged else path.stem
    for image in parse_xml(path).iter():
        frame = _xml_values(image, FRAMES)
        found = image.find("size")
        if found is not None:
            if own_size and own_size != _xml_size(found, path):
                raise _two_sizes(path)
            own_size = _xml_size(found, path)
        for number, item in enumerate(image.findall("object"), 1):
            place = f"{path}, object {number} of {image.findtext('filename') or 'frame ' + image.get('fn', '?')}"
            columns = frame | _xml_values(item, (*FRAMES, *NAMES, *COORDINATES))
            rows.append(row_of(columns, form, own_size or size, own_frame, place))
    return BoxFile(rows, own_size)


def _xml_values(element: Element, wanted: Sequence[str]) -> dict[str, str]:
    """The specifiers `wanted` among an element's attributes, its children, and the children of its box."""
    box = element.find("bndbox")
    found = dict(element.attrib)
    for child in [*element, *(box if box is not None else ())]:
        found[child.tag] = (child.text or "").strip()
    named = {XML_TAGS.get(tag, tag): value for tag, value in found.items()}
    return {name: value for name, value in named.items() if name in wanted}


def _xml_size(element: Element, path: Path) -> tuple[int, int]:
    try:
        height, width = (whole_number(element.findtext(side, "")) for side in ("height", "width"))
    except ValueError:
        height, width = 0, 0
    if height < 1 or width < 1:
        raise InputError(f"{path}: <size> has no width and height in pixels; correct it")
    return height, width


def _two_sizes(path: Path) -> InputError:
    return InputError(f"{path}: its <size> is another than that of the images before; a video has one size")


@dataclass(frozen=True)
class DarkLabelBoxes(BoxFiles):
    """Boxes drawn by hand with DarkLabel.

    Attributes beside those of `BoxFiles`:
        data_fmt, gt_file_ext, gt_merged, delimiter, classes: the format, as in `darklabel.yml`.
        settings_file, format: a `darklabel.yml` and the number of a format in it, instead of the five above.
    """

    data_fmt: Sequence[str] = KEYFRAMES.data_fmt
    gt_file_ext: Extension = KEYFRAMES.gt_file_ext
    gt_merged: bool = KEYFRAMES.gt_merged
    delimiter: str = KEYFRAMES.delimiter
    classes: Sequence[str] = KEYFRAMES.classes
    settings_file: str | None = None
    format: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_format(self.form)

    @cached_property
    def form(self) -> DarkLabelFormat:
        """The format of this source, looked up once: every sample that is read asks for it."""
        if self.settings_file is None:
            if self.format is not None:
                raise InputError(
                    f"boxes.format={self.format}: of which darklabel.yml? Name it with boxes.settings_file="
                )
            return DarkLabelFormat(
                tuple(self.data_fmt), self.gt_file_ext, self.gt_merged, self.delimiter, tuple(self.classes)
            )
        path = Path(self.settings_file).expanduser()
        if not path.is_file():
            raise InputError(f"boxes.settings_file={self.settings_file}: no such file")
        formats = read_formats(path)
        if self.format not in formats:
            raise InputError(f"boxes.format={self.format}: {path} has the formats {', '.join(map(str, formats))}")
        return formats[self.format]

    def find(self, files: Sequence[Path]) -> Path:
        try:
            return super().find(files)
        except InputError as error:
            if self.settings_file is None:
                raise
            raise InputError(
                f"{error}; where it is looked for is said by {self.settings_file}, format{self.format}"
            ) from error

    def candidates(self, file: Path) -> list[Path]:
        form = self.form
        return [file.parent / f"{file.name}.{form.gt_file_ext}"] if form.gt_merged else [file]

    def parse(self, path: Path, size: tuple[int, int], video: Sequence[str]) -> BoxFile:  # noqa: ARG002  one a file
        return parse_darklabel(path, self.form, size)
