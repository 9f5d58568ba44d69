"""The `clean` fill against loops over pixels, and what makes it a background."""

import pytest
import torch
from torch import Tensor

from swapaqa.augment.background import fill_box, fill_boxes, inside_bounds

BLACK = torch.zeros(3)


def walk(steps: int, count: int) -> int:
    """Position after so many steps in a strip of `count` pixels, turning back at its ends."""
    there_and_back = [*range(count), *reversed(range(count))]
    return there_and_back[steps % len(there_and_back)]


def loop_fill(frame: Tensor, bounds: tuple[int, int, int, int], colour: Tensor) -> Tensor:
    """frame (C, H, W): each pixel of the box from the four mirror images, weighted by distance ** -2."""
    left, top, right, bottom = bounds
    height, width = frame.shape[1:]
    filled = frame.clone()
    for row in range(top, bottom):
        for column in range(left, right):
            sides = []  # distance to the nearest pixel of the side, and the pixel the mirror shows
            if left > 0:
                away = column - left
                sides.append((away + 1, frame[:, row, left - 1 - walk(away, left)]))
            if right < width:
                away = right - 1 - column
                sides.append((away + 1, frame[:, row, right + walk(away, width - right)]))
            if top > 0:
                away = row - top
                sides.append((away + 1, frame[:, top - 1 - walk(away, top), column]))
            if bottom < height:
                away = bottom - 1 - row
                sides.append((away + 1, frame[:, bottom + walk(away, height - bottom), column]))
            total = sum(away**-2 for away, _ in sides)
            mean = sum(value * away**-2 for away, value in sides) / total if sides else colour
            filled[:, row, column] = mean
    return filled


BOXES = [(3, 2, 7, 6), (0, 2, 4, 5), (6, 0, 10, 3), (1, 1, 9, 8), (0, 0, 10, 4), (0, 0, 10, 9), (4, 4, 5, 5)]


@pytest.mark.parametrize("bounds", BOXES)
def test_every_pixel_as_in_the_loops(bounds):
    frame = torch.rand(3, 9, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    colour = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    expected = loop_fill(frame, bounds, colour)
    filled = frame.clone()
    fill_box(filled, bounds, colour)
    torch.testing.assert_close(filled, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32])
def test_a_whole_batch_at_once_is_the_same(dtype):
    generator = torch.Generator().manual_seed(2)
    video = torch.randint(0, 256, (2, 3, len(BOXES), 9, 10), generator=generator).to(dtype)
    bounds = torch.tensor([BOXES, BOXES[::-1]])
    filled = fill_boxes(video, bounds, BLACK.to(dtype))
    for sample in range(2):
        for frame in range(len(BOXES)):
            alone = video[sample, :, frame].clone()
            fill_box(alone, tuple(bounds[sample, frame].tolist()), BLACK.to(dtype))
            assert torch.equal(filled[sample, :, frame], alone)
    outside = ~inside_bounds(bounds, (9, 10)).expand_as(video)
    assert torch.equal(filled[outside], video[outside])


def test_nothing_of_the_box_is_left():
    frame = torch.rand(3, 9, 10, generator=torch.Generator().manual_seed(3))
    other = frame.clone()
    other[:, 2:6, 3:7] = 100.0
    fill_box(frame, (3, 2, 7, 6), BLACK)
    fill_box(other, (3, 2, 7, 6), BLACK)
    assert torch.equal(frame, other)


def test_an_even_background_stays_even():
    frame = torch.full((3, 9, 10), 117, dtype=torch.uint8)
    frame[:, 2:6, 3:7] = 3
    fill_box(frame, (3, 2, 7, 6), BLACK.to(torch.uint8))
    assert (frame == 117).all()


def test_a_box_without_pixels_changes_nothing():
    frame = torch.rand(3, 9, 10)
    before = frame.clone()
    fill_box(frame, (4, 2, 4, 6), BLACK)
    assert torch.equal(frame, before)


@pytest.mark.parametrize("bounds", BOXES)
def test_bytes_are_rounded_to_the_nearest(bounds):
    frame = torch.randint(0, 256, (3, 9, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(4))
    exact = loop_fill(frame.double(), bounds, BLACK.double())
    fill_box(frame, bounds, BLACK.to(torch.uint8))
    assert (frame - exact).abs().max() <= 0.5 + 1e-4
