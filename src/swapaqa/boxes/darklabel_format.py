"""Formats of DarkLabel, the annotation tool of the paper (github.com/darkpgmr/DarkLabel), and a box from its columns.

A format of DarkLabel is a list of specifiers, one a column, kept in its `darklabel.yml`:

    fn, iname                     frame number, image file name
    cname, classid, id            label, position in the list of classes, object
    x1 y1 x2 y2 cx cy w h         pixels; with an n in front, shares of the frame
    c=<number>, difficult         read over

The house reads them as inclusive pixels: x2 = x1 + w - 1, and x1 = cx - w / 2.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from swapaqa.boxes.source import BoxRow
from swapaqa.boxes.text import number, whole_number
from swapaqa.boxes.tracks import checked_box, frame_number
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import MIB, parse_yaml, read_bytes, shown, unreadable

AXES = (("x1", "x2", "cx", "w"), ("y1", "y2", "cy", "h"))
COORDINATES = [prefix + name for prefix in ("", "n") for axis in AXES for name in axis]
FRAMES = ("fn", "iname")
NAMES = ("cname", "classid", "id")
READABLE = {"fn": "frame", "x1": "x", "y1": "y", "cname": "label"}  # in messages
Extension = Literal["txt", "csv", "xml"]


class DarkLabelFormat(NamedTuple):
    """One format, by the names that `darklabel.yml` uses."""

    data_fmt: tuple[str, ...]
    gt_file_ext: Extension
    gt_merged: bool
    delimiter: str
    classes: tuple[str, ...]  # the labels of classid 0, 1, ...


KEYFRAMES = DarkLabelFormat(("fn", "id", "x1", "y1", "w", "h", "cname"), "txt", True, ",", ())


def check_format(form: DarkLabelFormat) -> None:
    """InputError for a specifier that does not exist, or columns that make no box in a frame."""
    place = f"data_fmt [{', '.join(form.data_fmt)[:200]}]"
    if len(form.delimiter) != 1:
        raise InputError(f"{place}: delimiter '{form.delimiter[:20]}' is not one character, such as ',' or ' '")
    for name in form.data_fmt:
        if name not in (*COORDINATES, *FRAMES, *NAMES, "difficult") and not name.startswith("c="):
            raise InputError(
                f"{place}: no specifier '{name}'; there are "
                f"{', '.join([*FRAMES, *NAMES, *COORDINATES])}, difficult, c=0"
            )
    if form.gt_merged and form.gt_file_ext != "xml" and not set(FRAMES) & set(form.data_fmt):
        raise InputError(f"{place}: a file for a whole video (gt_merged) needs a column fn or iname")
    box = dict.fromkeys(form.data_fmt, "1")
    _corners(box, (1, 1), place)


@cache  # asked for every video
def read_formats(path: Path) -> dict[int, DarkLabelFormat]:
    """The formats of a `darklabel.yml` by number. InputError for a file that is none."""
    content = read_bytes(path, MIB)
    text = re.sub(r"\A\ufeff?%YAML.*\n", "", content.decode("utf-8", errors="replace"))  # OpenCV's spelling
    try:
        settings = parse_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = unreadable("YAML", content, error)
        raise InputError(f"{path}: is not DarkLabel's settings file: {why}; take it from DarkLabel's folder") from error
    settings = settings if isinstance(settings, dict) else {}
    found = {key: value for key, value in settings.items() if re.fullmatch(r"format\d{1,4}", str(key))}
    if not found:
        raise InputError(f"{path}: has no format0, format1, ...; it is not DarkLabel's settings file")
    return {int(key.removeprefix("format")): _format(settings, value, f"{path}, {key}") for key, value in found.items()}


def _format(settings: dict[Any, Any], own: Any, place: str) -> DarkLabelFormat:
    if not isinstance(own, dict):
        raise InputError(f"{place}: is {shown(own)} and no format; correct it")
    if "data_fmt" not in own:
        raise InputError(f"{place}: has no data_fmt; correct it")
    merged = {"gt_file_ext": "xml", "gt_merged": 0, "delimiter": ",", "classes_set": None} | settings | own
    if merged["gt_file_ext"] not in ("txt", "csv", "xml"):
        raise InputError(f"{place}: gt_file_ext {shown(merged['gt_file_ext'])} is not txt, csv or xml; correct it")
    if merged["gt_merged"] not in (0, 1):
        raise InputError(f"{place}: gt_merged {shown(merged['gt_merged'])} is not 0 or 1; correct it")
    names, named = own["data_fmt"], merged["classes_set"]
    classes = _classes(settings, named)
    for key, value in (("data_fmt", names), (f"classes_set {shown(named)}", classes)):
        if not isinstance(value, list) or not all(isinstance(part, str | int | float) for part in value):
            raise InputError(f"{place}: {key} is {shown(value)} and no list of names; correct it")
    if not isinstance(merged["delimiter"], str) or len(merged["delimiter"]) != 1:
        raise InputError(f"{place}: delimiter {shown(merged['delimiter'])} is not one character; correct it")
    form = DarkLabelFormat(
        data_fmt=tuple(str(name) for name in names),
        gt_file_ext=merged["gt_file_ext"],
        gt_merged=bool(merged["gt_merged"]),
        delimiter=merged["delimiter"],
        classes=tuple(str(name) for name in classes),
    )
    try:
        check_format(form)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    return form


def _classes(settings: dict[Any, Any], named: Any) -> Any:
    """The labels of `classes_set`: the name of a list of the file, alone or in brackets, or the labels themselves."""
    name = named[0] if isinstance(named, list) and len(named) == 1 else named
    if isinstance(name, str) and name in settings:
        return settings[name]
    return named if isinstance(named, list) else []


def row_of(
    columns: dict[str, str], form: DarkLabelFormat, size: tuple[int, int] | None, own_frame: str | None, place: str
) -> BoxRow:
    """One box from its columns by specifier. `own_frame` is the name of an image's own file, None in a merged one."""
    if "fn" in columns:
        frame = _integer(columns, "fn", place)
    else:
        frame = frame_number(columns.get("iname", "") if own_frame is None else own_frame, place)
    for name in {"cname", "id"} & columns.keys():
        undecoded = name == "id" and "\ufffd" in columns[name]  # labels are in whatever encoding a system has
        if undecoded or not columns[name].isprintable():
            raise unlike(columns.values(), columns, place, f" ({READABLE.get(name, name)} is no text)")
    label = columns.get("cname", "")
    if "classid" in columns:
        index = _integer(columns, "classid", place)
        if form.classes and not 0 <= index < len(form.classes):
            raise InputError(
                f"{place}: classid {index}, but boxes.classes has {len(form.classes)}; correct one of them"
            )
        label = form.classes[index] if form.classes else str(index)
    return BoxRow(frame, columns.get("id"), label, _corners(columns, size, place), place)


def _integer(columns: dict[str, str], name: str, place: str) -> int:
    try:
        return whole_number(columns[name])
    except ValueError:
        problem = f" ({READABLE.get(name, name)} is '{brief(columns[name])}')"
        raise unlike(columns.values(), columns, place, problem) from None


def _corners(columns: dict[str, str], size: tuple[int, int] | None, place: str) -> tuple[float, ...]:
    height, width = size or (0, 0)
    (x1, x2), (y1, y2) = (
        _span(columns, axis, extent, place) for axis, extent in zip(AXES, (width, height), strict=True)
    )
    given = [f"{READABLE.get(name, name)}={brief(value)}" for name, value in columns.items() if name in COORDINATES]
    return checked_box((x1, y1, x2, y2), place, " ".join(given))


def _span(columns: dict[str, str], axis: tuple[str, ...], extent: int, place: str) -> tuple[float, float]:
    """First and last pixel along one axis, from the two of (first, last, centre, length) that there are."""
    values: dict[str, float] = {}
    for name, kind in zip(axis, ("first", "last", "centre", "length"), strict=True):
        if name in columns:
            values[kind] = _number(columns, name, place)
        elif f"n{name}" in columns:
            if not extent:
                raise InputError(f"{place}: n{name} is a share of the frame, whose size is not known here")
            values[kind] = _number(columns, f"n{name}", place) * extent
    if "first" not in values and {"centre", "length"} <= values.keys():
        values["first"] = values["centre"] - values["length"] / 2
    if "first" not in values or not {"last", "length"} & values.keys():
        raise InputError(f"{place}: no box: {axis[0]} or {axis[2]}, and {axis[1]} or {axis[3]}, are needed")
    last = values["last"] if "last" in values else values["first"] + values["length"] - 1
    return values["first"], last


def _number(columns: dict[str, str], name: str, place: str) -> float:
    try:
        return number(columns[name])
    except ValueError:
        problem = f" ({READABLE.get(name, name)} is '{brief(columns[name])}')"
        raise unlike(columns.values(), columns, place, problem) from None


def brief(text: str) -> str:
    """A part of a file for a message: short, and on one line."""
    return " ".join(text.split())[:80]


def unlike(values: Iterable[str], names: Iterable[str], place: str, problem: str = "") -> InputError:
    """The error for columns that do not hold what their specifiers say."""
    wanted, found = ",".join(READABLE.get(name, name) for name in names), brief(",".join(values))
    return InputError(
        f"{place}: '{found}' is not '{wanted}'{problem}; name the file's columns with boxes.data_fmt=, or "
        "export it from DarkLabel again"
    )
