"""The two readings of the paper's fixed boxes: how much of what the network sees lies outside of them."""

import numpy as np
import torch

from swapaqa.augment.swap import ScaledBackgroundSwap
from swapaqa.data.boxes import BoxRequest, FixedBoxes
from swapaqa.data.geometry import Geometry

SOURCE, CROP = (256, 455), 224


def replaced(frame: str, generator: torch.Generator | None) -> float:
    """Share of pixels that the swap replaces, at a crop drawn by `generator` or at the centre."""
    geometry = Geometry(height=256, width=455, crop=CROP, random_crop=True, flip=0.5)
    source = FixedBoxes(ratio=1.0, share=0.8, frame=frame)  # type: ignore[arg-type]
    if frame == "source":
        placement = geometry.draw(generator) if generator else geometry.centre()
        boxes = geometry.crop_boxes(source.read(BoxRequest([], SOURCE, range(2))), SOURCE, placement)
    else:
        boxes = source.read(BoxRequest([], (CROP, CROP), range(2)))
    swap = ScaledBackgroundSwap(ratio=1.0, variant="paper", donors="derangement", fill=0.0, pool="local")
    batch = torch.from_numpy(np.stack([boxes, boxes]))
    plan = swap.draw(2, torch.Generator().manual_seed(0))
    return float(swap.replaced_share(batch, (CROP, CROP), plan).mean())


def test_input_leaves_36_percent() -> None:
    assert abs(replaced("input", None) - 0.361) < 0.002  # 179 columns and rows of 224 are kept


def test_source_leaves_9_to_13_percent() -> None:
    assert 0.08 < replaced("source", None) < 0.10
    generator = torch.Generator().manual_seed(0)
    drawn = np.mean([replaced("source", generator) for _ in range(300)])
    assert 0.11 < drawn < 0.14
