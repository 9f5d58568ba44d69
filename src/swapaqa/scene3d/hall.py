"""What stands still behind the athlete: far wall, pool, deck and tower, with his shadow and his foam on them."""

from typing import NamedTuple

import numpy as np

from swapaqa.scene3d.camera import Camera
from swapaqa.scene3d.round_cones import FAR, RoundCones, in_shadow
from swapaqa.scene3d.tower import SHADOW, draw_tower
from swapaqa.scene3d.venue import DECK_Z, WALL_Z, Venue, sample_wall
from swapaqa.scene3d.water import Splash, foam, surface

STANDS = 0.82  # of the light, that falls on the far wall
FURTHEST = 200.0  # metres to which the pool is drawn
NEAR = 4.0  # metres around the entry in which a shadow may fall


class Moment(NamedTuple):
    """When a frame is taken: its number, seconds from the take-off, and from the entry, negative before it."""

    frame: int
    seconds: float
    since: float


def draw_hall(
    camera: Camera, venue: Venue, body: RoundCones, splash: Splash, now: Moment
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) in bytes, and how far what is seen is, (H, W) in metres."""
    rays, place = camera.rays, camera.place.astype(np.float32)
    wall = venue.walls[now.frame % len(venue.walls)]
    with np.errstate(divide="ignore", invalid="ignore"):
        to_wall = (WALL_Z - place[2]) / rays[..., 2]
        to_ground = np.where(rays[..., 1] < -1e-4, -place[1] / rays[..., 1], FAR).astype(np.float32)
    picture = sample_wall(wall, place[0] + to_wall * rays[..., 0], place[1] + to_wall * rays[..., 1])
    picture *= STANDS
    below = to_ground < to_wall
    rows = np.flatnonzero(below.any(axis=1))
    if len(rows):  # all from the first one on
        part = np.s_[rows[0] :]
        x, z = (place[axis] + np.minimum(to_ground[part], FURTHEST) * rays[part][..., axis] for axis in (0, 2))
        picture[part][below[part]] = _ground(venue, wall, rays[part], (x, z), body, splash, now)[below[part]]
    depth = np.minimum(to_wall, to_ground)
    draw_tower(picture, depth, camera, venue, body)
    return picture, depth


def _ground(
    venue: Venue, wall: np.ndarray, rays: np.ndarray, at: tuple[np.ndarray, np.ndarray], body: RoundCones,
    splash: Splash, now: Moment,
) -> np.ndarray:  # fmt: skip
    """Colours (H, W, 3) of the pool and of the deck before the stands, where `rays` meet them `at` x and z."""
    x, z = at
    water = surface(venue, wall, rays, x, z, now.seconds)
    white = foam(x, z, splash.entry, now.since, splash.strength, venue)[..., None]
    ground: np.ndarray = np.where((z > DECK_Z)[..., None], water * (1 - white) + 238 * white, _tiles(venue, x, z))
    near = (x - splash.entry[0]) ** 2 + z**2 < NEAR**2
    points = np.stack([x[near], np.zeros(near.sum(), np.float32), z[near]], axis=1)
    ground[near] *= np.where(in_shadow(points.astype(np.float32), venue.light, body), SHADOW, 1.0)[:, None]
    return ground


def _tiles(venue: Venue, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    joint = (np.abs(x % 0.5 - 0.25) > 0.235) | (np.abs(z % 0.5 - 0.25) > 0.235)
    found: np.ndarray = venue.deck * np.where(joint, 0.8, 1.0)[..., None]
    return found
