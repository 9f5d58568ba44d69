"""Masks as run lengths, in the two orders that annotation programs write: COCO's by columns, CVAT's by rows.

Runs alternate between background and object, background first. COCO's string packs them as pycocotools does
(`rleFrString` of cocodataset/cocoapi): five bits a character, from the fourth run on as the difference to the run
before the last.
"""

from collections.abc import Sequence

import numpy as np


def filled(runs: Sequence[int], size: tuple[int, int], by_columns: bool) -> np.ndarray:
    """The mask (H, W) bool of `size`. ValueError where the runs are not of that many pixels."""
    lengths = np.array(runs, np.int64)
    if (lengths < 0).any() or lengths.sum() != size[0] * size[1]:
        raise ValueError(f"runs of {int(lengths.sum())} pixels for a mask of {size[1]}x{size[0]}")
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    mask: np.ndarray = values.reshape(size[::-1]).T if by_columns else values.reshape(size)
    return mask


def runs_of(mask: np.ndarray) -> list[int]:
    """COCO's runs of a mask (H, W) bool, by columns."""
    values = mask.T.ravel()
    edges = np.flatnonzero(np.diff(values, prepend=False, append=not values[-1]))
    return [int(run) for run in np.diff(edges, prepend=0)]


def unpacked(text: str) -> list[int]:
    """The runs in a COCO string. ValueError for characters that it does not use, or an unfinished run."""
    runs: list[int] = []
    value = shift = 0
    for sign in text:
        bits = ord(sign) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"character {sign!r} in packed runs")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
        if shift > 60:
            raise ValueError("a run of packed runs without an end")
    if shift:
        raise ValueError("the last of the packed runs is cut off")
    return runs
