"""The diving tower: boxes of concrete and handrails, before the far wall."""

from itertools import product

import numpy as np

from swapaqa.scene3d.camera import Camera
from swapaqa.scene3d.round_cones import FAR, RoundCones, cast, in_shadow
from swapaqa.scene3d.venue import Venue

BOXES = (  # least and greatest corner in metres; platforms of 10, 7.5 and 5 m, and what carries them
    ((-6.5, 9.7, -1.3), (-0.1, 10.0, 1.3)),
    ((-7.5, 7.2, -4.6), (-1.2, 7.5, -2.0)),
    ((-7.5, 4.7, -4.6), (-1.2, 5.0, -2.0)),
    ((-6.4, -0.5, -1.6), (-4.4, 9.7, 0.4)),
    ((-7.4, -0.5, -4.2), (-5.6, 9.7, -2.4)),
)
RAILS = (  # of the 10 m platform: ends in metres
    *(((-6.5, y, z), (-1.0, y, z)) for y in (10.5, 11.0) for z in (-1.25, 1.25)),
    *(((x, 10.0, z), (x, 11.0, z)) for x in (-1.0, -2.8, -4.6) for z in (-1.25, 1.25)),
)
SHADOW = 0.55  # of the light that is left where the athlete throws a shadow
SIDE, UPPER, FRONT, LOWER = 0.55, 0.95, 0.75, 0.38  # how light the faces are


def draw_tower(picture: np.ndarray, depth: np.ndarray, camera: Camera, venue: Venue, body: RoundCones) -> None:
    """Draw it where nothing is before it, with the shadow of `body` on the upper platform.

    `picture` (H, W, 3) in bytes and `depth` (H, W) in metres are written to.
    """
    for number, (low, high) in enumerate(BOXES):
        left, top, right, bottom = _bounds(camera, low, high)
        if left < right and top < bottom:
            part = np.s_[top:bottom, left:right]
            _draw_box(picture[part], depth[part], camera, venue, (low, high), part, body if number == 0 else None)
    ends = np.array(RAILS, float)
    rails = RoundCones(ends[:, 0], ends[:, 1], np.full(len(ends), 0.025), np.full(len(ends), 0.025))
    seen = cast(camera, rails)
    shown = (seen.cone >= 0) & (seen.distance < depth)
    picture[shown] = (205 * (0.6 + 0.4 * np.clip(seen.normal[shown] @ venue.light, 0, 1)))[:, None]
    depth[shown] = seen.distance[shown]


def _bounds(camera: Camera, low: tuple[float, ...], high: tuple[float, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels in which a box may be seen."""
    columns, rows, ahead = camera.project(np.array(list(product(*zip(low, high, strict=True))))).T
    if (ahead < 0.1).any():
        return 0, 0, camera.size, camera.size
    edges = np.clip([columns.min() - 1, rows.min() - 1, columns.max() + 2, rows.max() + 2], 0, camera.size).astype(int)
    left, top, right, bottom = edges.tolist()
    return left, top, right, bottom


def _draw_box(
    picture: np.ndarray, depth: np.ndarray, camera: Camera, venue: Venue,
    corners: tuple[tuple[float, ...], tuple[float, ...]], part: tuple[slice, slice], body: RoundCones | None,
) -> None:  # fmt: skip
    """One box in the part of the picture that it may be in: by slabs, the last of the three that a ray enters."""
    rays, place = camera.rays[part], camera.place.astype(np.float32)
    enters, leaves = np.full(depth.shape, -FAR), np.full(depth.shape, FAR)
    axis = np.zeros(depth.shape, np.int8)
    for number, (low, high) in enumerate(zip(*corners, strict=True)):
        with np.errstate(divide="ignore"):
            ends = (
                (np.float32(low) - place[number]) / rays[..., number],
                (np.float32(high) - place[number]) / rays[..., number],
            )
        first = np.minimum(*ends)
        axis[first > enters] = number
        enters, leaves = np.maximum(enters, first), np.minimum(leaves, np.maximum(*ends))
    shown = (enters < leaves) & (enters > 0) & (enters < depth)
    points = place + enters[shown][:, None] * rays[shown]
    face = axis[shown]
    shade = np.array([SIDE, UPPER, FRONT])[face]
    shade[(face == 1) & (rays[shown][:, 1] > 0)] = LOWER
    shade *= 1 - 0.06 * (np.abs(points[:, 1] % 1.2 - 0.6) > 0.57)  # joints of the formwork
    if body is not None:
        upper = face == 1
        shade[upper] *= np.where(in_shadow(points[upper], venue.light, body), SHADOW, 1.0)
    picture[shown], depth[shown] = venue.concrete * shade[:, None], enters[shown]
