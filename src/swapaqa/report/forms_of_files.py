"""What the files that a report reads have to hold, so that a damaged or foreign one is known before it is used.

Keys that are not named here are not looked at.
"""

import functools
from typing import (
    Annotated,
    Any,
    NotRequired,  # pydantic's, before Python 3.12
)

from pydantic import Strict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from swapaqa.errors import one_line

Number = Annotated[float, Strict()]  # and no text that spells one
Whole = Annotated[int, Strict()]
Pair = tuple[Number, Number]
Scores = dict[str, Number | None]


class Named(TypedDict):
    _target_: str


class Confidence(TypedDict):
    """The ends of intervals."""

    average: dict[str, Pair | None]
    per_action: dict[str, dict[str, Pair | None]]


class SplitScores(TypedDict):
    """The scores of one split."""

    average: Scores
    per_action: dict[str, Scores]
    confidence: NotRequired[Confidence]


class Protocol(TypedDict):
    """The scores under one protocol."""

    epoch: Whole
    splits: dict[str, SplitScores]


class Floor(TypedDict):
    """What needs no video."""

    spearman: Number | None
    relative_l2_x100: Number


class Settings(TypedDict, total=False):
    """Parts of a configuration that decide in which table a run stands."""

    ratio: Number | None
    frame: str | None
    action: str | None
    split: str | None
    fold: Whole | None


class Configuration(TypedDict, total=False):
    """The configuration of a run."""

    seed: Whole
    aug: Settings
    boxes: Settings
    data: Settings
    model: dict[str, Any]


class Result(TypedDict):
    """`result.json`."""

    metrics: dict[str, Protocol]
    predictions: dict[str, dict[str, list[Number]]]
    prediction_columns: list[str]
    config: Configuration
    timing: NotRequired[dict[str, Number | None]]
    replaced_share: NotRequired[dict[str, Number | None]]
    floors: NotRequired[dict[str, dict[str, Floor]]]
    versions: NotRequired[dict[str, str]]
    skipped: NotRequired[list[str]]
    git_commit: NotRequired[str | None]
    data_fingerprint: NotRequired[str | None]
    device: NotRequired[str]
    world_size: NotRequired[Whole]


class Gain(TypedDict):
    """A share of the mass of maps, or what it gained."""

    share: Number | None
    interval: Pair | None


class Share(Gain):
    """A share, and what to compare it with."""

    chance: Number | None
    on_grid: Number | None


class Looks(TypedDict):
    """The maps of one checkpoint."""

    videos: Whole
    without_mass: Whole
    box: Share
    scaled_box: Share


class Difference(TypedDict):
    """The maps of the second checkpoint against those of the first."""

    videos: Whole
    box: Gain
    scaled_box: Gain


class SplitLooks(TypedDict):
    """The maps of one split."""

    checkpoints: list[Looks]
    difference: Difference | None


class Checkpoint(TypedDict):
    """A checkpoint that was looked at."""

    title: str
    file: str
    epoch: Whole


class Picture(TypedDict):
    """Names of files beside `attention.json`."""

    title: str
    strip: str
    film: str


class Attention(TypedDict):
    """`attention.json`."""

    checkpoints: list[Checkpoint]
    boxes: Named
    ratio: Number
    splits: dict[str, SplitLooks]
    pictures: list[Picture]


class Ends(TypedDict):
    """The ends of the intervals that a table of probes shows."""

    spearman: Pair | None


class Condition(TypedDict):
    """The scores under one condition of a probe."""

    spearman: Number | None
    confidence: Ends


class Part(TypedDict):
    """A share of the variance."""

    value: Number | None
    interval: Pair | None


class Outcome(TypedDict):
    """A probe of one split."""

    videos: Whole
    backgrounds: Whole
    conditions: dict[str, Condition]
    shares: dict[str, Part]
    covers_nothing: list[str]
    covers_everything: list[str]


class Probe(TypedDict):
    """`probe.json`."""

    trained: str
    checkpoint: str
    ratio: Number
    boxes: Named
    splits: dict[str, Outcome]


checker = functools.cache(TypeAdapter)


def first_fault(form: Any, content: Any) -> str | None:
    """Where `content`, as JSON or YAML has it, is not of a form of this file, `metrics.last.epoch: ...`; else None."""
    try:
        checker(form).validate_python(content)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the whole"
        return one_line(f"{place}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
    return None
