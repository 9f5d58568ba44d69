"""Other people beside the pool: officials who walk up and down before the stands."""

from dataclasses import dataclass

import numpy as np

from swapaqa.scene3d.body import Looks, draw_looks
from swapaqa.scene3d.skeleton import Pose, joints_of, turned


@dataclass(frozen=True)
class Onlooker:
    """Somebody on the deck: where he starts in metres, his walk in metres a second, positive to the right."""

    looks: Looks
    x: float
    z: float
    speed: float
    phase: float

    def joints(self, seconds: float) -> np.ndarray:
        """His joints (J, 3) in the venue."""
        stride = 24 * float(np.sin(2 * np.pi * 0.9 * seconds + self.phase)) * abs(self.speed)
        pose = Pose(knee=8, spine=3, shoulder=6 + stride / 2, elbow=12, apart=3, arms_apart=8)
        body = joints_of(np.array([pose]), self.looks.height)
        own: np.ndarray = turned(body, np.zeros(1), 1 if self.speed >= 0 else -1)[0]
        own[:, 1] -= own[:, 1].min()
        own[:, 0] += self.x + self.speed * seconds
        own[:, 2] += self.z
        return own


def draw_onlooker(rng: np.random.Generator) -> Onlooker:
    """Somebody, clothed."""
    looks = draw_looks(rng)
    return Onlooker(
        looks=Looks(looks.height, looks.girth * 1.15, looks.skin, looks.suit, looks.suit, looks.cap, True),
        x=float(rng.uniform(-3, 7)),
        z=float(rng.uniform(-12.5, -9.5)),
        speed=float(rng.choice([-1.0, 1.0]) * rng.uniform(0.1, 1.0)),
        phase=float(rng.uniform(0, 6)),
    )
