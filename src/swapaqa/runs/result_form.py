"""What a `result.json` and a `config.yaml` have to hold, as far as a report reads them.

Keys that are not named here are not looked at.
"""

from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # pydantic's, before Python 3.12
)

from pydantic import Field
from typing_extensions import TypedDict

from swapaqa.files.file_form import Number, Pair, Whole

Scores = dict[str, Number | None]
MOST_MEASURES = 64  # a column of every table each


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
    measures: dict[str, dict[str, Any]]


class Described(TypedDict):
    """What a table needs to know of a metric; `swapaqa.measures.record` says which titles and decimals there are."""

    title: str
    decimals: int
    higher_is_better: bool | None
    average: Literal["fisher", "mean"]
    short: NotRequired[str]
    label: NotRequired[str]


class Result(TypedDict):
    """`result.json`."""

    measures: NotRequired[Annotated[dict[str, Described], Field(max_length=MOST_MEASURES)]]
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
    began: NotRequired[str]
    data_fingerprint: NotRequired[str | None]
    device: NotRequired[str]
    world_size: NotRequired[Whole]
