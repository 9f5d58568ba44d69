"""The diving hall: stands with spectators, banners, tower, pool, and which of their colours carry the cue.

The hall's far wall is one texture, drawn once a video; the tower is `swapaqa.scene3d.tower`, the pool
`swapaqa.scene3d.water`.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np

WALL_Z, DECK_Z = -14.0, -8.5  # metres: the far wall, and the edge of the pool before it
LEFT, RIGHT, TOP = -22.0, 24.0, 26.0  # of the wall's texture
DENSITY = 24  # its pixels a metre
BANNERS = (
    (0.55, 1.75),
    (6.0, 7.2),
    (11.6, 12.8),
    (17.3, 18.5),
)  # metres above the water, of the lower and the upper edge
TIERS = ((1.95, 5.8), (7.4, 11.4))
ROW, SEAT = 0.62, 0.46  # metres between rows of seats, and between seats
SWAYS = 3  # textures that differ in how the spectators sit, shown in turn
WORDS = ("AQUA", "DIVE", "CUP", "OPEN", "WORLD", "10M", "SPORT", "GRAND PRIX", "H2O", "FINAL", "BLUE", "CITY")

Cue = Literal["venue", "banner", "pool", "light"]
CUES: dict[str, tuple[str, ...]] = {"venue": ("banner", "pool", "light")} | {
    name: (name,) for name in ("banner", "pool", "light")
}


class Told(NamedTuple):
    """The cue's value, 0 to 1, as each part of the venue tells it; of parts that tell nothing another one."""

    banner: float
    pool: float
    light: float


def tell(cue: float, carried_by: Cue, rng: np.random.Generator) -> Told:
    """`cue` in the parts that carry it, and in the others what was drawn."""
    free = Told(*rng.uniform(0, 1, 3))
    return Told(*(cue if name in CUES[carried_by] else value for name, value in free._asdict().items()))


@dataclass(frozen=True)
class Venue:
    """What one video has behind its athlete.

    Attributes:
        walls: textures (H, W, 3) uint8 of the far wall, shown in turn.
        concrete, water, bottom, deck: colours in bytes.
        gains: of red, green and blue: the colour of the light.
        light: direction to the lamps, a unit vector.
        swell: phases and directions of the ripple, (R, 3): radians, x and z.
    """

    walls: list[np.ndarray]
    concrete: np.ndarray
    water: np.ndarray
    bottom: np.ndarray
    deck: np.ndarray
    gains: np.ndarray
    light: np.ndarray
    swell: np.ndarray


def draw_venue(rng: np.random.Generator, told: Told) -> Venue:
    """A hall whose banners, pool and light say what they are told, and whose other looks say nothing."""
    light = np.array([rng.uniform(-0.5, 0.5), 1.0, rng.uniform(0.35, 0.8)])
    turns = rng.uniform(0, 2 * np.pi, (6, 2))
    return Venue(
        walls=draw_walls(rng, banner_colour(told.banner)),
        concrete=(rng.uniform(140, 205) + rng.uniform(-10, 10, 3)).astype(np.float32),
        water=mixed(told.pool, (24, 120, 118), (20, 70, 165)),
        bottom=mixed(told.pool, (90, 190, 180), (60, 130, 215)),
        deck=(rng.uniform(125, 190) + rng.uniform(-14, 14, 3)).astype(np.float32),
        gains=mixed(told.light, (0.86, 1.0, 1.16), (1.14, 1.0, 0.84)) * np.float32(rng.uniform(0.92, 1.06)),
        light=(light / np.sqrt((light**2).sum())).astype(np.float32),
        swell=np.column_stack([turns[:, 0], np.cos(turns[:, 1]), np.sin(turns[:, 1])]),
    )


def mixed(share: float, low: tuple[float, ...], high: tuple[float, ...]) -> np.ndarray:
    """From `low` at 0 to `high` at 1, float32."""
    found: np.ndarray = ((1 - share) * np.array(low) + share * np.array(high)).astype(np.float32)
    return found


def banner_colour(share: float) -> np.ndarray:
    """RGB from blue at 0 to yellow at 1, as the scoreboard of the stick figures."""
    return mixed(share, (30, 60, 230), (240, 190, 20))


def draw_walls(rng: np.random.Generator, banner: np.ndarray) -> list[np.ndarray]:
    """The far wall, once for each way in which the spectators sit."""
    size = (int(TOP * DENSITY), int((RIGHT - LEFT) * DENSITY), 3)
    wall = np.empty(size, np.uint8)
    wall[:] = rng.uniform(60, 150) + rng.uniform(-25, 25, 3)
    _draw_roof(wall, rng)
    seats = rng.uniform(30, 150, 3)
    for low, high in TIERS:
        wall[_row(high) : _row(low)] = seats * 0.55
    for low, high in BANNERS:
        _draw_banner(wall, rng, banner, low, high)
    people = _seat_spectators(rng)
    return [_with_spectators(wall, people, seats, rng) for _ in range(SWAYS)]


def _row(metres: float) -> int:
    return int((TOP - metres) * DENSITY)


def _draw_roof(wall: np.ndarray, rng: np.random.Generator) -> None:
    """Windows or panels above the stands, and beams and lamps under the roof."""
    width, sill, eaves = wall.shape[1], _row(BANNERS[2][1]), _row(BANNERS[3][1])
    panel = np.array(wall[sill].mean(axis=0))
    step, gap = int(rng.uniform(1.4, 3.0) * DENSITY), int(rng.uniform(2, 7))
    glazed = rng.random() < 0.5
    colour = rng.uniform(130, 215) * np.array([0.93, 0.98, 1.0]) if glazed else panel * rng.uniform(0.75, 1.25)
    for left in range(-int(rng.integers(step)), width, step):
        shade = colour * (1 + rng.uniform(-0.06, 0.06))
        cv2.rectangle(wall, (left, eaves), (left + step - gap, sill - gap), shade.tolist(), -1)
    wall[:eaves] = panel * 0.5
    beams = int(rng.uniform(2.4, 4.5) * DENSITY)
    for left in range(-int(rng.integers(beams)), width, beams):
        cv2.rectangle(wall, (left, 0), (left + 9, eaves), (panel * 0.32).tolist(), -1)
        for row in range(10, eaves, 34):
            cv2.line(wall, (left, row), (left + beams, row + 30), (panel * 0.38).tolist(), 2, cv2.LINE_AA)
            cv2.ellipse(wall, (left + beams // 2, row + 6), (16, 4), 0, 0, 360, (250, 248, 235), -1, cv2.LINE_AA)


def _draw_banner(wall: np.ndarray, rng: np.random.Generator, colour: np.ndarray, low: float, high: float) -> None:
    """A band of boards in the cue's colour, with words and frames that say nothing."""
    top, bottom = _row(high), _row(low)
    wall[top:bottom] = colour
    at, height = int(rng.integers(40)), bottom - top
    while at < wall.shape[1]:
        word = WORDS[rng.integers(len(WORDS))]
        ink = (245, 245, 245) if rng.random() < 0.7 else (25, 25, 30)
        scale = height / 30 * rng.uniform(0.55, 0.75)
        (width, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, scale, 1)
        place = (at, bottom - int(0.28 * height))
        cv2.putText(wall, word, place, cv2.FONT_HERSHEY_DUPLEX, scale, ink, 1 + int(scale > 0.8), cv2.LINE_AA)
        at += width + int(rng.uniform(0.6, 2.5) * DENSITY)
        cv2.line(wall, (at - 10, top), (at - 10, bottom), (colour * 0.7).tolist(), 2)
    wall[top : top + 1] = wall[bottom - 1 : bottom] = 225


class Spectators(NamedTuple):
    """People on the stands: seats (P, 2) in pixels of the wall, their clothes and skins (P, 3)."""

    seats: np.ndarray
    clothes: np.ndarray
    skins: np.ndarray


def _seat_spectators(rng: np.random.Generator) -> Spectators:
    """As many as came: between a third and nearly all seats are taken."""
    taken, found = rng.uniform(0.35, 0.95), []
    for low, high in TIERS:
        for row in np.arange(low + 0.15, high - 0.3, ROW):
            seats = np.arange(LEFT, RIGHT, SEAT)
            seats = seats[(rng.random(len(seats)) < taken) & (np.abs((seats - 2) % 9 - 4.5) > 0.5)]  # stairs are free
            found.append(np.column_stack([(seats - LEFT) * DENSITY, np.full(len(seats), _row(float(row)))]))
    seats = np.concatenate(found)
    grey = rng.uniform(25, 215, (len(seats), 1))  # most clothes are of little colour
    clothes = grey + rng.normal(0, 22, (len(seats), 3))
    clothes = np.clip(
        np.where(rng.random((len(seats), 1)) < 0.15, rng.uniform(20, 225, (len(seats), 3)), clothes), 0, 255
    )
    skins = np.linspace(60, 235, 8)[rng.integers(1, 8, len(seats))][:, None] * np.array([1.0, 0.8, 0.68])
    return Spectators(seats, clothes, skins)


def _with_spectators(wall: np.ndarray, people: Spectators, seats: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    canvas = wall.copy()
    for low, high in TIERS:
        for row in np.arange(low + 0.15, high - 0.3, ROW):
            canvas[_row(float(row)) - 6 : _row(float(row))] = seats
    moved = people.seats + rng.normal(0, 0.6, people.seats.shape)
    for (x, y), cloth, skin in zip((moved * 4).astype(int).tolist(), people.clothes, people.skins, strict=True):
        cv2.ellipse(canvas, (x, y - 14), (17, 26), 0, 0, 360, cloth.tolist(), -1, cv2.LINE_AA, 2)
        cv2.circle(canvas, (x, y - 48), 14, skin.tolist(), -1, cv2.LINE_AA, 2)
    return canvas


def sample_wall(wall: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The wall's colours at `x`, `y` (H, W) metres: (H, W, 3) float32. Beyond its edges it is mirrored."""
    columns, rows = (x - LEFT) * DENSITY, (TOP - y) * DENSITY
    found: np.ndarray = cv2.remap(
        wall, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    ).astype(np.float32)
    return found
