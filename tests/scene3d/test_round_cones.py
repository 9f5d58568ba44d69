"""Rays against round cones, beside a slow search along each ray, and the camera whose rays they are."""

import numpy as np
import pytest

from swapaqa.scene3d.camera import Camera
from swapaqa.scene3d.round_cones import FAR, RoundCones, cast, in_shadow, meet

CAMERA = Camera(np.array([1.0, 4.0, 13.0]), np.array([0.5, 6.0, 0.0]), 4.0, 48)
CONES = RoundCones(
    starts=np.array([[0.0, 6.0, 0.0], [0.6, 5.5, 0.4], [0.2, 6.9, -0.5]]),
    ends=np.array([[1.0, 6.4, 0.5], [0.6, 6.9, -0.3], [0.2, 6.9, -0.5]]),
    start_radii=np.array([0.30, 0.10, 0.25]),
    end_radii=np.array([0.12, 0.22, 0.25]),
)


def distance_to(points: np.ndarray, k: int) -> np.ndarray:
    """From points (N, 3) to the surface of cone `k`, the slow way: the nearest of very many spheres along it."""
    shares = np.linspace(0, 1, 401)
    middles = CONES.starts[k] + shares[:, None] * (CONES.ends[k] - CONES.starts[k])
    radii = CONES.start_radii[k] + shares * (CONES.end_radii[k] - CONES.start_radii[k])
    apart = np.sqrt(((points[:, None] - middles) ** 2).sum(-1)) - radii
    found: np.ndarray = apart.min(axis=1)
    return found


@pytest.mark.parametrize("k", range(3))
def test_rays_meet_a_cone_where_a_search_along_them_does(k: int) -> None:
    rays = CAMERA.rays[::4, ::4].reshape(-1, 3)
    hit = meet(CAMERA.place.astype(np.float32), rays, CONES, k)
    steps = np.arange(11.5, 15.5, 0.02)
    found = np.full(len(rays), np.inf)
    for step in steps[::-1]:
        inside = distance_to(CAMERA.place + step * rays, k) < 0
        found[inside] = step
    met = hit.distance < FAR
    sure = np.isfinite(found)
    assert met[sure].all()
    assert (met & ~sure).sum() <= 0.2 * met.sum()  # rays that graze it between two steps
    assert np.abs(hit.distance[sure] - found[sure]).max() <= 0.021
    points = CAMERA.place + hit.distance[met][:, None] * rays[met]
    assert np.abs(distance_to(points, k)).max() < 4e-3
    further = distance_to(points + 0.05 * hit.normal[met], k)
    assert np.abs(further - 0.05).max() < 6e-3  # normals point straight away


def test_the_picture_is_that_of_all_rays_against_all_cones() -> None:
    seen = cast(CAMERA, CONES)
    rays = CAMERA.rays.reshape(-1, 3)
    hits = np.stack([meet(CAMERA.place.astype(np.float32), rays, CONES, k).distance for k in range(3)])
    nearest = np.where(hits.min(axis=0) < FAR, hits.argmin(axis=0), -1).reshape(48, 48)
    assert np.array_equal(seen.cone, nearest)
    assert set(np.unique(nearest)) == {-1, 0, 1, 2}


def test_what_stands_between_a_point_and_the_light_throws_its_shadow() -> None:
    light = np.array([0.3, 1.0, 0.2]) / np.sqrt(1.13)
    x, z = np.meshgrid(np.linspace(-4, 0, 12), np.linspace(-2.5, 0.5, 12))
    points = np.stack([x.ravel(), np.zeros(x.size), z.ravel()], axis=1).astype(np.float32)
    dark = in_shadow(points, light.astype(np.float32), CONES)
    along = points[:, None] + np.arange(4.5, 8, 0.05)[:, None] * light
    expected = np.zeros(len(points), bool)
    for k in range(3):
        for at in range(along.shape[1]):
            expected |= distance_to(along[:, at], k) < 0
    assert (dark != expected).mean() < 0.015
    assert 0.02 < dark.mean() < 0.5
    of = np.zeros(1, int)
    above = (CONES.starts[:1] - 0.31 * light).astype(np.float32)  # behind the first sphere, as seen from the light
    assert in_shadow(above, light.astype(np.float32), CONES)[0]
    assert not in_shadow(above, light.astype(np.float32), CONES, of)[0]


def test_a_point_is_in_the_pixel_whose_ray_meets_it() -> None:
    columns, rows = np.array([0, 17, 47]), np.array([47, 3, 20])
    points = CAMERA.place + 9.0 * CAMERA.rays[rows, columns].astype(float)
    found = CAMERA.project(points)
    assert found[:, 0] == pytest.approx(columns + 0.5, abs=1e-3)
    assert found[:, 1] == pytest.approx(rows + 0.5, abs=1e-3)
    low, high = CAMERA.project(np.stack([CAMERA.target - 2 * CAMERA.axes[1], CAMERA.target + 2 * CAMERA.axes[1]]))
    assert low[1] - high[1] == pytest.approx(48, abs=0.5)  # the field is 4 metres high at what it looks at
