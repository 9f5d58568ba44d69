"""Splits beside those of a data set's lists: folds of whole competitions, and a part cut off train.

In a published split a competition usually lies on both sides, so that its panel of judges, its venue and its athletes
are known from training. `data.split=by_event`, of any data set whose files say which competition a video is from, cuts
train and test together into FOLDS folds of whole competitions, of which `data.fold` is the test set and the others
train.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

import torch

from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.seeds import keyed_generator

FOLDS = 4
Split = Literal["published", "by_event"]
Fold = Literal[0, 1, 2, 3]
OneRecord = TypeVar("OneRecord", bound=Record)
Event = TypeVar("Event", bound=Any)  # names or numbers: what can be sorted


def event_folds(sizes: Mapping[Event, int]) -> list[list[Event]]:
    """Folds of whole events, balanced in size: each, from the largest on, joins the smallest fold so far.

    Of equals the lower name comes first. On the 15 competitions of MTL-AQA: 339, 361, 359 and 353 dives.

    Args:
        sizes: videos by event.
    """
    folds: list[list[Event]] = [[] for _ in range(FOLDS)]
    for event in sorted(sizes, key=lambda name: (-sizes[name], name)):
        smallest = min(folds, key=lambda fold: sum(sizes[name] for name in fold))
        smallest.append(event)
    return folds


def split_by_event(
    records: Sequence[OneRecord], event: Callable[[OneRecord], str | None], fold: Fold
) -> list[OneRecord]:
    """The records with `split` set anew: those of the events in `fold` are test, the others train.

    Raises:
        InputError: a record's event is not known, or there are fewer events than folds.
    """
    for record in records:
        if event(record) is None:
            raise InputError(
                f"data.split=by_event: the files of this data set do not say which competition {record.video_id} is "
                "from; say data.split=published"
            )
    sizes = Counter(map(event, records))
    if len(sizes) < FOLDS:
        raise InputError(f"data.split=by_event cuts {FOLDS} folds, and the split files name {len(sizes)} competitions")
    test = event_folds(sizes)[fold]
    return [replace(record, split="test" if event(record) in test else "train") for record in records]


def cut_val(train: Sequence[OneRecord], share: float, seed: int) -> tuple[list[OneRecord], list[OneRecord]]:
    """The training records without those that are cut off as `val`, and these; drawn by the seed alone.

    Raises:
        InputError: nothing or everything would be cut off.
    """
    count = round(share * len(train))
    if share and not 0 < count < len(train):
        raise InputError(f"data.val_fraction={share}: {count} of {len(train)} training videos for val")
    order = torch.randperm(len(train), generator=keyed_generator(seed, "val")).tolist()
    chosen = set(order[:count])
    val = [replace(record, split="val") for i, record in enumerate(train) if i in chosen]
    return [record for i, record in enumerate(train) if i not in chosen], val
