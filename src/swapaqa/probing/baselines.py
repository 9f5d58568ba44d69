"""Floors: what a test score can be predicted from without a pixel, by training means. Pure functions on records.

- `event`: the mean training score of the video's competition. A model that reads the venue can do as much.
- `difficulty`: the mean training score of the videos of its difficulty.
- `both`: the mean training completeness (score / difficulty) of its competition, times its own difficulty. Venue and
  difficulty are known before the dive starts.

All means are within the video's action. A competition or difficulty that no training video has takes the mean of all
training videos of the action (`unseen` counts them): on a split by competition `event` is one number for all videos, of
which no rank correlation exists, and `both` is the order of the difficulties.
"""

import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

import torch

from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.measures.ours import STANDARD
from swapaqa.recording.evaluation import split_confidence, split_metrics

Baseline = Literal["event", "difficulty", "both"]
BASELINES: tuple[Baseline, ...] = ("event", "difficulty", "both")
EventOf = Callable[[Record], str | None]


def predict(baseline: Baseline, train: Sequence[Record], test: Sequence[Record], event_of: EventOf) -> list[float]:
    """The scores, in points, that a baseline predicts for `test`, in its order.

    Raises:
        InputError: the data name no competition or no difficulty, and the baseline needs it.
    """
    for record in (*train, *test):
        _check_known(baseline, record, event_of)
    groups, actions = defaultdict(list), defaultdict(list)
    for record in train:
        mean_of = record.score / _scale(baseline, record)
        groups[_group(baseline, record, event_of)].append(mean_of)
        actions[record.action].append(mean_of)
    return [
        fmean(groups.get(_group(baseline, record, event_of)) or actions[record.action]) * _scale(baseline, record)
        for record in test
    ]


def unseen(baseline: Baseline, train: Sequence[Record], test: Sequence[Record], event_of: EventOf) -> int:
    """How many of `test` are of a competition (or difficulty) that no training video has."""
    known = {_group(baseline, record, event_of) for record in train}
    return sum(_group(baseline, record, event_of) not in known for record in test)


def floors(
    records: Mapping[str, Sequence[Record]], event_of: EventOf, chosen: Sequence[Baseline] = BASELINES
) -> dict[str, dict[str, dict[str, Any]]]:
    """By split but train, and by baseline: Spearman and R-l2 x100 averaged over actions, their intervals, `unseen`.

    Args:
        records: by split, with `train`.
        event_of: the competition of a record.
        chosen: the baselines to compute.
    """
    train = records["train"]
    return {
        split: {name: _floor(name, train, test, event_of) for name in chosen}
        for split, test in records.items()
        if split != "train"
    }


def known_floors(records: Mapping[str, Sequence[Record]], event_of: EventOf) -> dict[str, dict[str, dict[str, Any]]]:
    """`floors` of data whose files name competitions; empty for others."""
    chosen = known_baselines([record for split in records.values() for record in split], event_of)
    return floors(records, event_of, chosen) if chosen else {}


def known_baselines(records: Sequence[Record], event_of: EventOf) -> Sequence[Baseline]:
    """The baselines of data whose files name competitions: without difficulties `event` alone. Of others none."""
    if any(event_of(record) is None for record in records):
        return ()
    return ("event",) if any(record.difficulty is None for record in records) else BASELINES


def _floor(baseline: Baseline, train: Sequence[Record], test: Sequence[Record], event_of: EventOf) -> dict[str, Any]:
    predicted = torch.tensor(predict(baseline, train, test, event_of), dtype=torch.float64)
    true = torch.tensor([record.score for record in test], dtype=torch.float64)
    table = (torch.arange(len(test)), predicted, true)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that one number for all has no rank correlation: NaN says it
        numbers: dict[str, Any] = split_metrics(table, test, STANDARD)["average"]
    confidence = split_confidence(table, test)["average"]
    return numbers | {"confidence": confidence, "unseen": unseen(baseline, train, test, event_of)}


def _check_known(baseline: Baseline, record: Record, event_of: EventOf) -> None:
    if baseline != "difficulty" and event_of(record) is None:
        raise InputError(
            f"baseline={baseline}: the files of this data set do not say which competition {record.video_id} is from"
        )
    if baseline != "event" and record.difficulty is None:
        raise InputError(f"baseline={baseline}: the files of this data set give no difficulty ({record.video_id})")


def _group(baseline: Baseline, record: Record, event_of: EventOf) -> Hashable:
    return record.action, record.difficulty if baseline == "difficulty" else event_of(record)


def _scale(baseline: Baseline, record: Record) -> float:
    """What a mean is a multiple of: the difficulty where it is one of completeness."""
    return record.difficulty if baseline == "both" and record.difficulty is not None else 1.0
