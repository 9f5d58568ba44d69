"""Layout of a probe: the backgrounds that each video is shown with, and the reader of such items.

A probed split is laid out as a list of items like any split, so that the evaluation's own loop encodes and scores it:
every video as it is, without its athlete, without its background, and with the backgrounds of K others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from rich.progress import track

from swapaqa.batch import Sample
from swapaqa.boxes.source import BoxSource
from swapaqa.data.dataset import Item, ItemReader, SampleReader
from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.probing.conditions import (
    Condition,
    covered_share,
    exchange_background,
    isolate_athlete,
    remove_athlete,
)
from swapaqa.seeds import keyed_generator

if TYPE_CHECKING:  # it imports Lightning, which a report of a probe does not need
    from swapaqa.data.datamodule import VideoData

LEAST_VIDEOS, LEAST_BACKGROUNDS = 3, 2
ALONE: tuple[Condition, ...] = ("as_is", "removed", "alone")  # without a second video


@dataclass(frozen=True)
class ProbeItem(Item):
    """A video under one condition. `donor`: whose background is shown, for `exchanged`."""

    condition: Condition
    donor: Item | None


@dataclass(frozen=True)
class ProbeReader:
    """Reads `ProbeItem`s under their conditions, and everything else (exemplars) as `plain` does.

    Attributes:
        plain: the reader of the evaluation.
        boxed: the same with the boxes of the probe.
        ratio: of the scaled box.
        keep: videos that are kept decoded; those of one athlete and the next follow each other.
    """

    plain: ItemReader
    boxed: SampleReader
    ratio: float
    keep: int
    recent: dict[str, Sample] = field(init=False, default_factory=dict, compare=False)

    def read(self, item: Item, position: int = 0, *, voters: Sequence[int] = ()) -> Sample:
        if not isinstance(item, ProbeItem):
            return self.plain.read(item, position, voters=voters)
        sample = self._whole(item)
        video = sample.video.movedim(-1, 0)  # (C, T, H, W)
        if item.donor is not None:
            donor = self._whole(item.donor)
            video = exchange_background(video, sample.region, donor.video.movedim(-1, 0), donor.region, self.ratio)
        elif item.condition == "removed":
            video = remove_athlete(video, sample.region, self.ratio)
        elif item.condition == "alone":
            video = isolate_athlete(video, sample.region, self.ratio)
        chosen = torch.tensor(voters, dtype=torch.int64)
        labels = sample.labels._replace(position=position, voters=chosen)  # type: ignore[arg-type]
        return sample._replace(video=video.movedim(0, -1), labels=labels)

    def _whole(self, item: Item) -> Sample:
        """The video as it is; the last ones asked for are kept."""
        name = item.record.video_id
        sample = self.recent.pop(name, None) or self.boxed.read(item)
        self.recent[name] = sample
        while len(self.recent) > self.keep:
            del self.recent[next(iter(self.recent))]
        return sample

    def covered(self, item: Item) -> float:
        """`covered_share` of a video as the network sees it, for which one frame of the file is read."""
        boxed = self.boxed
        indices = item.window.indices(boxed.frames, 0)
        _, size = boxed.store.read(boxed.want(item), indices[:1])
        region = torch.from_numpy(boxed.read_region(item, size, indices, boxed.geometry.centre()).kept)
        return covered_share(region, self.ratio, (boxed.geometry.crop, boxed.geometry.crop))


class Layout(NamedTuple):
    """One probed split of N videos.

    `order` (N,): position in `records` of each athlete as shown; `donors` (K, N): by position in `records`, whose
    backgrounds the video at a position is shown with; `covered` (N,): share of a video inside its scaled boxes.
    """

    records: list[Record]
    order: np.ndarray
    donors: np.ndarray
    covered: np.ndarray

    @property
    def backgrounds(self) -> int:
        return len(self.donors)


def draw_donors(actions: Sequence[str], count: int, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(order (N,), donors (count, N)): in every row a derangement of the videos within their action.

    The videos of an action stand in a random circle, and a video is shown with the backgrounds of the `count` that
    follow it: so every video has `count` different backgrounds, and every background `count` athletes. `count` is
    below the number of videos of every action.
    """
    order, donors = [], np.empty((count, len(actions)), np.int64)
    for action in dict.fromkeys(actions):
        members = np.flatnonzero(np.array(actions) == action)
        circle = members[torch.randperm(len(members), generator=generator).numpy()]
        for step in range(count):
            donors[step, circle] = np.roll(circle, -step - 1)
        order.append(circle)
    return np.concatenate(order), donors


def lay_out(data: "VideoData", boxes: BoxSource, ratio: float, backgrounds: int) -> dict[str, Layout]:
    """Put the probe of every test split into `data` in the split's place; returns what was laid out.

    Args:
        data: prepared for an evaluation.
        boxes: of the test videos; exemplars need none.
        ratio: of the scaled boxes.
        backgrounds: a video; at most one less than the videos of its action.

    Raises:
        InputError: missing boxes, too few videos, boxes that leave nothing to exchange.
    """
    plain = data.reader
    data.take_boxes(boxes)
    reader = ProbeReader(plain, data.source.pixel_reader, ratio, keep=backgrounds + 2)
    data.reader = reader
    layouts = {}
    for split in data.source.test_splits:
        items = data.items[split]
        layouts[split] = _lay_out_split(split, items, reader, data.seed, backgrounds)
        data.items[split] = probe_items(items, layouts[split])
    data.items = {split: data.items[split] for split in ("train", *layouts) if split in data.items}
    return layouts


def _lay_out_split(split: str, items: Sequence[Item], reader: ProbeReader, seed: int, backgrounds: int) -> Layout:
    records = [item.record for item in items]
    actions = [record.action for record in records]
    fewest = min(actions.count(action) for action in dict.fromkeys(actions))
    if fewest < LEAST_VIDEOS:
        raise InputError(
            f"probe=background: {split} has {fewest} videos of an action, and backgrounds are exchanged among "
            f"{LEAST_VIDEOS} at least"
        )
    generator = keyed_generator(seed, "probe", split)
    order, donors = draw_donors(actions, min(backgrounds, fewest - 1), generator)
    shown = track(items, description=f"reading the boxes of {split}", transient=True)
    covered = np.array([reader.covered(item) for item in shown])
    if ((covered == 0) | (covered == 1)).all():
        raise InputError(
            f"probe=background: at probe_ratio={reader.ratio:g} the box of every video of {split} covers nothing or "
            "the whole frame, so there is no background to exchange: lower probe_ratio, or name other boxes"
        )
    return Layout(records, order, donors, covered)


def probe_items(items: Sequence[Item], layout: Layout) -> list[Item]:
    """N (3 + K) items: athlete by athlete, the conditions of one after the other."""
    shown: list[Item] = []
    for position in layout.order.tolist():
        own = vars(items[position])
        shown += [ProbeItem(**own, condition=condition, donor=None) for condition in ALONE]
        shown += [ProbeItem(**own, condition="exchanged", donor=items[donor]) for donor in layout.donors[:, position]]
    return shown


class Answers(NamedTuple):
    """Predictions in points, by position in a layout's records."""

    as_is: np.ndarray  # (N,) float64
    removed: np.ndarray  # (N,)
    alone: np.ndarray  # (N,)
    exchanged: np.ndarray  # (K, N): with the background of `donors`


def sort_answers(predicted: np.ndarray, layout: Layout) -> Answers:
    """The predictions of `probe_items`, (N (3 + K),) in their order, by what was shown."""
    by_athlete = np.empty((len(layout.order), len(ALONE) + layout.backgrounds))
    by_athlete[layout.order] = predicted.reshape(by_athlete.shape)
    as_is, removed, alone = by_athlete[:, : len(ALONE)].T
    return Answers(as_is, removed, alone, by_athlete[:, len(ALONE) :].T)
