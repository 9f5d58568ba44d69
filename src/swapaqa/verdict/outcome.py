"""What is said of claims, cases and comparisons, as plain data."""

from enum import Enum
from typing import NamedTuple

from swapaqa.measures.record import Measure
from swapaqa.runs.run import Run
from swapaqa.verdict.cases import Case, Runs
from swapaqa.verdict.claims import AnyClaim, ClaimsFile
from swapaqa.verdict.comparison import Comparison


class Verdict(Enum):
    """What is said of a claim, a case or a comparison."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "cannot be told"


class Judged(NamedTuple):
    """A comparison. `corrected`: its p by Holm; `why`: what keeps it from being told; `more`: what would tell it."""

    found: Comparison
    verdict: Verdict
    corrected: float | None
    why: str
    more: str
    seeds: int | None  # a side, that would tell; None where it is not known or no number of seeds would


class JudgedCase(NamedTuple):
    """A case in one split, and the comparisons in it."""

    case: Case
    verdict: Verdict
    comparisons: tuple[Judged, ...]
    why: str


class JudgedClaim(NamedTuple):
    """A claim on one data set and split. `more`: what would tell it, at the gains that are seen."""

    name: str
    claim: AnyClaim
    measure: Measure | None
    data: str
    split: str
    verdict: Verdict
    cases: tuple[JudgedCase, ...]
    why: str
    more: str = ""

    @property
    def runs(self) -> list[Run]:
        """The runs that it rests on."""
        settings = [one for case in self.cases for pair in case.case.pairs for one in pair[:2] if one is not None]
        return list({id(run): run for setting in settings for run in setting.runs}.values())


class Judgement(NamedTuple):
    """All claims of a file. `tests`: how many there were; `protocol`: under which the runs were read."""

    file: ClaimsFile
    claims: tuple[JudgedClaim, ...]
    tests: int
    protocol: str
    runs: Runs
