"""The metrics of this project: a new one is a file beside this one, a line here and a yaml in `conf/measures`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from swapaqa.measures.calibration_tau import calibration_tau
from swapaqa.measures.coverage import coverage
from swapaqa.measures.kendall import kendall_tau
from swapaqa.measures.pairwise import pairwise_accuracy
from swapaqa.measures.record import Description, Measure
from swapaqa.measures.relative_l2 import relative_l2_x100
from swapaqa.measures.spearman import spearman

SPEARMAN, RELATIVE_L2, PAIRWISE_ACCURACY = spearman(), relative_l2_x100(), pairwise_accuracy()
COVERAGES = (coverage(0.5), coverage(0.9))
STANDARD: tuple[Measure, ...] = (SPEARMAN, RELATIVE_L2)  # of every run: in its log and tables, with intervals
WRITTEN: tuple[Measure, ...] = (*STANDARD, PAIRWISE_ACCURACY)  # in every result.json
OURS: Mapping[str, Measure] = {
    measure.name: measure for measure in (*WRITTEN, kendall_tau(), *COVERAGES, calibration_tau())
}
DESCRIBED = [field.name for field in fields(Description) if field.name != "name"]


def stored_measures(result: Mapping[str, Any]) -> dict[str, Description]:
    """The metrics of a `result.json` by name, but for those that every one has; `STANDARD` of one from before the key.

    Ours are our records, whatever the file says of them; the others are what it says.
    """
    stored = result.get("measures", {})
    found: dict[str, Description] = {measure.name: measure for measure in STANDARD}
    return found | {name: OURS.get(name) or description(name, words) for name, words in stored.items()}


def description(name: str, words: Mapping[str, Any]) -> Description:
    """Of a metric as a file describes it. InputError, naming the metric, where that is no description."""
    return Description(name=name, **{key: words[key] for key in DESCRIBED if key in words})
