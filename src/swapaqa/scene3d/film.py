"""A dive as a film: what the camera sees in every frame, with exact masks and joints.

Every pixel is a mean over SCALE x SCALE rays. Light falls from one side and from everywhere; the athlete throws a
shadow on himself, the platform and the water.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from swapaqa.scene3d.body import Looks, colours_of, cones_of, draw_looks
from swapaqa.scene3d.camera import Camera
from swapaqa.scene3d.dive import Execution, Moved, perform
from swapaqa.scene3d.hall import Moment, draw_hall
from swapaqa.scene3d.onlookers import draw_onlooker
from swapaqa.scene3d.round_cones import RoundCones, Seen, cast, in_shadow
from swapaqa.scene3d.venue import Venue
from swapaqa.scene3d.water import Splash

SCALE = 2  # rays in a row of a pixel
FIELD = 3.9  # metres of the venue that the picture is high, where the athlete is
LAG = 0.22  # seconds that the camera is behind the athlete
AMBIENT, KEY, GLOSS = 0.55, 0.72, 0.22  # light from everywhere, from the lamps, and mirrored by wet skin
NOISE = 2.5  # of the camera, in bytes
FOAM = 245  # how bright drops are, in bytes
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
    (of_others,) = rng.spawn(1)  # so that their number leaves all else as it is
    looks = draw_looks(rng)
    moved = perform(dive, looks.height, (rng.uniform(0.9, 1.3), rng.uniform(2.7, 3.4)), shot.frames)
    cameras = follow(rng, moved, shot)
    splash = Splash(rng, moved.entry, shot.splash)
    brightness = flicker(rng, moved.times)
    onlookers = [draw_onlooker(of_others) for _ in range(shot.onlookers)]
    frames, masks, joints, entries = [], [], [], []
    for t, camera in enumerate(cameras):
        now = Moment(t, float(moved.times[t]), float(moved.times[t] - moved.flight))
        people = [*((other.joints(now.seconds), other.looks) for other in onlookers), (moved.joints[t], looks)]
        picture, mask = _draw(camera, venue, people, splash, now)
        noise = rng.normal(0, NOISE, (shot.size, shot.size, 3))
        seen = _shrunk(picture * (venue.gains * brightness[t]), shot.size) + noise
        frames.append(np.clip(seen, 0, 255).astype(np.uint8))
        masks.append(_shrunk(mask, shot.size) >= 0.5)
        places = camera.project(moved.joints[t])[:, :2] / camera.size
        joints.append(np.column_stack([places, moved.joints[t][:, 1] > 0]))
        corners = camera.project(splash.entry + np.array(ENTRY_BOX))[:, :2]
        entries.append(corners.ravel() / SCALE - 0.5)
    return Filmed(np.stack(frames), np.stack(masks), np.stack(joints).astype(np.float32), np.stack(entries), moved)


def flicker(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """How bright the light is at `times` (T,): it swings, and rises or falls."""
    swing = 0.06 * np.sin(times * rng.uniform(1, 4) + rng.uniform(0, 6))
    found: np.ndarray = 1 + swing + 0.08 * rng.uniform(-1, 1) * times
    return found


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
    camera: Camera, venue: Venue, people: Sequence[tuple[np.ndarray, Looks]], splash: Splash, now: Moment
) -> tuple[np.ndarray, np.ndarray]:
    """One frame at SCALE times its size, in bytes, and where the athlete is, who is the last of `people`.

    `people`: joints (J, 3) and looks of each.
    """
    picture, depth = draw_hall(camera, venue, cones_of(*people[-1]), splash, now)
    for joints, looks in people:
        shown = _draw_person(picture, depth, camera, venue, joints, looks)
    cover = splash.cover(camera, now.since)[..., None]
    return picture * (1 - cover) + FOAM * cover, shown


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
