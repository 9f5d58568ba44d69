"""The numbers of a probe: scores under every condition, shares of the variance, whom a prediction follows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from swapaqa import statistics
from swapaqa.measures.ours import SPEARMAN, STANDARD
from swapaqa.measures.record import Scores
from swapaqa.metrics import constant
from swapaqa.probing.conditions import Condition
from swapaqa.probing.design import Answers, Layout
from swapaqa.probing.variance import Cells, Components, Share, average_shares, variance_components

PROBE_FILE, PICTURE = "probe.json", "probe.png"
CONDITIONS: tuple[Condition, ...] = ("as_is", "exchanged", "removed", "alone")  # in the order of tables


def split_outcome(answers: Answers, layout: Layout) -> dict[str, Any]:
    """All that is said of one split, as it is written; averages over actions as in `swapaqa.statistics`.

    `conditions`: Spearman and R-l2 x100 against the true scores of the athletes, with their intervals over the videos;
    of `exchanged` the mean over the K backgrounds. `shares`, `components` (points squared): see
    `swapaqa.probing.variance`; of the exchanged predictions only, so that no plain video is compared with one with cut
    edges. `follows`: Spearman between the exchanged predictions and those of the plain videos, or the true scores, of
    the athlete and of the background.
    """
    actions = by_action(layout)
    cells = [exchanged_cells(answers, layout, members) for members in actions.values()]
    names = [record.video_id for record in layout.records]
    return {
        "videos": len(names),
        "backgrounds": layout.backgrounds,
        "covered_share": float(layout.covered.mean()),
        "covers_nothing": [name for name, share in zip(names, layout.covered, strict=True) if share == 0],
        "covers_everything": [name for name, share in zip(names, layout.covered, strict=True) if share == 1],
        "conditions": {name: _scored(answers, layout, name) for name in CONDITIONS},
        "shares": {name: _as_written(share) for name, share in average_shares(cells).items()},
        "components": {
            action: variance_components(part)._asdict() for action, part in zip(actions, cells, strict=True)
        },
        "follows": follows(answers, layout, cells),
        "predictions": {
            name: {
                "true": layout.records[i].score,
                "as_is": float(answers.as_is[i]),
                "removed": float(answers.removed[i]),
                "alone": float(answers.alone[i]),
                "exchanged": {
                    names[donor]: float(found)
                    for donor, found in zip(layout.donors[:, i], answers.exchanged[:, i], strict=True)
                },
            }
            for i, name in enumerate(names)
        },
    }


def by_action(layout: Layout) -> dict[str, np.ndarray]:
    """Positions in `records` by action."""
    actions = np.array([record.action for record in layout.records])
    return {action: np.flatnonzero(actions == action) for action in dict.fromkeys(actions.tolist())}


def exchanged_cells(answers: Answers, layout: Layout, members: np.ndarray) -> Cells:
    """The exchanged predictions of some videos, one row of K after the other."""
    athlete = np.tile(members, layout.backgrounds)
    return Cells(athlete, layout.donors[:, members].ravel(), without_rounding(answers.exchanged[:, members].ravel()))


def without_rounding(predicted: np.ndarray) -> np.ndarray:
    """The predictions; exactly equal ones where they differ by rounding only, which explains and follows nothing."""
    return np.full_like(predicted, predicted[0]) if constant(predicted.min(), predicted.max()) else predicted


def _scored(answers: Answers, layout: Layout, condition: Condition) -> dict[str, Any]:
    true = np.array([record.score for record in layout.records])
    actions = by_action(layout).values()
    rounds = np.atleast_2d(getattr(answers, condition))  # (K or 1, N)
    runs = [[Scores(one[members], true[members]) for members in actions] for one in rounds]
    found = {m.name: float(np.mean([statistics.value(m, run) for run in runs])) for m in STANDARD}
    ends = {measure.name: statistics.mean_interval(measure, runs) for measure in STANDARD}
    return found | {"confidence": {name: pair and list(pair) for name, pair in ends.items()}}


def follows(answers: Answers, layout: Layout, cells: Sequence[Cells]) -> dict[str, float]:
    """Spearman of the exchanged predictions with what is known of athlete and background; NaN where undefined."""
    true = np.array([record.score for record in layout.records])
    return {
        f"{side}_{name}": statistics.value(
            SPEARMAN, [Scores(part.predicted, known[getattr(part, side)]) for part in cells]
        )
        for side in ("athlete", "background")
        for name, known in (("prediction", without_rounding(answers.as_is)), ("score", true))
    }


def _as_written(share: Share) -> dict[str, Any]:
    return {"value": share.value, "interval": share.interval and list(share.interval)}


def sentences(split: str, outcome: Mapping[str, Any]) -> list[str]:
    """What the shares say, for a person; and what may not be as it was asked."""
    background, athlete, rest = (_percent(outcome["shares"][name]) for name in Components._fields)
    words = f"explains {background} of the predictions' variance, the athlete {athlete}; {rest} is of both together"
    words += f" ({outcome['backgrounds']} other backgrounds a video)"
    if background is None:
        words = "cannot be told from the athlete: the predictions do not vary, or there are too few videos"
    lines = [f"{split}: the background {words}."]
    for key, what in (("covers_nothing", "nothing"), ("covers_everything", "the whole frame")):
        if outcome[key]:
            lines.append(f"{split}: the box of {len(outcome[key])} of {outcome['videos']} videos covers {what}.")
    return lines


def _percent(share: Mapping[str, Any]) -> str | None:
    """`37.2 % [28, 46]`; None where the share is not known."""
    value, ends = share["value"], share["interval"]
    if value is None or math.isnan(value):
        return None
    return f"{100 * value:.1f} %" + (f" [{100 * ends[0]:.0f}, {100 * ends[1]:.0f}]" if ends else "")
