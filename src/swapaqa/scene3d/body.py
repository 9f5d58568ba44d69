"""An athlete's looks: the round cones of a body, skin, suit and cap, and how they are lit."""

from dataclasses import dataclass

import numpy as np

from swapaqa.scene3d.round_cones import RoundCones, Seen
from swapaqa.scene3d.skeleton import PLACE

SKINS = ((241, 201, 171), (224, 172, 138), (198, 142, 104), (160, 106, 72), (110, 70, 48), (84, 54, 40))
SUITS = (
    (200, 24, 36), (20, 40, 120), (16, 16, 20), (20, 110, 60), (240, 200, 30), (120, 30, 130), (230, 110, 20),
    (30, 140, 190), (235, 235, 235), (150, 20, 60),
)  # fmt: skip
HAIRS = ((30, 22, 18), (70, 44, 26), (150, 110, 60), (20, 20, 24))
CAP = 0.35  # of a head: how far hair or cap comes down, by the normal's share towards the crown and the back

# from, to, radii there as shares of the height; both sides of a pair
PARTS = (
    ("pelvis", "spine", 0.062, 0.056), ("spine", "neck", 0.062, 0.030), ("neck", "skull", 0.030, 0.028),
    ("skull", "skull", 0.056, 0.056),
    *(
        (start.format(side), end.format(side), first, last)
        for side in "lr"
        for start, end, first, last in (
            ("{}_hip", "{}_knee", 0.050, 0.031), ("{}_knee", "{}_ankle", 0.032, 0.019),
            ("{}_ankle", "{}_toe", 0.020, 0.012), ("{}_shoulder", "{}_elbow", 0.031, 0.023),
            ("{}_elbow", "{}_wrist", 0.023, 0.015), ("{}_wrist", "{}_fingers", 0.018, 0.010),
            ("{}_hip", "spine", 0.050, 0.050), ("{}_shoulder", "spine", 0.036, 0.052),
        )
    ),
)  # fmt: skip
NAMES = tuple(f"{start}-{end}" for start, end, _, _ in PARTS)


@dataclass(frozen=True)
class Looks:
    """Height in metres, girth as share of the usual, colours in bytes, and whether the suit covers the trunk."""

    height: float
    girth: float
    skin: np.ndarray
    suit: np.ndarray
    stripe: np.ndarray
    cap: np.ndarray
    whole_suit: bool


def draw_looks(rng: np.random.Generator) -> Looks:
    """Somebody."""
    suit, stripe = rng.permutation(len(SUITS))[:2]
    capped = rng.random() < 0.3
    cap = SUITS[rng.integers(len(SUITS))] if capped else HAIRS[rng.integers(len(HAIRS))]
    return Looks(
        height=float(rng.uniform(1.45, 1.86)),
        girth=float(rng.uniform(0.88, 1.18)),
        skin=np.array(SKINS[rng.integers(len(SKINS))], np.float32) * rng.uniform(0.92, 1.05),
        suit=np.array(SUITS[suit], np.float32),
        stripe=np.array(SUITS[stripe], np.float32),
        cap=np.array(cap, np.float32),
        whole_suit=bool(rng.random() < 0.5),
    )


def cones_of(joints: np.ndarray, looks: Looks) -> RoundCones:
    """The body at joints (J, 3)."""
    starts = np.stack([joints[PLACE[start]] for start, _, _, _ in PARTS])
    ends = np.stack([joints[PLACE[end]] for _, end, _, _ in PARTS])
    radii = np.array([(first, last) for _, _, first, last in PARTS]) * looks.height
    wide = np.array([1.0 if name.startswith("skull") else looks.girth for name in NAMES])
    return RoundCones(starts, ends, radii[:, 0] * wide, radii[:, 1] * wide)


def colours_of(seen: Seen, joints: np.ndarray, looks: Looks) -> np.ndarray:
    """What colour the body has where it is seen, (N, 3) of the pixels of `seen.cone` that are not -1, by row."""
    shown = seen.cone >= 0
    cone, along, normal = seen.cone[shown], seen.along[shown], seen.normal[shown]
    colour = np.broadcast_to(looks.skin, (len(cone), 3)).copy()
    suited = _is(cone, "-spine") & ~_is(cone, "shoulder") & (~_is(cone, "pelvis") | (along < 0.75))
    suited |= _is(cone, "_hip-l_knee", "_hip-r_knee") & (along < (0.10 if looks.whole_suit else 0.28))
    if looks.whole_suit:
        suited |= _is(cone, "pelvis-spine", "spine-neck") & ~(_is(cone, "spine-neck") & (along > 0.8))
        suited |= _is(cone, "_shoulder-spine") & (along > 0.35)
    colour[suited] = looks.suit
    striped = _is(cone, "hip-spine") & (np.abs(normal[:, 2]) > 0.75) & suited
    colour[striped] = looks.stripe
    head = _is(cone, "skull-skull")
    crown = joints[PLACE["crown"]] - joints[PLACE["neck"]]
    upward = (crown / np.sqrt((crown**2).sum())).astype(np.float32)
    colour[head & (normal @ upward > CAP)] = looks.cap
    return colour


def _is(cone: np.ndarray, *parts: str) -> np.ndarray:
    numbers = [number for number, name in enumerate(NAMES) if any(part in name for part in parts)]
    found: np.ndarray = np.isin(cone, numbers)
    return found
