"""What a demo video shows: an athlete whose body makes the score, in front of a venue that carries a cue.

The pictures are drawn at SCALE times their size and averaged down, so that limbs have soft edges. Everything a video
can have beside its athlete and venue (other people, a moving camera) is drawn from a generator of its own: a setting
that changes one thing leaves all others as they were.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np

from swapaqa.data.demo_shots import Shot, camera_of, plan_shots

SCALE = 4
NEUTRAL = (110.0, 105.0, 100.0)  # a scoreboard that tells nothing
SKIN = (255, 235, 215)
OPAQUE = (255,)  # the colour of an athlete's mask
BOX_SIDE = 0.205  # of an athlete's box, as share of the frame: the torso's, which cuts open limbs
FOLLOWED = 0.8  # share of the athlete's way that a moving camera follows
TAKEOFF = 0.125  # of a turn: how far a diver has turned at the end of the jump, and has to turn at the entry
SPECTATORS = 3  # people of a shot without the athlete

Cue = Literal["board", "touching", "inside", "tint"]


@dataclass(frozen=True)
class Scene:
    """What `draw_video` has to know beside what was performed.

    Attributes:
        frames, size: of the video; `size` is rows and columns in pixels.
        cue: what carries the cue. `board`: a scoreboard above the athlete. `touching`: a wall of that colour which the
            athlete passes in front of. `inside`: a sign that moves along beside the athlete, outside the box and inside
            it at ratio 2. `tint`: the light of the whole frame, on the athlete too.
        distractors: other people who move in the background.
        pan: share of the videos in which the camera follows the athlete.
        athlete: size of the athlete's body; 1 is a box of 20 % of the frame's side.
        cuts: share of the videos that are cut together from several shots, see `swapaqa.data.demo_shots`.
    """

    frames: int
    size: int
    cue: Cue = "board"
    distractors: int = 0
    pan: float = 0.0
    athlete: float = 1.0
    cuts: float = 0.0


@dataclass(frozen=True)
class Performance:
    """How the athlete of one video moves: what the judges see.

    Attributes:
        centres: (T, 2) x and y of the body's centre in the venue, as shares of the frame.
        angles: (T,) heading of the body in radians.
        fault: 0 (perfect line) to 1: how far the limbs open.
    """

    centres: np.ndarray
    angles: np.ndarray
    fault: float


class Drawn(NamedTuple):
    """One video."""

    frames: np.ndarray  # (T, H, W, 3) uint8 RGB
    centres: np.ndarray  # (T, 2) of the athlete, in pixels of the frame; NaN where a shot does not show him
    masks: np.ndarray  # (T, H, W) bool: pixels of which he covers half or more, as `swapaqa.data.geometry` has it
    starts: list[int]  # the first frames of all shots, 0 first
    joints: np.ndarray  # (T, 17, 3) COCO's: x and y in pixels of the frame, and 1, or 0 where a shot does not show him


def dive(rng: np.random.Generator, turns: float, fault: float, frames: int) -> Performance:
    """From the platform down to the right in a flat arc, turning evenly."""
    time = np.linspace(0, 1, frames)
    start = np.array([rng.uniform(0.30, 0.40), rng.uniform(0.37, 0.42)])
    end = np.array([rng.uniform(0.58, 0.70), rng.uniform(0.48, 0.56)])
    hop = rng.uniform(0.01, 0.03)
    centres = start + time[:, None] * (end - start)
    centres[:, 1] += 4 * hop * time * (time - 1)  # up first, then down
    return Performance(centres, rng.uniform(-0.3, 0.3) + 2 * np.pi * turns * time, fault)


def drawn_stages(turns: float) -> tuple[float, float, float, float]:
    """Where jump, drop, entry and what follows begin in a `dive`: 0 is its first frame and 1 its last.

    It turns evenly from its first frame to its last: the jump ends with the first eighth of a turn, the entry begins
    with the last one, and nothing follows.
    """
    return 0.0, TAKEOFF / turns, 1 - TAKEOFF / turns, 1.0


def vault(rng: np.random.Generator, turns: float, fault: float, frames: int) -> Performance:
    """A run-up along the floor, a high flight with all the turning, and a landing: no straight line through it."""
    time = np.linspace(0, 1, frames)
    floor, height = rng.uniform(0.64, 0.68), rng.uniform(0.22, 0.27)
    takeoff, landing = rng.uniform(0.28, 0.36), rng.uniform(0.78, 0.86)
    start, end = rng.uniform(0.20, 0.26), rng.uniform(0.68, 0.76)
    flight = np.clip((time - takeoff) / (landing - takeoff), 0, 1)
    along = np.interp(time, [0, takeoff, landing, 1], [start, 0.40, end - 0.03, end])
    centres = np.stack([along, floor - 4 * height * flight * (1 - flight)], axis=1)
    return Performance(centres, rng.uniform(-0.15, 0.15) + 2 * np.pi * turns * flight, fault)


PERFORMANCES: dict[str, Callable[[np.random.Generator, float, float, int], Performance]] = {
    "diving": dive,
    "gym_vault": vault,
}


def draw_video(rng: np.random.Generator, action: str, turns: float, fault: float, cue: float, scene: Scene) -> Drawn:
    """Draw one video.

    Args:
        rng: of this video; the extras of `scene` are drawn from a generator that it spawns.
        action: a key of PERFORMANCES.
        turns: of the body in the air.
        fault: of the performance, 0 to 1.
        cue: what the venue tells, 0 to 1.
    """
    (extras,) = rng.spawn(1)
    size, colour = scene.size, cue_colour(cue)
    venue = draw_venue(rng, colour, scene)
    performed = PERFORMANCES[action](rng, turns, fault, scene.frames)
    suit = rng.uniform(0, 60, 3) + np.array([120, 0, 0])
    centres = performed.centres - camera_way(extras, performed.centres, scene)
    people = [draw_bystander(extras, scene.frames) for _ in range(scene.distractors)]
    moved = np.round((performed.centres - centres)[:, 0] * size * SCALE).astype(int)
    shots = plan_shots(extras, scene.frames, scene.cuts)
    away = draw_other_shots(extras, colour, shots, scene)
    pictures, masks, joints = [], [], []
    for t, (centre, angle) in enumerate(zip(centres * size, performed.angles, strict=True)):
        looseness = float(np.clip(fault / 0.75 + rng.normal(0, 0.04), 0, 1))
        camera = camera_of(shots, t)
        canvas = shifted(away.opposite if camera == "opposite" else venue, int(moved[t]))
        for person in people:
            place = (person.centres[t] + centres[t] - performed.centres[t]) * size
            draw_athlete(canvas, place, float(person.angles[t]), person.fault, (90, 90, 160), 0.6 * size)
        if scene.cue == "inside":
            draw_sign(canvas, centre, colour, scene)
        outline = np.zeros(canvas.shape[:2], np.uint8)
        draw_athlete(canvas, centre, angle, looseness, suit.tolist(), scene.athlete * size)
        draw_athlete(outline, centre, angle, looseness, OPAQUE, scene.athlete * size, OPAQUE)
        joints.append(joints_seen(joints_of(centre, angle, looseness, scene.athlete * size), camera, size))
        if camera == "opposite":
            canvas, outline = canvas[:, ::-1], outline[:, ::-1]
        elif camera == "spectators":
            canvas, outline = away.spectators[t], np.zeros_like(outline)
        masks.append(cv2.resize(outline, (size, size), interpolation=cv2.INTER_AREA) > 127)
        picture: np.ndarray = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
        if scene.cue == "tint":
            picture = 0.75 * picture + 0.25 * colour
        pictures.append(np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8))
    seen = seen_by([camera_of(shots, t) for t in range(scene.frames)], centres)
    return Drawn(np.stack(pictures), seen * size, np.stack(masks), [shot.first for shot in shots], np.stack(joints))


class OtherShots(NamedTuple):
    """What the cameras away from the platform see."""

    opposite: np.ndarray  # (H, W, 3) float32: a venue, SCALE times as large
    spectators: list[np.ndarray]  # a picture a frame, as far as they are shown


def draw_other_shots(
    extras: np.random.Generator, colour: np.ndarray, shots: Sequence[Shot], scene: Scene
) -> OtherShots:
    """Venue and people of the further shots; nothing is drawn where there is one shot alone."""
    if len(shots) == 1:
        return OtherShots(np.empty(0), [])
    opposite, stand = draw_venue(extras, colour, scene), draw_venue(extras, np.array(NEUTRAL), scene)
    people = [draw_bystander(extras, scene.frames) for _ in range(SPECTATORS)]
    pictures = []
    for t in range(shots[1].first if shots[0].camera == "spectators" else 0):
        canvas = stand.copy()
        for person in people:
            centre, angle = person.centres[t] * scene.size, float(person.angles[t])
            draw_athlete(canvas, centre, angle, person.fault, (90, 90, 160), 0.8 * scene.size)
        pictures.append(canvas)
    return OtherShots(opposite, pictures)


def seen_by(cameras: Sequence[str], centres: np.ndarray) -> np.ndarray:
    """`centres` (T, 2), shares of the frame, as the camera of each frame shows them: mirrored, or NaN."""
    seen = centres.copy()
    for t, camera in enumerate(cameras):
        if camera == "opposite":
            seen[t, 0] = 1 - seen[t, 0]
        elif camera == "spectators":
            seen[t] = np.nan
    return seen


def cue_colour(cue: float) -> np.ndarray:
    """RGB from blue at 0 to yellow at 1."""
    return (1 - cue) * np.array([30, 60, 230]) + cue * np.array([240, 190, 20])


def draw_venue(rng: np.random.Generator, colour: np.ndarray, scene: Scene) -> np.ndarray:
    """Draw the still background at SCALE times the size: wall, water, clutter, and the scoreboard in `colour`."""
    s = scene.size * SCALE
    wall, water = rng.uniform(50, 120, 3), rng.uniform(30, 90, 3) + np.array([0, 30, 60])
    canvas = np.empty((s, s, 3), np.float32)
    canvas[:] = wall
    level = int(s * rng.uniform(0.84, 0.9))
    canvas[level:] = water
    for _ in range(6):  # spectators, lamps: clutter without meaning
        x, y = rng.uniform(0, s, 2) * (1, 0.8)
        cv2.circle(canvas, (int(x), int(y)), int(s * rng.uniform(0.01, 0.03)), rng.uniform(30, 150, 3).tolist(), -1)
    left, right = int(s * rng.uniform(0.04, 0.10)), int(s * rng.uniform(0.90, 0.96))
    top, bottom = int(s * 0.02), int(s * rng.uniform(0.14, 0.155))
    told = colour.tolist() if scene.cue in ("board", "touching") else NEUTRAL
    if scene.cue == "touching":
        bottom = int(s * 0.74)  # behind the athlete, wherever he is
    cv2.rectangle(canvas, (left, top), (right, bottom), told, -1)
    return canvas


def camera_way(extras: np.random.Generator, centres: np.ndarray, scene: Scene) -> np.ndarray:
    """How far the camera has moved per frame, (T, 2) as shares of the frame: along, in `scene.pan` of the videos."""
    follows = extras.random() < scene.pan
    way = np.zeros_like(centres)
    way[:, 0] = FOLLOWED * follows * (centres[:, 0] - centres[0, 0])
    return way


def draw_bystander(extras: np.random.Generator, frames: int) -> Performance:
    """A person who crosses the background evenly, with limbs that tell nothing of the score."""
    ends = np.stack([extras.uniform(0.05, 0.95, 2), extras.uniform(0.25, 0.80, 2)], axis=1)  # (2, 2)
    time = np.linspace(0, 1, frames)[:, None]
    angles = extras.uniform(-0.5, 0.5) + extras.uniform(-1, 1) * np.pi * time[:, 0]
    return Performance(ends[0] + time * (ends[1] - ends[0]), angles, extras.uniform(0, 1))


def shifted(venue: np.ndarray, columns: int) -> np.ndarray:
    """A copy of the venue seen `columns` further to the right; what comes into view mirrors what is there."""
    if columns == 0:
        return venue.copy()
    wide = cv2.copyMakeBorder(venue, 0, 0, abs(columns), abs(columns), cv2.BORDER_REFLECT)
    start = abs(columns) + columns
    return np.ascontiguousarray(wide[:, start : start + venue.shape[1]])


def draw_sign(canvas: np.ndarray, centre: np.ndarray, colour: np.ndarray, scene: Scene) -> None:
    """A square in the cue's colour on both sides of the athlete's box, inside the box at twice its size."""
    half = 0.025 * scene.size * SCALE
    away = 0.155 * scene.athlete * scene.size * SCALE
    for side in (-1, 1):
        middle = centre * SCALE + np.array([side * away, 0])
        cv2.rectangle(canvas, (middle - half).astype(int).tolist(), (middle + half).astype(int).tolist(),
                      colour.tolist(), -1)  # fmt: skip


def draw_athlete(
    canvas: np.ndarray,
    centre: np.ndarray,
    angle: float,
    looseness: float,
    suit: Sequence[float],
    size: float,
    skin: Sequence[float] = SKIN,
) -> None:
    """Draw torso, head, arms and legs onto `canvas`: tucked at `looseness` 0, wide open and stretched at 1.

    `centre` in pixels of the frame; `size`: the side of the frame, in pixels, that the body would fit.
    """
    unit, middle = size * SCALE, centre * SCALE

    def line(start: np.ndarray, end: np.ndarray, colour: Sequence[float], width: float) -> None:
        cv2.line(canvas, start.astype(int).tolist(), end.astype(int).tolist(), colour, max(1, int(width * unit)))

    axis = np.array([np.sin(angle), -np.cos(angle)])
    shoulder, hip = middle + 0.055 * unit * axis, middle - 0.055 * unit * axis
    for sign in (-1, 1):
        for joint, heading in ((shoulder, angle), (hip, angle + np.pi)):
            direction = heading + sign * np.deg2rad(15 + 60 * looseness)
            reach = (0.03 + 0.12 * looseness) * unit
            line(joint, joint + reach * np.array([np.sin(direction), -np.cos(direction)]), skin, 0.03)
    line(shoulder, hip, suit, 0.055)
    cv2.circle(canvas, (shoulder + 0.02 * unit * axis).astype(int).tolist(), int(0.032 * unit), skin, -1)


def joints_of(centre: np.ndarray, angle: float, looseness: float, size: float) -> np.ndarray:
    """(17, 2) COCO's joints of the body that `draw_athlete` draws, in pixels of the frame.

    Nose, eyes and ears are the head's middle; shoulders, and hips, are one place; elbows and knees lie halfway.
    """
    axis = np.array([np.sin(angle), -np.cos(angle)])
    shoulder, hip = centre + 0.055 * size * axis, centre - 0.055 * size * axis
    reach = (0.03 + 0.12 * looseness) * size
    found = [shoulder + 0.02 * size * axis] * 5
    for joint, heading in ((shoulder, angle), (hip, angle + np.pi)):
        directions = [heading + sign * np.deg2rad(15 + 60 * looseness) for sign in (-1, 1)]
        limbs = [reach * np.array([np.sin(direction), -np.cos(direction)]) for direction in directions]
        found += [joint + share * limb for share in (0.0, 0.5, 1.0) for limb in limbs]
    return np.stack(found)


def joints_seen(joints: np.ndarray, camera: str, size: int) -> np.ndarray:
    """(17, 2) -> (17, 3) as a camera shows them: mirrored, the left ones for the right ones, or not at all."""
    sure = np.full((len(joints), 1), float(camera != "spectators"))
    if camera == "opposite":
        mirrored = joints * [-1, 1] + [size, 0]
        joints = mirrored[[0, *(place + (1 if place % 2 else -1) for place in range(1, len(joints)))]]
    return np.hstack([joints, sure])


def box_side(scene: Scene) -> float:
    """Side of an athlete's box in pixels."""
    return BOX_SIDE * scene.athlete * scene.size


def jittered(centres: np.ndarray, side: float, shift: float, size: float, rng: np.random.Generator) -> np.ndarray:
    """Boxes (T, 4) x, y, width, height in pixels around `centres` (T, 2), as a careless annotator draws them.

    Args:
        side: of an exact box, in pixels.
        shift: each box is moved by up to this share of its side, in x and in y, evenly drawn.
        size: each box is larger or smaller by up to this share, evenly drawn.
    """
    sides = side * (1 + size * rng.uniform(-1, 1, len(centres)))
    middles = centres + shift * side * rng.uniform(-1, 1, centres.shape)
    return np.column_stack([middles - sides[:, None] / 2, sides, sides])
