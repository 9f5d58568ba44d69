"""Samples of a data set whose clips were encoded before: a feature stands where a video's pixels would.

The features (n, D) of a video's n clips are a video of n frames of one pixel with D channels: batches, transfers and
loaders are those of pixels. `swapaqa.models.feature_encoder` takes them as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from swapaqa.batch import Sample
from swapaqa.data.dataset import Item, labels_of, no_side
from swapaqa.data.feature_files import FeatureFiles
from swapaqa.data.geometry import Crop
from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.seeds import keyed_generator


@dataclass(frozen=True)
class FeatureItem(Item):
    """An item whose `media` is the file with its features: how many clips, and how long a feature is."""

    clips: int
    width: int


@dataclass(frozen=True)
class FeatureReader:
    """Reads the features of an item as a sample, in whatever process; what a `SampleReader` is for pixels.

    `copies`: how many of each training video there are to draw from; 0: it is read as in evaluation.
    """

    files: FeatureFiles
    copies: int = 0
    side: Callable[[Record], dict[str, torch.Tensor]] = no_side

    def read(
        self,
        item: Item,
        position: int = 0,
        crop: Crop | None = None,  # noqa: ARG002  of pixels
        shift: int = 0,  # noqa: ARG002  of pixels
        voters: Sequence[int] = (),
    ) -> Sample:
        """The sample of `item` as in evaluation; with `at_test=full` all of its clips."""
        found = self.files.read(item.record.video_id)
        if self.files.length is not None and self.files.at_test == "crop":
            found = fitted(found, self.files.length, max(len(found) - self.files.length, 0) // 2)
        return self._sample(found, item, position, voters)

    def read_drawn(
        self,
        item: Item,
        position: int,
        seed: int,
        key: tuple[str | int, ...],
        shift: tuple[int, int],  # noqa: ARG002  of pixels
    ) -> Sample:
        """The sample of `item` in training: of the copy, and as many clips in a row, that are drawn for `key`."""
        copy = None
        if self.copies:
            copy = int(torch.randint(self.copies, (), generator=keyed_generator(seed, "copy", *key)))
        found = self.files.read(item.record.video_id, copy)
        if self.files.length is not None:
            starts = max(len(found) - self.files.length, 0) + 1
            start = torch.randint(starts, (), generator=keyed_generator(seed, "clips", *key))
            found = fitted(found, self.files.length, int(start))
        return self._sample(found, item, position, ())

    def _sample(self, found: np.ndarray, item: Item, position: int, voters: Sequence[int]) -> Sample:
        width = cast(FeatureItem, item).width
        return Sample(
            video=torch.from_numpy(found).view(len(found), 1, 1, width),
            boxes=torch.zeros(len(found), 4),
            mask=torch.zeros(0, 1, 1, dtype=torch.bool),
            replaced=torch.zeros((), dtype=torch.float32),
            labels=labels_of(item, position, voters),
            side=self.side(item.record),
            split=item.record.split,
            video_id=item.record.video_id,
        )


def fitted(features: np.ndarray, length: int, start: int) -> np.ndarray:
    """(n, D) -> (length, D): the clips from `start` on, with zeros behind them where there are fewer."""
    out = np.zeros((length, features.shape[1]), features.dtype)
    kept = features[start : start + length]
    out[: len(kept)] = kept
    return out


def has_lengths(items: Sequence[Item]) -> bool:
    """Whether these are read with different numbers of clips, of which no batch can be made."""
    return len({item.clips for item in items if isinstance(item, FeatureItem)}) > 1


def refuse_mixed(files: FeatureFiles, items: Mapping[str, Sequence[Item]], votes: bool) -> None:
    """Refuse features of two lengths, two videos in one file, and other numbers of clips where none is asked for.

    `votes`: exemplars are compared with a video, so that both have as many clips in evaluation too.

    Raises:
        InputError: naming two videos, and the key.
    """
    found = [cast(FeatureItem, item) for of_split in items.values() for item in of_split]
    if not found:
        return
    first = found[0]
    for item in found:
        if item.width != first.width:
            raise InputError(
                f"{item.media}: features of {item.width} numbers, and those of {first.media} have {first.width}; take "
                "both from one extraction"
            )
        if files.length is None and item.clips != first.clips:
            raise InputError(
                f"{item.media}: {item.clips} clips, and {first.media} has {first.clips}; say how many a training video "
                "has with data.features.length=, as 68"
            )
    if votes and has_lengths(found):
        raise InputError(
            "data.features.at_test=full: a method with exemplars compares as many clips of every video; say "
            "data.features.at_test=crop"
        )
    if not files.place.is_file():
        twins: dict[Path, FeatureItem] = {}
        for item in found:
            twin = twins.setdefault(item.media, item)
            if twin is not item:
                ids = f"{twin.record.video_id} and {item.record.video_id}"
                raise InputError(f"{item.media}: is read for {ids}; give each a file with its own id as its name")
