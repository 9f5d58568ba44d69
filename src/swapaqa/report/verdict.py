"""The verdict on claims as lines and tables: what holds, what does not, what cannot be told, with every number."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from swapaqa.report.table import Cell, Table, Value
from swapaqa.runs.run import Run
from swapaqa.runs.settings import PROTOCOLS
from swapaqa.verdict.comparison import Comparison, Reached
from swapaqa.verdict.lock import Locked, began
from swapaqa.verdict.outcome import Judged, JudgedCase, JudgedClaim, Judgement, Verdict

SIGNS = {Verdict.HOLDS: "[+]", Verdict.FAILS: "[-]", Verdict.OPEN: "[?]"}
BEFORE = " *"  # behind a verdict that rests on a run from before the lock
LISTED = 5  # runs that a sentence names


class Shown(NamedTuple):
    """A judgement with what is known of its lock. `early`: runs that began before it, or at a time nobody knows."""

    judgement: Judgement
    locked: Locked
    early: tuple[Run, ...]

    def mark(self, claim: JudgedClaim) -> str:
        """Of a claim's verdict."""
        early = set(map(id, self.early))
        return BEFORE if any(id(run) in early for run in claim.runs) else ""


def shown(judgement: Judgement, locked: Locked) -> Shown:
    """A judgement beside its lock."""
    at = locked.at
    early = [one.run for one in judgement.runs.all if at is not None and not _is_after(began(one.run), at)]
    return Shown(judgement, locked, tuple(early))


def _is_after(start: datetime | None, at: datetime) -> bool:
    return start is not None and start >= at


def head_lines(given: Shown) -> list[str]:
    """Whose claims, whether they are locked, which runs are older, and how all is tested."""
    judgement = given.judgement
    file = judgement.file
    lines = [f"{file.source}, under {PROTOCOLS.get(judgement.protocol, judgement.protocol)}.", given.locked.words]
    if given.early:
        names = [str(run.folder) for run in given.early[:LISTED]]
        more = f" and {len(given.early) - LISTED} more" if len(given.early) > LISTED else ""
        runs = "1 run" if len(given.early) == 1 else f"{len(given.early)} runs"
        lines.append(
            f"{runs} of {len(judgement.runs.all)} began before that, so that nothing was expected of them before "
            f"(marked{BEFORE}): {', '.join(names)}{more}."
        )
    if judgement.runs.lost:
        lines.append(f"Evaluations left out, as the run of their checkpoint is not there: {judgement.runs.lost}.")
    tests = "1 test" if judgement.tests == 1 else f"{judgement.tests} tests"
    lines.append(
        f"{tests} over the seeds (Welch), corrected together by Holm at {file.level:g}; what is told is also beyond "
        "the interval of 95 % over the test videos. One seed tells nothing; in parentheses: how many there are."
    )
    return lines


def claim_lines(given: Shown) -> list[str]:
    """A line a claim, data set and split, and below it the numbers that decide it; claims without runs stand last."""
    lines = []
    claims = given.judgement.claims
    for one in (one for one in claims if one.cases):
        printed = f" ({one.claim.printed})" if one.claim.printed else ""
        mark = given.mark(one)
        lines.append(f"{SIGNS[one.verdict]} {one.verdict.value}{mark}, {_where(one)}: {one.claim.says}{printed}")
        lines += [
            f"      {words}"
            for words in (one.why, deciding_words(one), one.more and f"would tell: {one.more}")
            if words
        ]
    without = [one for one in claims if not one.cases]
    if without:
        lines.append(
            f"{SIGNS[Verdict.OPEN]} {Verdict.OPEN.value}: {without[0].why.replace(_data_words(without[0]), '')}:"
        )
        lines += [f"      {one.claim.says}{_data_words(one)}" for one in without]
    return lines


def _data_words(one: JudgedClaim) -> str:
    return f" on {' or '.join(one.claim.data)}" if one.claim.data else ""


def _where(one: JudgedClaim) -> str:
    return ", ".join(word for word in (one.data, one.split) if word)


def deciding(one: JudgedClaim) -> tuple[JudgedCase, Judged] | None:
    """Of the comparisons that decide a claim, or that leave it open, the one that is nearest to what is claimed."""
    every = [(case, judged) for case in one.cases if case.verdict is one.verdict for judged in case.comparisons]
    there = [pair for pair in every if not pair[1].found.missing and pair[1].verdict is one.verdict]
    there = there or [pair for pair in every if not pair[1].found.missing]
    return min(there, key=lambda pair: pair[1].found.distance, default=None)


def deciding_words(one: JudgedClaim) -> str:
    """`the swap 0.944 ± 0.010 (5) against no swap 0.229 ± 0.030 (5): +0.715 [...], p = ...`."""
    found = deciding(one)
    if found is None or one.measure is None:
        return ""
    case, judged = found
    digits = one.measure.decimals
    name = f"{case.case.name}: " if len(one.cases) > 1 else ""
    sides = " against ".join(_side_words(side, digits) for side in (judged.found.first, judged.found.second))
    return f"{name}{sides}: {gain_words(judged.found, digits)}{p_words(judged)}"


def _side_words(side: Reached, digits: int) -> str:
    spread = f" ± {side.deviation:.{digits}f}" if side.deviation is not None else ""
    return f"{side.name} {side.mean:.{digits}f}{spread} ({len(side.values)})"


def gain_words(found: Comparison, digits: int) -> str:
    """The gain with its interval: over the seeds, of one seed over the test videos."""
    ends, over = (found.interval, "the seeds") if found.interval else (found.over_videos, "the videos")
    words = "undefined" if ends is None else f"[{ends[0]:+.{digits}f}, {ends[1]:+.{digits}f}]"
    return f"a gain of {found.gain:+.{digits}f}, 95 % interval {words} over {over}{_bound_words(found, digits)}"


def _bound_words(found: Comparison, digits: int) -> str:
    if not found.bound:
        return ""
    if found.bound < 0:
        return f", claimed: a loss below {-found.bound:.{digits}f}"
    return f", claimed: above {found.bound:.{digits}f}"


def p_words(judged: Judged) -> str:
    """`, p = 0.003 (0.02 by Holm)`; empty without a test."""
    if judged.corrected is None or judged.found.p is None:
        return ""
    return f", p = {judged.found.p:.2g} ({judged.corrected:.2g} by Holm)"


def summary_table(given: Shown) -> Table:
    """A row a claim, data set and split."""
    rows: list[tuple[Cell, ...]] = [
        (
            one.verdict.value + given.mark(one),
            one.name,
            one.claim.says,
            one.claim.printed,
            _where(one),
            deciding_words(one),
            one.why,
            one.more,
        )
        for one in given.judgement.claims
    ]
    notes = [f"{BEFORE.strip()}: rests on runs from before the lock"] if given.early else []
    return Table(
        "verdict",
        "Verdict",
        " ".join(head_lines(given)),
        ("verdict", "claim", "says", "printed", "on", "decided by", "why", "would tell"),
        tuple(rows),
        tuple(notes),
    )


def comparisons_table(given: Shown) -> Table:
    """A row a comparison."""
    rows = [
        _row(one, case, judged) for one in given.judgement.claims for case in one.cases for judged in case.comparisons
    ]
    heads = ("claim", "on", "metric", "case", "first", "second", "seeds", "first's", "second's", "gain", "claimed")
    return Table(
        "verdict_comparisons",
        "Every comparison",
        "What the claims rest on: first against second, everything else equal. Gains are for the better.",
        (*heads, "95 % seeds", "95 % videos", "p", "p by Holm", "verdict", "why", "would tell"),
        tuple(rows),
        (
            "seeds: of the two sides; p: two-sided, of the gain being what is claimed (Welch's t-test)",
            "would tell: for a probability of "
            f"{given.judgement.file.power:g} at the gain and the deviation seen, at the level that Holm leaves",
        ),
    )


def _row(one: JudgedClaim, case: JudgedCase, judged: Judged) -> tuple[Cell, ...]:
    found = judged.found
    digits, metric = (one.measure.decimals, one.measure.title) if one.measure else (4, one.claim.metric)
    sides = [Value(s.mean, s.deviation, digits) if s.values else None for s in (found.first, found.second)]
    counts = "-".join(str(len(side.values)) for side in (found.first, found.second))
    missing = bool(found.missing)
    return (
        one.name, _where(one), metric, case.case.name, found.first.name, found.second.name, counts, *sides,
        None if missing else Value(found.gain, None, digits), Value(found.bound, None, digits),
        _ends(found.interval, digits), _ends(found.over_videos, digits),
        None if found.p is None else f"{found.p:.2g}", None if judged.corrected is None else f"{judged.corrected:.2g}",
        judged.verdict.value, judged.why + _left(found), judged.more,
    )  # fmt: skip


def _left(found: Comparison) -> str:
    """Seeds that were not counted."""
    left = sorted({seed for side in (found.first, found.second) for seed in side.left_out})
    return f" (not counted, as without one of the actions: seed {', '.join(map(str, left))})" if left else ""


def _ends(ends: Sequence[float] | None, digits: int) -> str | None:
    return None if ends is None else f"[{ends[0]:+.{digits}f}, {ends[1]:+.{digits}f}]"
