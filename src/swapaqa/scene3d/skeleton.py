"""An athlete of rigid segments: where the joints are at given joint angles, and the inertia of the whole body.

All rotation of a dive without twists is in the sagittal plane, so a pose is a handful of angles in that plane, and a
pair of limbs differs by its side alone. Masses of segments as shares of the body's, and the lengths of limbs and trunk:
Winter, Biomechanics and Motor Control of Human Movement, table 4.1 and figure 4.1. A segment counts as a thin rod,
which two points of half its mass, 0.289 of its length on either side of its middle, equal in mass, centre and inertia.
"""

from typing import NamedTuple

import numpy as np

FOOT, SHANK, THIGH, TRUNK, NECK, HEAD = 0.085, 0.246, 0.245, 0.288, 0.055, 0.09  # lengths, as shares of the height
UPPER_ARM, FOREARM, HAND = 0.186, 0.146, 0.09
HIP_HALF, SHOULDER_HALF = 0.052, 0.105  # half the distance between the hips, and between the shoulders
LOWER_TRUNK = 0.45  # of the trunk, below the joint of the spine
ROD = np.sqrt(1 / 12)  # half the distance of the two points of a rod, as share of its length

SIDED = ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "wrist", "fingers")
JOINTS = ("pelvis", "spine", "neck", "skull", "crown", *(f"{side}_{name}" for side in "lr" for name in SIDED))
SEGMENTS = (  # from, to, share of the body's mass; both sides of a pair
    ("pelvis", "spine", 0.23), ("spine", "neck", 0.267), ("neck", "crown", 0.081),
    *(
        (f"{side}_{start}", f"{side}_{end}", mass)
        for side in "lr"
        for start, end, mass in (
            ("hip", "knee", 0.1), ("knee", "ankle", 0.0465), ("ankle", "toe", 0.0145), ("shoulder", "elbow", 0.028),
            ("elbow", "wrist", 0.016), ("wrist", "fingers", 0.006),
        )
    ),
)  # fmt: skip
PLACE = {name: number for number, name in enumerate(JOINTS)}


class Pose(NamedTuple):
    """Joint angles in degrees. Zero everywhere: standing upright, arms down, feet flat.

    Attributes:
        hip, knee, spine, shoulder, elbow, head: flexion; `shoulder` is 180 overhead.
        ankle: plantar flexion; 90 points the toes.
        apart: how far each leg is led away from the middle.
        arms_apart: the same of the arms.
    """

    hip: float = 0.0
    knee: float = 0.0
    ankle: float = 0.0
    spine: float = 0.0
    shoulder: float = 0.0
    elbow: float = 0.0
    head: float = 0.0
    apart: float = 0.0
    arms_apart: float = 0.0


def joints_of(poses: np.ndarray, height: float) -> np.ndarray:
    """Where the joints are, in metres from the body's centre of mass: (T, J, 3), the axes forward, up, to the left.

    `poses` (T, 9): rows are `Pose`s; `height` is the body's in metres.
    """
    hip, knee, ankle, spine, shoulder, elbow, head, legs_apart, arms_apart = np.deg2rad(poses.T)
    found = np.zeros((len(poses), len(JOINTS), 3))

    def at(name: str) -> np.ndarray:
        joint: np.ndarray = found[:, PLACE[name]]
        return joint

    def put(name: str, start: np.ndarray, angle: np.ndarray, length: float, aside: np.ndarray | float = 0.0) -> None:
        found[:, PLACE[name]] = start + length * height * _downward(angle, aside)

    up = np.full_like(hip, np.pi)
    put("spine", at("pelvis"), up, LOWER_TRUNK * TRUNK)
    put("neck", at("spine"), up - spine, (1 - LOWER_TRUNK) * TRUNK)
    nod = up - spine - head
    put("skull", at("neck"), nod, NECK + HEAD / 2)
    put("crown", at("neck"), nod, NECK + HEAD)
    for side, sign in (("l", 1.0), ("r", -1.0)):
        out = np.array([0.0, 0.0, sign * height])
        found[:, PLACE[f"{side}_hip"]] = at("pelvis") + HIP_HALF * out
        led = sign * legs_apart
        put(f"{side}_knee", at(f"{side}_hip"), hip, THIGH, led)
        put(f"{side}_ankle", at(f"{side}_knee"), hip - knee, SHANK, led)
        put(f"{side}_toe", at(f"{side}_ankle"), hip - knee + np.pi / 2 - ankle, FOOT, led)
        low = 0.12 * TRUNK * height * _downward(up - spine, 0.0)  # shoulders are a little below the neck
        found[:, PLACE[f"{side}_shoulder"]] = at("neck") - low + SHOULDER_HALF * out
        arm, spread = shoulder - spine, sign * arms_apart
        put(f"{side}_elbow", at(f"{side}_shoulder"), arm, UPPER_ARM, spread)
        put(f"{side}_wrist", at(f"{side}_elbow"), arm + elbow, FOREARM, spread)
        put(f"{side}_fingers", at(f"{side}_wrist"), arm + elbow, HAND, spread)
    points, masses = mass_points(found)
    centre: np.ndarray = np.einsum("tpk,p->tk", points, masses) / masses.sum()
    placed: np.ndarray = found - centre[:, None]
    return placed


def _downward(angle: np.ndarray, aside: np.ndarray | float) -> np.ndarray:
    """Unit vectors (T, 3): down at `angle` 0, forward at a quarter turn; `aside` to the left out of that plane."""
    flat = np.cos(aside)
    return np.stack([np.sin(angle) * flat, -np.cos(angle) * flat, np.sin(aside) * np.ones_like(angle)], axis=-1)


def mass_points(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (T, 2S, 3) and their masses (2S,), shares of the body's, that move as its S segments do."""
    starts = joints[:, [PLACE[start] for start, _, _ in SEGMENTS]]
    ends = joints[:, [PLACE[end] for _, end, _ in SEGMENTS]]
    middles, reach = (starts + ends) / 2, (ends - starts) * ROD
    masses = np.array([mass / 2 for _, _, mass in SEGMENTS])
    return np.concatenate([middles - reach, middles + reach], axis=1), np.concatenate([masses, masses])


def inertia(joints: np.ndarray) -> np.ndarray:
    """Moment of inertia about the lateral axis through the origin, (T,), of a body of mass 1."""
    points, masses = mass_points(joints)
    found: np.ndarray = np.einsum("tpk,p->t", points[..., :2] ** 2, masses)
    return found


def momentum_of_pose(joints: np.ndarray, seconds: float) -> np.ndarray:
    """Angular momentum, forward positive, that limbs carry that move while the body does not turn: (T,).

    `seconds`: from one pose to the next.
    """
    points, masses = mass_points(joints)
    speed = np.gradient(points, seconds, axis=0)
    turning = points[..., 1] * speed[..., 0] - points[..., 0] * speed[..., 1]
    found: np.ndarray = np.einsum("tp,p->t", turning, masses)
    return found


def turned(joints: np.ndarray, angles: np.ndarray, facing: int) -> np.ndarray:
    """`joints` (T, J, 3) turned forward by `angles` (T,) radians, in the venue's axes: right, up, to the camera.

    `facing`: 1 to the right, -1 to the left.
    """
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    forward, up, aside = np.moveaxis(joints, -1, 0)
    return np.stack([facing * (forward * cosine + up * sine), up * cosine - forward * sine, -facing * aside], axis=-1)
