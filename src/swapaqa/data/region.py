"""Where a video's athlete is, as the network sees it: boxes, and from a source of masks these too.

What reads samples, the probe and the picture of a swap all ask here, so that a new source is one file.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from swapaqa.data.box_objects import interpolate_keyframes
from swapaqa.data.box_source import BoxRequest, BoxSource, MaskSource
from swapaqa.data.geometry import Geometry, Placement
from swapaqa.errors import InputError


class Region(NamedTuple):
    """Of one video under one placement."""

    boxes: np.ndarray  # (T, 4) float32
    mask: np.ndarray  # (T, crop, crop) bool; (0, crop, crop) from a source of boxes

    @property
    def kept(self) -> np.ndarray:
        """What an augmentation is given, as `Sample.region`."""
        return self.mask if len(self.mask) else self.boxes


def read_region(source: BoxSource, request: BoxRequest, geometry: Geometry, placement: Placement) -> Region:
    """Ask a source, and place what it answers as the frames are placed. InputError as the source raises it."""
    if isinstance(source, MaskSource):
        return _read_masks(source, request, geometry, placement)
    crop = (geometry.crop, geometry.crop)
    if source.frame == "input":  # already on the grid of what the network sees
        boxes = source.read(request._replace(size=crop))
    else:
        boxes = geometry.place_boxes(source.read(request), request.size, placement)
    return Region(boxes.astype(np.float32), np.empty((0, *crop), bool))


def _read_masks(source: MaskSource, request: BoxRequest, geometry: Geometry, placement: Placement) -> Region:
    placed = np.empty((len(request.frames), geometry.crop, geometry.crop), bool)

    def placing() -> Iterator[np.ndarray]:
        """One by one, as the masks of a window are large on the source's frames."""
        for onto, mask in zip(placed, source.read_masks(request), strict=True):
            onto[...] = geometry.place_mask(mask, placement)
            yield mask

    boxes = geometry.place_boxes(boxes_around(placing(), request), request.size, placement)
    return Region(boxes.astype(np.float32), placed)


def boxes_around(masks: Iterable[np.ndarray], request: BoxRequest) -> np.ndarray:
    """T masks (H, W) bool -> (T, 4) float64: what `read` of a source of masks returns.

    Where a mask is empty the boxes beside it are interpolated, as between keyframes.

    Raises:
        InputError: all masks are empty.
    """
    found = [_box_around(mask) for mask in masks]
    there = [t for t, box in enumerate(found) if box is not None]
    if not there:
        raise InputError(
            f"{request.files[0]}: the masks of frames {min(request.frames)} to {max(request.frames)} are all empty, so "
            "where the athlete is cannot be said; make them again, or leave the video out"
        )
    keyframes = np.array([found[t] for t in there], np.float64)
    return interpolate_keyframes(np.array(request.frames)[there], keyframes, request.frames)


def _box_around(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """(H, W) bool -> x1 y1 x2 y2, inclusive; None of an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])) if len(rows) else None
