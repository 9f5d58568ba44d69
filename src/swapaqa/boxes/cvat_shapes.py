"""The upright box around a shape of CVAT, in edges: xtl, ytl, xbr, ybr, where the whole frame is 0, 0, W, H.

Boxes and ellipses may be turned about their centre: `rotation`, degrees. Polygons and masks have none.
"""

import math
from xml.etree.ElementTree import Element

from swapaqa.boxes.text import number, whole_number
from swapaqa.errors import InputError

Edges = tuple[float, float, float, float]

READ = ("box", "ellipse", "polygon", "mask")
NOT_READ = ("polyline", "points", "cuboid", "skeleton")  # what they enclose is not the athlete


def edges_of(shape: Element, place: str) -> Edges:
    """The enclosing upright box. InputError at `place` for a number that is none."""
    if shape.tag == "polygon":
        return around_polygon(shape.get("points", ""), place)
    if shape.tag == "mask":
        left, top, width, height = (_attribute(shape, name, place) for name in ("left", "top", "width", "height"))
        return left, top, left + width, top + height
    turn = _attribute(shape, "rotation", place) if shape.get("rotation") else 0.0
    if abs(turn) > 360:
        raise InputError(f"{place}: rotation {turn:g} is no angle in degrees; correct it")
    if shape.tag == "ellipse":
        cx, cy, rx, ry = (_attribute(shape, name, place) for name in ("cx", "cy", "rx", "ry"))
        return around_ellipse(cx, cy, rx, ry, turn)
    xtl, ytl, xbr, ybr = (_attribute(shape, name, place) for name in ("xtl", "ytl", "xbr", "ybr"))
    return (xtl, ytl, xbr, ybr) if not turn else around_turned((xtl, ytl, xbr, ybr), turn)


def around_turned(edges: Edges, degrees: float) -> Edges:
    """The upright box around one that is turned about its centre. A box of negative extent stays one."""
    xtl, ytl, xbr, ybr = edges
    width, height = xbr - xtl, ybr - ytl
    if width <= 0 or height <= 0:
        return edges
    cosine, sine = _turned(degrees)
    half_width, half_height = (cosine * width + sine * height) / 2, (sine * width + cosine * height) / 2
    cx, cy = (xtl + xbr) / 2, (ytl + ybr) / 2
    return cx - half_width, cy - half_height, cx + half_width, cy + half_height


def around_ellipse(cx: float, cy: float, rx: float, ry: float, degrees: float) -> Edges:
    """The upright box around an ellipse of radii rx, ry that is turned about its centre."""
    cosine, sine = _turned(degrees)
    half_width, half_height = math.hypot(cosine * rx, sine * ry), math.hypot(sine * rx, cosine * ry)
    if rx <= 0 or ry <= 0:
        half_width, half_height = rx, ry
    return cx - half_width, cy - half_height, cx + half_width, cy + half_height


def around_polygon(points: str, place: str) -> Edges:
    """The upright box around `x,y;x,y;...`."""
    try:
        corners = [tuple(number(value) for value in point.split(",")) for point in points.split(";")]
        (xs, ys) = zip(*corners, strict=True)
    except ValueError:
        raise InputError(f"{place}: points '{points[:60]}' are not x,y;x,y;...; export it again") from None
    return min(xs), min(ys), max(xs), max(ys)


def _turned(degrees: float) -> tuple[float, float]:
    """Sizes of cosine and sine; exact at right angles, where a rounding error would move an edge."""
    if not math.isfinite(degrees) or degrees % 90 == 0:
        return (0.0, 1.0) if degrees % 180 == 90 else (1.0, 0.0) if math.isfinite(degrees) else (math.nan, math.nan)
    angle = math.radians(degrees)
    return abs(math.cos(angle)), abs(math.sin(angle))


def _attribute(shape: Element, name: str, place: str) -> float:
    return number_at(shape.get(name), f"{place}, {name}")


def shown(element: Element, name: str) -> str:
    """An attribute for a message: short, and on one line."""
    return " ".join(str(element.get(name)).split())[:30]


def number_at(text: str | None, place: str) -> float:
    """A number of the file. InputError at `place` for a text that is none."""
    try:
        return number(text or "")
    except ValueError:
        raise InputError(f"{place}: '{str(text)[:30]}' is not a number; export as 'CVAT for video 1.1' again") from None


def whole_at(text: str | None, place: str) -> int:
    """A whole number of the file. InputError at `place` for a text that is none."""
    try:
        return whole_number(text or "")
    except ValueError:
        raise InputError(
            f"{place}: '{str(text)[:30]}' is not a whole number; export as 'CVAT for video 1.1' again"
        ) from None
