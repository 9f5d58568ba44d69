"""Box files in the form of their source, read and written by the drawing page: DarkLabel's default format, CVAT, MOT.

CVAT: shapes by hand are keyframes, those of trackers are not, and an athlete who is not there is `outside`. MOT has a
line for a frame in which an athlete is seen: of one with keyframes these, of one with a track every frame.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from swapaqa.annotate.box_file import HAND, TRACKERS, format_row, read_rows
from swapaqa.annotate.listing import box_path
from swapaqa.boxes.cvat import CVATBoxes, MOTBoxes
from swapaqa.boxes.darklabel import DarkLabelBoxes
from swapaqa.boxes.darklabel_format import KEYFRAMES
from swapaqa.boxes.mot import DENSE
from swapaqa.boxes.objects import interpolate_keyframes
from swapaqa.boxes.source import BoxRow, BoxSource, MaskSource
from swapaqa.boxes.tracks import OUTSIDE, BoxFiles
from swapaqa.command import spelled
from swapaqa.errors import InputError

ATHLETE = "athlete"  # label of a CVAT track that nobody has named


class PageFormat(NamedTuple):
    """How the page's boxes lie in a file. Frames of rows are those of the video, from 0."""

    read: Callable[[Path, tuple[int, int]], list[BoxRow]]  # of a video of size (H, W); none where there is no file
    write: Callable[[Sequence[BoxRow], tuple[int, int]], str]
    path: Callable[[list[Path]], Path]  # the file among the spellings without a suffix


def page_format(source: BoxSource) -> PageFormat:
    """The format of `source`.

    Raises:
        InputError: the page does not write it.
    """
    if isinstance(source, MaskSource):  # boxes beside the masks: those that `make --masks` wrote with them
        return PageFormat(lambda path, _: read_rows(path), lambda rows, _: darklabel_text(rows), box_path)
    plain = isinstance(source, BoxFiles) and not source.annotated_size and not source.ids and not source.labels
    if isinstance(source, DarkLabelBoxes) and plain and source.form == KEYFRAMES and not source.frame_start:
        return PageFormat(lambda path, _: read_rows(path), lambda rows, _: darklabel_text(rows), _one_of(source))
    if isinstance(source, CVATBoxes) and plain and not source.frame_start:
        return PageFormat(_reader(source), cvat_text, _one_of(source))
    if isinstance(source, MOTBoxes) and plain:
        start = source.frame_start
        return PageFormat(_reader(source), lambda rows, _: mot_text(rows, start), _one_of(source))
    raise InputError(
        "draw reads and writes boxes=darklabel in its default format, boxes=cvat and boxes=mot, all objects of a file, "
        f"in pixels of the stored frames; bring other files into these with `{spelled('boxes import')}`"
    )


def _one_of(source: BoxFiles) -> Callable[[list[Path]], Path]:
    def choose(files: list[Path]) -> Path:
        paths = [path for file in files for path in source.candidates(file)]
        found = next((path for path in paths if path.exists()), paths[0])
        if found.suffix == ".zip":
            raise InputError(f"{found}: a zip is read, and not written; unpack it beside, or import it")
        return found

    return choose


def _reader(source: BoxFiles) -> Callable[[Path, tuple[int, int]], list[BoxRow]]:
    def read(path: Path, size: tuple[int, int]) -> list[BoxRow]:
        if not path.is_file():
            return []
        found = source.parse(path, size, [path.stem])
        if found.size and found.size != size:
            raise InputError(f"{path}: was drawn on frames of another size than the video's; import it")
        rows = [*found.rows, *(row._replace(label=OUTSIDE) for row in found.gone)]
        return sorted((row._replace(frame=row.frame - source.frame_start) for row in rows), key=lambda row: row.frame)

    return read


def darklabel_text(rows: Sequence[BoxRow]) -> str:
    """Rows in DarkLabel's default format."""
    return "".join(format_row(row.frame, row.object_id or "0", row.box, row.label) for row in rows)


def mot_text(rows: Sequence[BoxRow], frame_start: int) -> str:
    """Rows as MOT 1.1: `frame,id,x,y,w,h,confidence,class,visibility`."""
    lines = []
    for number, own in enumerate(_athletes(rows).values(), 1):
        for frame, box in _seen(own):
            *cells, _ = format_row(frame + frame_start, str(number), box, "").strip().split(",")
            lines.append((frame, ",".join([*cells, "1", "1", "1"]) + "\n"))
    return "".join(line for _, line in sorted(lines, key=lambda pair: pair[0]))


def _athletes(rows: Sequence[BoxRow]) -> dict[str, list[BoxRow]]:
    found: dict[str, list[BoxRow]] = {}
    for row in sorted(rows, key=lambda row: row.frame):
        found.setdefault(row.object_id or "0", []).append(row)
    return found


def _seen(rows: Sequence[BoxRow]) -> list[tuple[int, np.ndarray]]:
    """Frames and boxes of one athlete: his keyframes, or of a track every frame but those in which he is outside."""
    drawn = [row for row in rows if row.label != OUTSIDE]
    keys, boxes = np.array([row.frame for row in drawn]), np.array([row.box for row in drawn])
    if len(keys) <= DENSE * (keys[-1] - keys[0] + 1):
        return list(zip(keys.tolist(), boxes, strict=True))
    frames = np.arange(keys[0], keys[-1] + 1)
    there = np.ones(len(frames), bool)
    for gone in (row.frame for row in rows if row.label == OUTSIDE):
        there[max(0, gone - keys[0]) : keys[keys > gone].min(initial=keys[-1] + 1) - keys[0]] = False
    return list(zip(frames[there].tolist(), interpolate_keyframes(keys, boxes, frames[there]), strict=True))


def cvat_text(rows: Sequence[BoxRow], size: tuple[int, int]) -> str:
    """Rows as "CVAT for video 1.1", a track an athlete; a label is the athlete's where a program before us gave one."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    stored = ElementTree.SubElement(
        ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task"), "original_size"
    )
    for name, value in (("width", size[1]), ("height", size[0])):
        ElementTree.SubElement(stored, name).text = str(value)
    for number, own in enumerate(_athletes(rows).values()):
        label = next((row.label for row in own if row.label and row.label not in (HAND, *TRACKERS)), ATHLETE)
        track = ElementTree.SubElement(root, "track", id=str(number), label=label, source="manual")
        for row in own:
            ElementTree.SubElement(track, "box", _shape(row))
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode", xml_declaration=True) + "\n"


def _shape(row: BoxRow) -> dict[str, str]:
    x1, y1, x2, y2 = row.box
    corners = {"xtl": x1, "ytl": y1, "xbr": x2 + 1, "ybr": y2 + 1}
    return {
        "frame": str(row.frame),
        "keyframe": "0" if row.label in TRACKERS and row.label != OUTSIDE else "1",
        "outside": "1" if row.label == OUTSIDE else "0",
        "occluded": "0",
        **{name: f"{round(float(value), 2):.10g}" for name, value in corners.items()},
        "z_order": "0",
    }
