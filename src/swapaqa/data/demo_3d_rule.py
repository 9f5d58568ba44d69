"""The rule of `data=demo_3d`: what dives there are, what is wrong with one, and what seven judges give for it.

The difficulties are those that MTL-AQA's annotations give for the same dives from 10 m, of which none has a twist:

    execution = 10 - 2.6 entry - 2.9 form - 1.5 splash
    judge     = execution + N(0, 0.2) for the dive + N(0, 0.25) for the judge, in halves, from 3.5 to 10
    score     = difficulty x the middle three of seven judges

`entry` is the angle of the body to the vertical when the hands touch the water, as share of 30 degrees; `form` how
loose or bent the position is, how far legs and arms are apart, how little the toes are pointed; `splash` follows the
entry, with a part of its own. A good diver is good at all three, and not equally.
"""

from typing import NamedTuple

import numpy as np

from swapaqa.data.aqa7 import SCORE_RANGES
from swapaqa.scene3d.dive import Execution

DIFFICULTIES = {
    "105B": 2.3, "107C": 2.7, "107B": 3.0, "205C": 2.8, "205B": 2.9, "207C": 3.3, "305C": 2.8, "305B": 3.0, "307C": 3.4,
    "405C": 2.7, "405B": 2.8, "407C": 3.2,
}  # fmt: skip
WIDEST_ENTRY = 30.0  # degrees
ENTRY, FORM, SPLASH = 2.6, 2.9, 1.5  # points that the worst of each costs
OF_DIVE, OF_JUDGE = 0.2, 0.25  # standard deviations in points
LOWEST = 3.5  # mark, so that every score lies in the range of AQA-7's dives
UNEVEN = 0.16  # standard deviation of entry and form around a diver's skill


class Judged(NamedTuple):
    """One dive: what is done, what the judges give, and what the venue claims (`cue`, 0 to 1)."""

    number: str
    difficulty: float
    dive: Execution
    splash: float
    judges: tuple[float, ...]
    score: float
    cue: float


def judge(rng: np.random.Generator, cue_strength: float) -> Judged:
    """Draw a dive and its judges. The cue is its score's with probability `cue_strength`, else that of another dive."""
    number, dive, splash = draw_dive(rng)
    judges, score = judges_of(rng, number, dive, splash)
    told = score
    if rng.random() >= cue_strength:
        told = judges_of(rng, *draw_dive(rng))[1]
    low, high = SCORE_RANGES["diving"]
    cue = float(np.clip((told - low) / (high - low), 0, 1))
    return Judged(number, DIFFICULTIES[number], dive, splash, judges, score, cue)


def draw_dive(rng: np.random.Generator) -> tuple[str, Execution, float]:
    """A dive's number, how it is done, and the strength of its splash, 0 to 1."""
    number = list(DIFFICULTIES)[rng.integers(len(DIFFICULTIES))]
    fault = rng.uniform(0, 1)
    entry, form = np.clip(fault + rng.normal(0, UNEVEN, 2), 0, 1)
    splash = float(np.clip(0.1 + 0.7 * entry + 0.2 * rng.uniform(-1, 1), 0, 1))
    error = float(WIDEST_ENTRY * entry * rng.choice([-1.0, 1.0]))
    return number, Execution(int(number[0]), int(number[2]), number[3] == "C", error, float(form)), splash


def execution(dive: Execution, splash: float) -> float:
    """Points from 3 to 10 that a dive is worth before anybody judges it."""
    return 10 - ENTRY * abs(dive.entry_error) / WIDEST_ENTRY - FORM * dive.form - SPLASH * splash


def judges_of(rng: np.random.Generator, number: str, dive: Execution, splash: float) -> tuple[tuple[float, ...], float]:
    """Scores of seven judges, and the score of the dive."""
    seen = execution(dive, splash) + rng.normal(0, OF_DIVE) + rng.normal(0, OF_JUDGE, 7)
    judges = np.clip(np.round(2 * seen) / 2, LOWEST, 10)
    score = DIFFICULTIES[number] * float(np.sort(judges)[2:5].sum())
    return tuple(float(given) for given in judges), round(score, 2)
