"""Picture of a probe: two videos under every condition, as the network saw them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from swapaqa.augment.region import scale_region
from swapaqa.pictures.figures import Augmented, swap_strip
from swapaqa.probing.conditions import WORDS
from swapaqa.probing.design import ALONE, Layout, ProbeReader

if TYPE_CHECKING:  # it imports Lightning, which a report of a probe does not need
    from swapaqa.data.datamodule import VideoData

VIDEOS = 2


def show_what_was_seen(data: "VideoData", layouts: Mapping[str, Layout], path: Path) -> None:
    """Draw the first two athletes of the first split: as they are, exchanged (with the first of the backgrounds),
    without athlete, and the athlete alone. `data`: laid out as `layouts`.
    """
    split, layout = next(iter(layouts.items()))
    reader = data.reader
    assert isinstance(reader, ProbeReader)
    each = len(ALONE) + layout.backgrounds
    shown = [
        [reader.read(item) for item in data.items[split][start * each : start * each + len(ALONE) + 1]]
        for start in range(VIDEOS)
    ]
    videos = [torch.stack([row[column].video for row in shown]).movedim(-1, 1) for column in range(len(ALONE) + 1)]
    boxes = torch.stack([row[0].region for row in shown])
    as_is, removed, alone, exchanged = videos
    scaled = scale_region(boxes, reader.ratio, (as_is.shape[3], as_is.shape[4]))
    results = [
        Augmented(WORDS["exchanged"], exchanged, scaled),
        Augmented(WORDS["removed"], removed, None),
        Augmented(WORDS["alone"], alone, None),
    ]
    names = [str(row[0].video_id) for row in shown]
    swap_strip(as_is, boxes, results, names, path, below="as the network was shown them")
