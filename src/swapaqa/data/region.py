"""The athlete's region on the network's input: boxes, and from a source of masks these too.

What reads samples, the probe and the picture of a swap all ask here, so that a new source is one file.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from swapaqa.boxes.mask_images import boxes_around
from swapaqa.boxes.source import BoxRequest, BoxSource, MaskSource
from swapaqa.data.geometry import Crop, Geometry


class Region(NamedTuple):
    """Of one video under one crop."""

    boxes: np.ndarray  # (T, 4) float32
    mask: np.ndarray  # (T, crop, crop) bool; (0, crop, crop) from a source of boxes

    @property
    def kept(self) -> np.ndarray:
        """What an augmentation is given, as `Sample.region`."""
        return self.mask if len(self.mask) else self.boxes


def read_region(source: BoxSource, request: BoxRequest, geometry: Geometry, crop: Crop) -> Region:
    """Ask a source, and place what it answers as the frames are placed. InputError as the source raises it."""
    if isinstance(source, MaskSource):
        return _read_masks(source, request, geometry, crop)
    size = (geometry.crop, geometry.crop)
    if source.frame == "input":  # already on the grid of what the network sees
        boxes = source.read(request._replace(size=size))
    else:
        boxes = geometry.crop_boxes(source.read(request), request.size, crop)
    return Region(boxes.astype(np.float32), np.empty((0, *size), bool))


def _read_masks(source: MaskSource, request: BoxRequest, geometry: Geometry, crop: Crop) -> Region:
    placed = np.empty((len(request.frames), geometry.crop, geometry.crop), bool)

    def placing() -> Iterator[np.ndarray]:
        """One by one, as the masks of a window are large on the source's frames."""
        for onto, mask in zip(placed, source.read_masks(request), strict=True):
            onto[...] = geometry.crop_mask(mask, crop)
            yield mask

    boxes = geometry.crop_boxes(boxes_around(placing(), request), request.size, crop)
    return Region(boxes.astype(np.float32), placed)
