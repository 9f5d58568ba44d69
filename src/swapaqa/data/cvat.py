"""Files that CVAT exports (app.cvat.ai, any system): "CVAT for video 1.1" and "MOT 1.1".

CVAT's corners are edges: a box over the whole frame is (0, 0, W, H). Inclusive pixels are therefore x1 = xtl and
x2 = xbr - 1, which keeps the width: x2 = x1 + w - 1.

CVAT writes a box for every frame, `keyframe="0"` where it has interpolated; these are read as they are, and a file
with keyframes alone is interpolated. A box that is `outside` means that the athlete is not there: it is left out, and
the frame gets what the boxes around it give.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from swapaqa.data.box_tracks import BoxFile, BoxFiles, BoxRow, checked_box, errors_of_a_table, parse_xml
from swapaqa.errors import InputError


def read_cvat(path: Path) -> BoxFile:
    """All visible boxes of a "CVAT for video 1.1" file, and the size of its frames.

    Raises:
        InputError: naming the file, track and frame: not that format, a number that is none, a box without extent.
    """
    root = parse_xml(path)
    tracks = root.findall("track")
    if not tracks:
        raise InputError(f"{path}: has no <track>; draw the athlete as a track and export as 'CVAT for video 1.1'")
    rows = [_cvat_row(track, box, path) for track in tracks for box in track.findall("box") if not _outside(box)]
    size = root.find(".//original_size")
    if size is None:
        return BoxFile(rows, None)
    place = f"{path}, <original_size>"
    return BoxFile(rows, (_whole(size.findtext("height"), place), _whole(size.findtext("width"), place)))


def _outside(box: Element) -> bool:
    return box.get("outside") == "1"


def _cvat_row(track: Element, box: Element, path: Path) -> BoxRow:
    place = f"{path}, track {track.get('id')}, frame {box.get('frame')}"
    xtl, ytl, xbr, ybr = (_number(box.get(name), f"{place}, {name}") for name in ("xtl", "ytl", "xbr", "ybr"))
    given = f"xtl={xtl:g} ytl={ytl:g} xbr={xbr:g} ybr={ybr:g}"
    corners = checked_box((xtl, ytl, xbr - 1, ybr - 1), place, given)
    return BoxRow(_whole(box.get("frame"), place), track.get("id"), track.get("label", ""), corners, place)


def _number(text: str | None, place: str) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise InputError(f"{place}: '{text}' is not a number; export as 'CVAT for video 1.1' again") from None


def _whole(text: str | None, place: str) -> int:
    number = _number(text, place)
    if not number.is_integer():
        raise InputError(f"{place}: '{text}' is not a whole number; export as 'CVAT for video 1.1' again")
    return int(number)


def read_mot(path: Path) -> BoxFile:
    """All boxes of a MOT file: `frame,id,x,y,w,h[,confidence[,class[,visibility,...]]]`.

    A row of confidence 0 marks a box to be ignored, in MOT's own ground truth as in CVAT's export, and is left out;
    -1 is DarkLabel's "no value". x and y are taken as pixels from 0, as CVAT and DarkLabel write them.

    Raises:
        InputError: naming the file and line.
    """
    rows = []
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as lines, errors_of_a_table(path):
        for number, row in enumerate(csv.reader(lines, skipinitialspace=True), 1):
            if row:
                found = _mot_row(row, f"{path}, line {number}")
                rows.extend([found] if found else [])
    return BoxFile(rows, None)


def _mot_row(row: list[str], place: str) -> BoxRow | None:
    try:
        frame, object_id = int(row[0]), row[1].strip()
        x, y, w, h, *rest = (float(value) for value in row[2:7])
    except (ValueError, IndexError):
        raise InputError(
            f"{place}: '{','.join(row)}' is not 'frame,id,x,y,w,h,confidence,...'; export it as MOT 1.1 again"
        ) from None
    box = checked_box((x, y, x + w - 1, y + h - 1), place, f"x={x:g} y={y:g} w={w:g} h={h:g}")
    label = row[7].strip() if len(row) > 7 else ""
    return None if rest == [0.0] else BoxRow(frame, object_id, label, box, place)


@dataclass(frozen=True)
class CVATBoxes(BoxFiles):
    """Boxes drawn with CVAT: `<index>.xml` of "CVAT for video 1.1", or `<index>/annotations.xml`."""

    def candidates(self, file: Path) -> list[Path]:
        return [file.parent / f"{file.name}.xml", file / "annotations.xml"]

    def parse(self, path: Path, size: tuple[int, int]) -> BoxFile:  # noqa: ARG002  nothing is normalised
        return read_cvat(path)


@dataclass(frozen=True)
class MOTBoxes(BoxFiles):
    """Boxes in a MOT file: `<index>.txt`, `<index>.csv`, or `<index>/gt/gt.txt` as CVAT's archive unpacks."""

    def candidates(self, file: Path) -> list[Path]:
        return [file.parent / f"{file.name}.txt", file.parent / f"{file.name}.csv", file / "gt" / "gt.txt"]

    def parse(self, path: Path, size: tuple[int, int]) -> BoxFile:  # noqa: ARG002  nothing is normalised
        return read_mot(path)
