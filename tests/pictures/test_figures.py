"""What marks the athlete in a picture: a box, or the outline of a mask."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from swapaqa.pictures.figures import BOX, Augmented, draw_region, draw_region_in_pixels, swap_strip, swap_video


def an_l() -> torch.Tensor:
    """(12, 16) bool: not convex, and touching the frame's edge."""
    mask = torch.zeros(12, 16, dtype=torch.bool)
    mask[2:, 3:6] = mask[9:, 3:12] = True
    return mask


def on_the_edge(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask that have a neighbour outside of it, or the frame's edge beside them."""
    wide = np.pad(mask, 1)
    inside = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask & ~inside


@pytest.mark.parametrize("scale", [1, 4])
def test_the_outline_of_a_mask_is_drawn_on_its_own_border_pixels(scale: int) -> None:
    picture = np.zeros((12 * scale, 16 * scale, 3), np.uint8)
    draw_region_in_pixels(picture, an_l(), BOX, scale)
    large = an_l().numpy().repeat(scale, axis=0).repeat(scale, axis=1)
    drawn = picture.any(axis=2)
    assert not (drawn & ~large).any()
    assert np.array_equal(drawn, on_the_edge(large))
    assert picture[drawn][0].tolist() == [0x00, 0xD4, 0xFF]


def test_a_line_goes_round_a_mask_and_closes_at_the_frames_edge() -> None:
    panel = Figure().subplots()
    draw_region(panel, an_l(), BOX)
    (outline,) = panel.collections[0].get_paths()
    assert outline.contains_point((4, 5))
    assert outline.contains_point((10, 10))
    assert not outline.contains_point((10, 5))  # in its box, and not in the mask
    assert outline.get_extents().extents.tolist() == [2.5, 1.5, 11.5, 11.5]


def test_an_empty_mask_draws_nothing() -> None:
    panel, picture = Figure().subplots(), np.zeros((12, 16, 3), np.uint8)
    draw_region(panel, torch.zeros(12, 16, dtype=torch.bool), BOX)
    draw_region_in_pixels(picture, torch.zeros(12, 16, dtype=torch.bool), BOX, 1)
    assert not panel.collections
    assert not picture.any()


def test_strip_and_film_of_a_swap_take_masks(tmp_path: Path) -> None:
    video = torch.zeros(2, 3, 6, 12, 16, dtype=torch.uint8)
    masks = an_l().expand(2, 6, 12, 16)
    swap_strip(video, masks, [Augmented("swap", video, masks)], ["a", "b"], tmp_path / "swap.png")
    swap_video(video, masks, [Augmented("swap", video, masks)], tmp_path / "swap.mp4")
    assert (tmp_path / "swap.png").stat().st_size > 5000
    assert (tmp_path / "swap.mp4").stat().st_size > 1000
