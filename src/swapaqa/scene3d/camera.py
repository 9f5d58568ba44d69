"""A pinhole camera: rays through pixels, and where points of the venue are in the picture."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Camera:
    """Where it stands, what it looks at (3,) in metres, the height of what it sees there, and the picture's side.

    Pictures are square, of `size` pixels; a pixel's centre lies at half past its index.
    """

    place: np.ndarray
    target: np.ndarray
    field: float
    size: int

    @cached_property
    def axes(self) -> np.ndarray:
        """Right, up, forward as rows (3, 3)."""
        forward = self.target - self.place
        forward = forward / np.sqrt((forward**2).sum())
        right = np.array([-forward[2], 0.0, forward[0]])
        right = right / np.sqrt((right**2).sum())
        return np.stack([right, np.cross(right, forward), forward])

    @cached_property
    def scale(self) -> float:
        """Tangent of half the angle of view."""
        distance = np.sqrt(((self.target - self.place) ** 2).sum())
        return float(self.field / 2 / distance)

    @cached_property
    def rays(self) -> np.ndarray:
        """Unit directions through all pixels, (H, W, 3) float32."""
        steps = ((np.arange(self.size) + 0.5) / self.size * 2 - 1) * self.scale
        right, up, forward = self.axes
        found = forward + steps[None, :, None] * right - steps[:, None, None] * up
        rays: np.ndarray = (found / np.sqrt((found**2).sum(-1, keepdims=True))).astype(np.float32)
        return rays

    def project(self, points: np.ndarray) -> np.ndarray:
        """Columns and rows of points (..., 3), in pixels, and their depth in metres: (..., 3)."""
        seen = np.einsum("...k,ik->...i", points - self.place, self.axes)
        depth = np.maximum(seen[..., 2], 1e-6)
        columns = (seen[..., 0] / depth / self.scale + 1) / 2 * self.size
        rows = (1 - seen[..., 1] / depth / self.scale) / 2 * self.size
        return np.stack([columns, rows, seen[..., 2]], axis=-1)
