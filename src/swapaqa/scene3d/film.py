"""A dive as a film: what the camera sees in every frame, with exact masks and joints.

Every pixel is a mean over SCALE x SCALE rays. Light falls from one side and from everywhere; the athlete throws a
shadow on himself, the platform and the water.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from swapaqa.scene3d.body import Looks, colours_of, cones_of, draw_looks
from swapaqa.scene3d.camera import Camera
from swapaqa.scene3d.dive import Execution, Moved, perform
from swapaqa.scene3d.onlookers import Onlooker, draw_onlooker
from swapaqa.scene3d.round_cones import FAR, RoundCones, Seen, cast, in_shadow
from swapaqa.scene3d.tower import SHADOW, draw_tower
from swapaqa.scene3d.venue import WALL_Z, Venue, sample_wall
from swapaqa.scene3d.water import Splash, foam, pool_beneath, surface

SCALE = 2  # rays in a row of a pixel
FIELD = 3.9  # metres of the venue that the picture is high, where the athlete is
LAG = 0.22  # seconds that the camera is behind the athlete
AMBIENT, KEY, GLOSS = 0.55, 0.72, 0.22  # light from everywhere, from the lamps, and mirrored by wet skin
NOISE = 2.5  # of the camera, in bytes
ENTRY_BOX = ((-0.6, 1.1, 0.0), (0.6, -0.1, 0.0))  # metres from the entry: its corners above left and below right


@dataclass(frozen=True)
class Shot:
    """What a film shows beside the dive itself.

    Attributes:
        frames, size: of the film; `size` is rows and columns in pixels.
        splash: strength of the entry's, 0 to 1.
        athlete: size of the athlete in the picture; 1 is a picture that is 3.9 m high.
        onlookers: other people who walk beside the pool.
    """

    frames: int
    size: int
    splash: float
    athlete: float
    onlookers: int


class Filmed(NamedTuple):
    """One film."""

    frames: np.ndarray  # (T, H, W, 3) uint8 RGB
    masks: np.ndarray  # (T, H, W) bool: pixels of which the athlete covers half or more
    joints: np.ndarray  # (T, J, 3): columns and rows as shares of the frame, and 1 where above the water, else 0
    entries: np.ndarray  # (T, 4): x1 y1 x2 y2 in pixels of a box around where he enters the water
    moved: Moved


def film_dive(rng: np.random.Generator, dive: Execution, venue: Venue, shot: Shot) -> Filmed:
    """Film a dive by an athlete, with a camera and a splash, that `rng` draws."""
    looks = draw_looks(rng)
    moved = perform(dive, looks.height, (rng.uniform(0.9, 1.3), rng.uniform(2.7, 3.4)), shot.frames)
    cameras = follow(rng, moved, shot)
    splash = Splash(rng, moved.entry, shot.splash)
    flicker = (
        1 + 0.06 * np.sin(moved.times * rng.uniform(1, 4) + rng.uniform(0, 6)) + 0.08 * rng.uniform(-1, 1) * moved.times
    )
    onlookers = [draw_onlooker(rng) for _ in range(shot.onlookers)]
    frames, masks, joints, entries = [], [], [], []
    for t, camera in enumerate(cameras):
        seconds = float(moved.times[t])
        picture, mask = _draw(
            camera, venue, moved.joints[t], looks, onlookers, splash, (t, seconds, seconds - moved.flight)
        )
        picture = _shrunk(picture * (venue.gains * flicker[t]), shot.size) + rng.normal(
            0, NOISE, (shot.size, shot.size, 3)
        )
        frames.append(np.clip(picture, 0, 255).astype(np.uint8))
        masks.append(_shrunk(mask.astype(np.float32), shot.size) >= 0.5)
        seen = camera.project(moved.joints[t])
        above = moved.joints[t][:, 1] > 0
        joints.append(np.column_stack([seen[:, :2] / camera.size, above]))
        (left, top, _), (right, bottom, _) = camera.project(splash.entry + np.array(ENTRY_BOX))
        entries.append(np.array([left, top, right, bottom]) / SCALE - 0.5)
    return Filmed(np.stack(frames), np.stack(masks), np.stack(joints).astype(np.float32), np.stack(entries), moved)


def _shrunk(picture: np.ndarray, size: int) -> np.ndarray:
    found: np.ndarray = cv2.resize(picture.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return found


def follow(rng: np.random.Generator, moved: Moved, shot: Shot) -> list[Camera]:
    """A camera that turns after the athlete, a little late and not quite still, and stays on the water in the end."""
    place = np.array([rng.uniform(0.0, 4.0), rng.uniform(3.5, 6.5), rng.uniform(12.0, 15.0)])
    aim = moved.centres.copy()
    aim[:, 1] = np.maximum(aim[:, 1], 0.9)
    aim[:, :2] += rng.normal(0, 0.12, 2) + np.cumsum(rng.normal(0, 0.03, (len(aim), 2)), axis=0)
    aim[:, 0] = 0.35 * aim[:, 0].mean() + 0.65 * aim[:, 0]
    seconds = float(moved.times[1] - moved.times[0])
    keep = np.exp(-seconds / LAG)
    target, lead = aim[0].copy(), np.gradient(aim, axis=0) / seconds * LAG * 0.8  # who films dives looks ahead
    field = FIELD * rng.uniform(0.92, 1.1) / shot.athlete
    cameras = []
    for wanted in aim + lead:
        target = keep * target + (1 - keep) * wanted
        target[1] = max(target[1], 0.6)
        cameras.append(Camera(place, target.copy(), field, shot.size * SCALE))
    return cameras


def _draw(
    camera: Camera, venue: Venue, joints: np.ndarray, looks: Looks, onlookers: list[Onlooker], splash: Splash,
    now: tuple[int, float, float],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """One frame at SCALE times its size, in bytes, and where the athlete is; `now`: frame, seconds, and since entry."""
    frame, seconds, since = now
    body = cones_of(joints, looks)
    picture, depth = draw_hall(camera, venue, body, frame, seconds, splash.entry, since, splash.strength)
    for onlooker in onlookers:
        standing = onlooker.joints(seconds)
        _draw_person(picture, depth, camera, venue, standing, onlooker.looks)
    mask = _draw_person(picture, depth, camera, venue, joints, looks)
    cover = splash.cover(camera, since)[..., None]
    return picture * (1 - cover) + 245 * cover, mask


def _draw_person(
    picture: np.ndarray, depth: np.ndarray, camera: Camera, venue: Venue, joints: np.ndarray, looks: Looks
) -> np.ndarray:
    """Draw somebody where nothing is before him: (H, W) bool."""
    cones = cones_of(joints, looks)
    seen = cast(camera, cones)
    shown = (seen.cone >= 0) & (seen.distance < depth)
    seen = Seen(np.where(shown, seen.cone, -1), seen.distance, seen.normal, seen.along)
    if shown.any():
        picture[shown] = lit(seen, shown, colours_of(seen, joints, looks), camera, venue, cones)
        depth[shown] = seen.distance[shown]
    return shown


def lit(
    seen: Seen, shown: np.ndarray, colours: np.ndarray, camera: Camera, venue: Venue, cones: RoundCones
) -> np.ndarray:
    """`colours` (N, 3) of the pixels `shown` in the hall's light."""
    normal, rays = seen.normal[shown], camera.rays[shown]
    points = camera.place.astype(np.float32) + seen.distance[shown][:, None] * rays
    lamps = np.clip(normal @ venue.light, 0, 1)
    dark = np.zeros(len(points), bool)
    facing = lamps > 0
    dark[facing] = in_shadow(points[facing] + 0.004 * normal[facing], venue.light, cones, seen.cone[shown][facing])
    lamps[dark] *= 0.15
    around = AMBIENT * (0.78 + 0.22 * normal[:, 1])
    half = venue.light - rays
    half = half / np.sqrt((half**2).sum(-1, keepdims=True))
    gloss = GLOSS * np.clip((normal * half).sum(-1), 0, 1) ** 24 * ~dark
    rim = 0.10 * (1 - np.clip(-(normal * rays).sum(-1), 0, 1)) ** 3
    found: np.ndarray = colours * (around + KEY * lamps)[:, None] + 255 * (gloss + rim)[:, None] * 0.9
    return found


def draw_hall(
    camera: Camera, venue: Venue, body: RoundCones, frame: int, seconds: float, entry: np.ndarray, since: float,
    strength: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Far wall, pool, tower and rails, with the athlete's shadow: (H, W, 3) in bytes, and how far they are (H, W)."""
    rays, place = camera.rays, camera.place.astype(np.float32)
    wall = venue.walls[frame % len(venue.walls)]
    with np.errstate(divide="ignore", invalid="ignore"):
        to_wall = (WALL_Z - place[2]) / rays[..., 2]
        to_ground = np.where(rays[..., 1] < -1e-4, -place[1] / rays[..., 1], FAR).astype(np.float32)
    depth = np.minimum(to_wall, to_ground)
    picture = sample_wall(wall, place[0] + to_wall * rays[..., 0], place[1] + to_wall * rays[..., 1])
    picture *= 0.82
    rows = np.flatnonzero((to_ground < to_wall).any(axis=1))
    if len(rows):  # all below the first one
        part = np.s_[rows[0] :]
        x, z = (place[axis] + np.minimum(to_ground[part], 200) * rays[part][..., axis] for axis in (0, 2))
        water = surface(venue, wall, rays[part], x, z, seconds)
        white = foam(x, z, entry, since, strength, venue)[..., None]
        water = water * (1 - white) + 238 * white
        ground = np.where(pool_beneath(z)[..., None], water, _tiles(venue, x, z))
        near = (x - entry[0]) ** 2 + z**2 < 16
        points = np.stack([x[near], np.zeros(near.sum(), np.float32), z[near]], axis=1)
        ground[near] *= np.where(in_shadow(points.astype(np.float32), venue.light, body), SHADOW, 1.0)[:, None]
        below = (to_ground < to_wall)[part]
        picture[part][below] = ground[below]
    draw_tower(picture, depth, camera, venue, body)
    return picture, depth


def _tiles(venue: Venue, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    joint = (np.abs(x % 0.5 - 0.25) > 0.235) | (np.abs(z % 0.5 - 0.25) > 0.235)
    found: np.ndarray = venue.deck * np.where(joint, 0.8, 1.0)[..., None]
    return found
