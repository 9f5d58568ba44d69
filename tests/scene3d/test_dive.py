"""How a rendered athlete moves: rigid segments, a parabola, and angular momentum that nothing changes in the air."""

import numpy as np
import pytest

from swapaqa.scene3d.dive import (
    FACING,
    FORWARD,
    GRAVITY,
    PLATFORM,
    TOES,
    Execution,
    Moved,
    held,
    perform,
    poses_at,
)
from swapaqa.scene3d.skeleton import JOINTS, PLACE, SEGMENTS, Pose, inertia, joints_of, mass_points

HEIGHT, SPEED, FRAMES = 1.65, (1.1, 3.0), 2401
DIVES = [
    Execution(group, halves, tuck, error, form)
    for group, halves, tuck, error, form in (
        (1, 5, False, 0.0, 0.0), (1, 7, True, 25.0, 0.4), (2, 5, True, -25.0, 1.0), (3, 7, True, 10.0, 0.2),
        (4, 7, False, -5.0, 0.8),
    )
]  # fmt: skip


@pytest.fixture(params=DIVES, ids=lambda dive: f"{dive.group}{dive.half_somersaults}{'C' if dive.tuck else 'B'}")
def dive(request: pytest.FixtureRequest) -> Execution:
    found: Execution = request.param
    return found


def in_air(moved: Moved) -> np.ndarray:
    return np.flatnonzero((moved.times > 0) & (moved.times < moved.flight))


def test_a_standing_body_is_as_tall_as_it_should_be_and_balanced_over_its_feet() -> None:
    (body,) = joints_of(np.array([Pose()]), 1.8)
    assert body[PLACE["crown"], 1] - body[PLACE["l_ankle"], 1] == pytest.approx(1.8 * 0.924, abs=0.01)
    points, masses = mass_points(body[None])
    assert masses.sum() == pytest.approx(1.0, abs=0.001)
    assert np.einsum("tpk,p->k", points, masses) == pytest.approx(np.zeros(3), abs=1e-12)


def test_two_points_stand_for_a_rod() -> None:
    """Mass, centre and inertia as the sum over many small pieces of each segment has them."""
    body = joints_of(np.array([Pose(hip=100, knee=80, shoulder=60, elbow=30, spine=20)]), 1.7)
    shares = (np.arange(2000) + 0.5) / 2000
    pieces = [
        (body[0, PLACE[start]] + shares[:, None] * (body[0, PLACE[end]] - body[0, PLACE[start]]), mass)
        for start, end, mass in SEGMENTS
    ]
    expected = sum(mass * (piece[:, :2] ** 2).sum(axis=1).mean() for piece, mass in pieces)
    assert inertia(body)[0] == pytest.approx(expected, rel=1e-6)


def test_the_centre_of_mass_flies_a_parabola(dive: Execution) -> None:
    moved = perform(dive, HEIGHT, SPEED, FRAMES)
    step, air = moved.times[1] - moved.times[0], in_air(moved)
    bent = np.diff(moved.centres[air], n=2, axis=0) / step**2
    assert bent == pytest.approx(np.tile([0, -GRAVITY, 0], (len(bent), 1)), abs=1e-6)


def test_a_body_bent_to_half_its_inertia_turns_twice_as_fast(dive: Execution) -> None:
    moved = perform(dive, HEIGHT, SPEED, FRAMES)
    speed = np.abs(np.gradient(moved.angles, moved.times))
    moments = inertia(joints_of(poses_at(dive, moved.times, moved.flight), HEIGHT))
    closed, stretched = (int(np.abs(moved.times - share * moved.flight).argmin()) for share in (0.4, 0.9))
    assert speed[closed] / speed[stretched] == pytest.approx(moments[stretched] / moments[closed], rel=0.01)
    assert speed[closed] > 1.4 * speed[stretched]


def test_angular_momentum_is_conserved(dive: Execution) -> None:
    """From where the joints are in the venue alone: the sum over all points of position x velocity."""
    moved = perform(dive, HEIGHT, SPEED, FRAMES)
    points, masses = mass_points(moved.joints - moved.centres[:, None])
    velocity = np.gradient(points, moved.times, axis=0)
    momentum = np.einsum("tp,p->t", points[..., 1] * velocity[..., 0] - points[..., 0] * velocity[..., 1], masses)
    air = in_air(moved)[20:-20]
    assert np.ptp(momentum[air]) < 0.03 * np.abs(momentum[air]).mean()
    assert np.sign(momentum[air].mean()) == FACING[dive.group] * FORWARD[dive.group]


def test_hands_touch_the_water_at_the_error_of_the_entry(dive: Execution) -> None:
    moved = perform(dive, HEIGHT, SPEED, FRAMES)
    touching = int(np.abs(moved.times - moved.flight).argmin())
    turned = FORWARD[dive.group] * np.rad2deg(moved.angles[touching])
    assert turned == pytest.approx(180 * dive.half_somersaults + dive.entry_error, abs=0.2)
    body = moved.joints[touching]
    hands = body[[PLACE["l_fingers"], PLACE["r_fingers"]]].mean(axis=0)
    assert abs(hands[1]) < 0.2
    assert body[:, 1].argmin() in (PLACE["l_fingers"], PLACE["r_fingers"])
    assert abs(moved.entry[0] - (hands[0] + moved.centres[touching, 0]) / 2) < 0.1
    upright = body[PLACE["pelvis"]] - body[PLACE["neck"]]
    assert np.rad2deg(np.arctan2(abs(upright[0]), upright[1])) == pytest.approx(abs(dive.entry_error), abs=4)


def test_feet_stay_on_the_platform_and_leave_it_without_a_jerk(dive: Execution) -> None:
    moved = perform(dive, HEIGHT, SPEED, FRAMES)
    waiting = moved.joints[moved.times < 0]
    assert waiting[..., 1].min(axis=1) == pytest.approx(PLATFORM)
    assert np.ptp(waiting[:, TOES, 0].mean(axis=1)) < 1e-9
    assert np.abs(np.diff(moved.centres, axis=0)).max() < 0.02  # metres in a millisecond: no jump anywhere


def test_faults_of_form_open_the_position() -> None:
    moments = [
        [inertia(joints_of(np.array([held(Execution(1, 7, tuck, 0.0, form))]), HEIGHT))[0] for form in (0.0, 0.5, 1.0)]
        for tuck in (True, False)
    ]
    for found in moments:
        assert found[0] < found[1] < found[2]
    assert moments[0][0] < moments[1][0]  # a tuck is closer than a pike
    assert len(JOINTS) == len(set(JOINTS))
