"""The pool's surface: ripple, reflection, what shines through it, foam; and the splash of an entry."""

import cv2
import numpy as np

from swapaqa.scene3d.camera import Camera
from swapaqa.scene3d.venue import WALL_Z, Venue, sample_wall

WAVES = ((0.55, 0.030), (0.9, 0.024), (1.7, 0.020), (2.9, 0.016), (4.3, 0.012), (6.1, 0.010))  # waves a metre, slope
DEPTH = 4.5  # of the pool, metres
LINES = 2.5  # metres between the dark lines on its bottom
MURK, REFRACTION, MIRRORED = 0.62, 1.33, 0.8  # share of the water's own colour; index; share that a ripple mirrors
GLINT, SHARPNESS = 130, 400  # of a lamp in the ripple: bytes, and how small it is
RISE, DECAY = 0.10, 0.55  # seconds in which foam spreads and in which it goes


def slopes(venue: Venue, x: np.ndarray, z: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """How steep the surface is along x and z at points in metres."""
    along_x, along_z = np.zeros_like(x), np.zeros_like(z)
    for (waves, slope), (phase, dx, dz) in zip(WAVES, venue.swell, strict=True):
        number = 2 * np.pi * waves
        moved = phase - np.sqrt(9.81 * number) * seconds  # as waves of deep water run
        steep = np.float32(slope) * np.cos(
            np.float32(number * dx) * x + np.float32(number * dz) * z + np.float32(moved)
        )
        along_x += np.float32(dx) * steep
        along_z += np.float32(dz) * steep
    return along_x, along_z


def surface(
    venue: Venue, wall: np.ndarray, rays: np.ndarray, x: np.ndarray, z: np.ndarray, seconds: float
) -> np.ndarray:
    """Colours (H, W, 3) of the surface that `rays` (H, W, 3) meet at `x`, `z` (H, W)."""
    along_x, along_z = slopes(venue, x, z, seconds)
    normal = np.stack([-along_x, np.ones_like(x), -along_z], axis=-1)
    normal /= np.sqrt((normal**2).sum(-1, keepdims=True))
    facing = np.clip(-(rays * normal).sum(-1), 0, 1)
    mirrored = rays + 2 * facing[..., None] * normal
    away = (WALL_Z - z) / np.minimum(mirrored[..., 2], -0.05)
    reflection = sample_wall(wall, x + away * mirrored[..., 0], np.abs(away * mirrored[..., 1]))
    fresnel = (0.02 + 0.98 * (1 - facing) ** 5)[..., None]  # Schlick's approximation, of water
    below = _through(venue, rays, x, z, (along_x, along_z), facing)
    half = venue.light - rays
    half = half / np.sqrt((half**2).sum(-1, keepdims=True))
    glint = np.clip((half * normal).sum(-1), 0, 1)[..., None] ** SHARPNESS
    found: np.ndarray = ((1 - fresnel) * below + fresnel * MIRRORED * reflection + GLINT * glint).astype(np.float32)
    return found


def _through(
    venue: Venue, rays: np.ndarray, x: np.ndarray, z: np.ndarray, slope: tuple[np.ndarray, np.ndarray],
    facing: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """What shines through the surface: the bottom with its dark lines, refracted, and murk before it."""
    along_x, along_z = slope
    deeper = DEPTH / np.clip(facing, 0.25, 1) * 0.75
    bottom_x = x + deeper * (rays[..., 0] / REFRACTION - 0.6 * along_x)
    bottom_z = z + deeper * (rays[..., 2] / REFRACTION - 0.6 * along_z)
    line = np.abs((bottom_z + 0.3 * np.sin(bottom_x)) % LINES - LINES / 2) < 0.18
    bottom = np.where(line[..., None], 0.55 * venue.bottom, venue.bottom)
    found: np.ndarray = bottom * (1 - MURK) + venue.water * MURK * (1 + 0.9 * (along_x + along_z)[..., None])
    return found


def foam(x: np.ndarray, z: np.ndarray, entry: np.ndarray, since: float, strength: float, venue: Venue) -> np.ndarray:
    """How white the surface is at `x`, `z` (H, W), 0 to 1, `since` seconds after an entry at (3,)."""
    if since <= 0:
        return np.zeros_like(x)
    radius = (0.30 + 1.35 * strength) * (1 - np.exp(-since / RISE)) + 0.5 * since
    off = np.sqrt((x - entry[0]) ** 2 + (z - entry[2]) ** 2)
    rough_x, rough_z = slopes(venue, 1.3 * x, 1.3 * z, 2 * since)
    edge = radius * (1 + 4.0 * (rough_x + rough_z))
    inside = np.clip((edge - off) / (0.35 * radius + 1e-3), 0, 1)
    ring = 0.35 * np.exp(-(((off - 2.2 * since - 0.3) / 0.12) ** 2))
    found: np.ndarray = np.clip(inside * (0.55 + 0.4 * strength) + ring, 0, 0.95) * np.exp(-since / (2 * DECAY))
    return found


class Splash:
    """Drops thrown up at the entry, and the mist around them.

    Args:
        rng: of this splash.
        entry: (3,) where, in metres.
        strength: 0 (a rip entry) to 1.
    """

    def __init__(self, rng: np.random.Generator, entry: np.ndarray, strength: float) -> None:
        count = int(50 + 450 * strength)
        self.entry, self.strength = entry, strength
        self.delays = rng.uniform(0, 0.14, count)
        turns, out = rng.uniform(0, 2 * np.pi, count), rng.gamma(2.0, 0.25 + 0.55 * strength, count)
        up = rng.uniform(0.25, 1.0, count) * (2.4 + 4.6 * strength)
        self.speeds = np.stack([out * np.cos(turns), up, out * np.sin(turns)], axis=1)
        self.sizes = rng.uniform(0.010, 0.030, count) * (1 + 0.8 * strength)
        self.starts = entry + np.column_stack([rng.normal(0, 0.12, count), np.zeros(count), rng.normal(0, 0.12, count)])

    def cover(self, camera: Camera, since: float) -> np.ndarray:
        """How much of each pixel drops and mist cover, (H, W) float32, `since` seconds after the entry."""
        layer = np.zeros((camera.size, camera.size), np.float32)
        ages = since - self.delays
        flown = self.starts + self.speeds * ages[:, None] - np.array([0, 9.81 / 2, 0]) * (ages**2)[:, None]
        shown = (ages > 0) & (flown[:, 1] > 0)
        if not shown.any():
            return layer
        columns, rows, depth = camera.project(flown[shown]).T
        radii = self.sizes[shown] / depth / camera.scale * camera.size / 2
        for x, y, radius in zip((columns * 8).astype(int), (rows * 8).astype(int), radii, strict=True):
            if abs(x) < 2**16 and abs(y) < 2**16:
                cv2.circle(layer, (int(x), int(y)), max(4, int(radius * 8)), (0.85,), -1, cv2.LINE_AA, 3)
        mist = cv2.GaussianBlur(layer, (0, 0), 0.018 * camera.size)
        found: np.ndarray = np.clip(0.75 * layer + 1.1 * mist, 0, 0.95)
        return found
