"""What would tell a comparison or a claim that is open: more seeds, more test videos, at the gains that are seen.

A gain that is seen is no true gain, so these numbers are a plan and no promise: of an effect that looks larger by
chance they ask for too few seeds.
"""

import math
from collections.abc import Sequence

from swapaqa import statistics
from swapaqa.verdict.claims import AnyClaim, Top
from swapaqa.verdict.comparison import Comparison
from swapaqa.verdict.outcome import Judged, JudgedCase, Verdict


def is_beyond(found: Comparison) -> bool:
    """Whether the interval over the test videos lies on the gain's side of the bound."""
    if found.over_videos is None:
        return False
    low, high = found.over_videos
    return low > found.bound if found.gain > found.bound else high < found.bound


def seeds_words(found: Comparison, needed: int | None, borrowed: bool = False) -> str:
    """`9 more seeds (12 a side)`, at the gain that is seen."""
    if needed is None:
        return (
            f"more than {statistics.MOST_SEEDS} seeds" if found.distance else "no number of seeds: it is at its bound"
        )
    needed = max(needed, found.seeds + 1)
    of = ", at the deviation of other settings here" if borrowed else ""
    seeds = f"{needed - found.seeds} more seed{'s' * (needed - found.seeds > 1)} ({needed} a side{of})"
    return seeds if is_beyond(found) else f"{seeds} and {videos_words(found)}"


def videos_words(found: Comparison) -> str:
    """`more test videos, about 240`: an interval is as wide as the root of their number is small."""
    if found.over_videos is None or not found.distance:
        return "more test videos"
    low, high = found.over_videos
    reach = found.gain - low if found.gain > found.bound else high - found.gain
    needed = math.ceil(found.videos * (reach / found.distance) ** 2)
    return f"more test videos, about {max(needed, found.videos + 1)}"


def would_tell(claim: AnyClaim, cases: Sequence[JudgedCase]) -> str:
    """What the open cases need, that which needs most: `12 seeds a side`, `more test videos`; empty of missing runs."""
    needs = [_least(claim, case) for case in cases if case.verdict is Verdict.OPEN]
    if any(need is None for need in needs):
        return ""
    return max((need for need in needs if need), key=lambda need: need[0], default=(0.0, ""))[1]


def _least(claim: AnyClaim, case: JudgedCase) -> tuple[float, str] | None:
    """Of the groups of comparisons any of which would decide a case, at the gains seen, that which needs least."""
    judged = [one for one in case.comparisons if not one.found.missing]
    if len(judged) < len(case.comparisons) or not case.case.brackets:
        return None
    above = [one for one in judged if one.found.gain > one.found.bound]
    if isinstance(claim, Top):
        groups = [
            [one for one in judged if name in (one.found.first.name, one.found.second.name)]
            for name in dict.fromkeys(side.name for one in judged for side in (one.found.first, one.found.second))
        ]
        groups = [
            group for group in groups if all(one in above for one in group) or not any(one in above for one in group)
        ]
    else:
        groups = [[one] for one in judged if one not in above] or [judged]
    return min((_most(group) for group in groups), key=lambda need: need[0], default=None)


def _most(group: Sequence[Judged]) -> tuple[float, str]:
    """What telling all of them takes; more videos are more than any number of seeds."""
    needs = [(0.0, "")]
    for one in group:
        if one.verdict is Verdict.OPEN:
            needs.append((math.inf if one.seeds is None else one.seeds, one.more))
    return max(needs, key=lambda need: need[0])
