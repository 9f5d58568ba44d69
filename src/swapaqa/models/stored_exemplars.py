"""Encoded exemplars in a checkpoint: plain dictionaries of tensors, which scores without the training videos."""

from collections.abc import Mapping
from typing import Any

from swapaqa.batch import Encoded, Labels

EXEMPLARS_KEY = "swapaqa_exemplars"


def as_plain(videos: Encoded) -> dict[str, Any]:
    """What a checkpoint holds of encoded videos."""
    return videos._asdict() | {"labels": videos.labels._asdict()}


def from_plain(stored: Mapping[str, Any]) -> Encoded:
    """The inverse of `as_plain`. TypeError, KeyError or AttributeError where something is missing."""
    return Encoded(**{**stored, "labels": Labels(**stored["labels"])})
