"""Clips of changed pace: what PECoP's pretraining asks a network to notice (Dadashzadeh et al., WACV 2024).

A clip runs at the default pace, but for one of its segments, which runs at another: which pace, and where, are the two
labels. The arithmetic is that of the authors' program, its uneven edges included.

Deviation: their program leaves out the last three frames of every video that it lists; here all frames of the window
are there (`data.frames=100` leaves out three of 103).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from swapaqa.batch import PaceClip
from swapaqa.data.dataset import Item, SampleReader
from swapaqa.data.geometry import Crop
from swapaqa.data.sampler import Key
from swapaqa.errors import InputError
from swapaqa.seeds import keyed_generator


class PaceLabels(NamedTuple):
    """What is drawn for a clip: its first frame, and the pace of which of its segments is another."""

    start: int  # of the window, from 0
    pace: int  # from 1
    segment: int  # from 1


@dataclass(frozen=True)
class PacePlan:
    """How clips are cut.

    Attributes:
        frames: of a clip, which `segments` divides.
        segments: of a clip, one of which runs at another pace.
        paces: the highest pace: 1 is every frame, 2 every second.
        default_pace: of the rest of the clip; never drawn for the segment.
    """

    frames: int
    segments: int
    paces: int
    default_pace: int

    def __post_init__(self) -> None:
        if self.segments < 1 or self.frames < 1 or self.frames % self.segments:
            raise InputError(f"pretext.plan.frames={self.frames}: must be a multiple of segments={self.segments}")
        if not 1 <= self.default_pace <= self.paces or self.paces < 2:
            raise InputError(
                f"pretext.plan.default_pace={self.default_pace}: one of the paces 1 to pretext.plan.paces="
                f"{self.paces} is needed, and at least one other"
            )

    def draw(self, generator: torch.Generator, total: int) -> PaceLabels:
        """A start anywhere in a window of `total` frames, a pace that is not the default, a segment; each uniform."""
        start, other, segment = (
            int(torch.randint(count, (), generator=generator)) for count in (total, self.paces - 1, self.segments)
        )
        pace = other + 1 if other + 1 < self.default_pace else other + 2
        return PaceLabels(start, pace, segment + 1)

    def places(self, drawn: PaceLabels, total: int) -> list[int]:
        """The frames of the clip, places 0 to `total` - 1 in the window; see `paced_frames`."""
        length = self.frames // self.segments
        found = paced_frames(drawn.start + 1, drawn.pace, self.default_pace, drawn.segment, total, length, self.frames)
        return [frame - 1 for frame in found]


def paced_frames(
    start: int, pace: int, default_pace: int, segment: int, total: int, length: int = 8, frames: int = 32
) -> list[int]:
    """The frames of a clip whose segment `segment` runs at `pace`, all else at `default_pace`, all counted from 1.

    As in PECoP's program: a segment has the places length (s - 1) to length s of the clip, both included. The frame
    behind it is the one that follows its last, whatever the default pace. Behind the end of the video it goes on with
    frame 1: in the segment when the next frame would be behind it, elsewhere up to four frames early. Default paces
    above 4, with which theirs asks for frames that are not there, are as early as they have to be.
    """
    found = [start]
    for place in range(1, frames):
        frame, inside = found[-1], length * (segment - 1) <= place <= length * segment
        step = pace if inside else 1 if place == length * segment + 1 else default_pace
        behind = frame + (step if inside else max(step, 4)) > total
        found.append(1 if behind else frame + step)
    return found


class PaceClips(Dataset[PaceClip]):
    """Clips of the training videos by (epoch, position): each video `repeats` times an epoch, drawn anew every time."""

    def __init__(self, reader: SampleReader, items: Sequence[Item], plan: PacePlan, repeats: int, seed: int) -> None:
        self.reader, self.items, self.plan = reader, items, plan
        self.repeats, self.seed = repeats, seed

    def __len__(self) -> int:
        return self.repeats * len(self.items)

    def __getitem__(self, key: Key) -> PaceClip:
        epoch, position = key
        repeat, number = divmod(position, len(self.items))
        item = self.items[number]
        generator = keyed_generator(self.seed, "pace", epoch, repeat, item.record.video_id)
        drawn = self.plan.draw(generator, self.reader.frames)
        crop = self.reader.geometry.draw(generator)
        frames = self.read(item, self.plan.places(drawn, self.reader.frames), crop)
        return PaceClip(torch.from_numpy(frames), *map(torch.tensor, (drawn.pace - 1, drawn.segment - 1, position)))

    def read(self, item: Item, places: Sequence[int], crop: Crop) -> np.ndarray:
        """The frames at `places` of an item's window, in any order, under a crop: (T, crop, crop, 3) uint8.

        Raises:
            InputError: naming the video that is missing, damaged or too short.
        """
        indices = item.window.indices(self.reader.frames, 0)
        wanted = sorted({indices[place] for place in places})
        frames, _ = self.reader.store.read(self.reader.want(item), wanted)
        row = {index: number for number, index in enumerate(wanted)}
        cropped = self.reader.geometry.crop_frames(frames, crop)
        return cropped[[row[indices[place]] for place in places]]
