"""Which video a record is, by a name that is the same in every data set that has it.

Data sets are cut from the same broadcasts, so whoever trains on one and tests on another may test on training videos. A
source says of each record which video it is (`VideoSource.footage`), weights say which they were trained on (`Seen`),
and a test set that has any of these is refused, or scored without them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from swapaqa.data.records import Record
from swapaqa.errors import InputError

LEAST = 2  # videos of a test set: of one no correlation exists


class Footage(NamedTuple):
    """The video that a record is.

    Attributes:
        name: data set and id in one of the data sets that have it, the same in all of them.
        also_in: other data sets known to have it, by their names in `data=`.
    """

    name: str
    also_in: tuple[str, ...] = ()


FootageOf = Callable[[Record], Footage | None]
OneRecord = TypeVar("OneRecord", bound=Record)


@dataclass(frozen=True)
class Seen:
    """The videos that weights were trained on.

    Attributes:
        who: the weights, as a message begins: "checkpoint=last.ckpt was trained on".
        names: of the footage.
        leave_out: whether test videos among them are left out; else they are refused.
        remedy: what else a message of the refusal proposes.
    """

    who: str
    names: frozenset[str]
    leave_out: bool = False
    remedy: str = ""


def names_of(records: Iterable[Record], footage: FootageOf) -> frozenset[str]:
    """The names of the footage of `records`; nothing of those of which nothing is known."""
    return frozenset(found.name for record in records if (found := footage(record)) is not None)


def without_data_set(records: Sequence[OneRecord], footage: FootageOf, data_set: str) -> list[OneRecord]:
    """The records that are not known to be in another data set, by its name in `data=`."""
    return [record for record in records if (known := footage(record)) is None or data_set not in known.also_in]


def unseen(
    tests: Mapping[str, Sequence[OneRecord]], footage: FootageOf, seen: Seen
) -> tuple[dict[str, list[OneRecord]], dict[str, list[str]]]:
    """The test splits without the videos that weights were trained on, and the ids of these, by split.

    Raises:
        InputError: there are such videos and `seen.leave_out` is false, or fewer than two others.
    """
    kept: dict[str, list[OneRecord]] = {}
    left_out: dict[str, list[str]] = {}
    for split, records in tests.items():
        known = [found is not None and found.name in seen.names for found in map(footage, records)]
        kept[split] = [record for record, is_known in zip(records, known, strict=True) if not is_known]
        ids = [record.video_id for record, is_known in zip(records, known, strict=True) if is_known]
        if not ids:
            continue
        left_out[split] = ids
        words = f"{seen.who} {len(ids)} of the {len(records)} videos of {split} ({ids[0]}, ...)"
        if len(kept[split]) < LEAST:
            raise InputError(f"{words}: name other videos with data=, or weights that were not trained on these")
        if not seen.leave_out:
            raise InputError(f"{words}; {seen.remedy.format(others=len(kept[split]))} (docs/data.md)")
    return kept, left_out


def shared_words(records: Sequence[Record], footage: FootageOf) -> str | None:
    """What `records` have in common with other data sets, as a sentence; None where nothing is known."""
    counts: dict[str, Counter[str]] = {}
    for record in records:
        known = footage(record)
        for data_set in known.also_in if known else ():
            counts.setdefault(data_set, Counter())[record.split] += 1
    if not counts:
        return None
    parts = (
        f"{' and '.join(f'{number} of {split}' for split, number in of_split.items())} are in data={data_set} too"
        for data_set, of_split in counts.items()
    )
    return f"{'; '.join(parts)}: who trains on one and tests on the other tests on videos of the training"
