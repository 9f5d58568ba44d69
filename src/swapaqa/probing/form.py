"""What a `probe.json` has to hold. Keys that are not named here are not looked at."""

from typing_extensions import TypedDict  # pydantic's, before Python 3.12

from swapaqa.files.file_form import Named, Number, Pair, Whole


class Ends(TypedDict):
    """The ends of the intervals that a table of probes shows."""

    spearman: Pair | None


class Condition(TypedDict):
    """The scores under one condition of a probe."""

    spearman: Number | None
    confidence: Ends


class VarianceShare(TypedDict):
    """A share of the variance."""

    value: Number | None
    interval: Pair | None


class Outcome(TypedDict):
    """A probe of one split."""

    videos: Whole
    backgrounds: Whole
    conditions: dict[str, Condition]
    shares: dict[str, VarianceShare]
    covers_nothing: list[str]
    covers_everything: list[str]


class Probe(TypedDict):
    """`probe.json`."""

    trained: str
    checkpoint: str
    ratio: Number
    boxes: Named
    splits: dict[str, Outcome]
