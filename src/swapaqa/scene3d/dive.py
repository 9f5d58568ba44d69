"""How an athlete moves from the platform into the water: poses over time, a parabola, and conserved angular momentum.

The pose is told by keyframes; how fast the body turns follows from it: without a moment from outside, angular momentum
stays what it was at the take-off, so that a tucked body turns faster. It is chosen so that the dive's somersaults and
the error of its entry come out. Metres, seconds, radians; x is away from the platform, y up from the water, z towards
the camera.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from swapaqa.scene3d.skeleton import PLACE, Pose, inertia, joints_of, momentum_of_pose, turned

GRAVITY = 9.81
PLATFORM = 10.0  # height above the water
BEFORE, AFTER = 0.30, 0.50  # seconds that are shown before the feet leave the platform and after the hands touch water
STEPS = 900  # of the integration over a flight
ENTRY_SHARE = 0.80  # of the flight, from which on the body opens for the entry
FACING = {1: 1, 2: -1, 3: 1, 4: -1}  # forward and reverse look away from the platform
FORWARD = {1: 1, 2: -1, 3: -1, 4: 1}  # forward and inward turn forward
LEAN = 12.0  # degrees from the upright, away from the platform, when the feet leave it
TOES = [PLACE["l_toe"], PLACE["r_toe"]]
EDGE = 0.15  # metres from the toes to the edge of the platform
DRAG = 0.35  # seconds in which water takes most of the speed


@dataclass(frozen=True)
class Execution:
    """What is judged of one dive.

    Attributes:
        group: 1 forward, 2 back, 3 reverse, 4 inward.
        half_somersaults: odd, so that the hands enter first.
        tuck: else pike.
        entry_error: angle from the vertical at the entry in degrees; positive has turned too far.
        form: faults of form, 0 to 1: loose, bent knees, legs apart, toes not pointed, an arched entry.
    """

    group: int
    half_somersaults: int
    tuck: bool
    entry_error: float
    form: float


class Moved(NamedTuple):
    """A dive over time, one row a frame."""

    times: np.ndarray  # (T,) seconds from the take-off
    joints: np.ndarray  # (T, J, 3) in the venue
    centres: np.ndarray  # (T, 3) of mass
    angles: np.ndarray  # (T,) how far the body has turned, in its own forward direction
    flight: float  # seconds from the take-off to the entry
    entry: np.ndarray  # (3,) where the hands touch the water


READY = Pose(shoulder=170, ankle=5)
CROUCHED = Pose(hip=62, knee=75, ankle=-25, spine=18, shoulder=150)
STRETCHED = Pose(hip=-4, shoulder=178, ankle=70)


def held(dive: Execution) -> Pose:
    """Tuck or pike, as well as it is done."""
    g = dive.form
    if dive.tuck:
        return Pose(
            hip=128 - 48 * g, knee=142 - 52 * g, ankle=85 - 60 * g, spine=42 - 22 * g, shoulder=72 - 10 * g,
            elbow=58 - 25 * g, head=25, apart=2 + 20 * g, arms_apart=4,
        )  # fmt: skip
    return Pose(
        hip=138 - 50 * g, knee=4 + 50 * g, ankle=88 - 60 * g, spine=38 - 18 * g, shoulder=118 - 25 * g, elbow=4,
        head=20, apart=14 * g, arms_apart=4 + 16 * g,
    )  # fmt: skip


def entering(dive: Execution) -> Pose:
    """Stretched for the entry, as well as it is done."""
    g = dive.form
    return Pose(
        hip=-2 + 16 * g, knee=1 + 30 * g, ankle=88 - 55 * g, spine=-3 + 6 * g, shoulder=180 - 14 * g, elbow=2 + 14 * g,
        apart=15 * g, arms_apart=1 + 10 * g,
    )  # fmt: skip


def poses_at(dive: Execution, times: np.ndarray, flight: float) -> np.ndarray:
    """The poses at `times` (T,) from the take-off, smooth between keyframes: (T, 9)."""
    closed = 0.16 * flight if dive.tuck else 0.19 * flight
    opening = (0.66 if dive.half_somersaults >= 7 else 0.60) * flight
    keys = [
        (-1.0, READY), (-0.26, READY), (-0.13, CROUCHED), (0.0, STRETCHED), (closed, held(dive)),
        (opening, held(dive)), (ENTRY_SHARE * flight, entering(dive)), (flight + 10, entering(dive)),
    ]  # fmt: skip
    moments = np.array([moment for moment, _ in keys])
    after = np.clip(np.searchsorted(moments, times, side="right"), 1, len(keys) - 1)
    share = np.clip((times - moments[after - 1]) / (moments[after] - moments[after - 1]), 0, 1)
    eased = share * share * (3 - 2 * share)
    angles = np.array([pose for _, pose in keys])  # (K, angles)
    poses: np.ndarray = angles[after - 1] + eased[:, None] * (angles[after] - angles[after - 1])
    return poses


def turning(dive: Execution, height: float, flight: float) -> tuple[np.ndarray, np.ndarray]:
    """Times (S,) of a flight in small steps, and how far the body has turned forward at each, by conserved momentum."""
    times = np.linspace(0, flight, STEPS)
    joints = joints_of(poses_at(dive, times, flight), height)
    moment, of_limbs = inertia(joints), momentum_of_pose(joints, flight / (STEPS - 1))
    forward = FORWARD[dive.group]
    wanted = forward * (dive.half_somersaults * np.pi + np.deg2rad(dive.entry_error))
    leaned = _lean(dive)
    momentum = (wanted - leaned + _integral(times, of_limbs / moment)[-1]) / _integral(times, 1 / moment)[-1]
    return times, leaned + _integral(times, (momentum - of_limbs) / moment)


def _integral(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of `values` over `times`, by trapezia, from 0."""
    return np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(times))])


def perform(dive: Execution, height: float, speed: tuple[float, float], frames: int) -> Moved:
    """Move an athlete of `height` metres through a dive, seen in `frames` frames.

    `speed`: away from the platform and up at the take-off, in metres a second.
    """
    along, up = speed
    x, start = _leaving(dive, height)
    reach = _joints(entering(dive), height)[:, 1].max() * np.cos(np.deg2rad(dive.entry_error))
    flight = float((up + np.sqrt(up * up + 2 * GRAVITY * (start - reach))) / GRAVITY)
    times = np.linspace(-BEFORE, flight + AFTER, frames)
    fine, turned_by = turning(dive, height, flight)
    leaning = turned_by[0] * np.clip(1 + times / 0.2, 0, 1)
    angles = np.where(times < 0, leaning, np.interp(times, fine, turned_by))
    joints = turned(joints_of(poses_at(dive, times, flight), height), angles, FACING[dive.group])
    centres = np.zeros((frames, 3))
    in_air = np.clip(times, 0, flight)
    centres[:, 0] = x + along * in_air
    centres[:, 1] = start + up * in_air - GRAVITY * in_air**2 / 2
    waiting = times < 0
    centres[waiting, 0] = -EDGE - joints[waiting][:, TOES, 0].mean(axis=1)  # the feet stay where they are
    centres[waiting, 1] = PLATFORM - joints[waiting][..., 1].min(axis=1)
    hands = reach * np.tan(np.deg2rad(dive.entry_error)) * FACING[dive.group] * FORWARD[dive.group]
    entry = np.array([x + along * flight - hands / 2, 0.0, 0.0])  # in the middle of where hands and hips go in
    under = np.clip(times - flight, 0, None)
    sunk = DRAG * (1 - np.exp(-under / DRAG))
    centres[:, 1] -= (GRAVITY * flight - up) * sunk
    centres[:, 0] += along * sunk
    return Moved(times, joints + centres[:, None], centres, angles, flight, entry)


def _joints(pose: Pose, height: float) -> np.ndarray:
    """Of a body in one pose, (J, 3)."""
    found: np.ndarray = joints_of(np.array([pose]), height)[0]
    return found


def _leaving(dive: Execution, height: float) -> tuple[float, float]:
    """Where the centre of mass is when the feet leave the platform, in metres."""
    body = turned(_joints(STRETCHED, height)[None], np.array([_lean(dive)]), FACING[dive.group])[0]
    return float(-EDGE - body[TOES, 0].mean()), float(PLATFORM - body[:, 1].min())


def _lean(dive: Execution) -> float:
    """How far the body is turned forward when it leaves the platform: away from it."""
    return float(np.deg2rad(LEAN) * FACING[dive.group])
