"""Rays against round cones, spheres that grow or shrink along a line: what limbs are made of.

The exact intersection is Inigo Quilez's `iRoundedCone` (iquilezles.org/articles/intersectors), here for many rays at
once. A sphere is a cone of no length.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from swapaqa.scene3d.camera import Camera

FAR = np.float32(1e9)


@dataclass(frozen=True)
class RoundCones:
    """K of them: ends (K, 3) in metres and the radii (K,) there."""

    starts: np.ndarray
    ends: np.ndarray
    start_radii: np.ndarray
    end_radii: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)


class Hit(NamedTuple):
    """Where rays meet one cone: distance (N,), `FAR` where they miss; normal (N, 3); place along it (N,), 0 to 1."""

    distance: np.ndarray
    normal: np.ndarray
    along: np.ndarray


def meet(origins: np.ndarray, rays: np.ndarray, cones: RoundCones, k: int) -> Hit:
    """Rays (N, 3), unit vectors from `origins` (N, 3) or (3,), against cone `k`."""
    start, end = cones.starts[k].astype(np.float32), cones.ends[k].astype(np.float32)
    ra, rb = np.float32(cones.start_radii[k]), np.float32(cones.end_radii[k])
    ba, oa, ob = end - start, origins - start, origins - end
    rr = ra - rb
    m0, m1, m2 = (ba * ba).sum(), oa @ ba, rays @ ba
    m3, m5 = (rays * oa).sum(-1), (oa * oa).sum(-1)
    d2 = m0 - rr * rr
    k2 = d2 - m2 * m2
    k1 = d2 * m3 - m1 * m2 + m2 * rr * ra
    k0 = d2 * m5 - m1 * m1 + m1 * rr * ra * 2 - m0 * ra * ra
    h = k1 * k1 - k0 * k2
    with np.errstate(divide="ignore", invalid="ignore"):
        side = (-np.sqrt(np.maximum(h, 0)) - k1) / k2
    y = m1 - ra * rr + side * m2
    on_side = (h >= 0) & (y > 0) & (y < d2) & (side > 0)
    first, last = _sphere(m3, m5, ra), _sphere((rays * ob).sum(-1), (ob * ob).sum(-1), rb)
    cap = np.minimum(first, last)
    distance = np.where(on_side, side, cap).astype(np.float32)
    distance[distance <= 1e-4] = FAR
    met = np.where(distance < FAR, distance, 0)[:, None] * rays
    normal = np.where((first <= last)[:, None], oa + met, ob + met)
    normal[on_side] = ((oa + met) * d2 - ba * y[:, None])[on_side]
    length = np.sqrt((normal * normal).sum(-1, keepdims=True))
    along = np.where(on_side, y / max(float(d2), 1e-9), (first > last).astype(np.float32))
    return Hit(distance, (normal / np.maximum(length, 1e-9)).astype(np.float32), along.astype(np.float32))


def _sphere(m: np.ndarray, oo: np.ndarray, radius: np.float32) -> np.ndarray:
    h = m * m - oo + radius * radius
    distance = -m - np.sqrt(np.maximum(h, 0))
    found: np.ndarray = np.where((h >= 0) & (distance > 0), distance, FAR)
    return found


class Seen(NamedTuple):
    """What the rays of a picture meet first: cone (H, W), -1 for none; distance, normal, along, as in `Hit`."""

    cone: np.ndarray
    distance: np.ndarray
    normal: np.ndarray
    along: np.ndarray


def cast(camera: Camera, cones: RoundCones) -> Seen:
    """The picture of `cones`: every pixel's ray against those that may be there."""
    size = camera.size
    cone = np.full((size, size), -1, np.int16)
    distance = np.full((size, size), FAR, np.float32)
    normal = np.zeros((size, size, 3), np.float32)
    along = np.zeros((size, size), np.float32)
    place = camera.place.astype(np.float32)
    for k, (left, top, right, bottom) in enumerate(_bounds(camera, cones)):
        if left >= right or top >= bottom:
            continue
        part = np.s_[top:bottom, left:right]
        rays = camera.rays[part].reshape(-1, 3)
        hit = Hit(
            *(value.reshape(bottom - top, right - left, *value.shape[1:]) for value in meet(place, rays, cones, k))
        )
        nearer = hit.distance < distance[part]
        cone[part][nearer] = k
        for whole, found in ((distance, hit.distance), (normal, hit.normal), (along, hit.along)):
            whole[part][nearer] = found[nearer]
    return Seen(cone, distance, normal, along)


def _bounds(camera: Camera, cones: RoundCones) -> list[list[int]]:
    """Left, top, right, bottom of the pixels in which each cone may be seen."""
    ends = camera.project(np.stack([cones.starts, cones.ends]))  # (2, K, 3)
    radii = np.stack([cones.start_radii, cones.end_radii])
    reach = 1.1 * radii / np.maximum(ends[..., 2], 0.1) / camera.scale * camera.size / 2 + 1
    low = np.floor((ends[..., :2] - reach[..., None]).min(axis=0))
    high = np.ceil((ends[..., :2] + reach[..., None]).max(axis=0)) + 1
    bounds: list[list[int]] = np.clip(np.concatenate([low, high], axis=1), 0, camera.size).astype(int).tolist()
    return bounds


def in_shadow(points: np.ndarray, light: np.ndarray, cones: RoundCones, of: np.ndarray | None = None) -> np.ndarray:
    """Whether cones stand between points (N, 3) and a far light in direction (3,): (N,) bool.

    `of` (N,): the cone that each point lies on, which throws no shadow onto itself.
    """
    dark = np.zeros(len(points), bool)
    for k in range(len(cones)):
        start, end = cones.starts[k], cones.ends[k]
        middle = (start + end) / 2
        reach = np.sqrt(((end - start) ** 2).sum()) / 2 + max(cones.start_radii[k], cones.end_radii[k])
        off = points - middle.astype(np.float32)
        beside = (off * off).sum(-1) - (off @ light) ** 2 < reach**2
        near = np.flatnonzero(beside & ~dark & (off @ light < reach) & (True if of is None else of != k))
        if len(near):
            rays = np.broadcast_to(light, (len(near), 3))
            dark[near] = meet(points[near], rays, cones, k).distance < FAR
    return dark
